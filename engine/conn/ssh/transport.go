package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"golang.org/x/crypto/ssh"
)

// wire opens the byte stream to r: a TCP connection, one through a jump host,
// or a ProxyCommand.
func (d *Dialer) wire(ctx context.Context, t conn.Target, r *route, via *bastion, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	fail := func(stage, addr string, err error) error {
		e := &conn.UnreachableError{Host: t.Name, Addr: addr, Stage: stage, Err: err}
		if tookTooLong(ctx, err) {
			e.Limit = r.dialLimit
		}
		return e
	}
	switch {
	case r.proxyCommand != "":
		c, err := startProxy(r)
		if err != nil {
			return nil, fail("proxy", r.proxyCommand, err)
		}
		return c, nil
	case via != nil:
		c, err := via.link.client.DialContext(ctx, "tcp", r.addr())
		if err != nil {
			return nil, fail("proxy", r.addr(), fmt.Errorf("via %s: %w", via.name, err))
		}
		return c, nil
	}
	c, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", r.addr())
	if err != nil {
		stage := "connect"
		if noName := (*net.DNSError)(nil); errors.As(err, &noName) {
			stage = "resolve"
		}
		return nil, fail(stage, r.addr(), cause(err))
	}
	return prompt(c), nil
}

// tookTooLong: the context's deadline is the socket's too, which may be noticed first.
func tookTooLong(ctx context.Context, err error) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// cause takes the address off an error that is shown beside it.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// attempt makes one connection and authenticates.
func (d *Dialer) attempt(ctx context.Context, t conn.Target, r *route, via *bastion, deadline time.Time) (*link, error) {
	auth, err := d.authFor(t, r)
	if err != nil {
		return nil, err
	}
	db, err := d.known.load(d, r)
	if err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: r.addr(), Stage: "config", Err: err}
	}
	raw, err := d.wire(ctx, t, r, via, deadline)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	check := &hostKeyCheck{d: d, target: t, route: r, db: db}
	config := &ssh.ClientConfig{
		User:              r.user,
		Auth:              auth.methods(),
		AuthCallback:      auth.next,
		HostKeyCallback:   check.check,
		HostKeyAlgorithms: db.algorithms(r.knownAs()),
		ClientVersion:     "SSH-2.0-dayops",
	}
	client, err := d.handshake(ctx, t, r, raw, config)
	if err == nil {
		return newLink(client, raw, d.limits.keepalive, t.Name), nil
	}
	switch {
	case check.err != nil:
		return nil, check.err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case auth.begun:
		return nil, auth.failure(t, r, err)
	}
	return nil, err
}

// handshake exchanges keys and authenticates, within its limit.
func (d *Dialer) handshake(ctx context.Context, t conn.Target, r *route, raw net.Conn, config *ssh.ClientConfig) (client *ssh.Client, err error) {
	w := &watched{Conn: raw}
	timer := time.AfterFunc(d.limits.handshake, w.expire)
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer func() {
		// The protocol code reads what the peer sends; a bug there must cost one host, not the run.
		if p := recover(); p != nil {
			client, err = nil, fmt.Errorf("panic in the handshake: %v", p)
		}
		timer.Stop()
		stop()
		if err != nil {
			raw.Close()
			err = d.handshakeError(t, r, w, err)
		}
	}()
	c, chans, reqs, err := ssh.NewClientConn(w, r.knownAs(), config)
	if err != nil {
		return nil, err
	}
	if !stop() || !timer.Stop() { // closed while it succeeded
		c.Close()
		return nil, errors.New("the connection was closed")
	}
	return ssh.NewClient(c, chans, reqs), nil
}

func (d *Dialer) handshakeError(t conn.Target, r *route, w *watched, err error) error {
	addr := r.addr()
	if r.proxyCommand != "" {
		addr = r.proxyCommand
	}
	e := &conn.UnreachableError{Host: t.Name, Addr: addr, Stage: "handshake", Err: err}
	said, spoke, expired := w.state()
	switch {
	case expired:
		e.Limit = d.limits.handshake
	case !spoke && w.proxy() != nil:
		e.Stage, e.Err = "proxy", w.proxy().failure(err)
	case !spoke:
		// Other words (a penalty for earlier failures, another protocol) do not change by asking again.
		again := said == "" || strings.Contains(said, "MaxStartups")
		e.Err = &droppedError{said: said, again: again, err: err}
	}
	return e
}

// watched is a connection that notes what the peer says before its version line.
type watched struct {
	net.Conn
	mu      sync.Mutex
	start   []byte
	spoke   bool // the version line has begun
	expired bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.spoke && n > 0 {
		w.start = append(w.start, p[:n]...)
		w.spoke = bytes.HasPrefix(w.start, []byte("SSH-")) || bytes.Contains(w.start, []byte("\nSSH-"))
		if w.spoke || len(w.start) > 4<<10 {
			w.start = w.start[:min(len(w.start), 1<<10)]
		}
	}
	return n, err
}

func (w *watched) expire() {
	w.mu.Lock()
	w.expired = true
	w.mu.Unlock()
	w.Conn.Close()
}

func (w *watched) state() (said string, spoke, expired bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return firstLine(string(w.start)), w.spoke, w.expired
}

func (w *watched) proxy() *proxy {
	p, _ := w.Conn.(*proxy)
	return p
}

// firstLine is the first line of what a peer said, fit for an error message.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd || 0x80 <= r && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}
