package sshtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// Behaviour is how an in-process server acts. The zero Behaviour is a good
// server that runs commands with /bin/sh.
type Behaviour struct {
	// Accept takes a new TCP connection instead of the server; it may do
	// anything with it and then returns false, or true to go on as usual.
	Accept func(c net.Conn) bool
	// Exec takes a command instead of /bin/sh. It returns false to go on as usual.
	Exec func(line string, ch ssh.Channel) bool
	// MaxSessions refuses further session channels; 0 refuses none.
	MaxSessions int32
	// Config may change the server's configuration.
	Config func(*ssh.ServerConfig)
	// Requests takes the global requests (keepalives) instead of refusing them.
	Requests func(<-chan *ssh.Request)
	// User that logs in; "" is the test's own.
	User string
}

// InProcess is the in-process server's record of what clients did.
type InProcess struct {
	*Server
	Connections atomic.Int32 // TCP connections accepted
	Sessions    atomic.Int32 // session channels open now
	Most        atomic.Int32 // the most at once
	listener    net.Listener
	behaviour   Behaviour
	config      *ssh.ServerConfig
	mu          sync.Mutex
	conns       []net.Conn
}

// StartInProcess starts a server in this process.
func StartInProcess(t TB, b Behaviour) *InProcess {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatalf("who am I: %v", err)
	}
	s := &InProcess{Server: &Server{Dir: t.TempDir(), User: me.Username, Host: "127.0.0.1"}, behaviour: b}
	if b.User != "" {
		s.User = b.User
	}
	s.makeKeys(t)
	allowed, _ := os.ReadFile(s.KeyFile + ".pub")
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if want, _, _, _, err := ssh.ParseAuthorizedKey(allowed); err == nil && bytes.Equal(want.Marshal(), key.Marshal()) {
			return nil, nil
		}
		return nil, errors.New("another key")
	}}
	for _, f := range s.HostKeyFiles {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatalf("%v", err)
		}
		key, err := ssh.ParsePrivateKey(text)
		if err != nil {
			t.Fatalf("%v", err)
		}
		s.config.AddHostKey(key)
	}
	if b.Config != nil {
		b.Config(s.config)
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("%v", err)
	}
	s.Port = s.listener.Addr().(*net.TCPAddr).Port
	s.Trust(t, s.Host)
	s.ConfigFile = s.write(t, "ssh_config", "UserKnownHostsFile "+filepath.Join(s.Dir, "known_hosts")+"\nGlobalKnownHostsFile none\n")
	go s.serve()
	t.Cleanup(func() {
		s.listener.Close()
		s.Drop()
	})
	return s
}

// Drop breaks all connections without a word.
func (s *InProcess) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *InProcess) serve() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.Connections.Add(1)
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		go func() {
			if s.behaviour.Accept == nil || s.behaviour.Accept(c) {
				s.talk(c)
			}
		}()
	}
}

func (s *InProcess) talk(c net.Conn) {
	defer c.Close()
	_, chans, reqs, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	if s.behaviour.Requests != nil {
		go s.behaviour.Requests(reqs)
	} else {
		go ssh.DiscardRequests(reqs)
	}
	for n := range chans {
		switch n.ChannelType() {
		case "session":
			now := s.Sessions.Add(1)
			s.Most.Store(max(s.Most.Load(), now))
			if most := s.behaviour.MaxSessions; most > 0 && now > most {
				s.Sessions.Add(-1)
				n.Reject(ssh.ConnectionFailed, "open failed")
				continue
			}
			go s.session(n)
		case "direct-tcpip":
			go forward(n)
		default:
			n.Reject(ssh.UnknownChannelType, "unknown")
		}
	}
}

func (s *InProcess) session(n ssh.NewChannel) {
	ch, reqs, err := n.Accept()
	if err != nil {
		s.Sessions.Add(-1)
		return
	}
	for r := range reqs {
		if r.Type != "exec" {
			r.Reply(false, nil)
			continue
		}
		r.Reply(true, nil)
		var msg struct{ Line string }
		ssh.Unmarshal(r.Payload, &msg)
		go func() {
			defer s.Sessions.Add(-1)
			if s.behaviour.Exec == nil || !s.behaviour.Exec(msg.Line, ch) {
				execute(msg.Line, ch)
			}
			ch.Close()
		}()
	}
}

// execute runs line as sshd would.
func execute(line string, ch ssh.Channel) {
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Dir, _ = os.UserHomeDir()
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	go func() {
		io.Copy(stdin, ch)
		stdin.Close()
	}()
	cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		names := map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGKILL: "KILL", syscall.SIGPIPE: "PIPE"}
		ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal     string
			Core       bool
			Text, Lang string
		}{names[status.Signal()], false, "", ""}))
		return
	}
	ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(status.ExitStatus())))
}

// forward serves a client that uses this server as its jump host.
func forward(n ssh.NewChannel) {
	var to struct {
		Host       string
		Port       uint32
		From       string
		OriginPort uint32
	}
	ssh.Unmarshal(n.ExtraData(), &to)
	c, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
	if err != nil {
		n.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	ch, reqs, err := n.Accept()
	if err != nil {
		c.Close()
		return
	}
	go ssh.DiscardRequests(reqs)
	go func() {
		io.Copy(ch, c)
		ch.Close()
	}()
	io.Copy(c, ch)
	c.Close()
}
