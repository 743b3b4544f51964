package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
)

// holds are the locks that a run has on hosts: one for each account that
// changes something there.
type holds struct {
	mu       sync.Mutex
	first    sync.Once // the lock of the inventory on this machine
	here     error
	by       map[holdKey]*hold
	tokens   map[string]*guard.Lock
	doubt    map[string]bool // tokens of locks whose records a resume will need
	resuming sync.Mutex
	stop     chan struct{} // ends the heartbeats
	beats    sync.WaitGroup
}

type holdKey struct{ host, as string }

type hold struct {
	turn   chan struct{} // one token: the right to look at the rest
	waits  time.Duration // how long another run's lock is waited for
	lock   *guard.Lock
	shared bool // with another name of the host, which refreshes and releases it
	err    error
}

func newHolds() *holds {
	return &holds{by: map[holdKey]*hold{}, tokens: map[string]*guard.Lock{}, doubt: map[string]bool{}, stop: make(chan struct{})}
}

func (hs *holds) at(k holdKey) *hold {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.by[k]
	if h == nil {
		h = &hold{turn: make(chan struct{}, 1)}
		hs.by[k] = h
	}
	return h
}

// patient has another run's lock on a host waited for, where it is not asked for yet.
func (hs *holds) patient(ctx context.Context, k holdKey, waits time.Duration) error {
	h := hs.at(k)
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.turn }()
	h.waits = waits
	return nil
}

// has tells whether a lock was asked for already.
func (hs *holds) has(k holdKey) bool {
	h := hs.at(k)
	h.turn <- struct{}{}
	defer func() { <-h.turn }()
	return h.lock != nil || h.err != nil
}

// hold gives the run's lock on a host, taken at the first change there. A host
// that somebody else holds is not asked again.
func (r *run) hold(ctx context.Context, host, as string) (*guard.Lock, error) {
	r.holds.first.Do(func() {
		if r.opt.Lock != nil {
			r.holds.here = r.opt.Lock()
		}
	})
	if r.holds.here != nil {
		r.locked()
		return nil, r.holds.here
	}
	h := r.holds.at(holdKey{host, as})
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.turn }()
	if h.lock == nil && h.err == nil {
		h.lock, h.shared, h.err = r.take(ctx, host, as, h.waits)
		if errors.Is(h.err, context.Canceled) || errors.Is(h.err, context.DeadlineExceeded) {
			err := h.err
			h.err = nil
			return nil, err
		}
		if h.err == nil && !h.shared {
			r.holds.beats.Go(func() { r.beat(h) })
		}
	}
	return h.lock, h.err
}

// take asks the host for its lock, and waits so long for another run's. shared
// tells that another name of the same host has it in this run already.
func (r *run) take(ctx context.Context, host, as string, waits time.Duration) (lock *guard.Lock, shared bool, err error) {
	l := r.pool.link(host)
	if l.conn == nil {
		return nil, false, &conn.UnreachableError{Host: host, Addr: host, Stage: "lock", Err: errors.New("not connected")}
	}
	if r.opt.Memory != nil { // else two names of one host would take it from one another
		r.holds.resuming.Lock()
		defer r.holds.resuming.Unlock()
	}
	opt := guard.Options{Expiry: r.opt.LockExpiry, Patience: time.Second, Dir: r.opt.HostDir, After: r.opt.undoes()}
	began, told := r.opt.Now(), false
	for tries := 0; tries < sharedTries; tries++ {
		lock, err = guard.Acquire(ctx, l.conn, as, r.opt.Owner, opt)
		var locked *guard.LockedError
		var running *guard.RunningError
		switch {
		case errors.As(err, &running):
			r.emit(event.Event{Kind: event.Note, Host: host, Text: "waiting for what an earlier controller began: " + running.Error()})
			opt.Patience = ChangeLimit
			continue
		case err == nil:
			if lock.PerUser {
				r.tellPerUser(host)
			}
			r.holds.note(lock)
			return lock, false, nil
		case !errors.As(err, &locked):
			return nil, false, err
		case locked.Holder.Run != r.opt.RunID && r.opt.Now().Sub(began) < waits:
			if !told {
				r.emit(event.Event{Kind: event.Note, Host: host, Text: fmt.Sprintf("waiting up to %s: %v", waits, locked)})
				told = true
			}
			if err := r.pause(ctx, othersPause); err != nil {
				return nil, false, err
			}
			tries = -1
			continue
		case locked.Holder.Run != r.opt.RunID:
			r.locked()
			return nil, false, err
		}
		if own := r.holds.mine(locked.Holder.Token); own != nil {
			return own.Share(l.conn, as), true, nil
		}
		if opt.Resume = r.opt.Memory != nil; opt.Resume {
			continue
		}
		if err := r.pause(ctx, sharedPause); err != nil {
			return nil, false, err
		}
	}
	return nil, false, err
}

