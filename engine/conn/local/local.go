// Package local is the connection to the machine that dayops runs on.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"sync"
	"syscall"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/shell"
)

// Conn runs commands on this machine. Every command is a process group of its own.
type Conn struct{ *shell.Host }

// New is a connection to this machine as the account that runs dayops.
// Of t, the name and the escalation count.
func New(t conn.Target) (*Conn, error) {
	me, err := user.Current()
	if err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: "this machine", Stage: "connect", Err: fmt.Errorf("who am I: %w", err)}
	}
	home := me.HomeDir
	if _, err := os.Stat(home); err != nil {
		home = "/"
	}
	return &Conn{&shell.Host{
		Name: t.Name, Login: me.Username, Method: t.BecomeMethod, Password: t.BecomePassword,
		Start: func(_ context.Context, text string, stdout, stderr io.Writer) (shell.Process, error) {
			return start(home, text, stdout, stderr)
		},
	}}, nil
}

// Close does nothing: no command outlives its Run.
func (c *Conn) Close() error { return nil }

// Dialer is a conn.Dialer for targets of kind "local".
type Dialer struct{}

// Dial is New.
func (Dialer) Dial(_ context.Context, t conn.Target) (conn.Conn, error) {
	c, err := New(t)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close does nothing.
func (Dialer) Close() error { return nil }

type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	outputs []*os.File // our ends
	copies  sync.WaitGroup

	mu    sync.Mutex
	ended bool // the process id is no longer ours
}

func start(home, text string, stdout, stderr io.Writer) (shell.Process, error) {
	cmd := exec.Command("/bin/sh", "-c", text)
	cmd.Dir = home
	cmd.Env = append(withoutOurs(os.Environ()), "PWD="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &process{cmd: cmd}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	for _, out := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		ours, w, err := os.Pipe()
		if err != nil {
			p.Release()
			return nil, err
		}
		*out = w
		theirs = append(theirs, w)
		p.outputs = append(p.outputs, ours)
	}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.Release()
		return nil, err
	}
	for i, w := range []io.Writer{stdout, stderr} {
		p.copies.Go(func() { _, _ = io.Copy(w, p.outputs[i]) })
	}
	return p, nil
}

// withoutOurs leaves out the variables that are meant for dayops itself; they may name secrets.
func withoutOurs(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "DAYOPS_") && !strings.HasPrefix(e, "PWD=") {
			kept = append(kept, e)
		}
	}
	return kept
}

func (p *process) Stdin() io.WriteCloser { return p.stdin }

func (p *process) Wait() (shell.Exit, error) {
	p.copies.Wait() // before the process: its children may write on
	err := p.cmd.Wait()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return shell.Exit{}, err
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return shell.SignalExit(shell.SignalName(int(status.Signal()))), nil
	}
	return shell.Exit{Code: status.ExitStatus()}, nil
}

func (p *process) Signal(name string) {
	sig := syscall.SIGTERM
	if name == "KILL" {
		sig = syscall.SIGKILL
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

func (p *process) Release() {
	if p.stdin != nil {
		p.stdin.Close()
	}
	for _, f := range p.outputs {
		f.Close()
	}
}
