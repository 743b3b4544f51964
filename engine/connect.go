package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
)

// isLost tells errors that end a host's part of the run: nothing more can be asked of it.
func isLost(err error) bool {
	var (
		key     *conn.HostKeyError
		auth    *conn.AuthError
		lost    *conn.LostError
		unreach *conn.UnreachableError
	)
	return errors.As(err, &key) || errors.As(err, &auth) || errors.As(err, &lost) || errors.As(err, &unreach)
}

// connectBatch opens the connections of a batch at the same time and gathers
// facts where the play wants them. It ends when each host has answered or run
// into its limit.
func (r *run) connectBatch(ctx context.Context, hosts []*host) {
	if !r.play.NeedsHosts() {
		return
	}
	start := r.opt.Now()
	errs := make([]error, len(hosts))
	index := map[*host]int{}
	for i, h := range hosts {
		index[h] = i
	}
	done := len(hosts) - len(r.each(ctx, r.opt.Forks, hosts, func(h *host) { errs[index[h]] = r.begin(ctx, h) }))
	for _, err := range errs {
		if err != nil {
			done--
		}
	}
	r.emit(event.Event{Kind: event.Connect, Play: r.play.Title(), Done: int64(done), Total: int64(len(hosts)),
		Seconds: r.opt.Now().Sub(start).Seconds()})
	for i, err := range errs {
		if err != nil {
			r.lose(hosts[i], nil, err)
		}
	}
	r.turn()
}

func (r *run) begin(ctx context.Context, h *host) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &conn.UnreachableError{Host: h.name(), Addr: h.name(), Stage: "facts", Err: &PanicError{p}}
		}
	}()
	l, err := r.connect(ctx, h.name())
	if err != nil {
		return err
	}
	if g := r.play.GatherFacts; g != nil && !*g {
		return nil
	}
	if _, err := h.gather(ctx, l, r.opt.Now); err != nil {
		if isLost(err) {
			return err
		}
		return &conn.UnreachableError{Host: h.name(), Addr: h.name(), Stage: "facts", Err: err}
	}
	return nil
}

// connect gives the target's connection, opened at first use.
func (r *run) connect(ctx context.Context, name string) (*link, error) {
	t, err := r.target(name)
	var nobody *NotInInventoryError
	switch {
	case errors.As(err, &nobody):
		return nil, err
	case err != nil:
		return nil, &conn.UnreachableError{Host: name, Addr: name, Stage: "settings", Err: err}
	}
	return r.pool.dial(ctx, t)
}

// lose marks a host as gone for the rest of the run, in a step or while connecting.
func (r *run) lose(h *host, s *playbook.BoundStep, err error) {
	r.mu.Lock()
	again := h.lost != nil
	if !again {
		h.lost = err
		h.counts.Unreachable++
	}
	r.mu.Unlock()
	if again {
		return
	}
	e := event.Event{Kind: event.Unreachable, Play: r.play.Title(), Host: h.name(), Status: event.Unreached, Text: err.Error()}
	e.Cause, e.Hint = explain(h.name(), err)
	var broken *conn.LostError
	if errors.As(err, &broken) && r.opt.Journal != nil && !r.opt.Check {
		e.Hint = fmt.Sprintf("dayops resume %s   (when %s is back: finds what was begun there)", r.opt.RunID, h.name())
	}
	if s != nil {
		e.Step, e.StepID, e.Task, e.Handler = s.Title(), s.ID, s.Task, s.Handler
	}
	r.emit(e)
}

// excuse notes hosts that need not be reached.
func (r *run) excuse(names []string) {
	for _, name := range names {
		h := r.host(name)
		r.mu.Lock()
		h.excused = true
		r.mu.Unlock()
	}
}

// unreachable tells whether a host was lost that no plan excuses.
func (r *run) unreachable() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.hosts {
		if h.lost != nil && !h.excused {
			return true
		}
	}
	return false
}

// NotInInventoryError: delegate_to names a host that nobody knows.
type NotInInventoryError struct{ Name string }

func (e *NotInInventoryError) Error() string {
	return fmt.Sprintf("host %q is not in the inventory", e.Name)
}

// target says how a host is reached: its variables, then the command line.
func (r *run) target(name string) (conn.Target, error) {
	if !r.opt.Inventory.Has(name) {
		return conn.Target{}, &NotInInventoryError{Name: name}
	}
	h := r.host(name)
	c, err := r.connection(h, r.base(h))
	if err != nil {
		return conn.Target{}, err
	}
	t, l := c.Target, r.opt.Login
	if t.User == "" {
		t.User = l.User
	}
	if t.KeyFile == "" {
		t.KeyFile = l.KeyFile
	}
	if !t.Password.IsSet() {
		t.Password = l.Password
	}
	if !t.BecomePassword.IsSet() {
		t.BecomePassword = l.BecomePassword
	}
	if t.HostKeys == "" {
		t.HostKeys = l.HostKeys
	}
	t.CommonArgs = append(t.CommonArgs, l.CommonArgs...)
	return t, nil
}
