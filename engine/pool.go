package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/dayops/dayops/engine/conn"
)

// pool keeps one connection per target for the whole run. A target that
// could not be reached is not tried again: its error is kept.
type pool struct {
	dialer conn.Dialer

	mu      sync.Mutex
	entries map[string]*link
}

// link is one target: its connection, and the lock under which one host at a
// time works on it (delegate_to can send many hosts to one target).
type link struct {
	once sync.Once
	conn conn.Conn
	err  error
	turn chan struct{}
}

func newPool(d conn.Dialer) *pool {
	return &pool{dialer: d, entries: map[string]*link{}}
}

func (p *pool) link(name string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.entries[name]
	if l == nil {
		l = &link{turn: make(chan struct{}, 1)}
		p.entries[name] = l
	}
	return l
}

// dial connects to t, once. A panic in a connection is that host's error, not the run's.
func (p *pool) dial(ctx context.Context, t conn.Target) (*link, error) {
	l := p.link(t.Name)
	l.once.Do(func() {
		defer func() {
			if r := recover(); r != nil {
				l.err = &conn.UnreachableError{Host: t.Name, Addr: t.Address, Stage: "handshake", Err: fmt.Errorf("panic: %v", r)}
			}
		}()
		c, err := p.dialer.Dial(ctx, t)
		if l.err = err; err == nil {
			l.conn = &renewable{now: c}
		}
	})
	return l, l.err
}

// take waits for the target's turn; the returned function gives it back. The
// wait ends with an error when stop is closed.
func (l *link) take(ctx context.Context, stop <-chan struct{}) (func(), error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-stop:
		return nil, errStopped
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close ends every connection, at the same time: each may take its five seconds.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range p.entries {
		if l.conn != nil {
			wg.Go(func() { _ = l.conn.Close() })
		}
	}
	wg.Wait()
}
