// Package ssh is the connection to hosts over SSH. It follows OpenSSH: the
// same configuration files, known_hosts, agent, certificates and jump hosts.
// Host keys are always checked.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// Options are what a Dialer takes from its surroundings. The zero Options
// stand for those of the process.
type Options struct {
	// Home is where ~ leads; "" is $HOME.
	Home string
	// ConfigFile replaces ~/.ssh/config and /etc/ssh/ssh_config; "none" reads no file.
	ConfigFile string
	// Agent is the socket of the ssh agent; "" is $SSH_AUTH_SOCK, "none" is no agent.
	Agent string
	// SSHProgram resolves configuration with -G; "" looks for ssh in PATH, "none" does without.
	SSHProgram string
	// Notice, where set, is told what a person should know and no error says:
	// lines of known_hosts that cannot be read, options that are not obeyed.
	// It may be called from several goroutines.
	Notice func(text string)
}

// limits are the constants of package conn; tests shorten them.
type limits struct {
	dial, handshake, keepalive time.Duration
}

// Dialer is a conn.Dialer for targets of kind "ssh".
type Dialer struct {
	opts     Options
	limits   limits
	lookups  lookups
	slots    slots
	keys     keyring
	known    knownHosts
	noticed  sync.Map
	mu       sync.Mutex
	bastions map[string]*bastion
	closed   bool
}

// New makes a Dialer. It reads and connects nothing yet.
func New(o Options) *Dialer {
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir()
	}
	switch o.Agent {
	case "":
		o.Agent = os.Getenv("SSH_AUTH_SOCK")
	case "none":
		o.Agent = ""
	}
	switch o.SSHProgram {
	case "":
		o.SSHProgram, _ = exec.LookPath("ssh")
	case "none":
		o.SSHProgram = ""
	}
	return &Dialer{
		opts:     o,
		limits:   limits{conn.DialLimit, conn.HandshakeLimit, conn.KeepaliveEvery},
		lookups:  lookups{answers: map[string]*answer{}, matter: map[string]bool{}, slots: make(chan struct{}, forks)},
		slots:    slots{free: map[string]chan struct{}{}},
		bastions: map[string]*bastion{},
	}
}

func (d *Dialer) notice(text string) {
	if _, before := d.noticed.LoadOrStore(text, true); !before && d.opts.Notice != nil {
		d.opts.Notice(text)
	}
}

// Dial connects to t and authenticates. It fails with *conn.UnreachableError,
// *conn.HostKeyError or *conn.AuthError, or with ctx's error.
func (d *Dialer) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	r, err := d.route(t)
	if err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: t.Address, Stage: "config", Err: err}
	}
	l, err := d.connect(ctx, t, r)
	if err != nil {
		return nil, err
	}
	return newConn(l, t, r), nil
}

// connect makes the link to r, over its jump hosts.
func (d *Dialer) connect(ctx context.Context, t conn.Target, r *route) (*link, error) {
	via, err := d.bastionFor(ctx, t, r)
	if err != nil {
		return nil, err
	}
	return d.connectVia(ctx, t, r, via)
}

// connectVia tries again when the server dropped the connection before it
// said a word: that is how sshd refuses more than MaxStartups at once.
func (d *Dialer) connectVia(ctx context.Context, t conn.Target, r *route, via *bastion) (*link, error) {
	free, err := d.slots.take(ctx, slotKeys(r, via)...)
	if err != nil {
		return nil, err
	}
	defer free()
	deadline := time.Now().Add(r.dialLimit)
	var last error
	for try := 0; ; try++ {
		l, err := d.attempt(ctx, t, r, via, deadline)
		var dropped *droppedError
		if late := (*conn.UnreachableError)(nil); last != nil && errors.As(err, &late) && late.Limit == r.dialLimit {
			return nil, last // it says more than that time was up
		}
		last = err
		if err == nil || !errors.As(err, &dropped) || !dropped.again || try == 3 {
			return l, err
		}
		pause := time.Duration(200<<try) * time.Millisecond
		pause += rand.N(pause)
		if time.Now().Add(pause).After(deadline) {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// droppedError: the server closed the connection before its version line.
type droppedError struct {
	said  string // what it wrote instead
	again bool   // whether it helps to try again
	err   error
}

func (e *droppedError) Error() string {
	if e.said != "" {
		return fmt.Sprintf("the server refused the connection: %s", e.said)
	}
	return fmt.Sprintf("the server closed the connection before it said a word: %v", e.err)
}

func (e *droppedError) Unwrap() error { return e.err }

// Close ends the connections to jump hosts. Connections that Dial gave are
// their owners' to close.
func (d *Dialer) Close() error {
	d.mu.Lock()
	d.closed = true
	all := d.bastions
	d.bastions = map[string]*bastion{}
	d.mu.Unlock()
	for _, b := range all {
		b.end()
	}
	d.keys.close()
	return nil
}
