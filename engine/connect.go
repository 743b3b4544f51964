package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
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
	r.each(hosts, func(h *host) { errs[index[h]] = r.begin(ctx, h) })
	lost := 0
	for _, err := range errs {
		if err != nil {
			lost++
		}
	}
	r.emit(event.Event{Kind: event.Connect, Play: r.play.Title(), Done: int64(len(hosts) - lost), Total: int64(len(hosts)),
		Seconds: r.opt.Now().Sub(start).Seconds()})
	for i, err := range errs {
		if err != nil {
			r.lose(hosts[i], err)
		}
	}
}

func (r *run) begin(ctx context.Context, h *host) error {
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
	if err != nil {
		return nil, &conn.UnreachableError{Host: name, Addr: name, Stage: "settings", Err: err}
	}
	return r.pool.dial(ctx, t)
}

// lose marks a host as gone for the rest of the run.
func (r *run) lose(h *host, err error) {
	cause, hint := explain(h.name(), err)
	h.mu.Lock()
	h.lost = err
	h.counts.Unreachable++
	h.mu.Unlock()
	r.mu.Lock()
	r.report.Unreachable = true
	r.mu.Unlock()
	r.emit(event.Event{Kind: event.Unreachable, Play: r.play.Title(), Host: h.name(), Status: event.Unreached, Text: err.Error(), Cause: cause, Hint: hint})
}

// NotInInventoryError: delegate_to names a host that nobody knows.
type NotInInventoryError struct{ Name, Hint string }

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
