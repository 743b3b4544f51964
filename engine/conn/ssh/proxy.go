package ssh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proxy is a ProxyCommand as a connection: a process group of its own that
// ends with the connection.
type proxy struct {
	in    *os.File // to the command
	out   *os.File // from the command
	cmd   *exec.Cmd
	said  tail
	ended chan struct{}
	once  sync.Once
}

// startProxy runs r's ProxyCommand. The values that go into its text were
// checked to hold nothing that a shell would read.
func startProxy(r *route) (*proxy, error) {
	text, err := expandTokens(r.proxyCommand, map[byte]string{
		'%': "%", 'h': r.host, 'n': r.name, 'p': strconv.Itoa(r.port), 'r': r.user,
	})
	if err != nil {
		return nil, err
	}
	p := &proxy{ended: make(chan struct{})}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		theirIn.Close()
		in.Close()
		return nil, err
	}
	p.in, p.out = in, out
	p.cmd = exec.Command("/bin/sh", "-c", "exec "+text)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirIn, theirOut, &p.said
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = p.cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *proxy) Read(b []byte) (int, error)  { return p.out.Read(b) }
func (p *proxy) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close ends the command: its input ends at once, the group is killed if that does not do.
func (p *proxy) Close() error {
	p.once.Do(func() {
		p.in.Close()
		p.out.Close()
		select {
		case <-p.ended:
			return
		default:
			syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
		}
		go func() {
			select {
			case <-p.ended:
			case <-time.After(time.Second):
				syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			}
		}()
	})
	return nil
}

// failure says why the command gave no SSH server.
func (p *proxy) failure(err error) error {
	select {
	case <-p.ended:
	case <-time.After(200 * time.Millisecond):
	}
	if said := p.said.String(); said != "" {
		return fmt.Errorf("%w: %s", errProxyEnded, said)
	}
	return fmt.Errorf("%w: %w", errProxyEnded, err)
}

var errProxyEnded = errors.New("the ProxyCommand ended")

// known_hosts knows a proxied host by name alone.
func (p *proxy) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4zero} }
func (p *proxy) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4zero} }
func (p *proxy) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (p *proxy) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (p *proxy) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

var _ net.Conn = (*proxy)(nil)
var _ io.Writer = (*tail)(nil)

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if over := len(t.end) - 4<<10; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	return len(p), nil
}

// String is the last line, fit for an error message.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.end)), "\n")
	return firstLine(lines[len(lines)-1])
}
