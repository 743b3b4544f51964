package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"golang.org/x/crypto/ssh"
)

// link is one SSH connection with its bounded sessions.
type link struct {
	client *ssh.Client
	host   string // inventory name
	room   *room
	gone   chan struct{} // closed when the connection is over
	mu     sync.Mutex
	err    error // why it is over
}

func newLink(client *ssh.Client, raw net.Conn, every time.Duration, host string) *link {
	l := &link{client: client, host: host, room: newRoom(conn.MaxSessions), gone: make(chan struct{})}
	go func() {
		l.over(client.Wait())
		raw.Close()
		close(l.gone)
	}()
	go l.keepAlive(every)
	return l
}

// over notes the first reason.
func (l *link) over(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

func (l *link) alive() bool {
	select {
	case <-l.gone:
		return false
	default:
		return true
	}
}

func (l *link) close() {
	l.over(errors.New("the connection was closed"))
	l.client.Close()
	select { // the read loop ends when its connection does
	case <-l.gone:
	case <-time.After(time.Second):
	}
}

// lost is the error of something that the end of the connection cut short.
func (l *link) lost(doing string, err error) error {
	select { // channels end a moment before the reason is known
	case <-l.gone:
	case <-time.After(200 * time.Millisecond):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		err = l.err
	}
	return &conn.LostError{Host: l.host, Doing: doing, Err: err}
}

// keepAlive asks the peer for a sign of life and closes the connection when
// it owes KeepaliveMiss of them.
func (l *link) keepAlive(every time.Duration) {
	answers := make(chan struct{}, 1)
	tick := time.NewTicker(every)
	defer tick.Stop()
	missed, asked := 0, false
	for {
		select {
		case <-l.gone:
			return
		case <-answers:
			missed, asked = 0, false
		case <-tick.C:
			if asked {
				if missed++; missed >= conn.KeepaliveMiss {
					l.over(fmt.Errorf("no sign of life for %s", time.Duration(missed)*every))
					l.client.Close()
					return
				}
				continue
			}
			asked = true
			go func() { // ends with the connection at the latest
				if _, _, err := l.client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answers <- struct{}{}
				}
			}()
		}
	}
}

// session opens a session channel. A server that has too many is asked again
// when one of ours has ended: how many it takes is learnt that way.
func (l *link) session(ctx context.Context) (*ssh.Session, func(), error) {
	for try := 0; ; try++ {
		leave, others, err := l.room.enter(ctx, l.gone)
		if err != nil {
			if !l.alive() {
				err = l.lost("a session's start", err)
			}
			return nil, nil, err
		}
		s, err := l.openSession(ctx)
		if err == nil {
			return s, leave, nil
		}
		leave()
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) {
			return nil, nil, err
		}
		l.room.shrink(others)
		if others == 0 && try >= 5 {
			return nil, nil, fmt.Errorf("the server opens no session: %s", firstLine(refused.Message))
		}
		pause := min(time.Second, 50*time.Millisecond<<min(try, 5))
		select { // sessions of before may still be ending there
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-l.gone:
		}
	}
}

func (l *link) openSession(ctx context.Context) (*ssh.Session, error) {
	type opened struct {
		s   *ssh.Session
		err error
	}
	answer := make(chan opened, 1)
	go func() {
		s, err := l.client.NewSession()
		answer <- opened{s, err}
	}()
	select {
	case a := <-answer:
		// A server says yes or no; everything else is the end of the connection.
		if no := (*ssh.OpenChannelError)(nil); a.err != nil && !errors.As(a.err, &no) {
			l.client.Close()
			return nil, l.lost("a session's start", a.err)
		}
		return a.s, a.err
	case <-ctx.Done():
		go func() { // the answer comes, or the connection ends
			if a := <-answer; a.s != nil {
				a.s.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// room bounds the sessions of one connection.
type room struct {
	mu     sync.Mutex
	limit  int
	inside int
	idle   func() bool // gives back a place that is only kept warm
	freed  chan struct{}
}

func newRoom(limit int) *room { return &room{limit: limit, freed: make(chan struct{})} }

// enter waits for a place. others is how many hold one already.
func (r *room) enter(ctx context.Context, gone <-chan struct{}) (leave func(), others int, err error) {
	for {
		r.mu.Lock()
		if r.inside < r.limit {
			others = r.inside
			r.inside++
			r.mu.Unlock()
			return sync.OnceFunc(r.leave), others, nil
		}
		freed, idle := r.freed, r.idle
		r.mu.Unlock()
		if idle != nil && idle() {
			continue
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-gone:
			return nil, 0, net.ErrClosed
		}
	}
}

func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
	close(r.freed)
	r.freed = make(chan struct{})
}

// shrink lowers the limit to what the server took.
func (r *room) shrink(took int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = max(1, min(r.limit, took))
}