// How often, and after what pauses, a lock of this very run is asked for again
// until the other name of the host has noted that it has it.
const (
	sharedTries = 50
	sharedPause = 20 * time.Millisecond
	othersPause = time.Second
)

// mine finds the lock of this process with a token.
func (hs *holds) mine(token string) *guard.Lock {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return hs.tokens[token]
}

func (hs *holds) note(l *guard.Lock) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.tokens[l.Token] = l
}

func (r *run) locked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Locked = true
}

// tellPerUser says once for each host what the lock does not keep out.
func (r *run) tellPerUser(host string) {
	r.emit(event.Event{Kind: event.Note, Host: host, Text: "without root the lock keeps out only runs of the same account"})
}

// beat keeps a lock from expiring until the run ends.
func (r *run) beat(h *hold) {
	every := r.opt.LockExpiry
	if every <= 0 {
		every = guard.Expiry
	}
	t := time.NewTicker(every / 3)
	defer t.Stop()
	for {
		select {
		case <-r.holds.stop:
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), every/3)
		err := h.lock.Refresh(ctx)
		cancel()
		var lost *conn.LockLostError
		if errors.As(err, &lost) {
			h.turn <- struct{}{}
			h.err = err
			<-h.turn
			return
		}
	}
}

// leave keeps the records under a lock when it is given back: a command is in doubt.
func (hs *holds) leave(l *guard.Lock) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.doubt[l.Token] = true
}

// leave keeps the records of a host's commands when its lock is given back: a
// change is in doubt there.
func (r *run) leave(host, as string) {
	h := r.holds.at(holdKey{host, as})
	h.turn <- struct{}{}
	lock := h.lock
	<-h.turn
	if lock != nil {
		r.holds.leave(lock)
	}
}

// release gives every lock back. What cannot be reached expires by itself.
func (r *run) release() {
	close(r.holds.stop)
	r.holds.beats.Wait()
	r.holds.mu.Lock()
	defer r.holds.mu.Unlock()
	var wg sync.WaitGroup
	for _, h := range r.holds.by {
		if h.lock != nil && !h.shared { // also one that was lost: there are records of ours
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), AbortGrace)
				defer cancel()
				if r.holds.doubt[h.lock.Token] {
					_ = h.lock.Leave(ctx)
					return
				}
				_ = h.lock.Release(ctx)
			})
		}
	}
	wg.Wait()
}

// InventoryLockedError: another run on this machine has the inventory.
type InventoryLockedError struct {
	Inventory string
	Owner     guard.Owner
}

func (e *InventoryLockedError) Error() string {
	if e.Owner.Run == "" {
		return "another run is changing hosts of " + e.Inventory
	}
	return fmt.Sprintf("run %s (%s, pid %d, since %s) is changing hosts of %s", e.Owner.Run, e.Owner.User, e.Owner.PID,
		e.Owner.Start.Format(time.TimeOnly), e.Inventory)
}
