package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/dress"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// try logs in to a host once, as dayops will: the host key checked, the key of the demo.
func (m *maker) try(ctx context.Context, h dress.Host) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	key, err := os.ReadFile(filepath.Join(m.dir, "id_ed25519"))
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return err
	}
	check, err := knownhosts.New(m.knownHosts())
	if err != nil {
		return err
	}
	conn, stop, err := start(ctx, m.path(h, "connect"), addr(h.Name+":22"))
	if err != nil {
		return err
	}
	defer stop()
	c, chans, reqs, err := ssh.NewClientConn(conn, h.Name+":22", &ssh.ClientConfig{
		User: m.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, HostKeyCallback: check,
	})
	if err != nil {
		return m.withLog(h, err)
	}
	client := ssh.NewClient(c, chans, reqs)
	defer client.Close()
	s, err := client.NewSession()
	if err != nil {
		return m.withLog(h, err)
	}
	defer s.Close()
	if out, err := s.CombinedOutput("true"); err != nil {
		return m.withLog(h, fmt.Errorf("%w %s", err, out))
	}
	return nil
}

// withLog adds the last line that sshd logged, which has the reason.
func (m *maker) withLog(h dress.Host, err error) error {
	text, _ := os.ReadFile(m.path(h, "sshd.log"))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%w (%s)", err, lines[len(lines)-1])
}

// start runs a ProxyCommand; the connection ends with ctx or stop.
func start(ctx context.Context, command string, to addr) (net.Conn, func(), error) {
	cmd := exec.CommandContext(ctx, command)
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return pipe{in, out, to}, stop, nil
}

// pipe is a process as a net.Conn; the process's own limit stands for deadlines.
type pipe struct {
	io.WriteCloser
	r  io.ReadCloser
	to addr
}

func (p pipe) Read(b []byte) (int, error)     { return p.r.Read(b) }
func (p pipe) Close() error                   { return errors.Join(p.WriteCloser.Close(), p.r.Close()) }
func (p pipe) LocalAddr() net.Addr            { return p.to }
func (p pipe) RemoteAddr() net.Addr           { return p.to }
func (pipe) SetDeadline(time.Time) error      { return nil }
func (pipe) SetReadDeadline(time.Time) error  { return nil }
func (pipe) SetWriteDeadline(time.Time) error { return nil }

// addr is what the host key is looked up by, "name:22".
type addr string

func (addr) Network() string  { return "pipe" }
func (a addr) String() string { return string(a) }

// writeInventory writes the inventory; paths are absolute, so it works from any folder.
func (m *maker) writeInventory() error {
	var b strings.Builder
	b.WriteString("# Written by dayops-lab demo-hosts.\nall:\n  vars:\n")
	if m.local != nil {
		b.WriteString("    ansible_connection: local\n")
	} else {
		fmt.Fprintf(&b, "    ansible_user: %q\n    ansible_ssh_private_key_file: %q\n", m.user, filepath.Join(m.dir, "id_ed25519"))
	}
	b.WriteString("  hosts:\n")
	for _, h := range m.hosts {
		fmt.Fprintf(&b, "    %s:\n      host_backup_root: %q\n", h.Name, m.path(h, "root"))
		if m.local == nil {
			fmt.Fprintf(&b, "      ansible_ssh_common_args: >-\n        -o %s -o %s\n",
				option("UserKnownHostsFile", m.knownHosts()), option("ProxyCommand", m.path(h, "connect")))
		}
	}
	b.WriteString("  children:\n")
	for _, role := range []string{"master", "node", "etcd", "lb"} {
		group := map[string]string{"master": "masters", "node": "nodes"}[role]
		if group == "" {
			group = role
		}
		fmt.Fprintf(&b, "    %s:\n      hosts:", group)
		n := 0
		for _, h := range m.hosts {
			if h.Is(role) {
				fmt.Fprintf(&b, "\n        %s: {}", h.Name)
				n++
			}
		}
		if n == 0 {
			b.WriteString(" {}")
		}
		b.WriteString("\n")
	}
	return os.WriteFile(filepath.Join(m.dir, "inventory.yml"), []byte(b.String()), 0o600)
}

// option writes an ssh option. A path with a space is quoted twice: once for
// whoever splits the arguments, once for ssh (or the command's shell).
func option(name, path string) string {
	if strings.ContainsAny(path, " \t") {
		return fmt.Sprintf("'%s=\"%s\"'", name, path)
	}
	return name + "=" + path
}

func (m *maker) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d demo hosts in %s, %d files", len(m.hosts), m.dir, m.files)
	if m.skipped > 0 {
		fmt.Fprintf(&b, " (%d owners, labels or attributes left out: this account may not set them)", m.skipped)
	}
	if m.local != nil {
		fmt.Fprintf(&b, "\nFalling back to the local connection: %v", m.local)
	} else {
		b.WriteString("\nReached over SSH through sshd -i, host keys checked")
	}
	return b.String()
}
