package engine

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/dayops/dayops/engine/conn"
)

// renewable is a connection that can be replaced by a new one to the same host,
// also under the hands of those who hold it: the host has booted.
type renewable struct {
	mu  sync.RWMutex
	now conn.Conn
}

func (c *renewable) current() conn.Conn {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.now
}

// renew puts another connection in the place of the old one, which is closed.
func (c *renewable) renew(to conn.Conn) {
	c.mu.Lock()
	old := c.now
	c.now = to
	c.mu.Unlock()
	_ = old.Close() // it is broken
}

// Run is conn.Conn's.
func (c *renewable) Run(ctx context.Context, cmd conn.Cmd) (conn.Result, error) {
	return c.current().Run(ctx, cmd)
}

// Get is conn.Conn's.
func (c *renewable) Get(ctx context.Context, as, path string, w io.Writer) (int64, error) {
	return c.current().Get(ctx, as, path, w)
}

// Put is conn.Conn's.
func (c *renewable) Put(ctx context.Context, p conn.Put, r io.Reader) error {
	return c.current().Put(ctx, p, r)
}

// Close is conn.Conn's.
func (c *renewable) Close() error { return c.current().Close() }

// redial opens a second connection to a host, beside the one that is kept.
func (r *run) redial(name string) func(context.Context) (conn.Conn, error) {
	return func(ctx context.Context) (conn.Conn, error) {
		t, err := r.target(name)
		if err != nil {
			return nil, err
		}
		return r.opt.Dialer.Dial(ctx, t)
	}
}

// rebooted goes on with a host that has booted: a new connection, the lock,
// which the boot has let expire soon, and facts anew where there were any.
func (r *run) rebooted(ctx context.Context, name, as string) error {
	c, err := r.redial(name)(ctx)
	if err != nil {
		return err
	}
	l := r.pool.link(name)
	old, ok := l.conn.(*renewable)
	if !ok {
		return fmt.Errorf("the connection to %s cannot be renewed", name)
	}
	old.renew(c)
	if r.opt.Journal != nil {
		lock, err := r.hold(ctx, name, as)
		if err != nil {
			return err
		}
		if err := lock.Refresh(ctx); err != nil {
			return err
		}
	}
	h := r.host(name)
	if !h.forget() {
		return nil
	}
	_, err = h.gather(ctx, l, r.opt.Now)
	return err
}

// forget drops the facts, and tells whether there were any.
func (h *host) forget() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	had := h.gathered
	h.gathered, h.scope = false, nil
	return had
}
