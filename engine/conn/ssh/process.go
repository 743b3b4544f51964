package ssh

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/dayops/dayops/engine/conn/shell"
	"golang.org/x/crypto/ssh"
)

// process is one session with a command in it.
type process struct {
	link    *link
	session *ssh.Session
	stdin   io.WriteCloser
	leave   func()
}

// start runs text in a session: one round trip to open it, one to start.
func (l *link) start(ctx context.Context, text string, stdout, stderr io.Writer) (shell.Process, error) {
	s, leave, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	stdin, err := s.StdinPipe()
	if err != nil {
		leave()
		return nil, err
	}
	s.Stdout, s.Stderr = stdout, stderr
	started := make(chan error, 1)
	go func() { started <- s.Start(shell.LoginLine(text)) }()
	p := &process{link: l, session: s, stdin: stdin, leave: leave}
	select {
	case err = <-started:
	case <-ctx.Done():
		p.Release()
		return nil, ctx.Err()
	}
	if err == nil {
		return p, nil
	}
	p.Release()
	if strings.HasPrefix(err.Error(), "ssh: command ") { // with the whole text of it
		return nil, errors.New("the server refuses to start commands")
	}
	return nil, l.lost("a command's start", err)
}

func (p *process) Stdin() io.WriteCloser { return p.stdin }

func (p *process) Wait() (shell.Exit, error) {
	err := p.session.Wait()
	p.leave()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return shell.Exit{}, nil
	case !errors.As(err, &exit):
		return shell.Exit{}, p.link.lost("a command", err)
	case exit.Signal() != "":
		return shell.SignalExit(firstLine(exit.Signal())), nil
	}
	return shell.Exit{Code: exit.ExitStatus()}, nil
}

// Signal has no answer, so it cannot hang: sshd passes it on where it can
// (version 7.9 or later, not as root).
func (p *process) Signal(name string) {
	if p.link.alive() {
		go func() { _ = p.session.Signal(ssh.Signal(name)) }()
	}
}

func (p *process) Release() {
	p.leave()
	go p.session.Close() // writes; a peer that takes nothing is ended by the keepalive
}
