package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// applied is what one host got of a plan.
type applied struct {
	out task.Outcome
	err error
}

// applier carries out one plan: stage by stage, each stage in windows of
// hosts, Finally whatever happens. It makes changes only through do.
type applier struct {
	forks int
	limit time.Duration
	// do makes one change.
	do func(ctx context.Context, h change.Host, c change.Change, d deed) (change.Outcome, error)
	// host gives what changes on the named target are applied to.
	host func(ctx context.Context, name string) (change.Host, func(), error)
	// stop is closed when no further host of a plan may begin. A host that has
	// begun goes on to the end of its stage: what it stopped it also starts.
	stop <-chan struct{}
	// admission, where set, is asked before each change and told when a host is done.
	admission *admission

	// rollback, where set, takes back what a plan with that wish has done.
	rollback func(ctx context.Context, why string) error

	mu    sync.Mutex
	done  map[string]*applied
	found map[string][]task.Finding // of a rollback, by host
}

// run applies p and returns what each target got. self is the target of steps
// that name none. A failed change ends its host's part; the plan goes no
// further than the window in which any host failed, and the hosts that are
// left over by that have failed with a *NotBegunError.
func (a *applier) run(ctx context.Context, p task.Plan, self string) map[string]*applied {
	a.done = map[string]*applied{}
	var ended error
	for i, s := range p.Stages {
		if ended == nil {
			if s.Commit {
				p.OnFailure = task.Stop
			}
			ended = a.stage(ctx, i+1, s, self)
		} else {
			order, _ := group(s.Steps, self)
			a.leave(order, ended)
		}
	}
	back := ended != nil && p.OnFailure == task.Rollback && a.takeBack(ctx, ended)
	// Finally outlives an interrupt: what was stopped must be started again.
	fin := context.WithoutCancel(ctx)
	for _, st := range p.Finally {
		err := a.step(fin, st, self, deed{})
		a.admission.end(orSelf(st.Host, self), err != nil)
	}
	for _, st := range p.Back {
		if back {
			_ = a.step(ctx, st, self, deed{}) // which notes what fails
		}
	}
	return a.done
}

var errStopped = errors.New("interrupted")

// NotBegunError: a plan ended before this host's part of it.
type NotBegunError struct{ Why error }

func (e *NotBegunError) Error() string {
	return "not done, because the plan ended before it: " + e.Why.Error()
}

// ExitError: a command of a plan ended with an exit code other than 0.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// failedOn says which host ended a plan.
type failedOn struct{ host string }

func (e failedOn) Error() string { return e.host + " failed" }

// takeBack rolls a plan back unless it was interrupted. What it cannot is said
// of every host that has a part in the plan. It tells whether it did anything.
func (a *applier) takeBack(ctx context.Context, ended error) bool {
	why := a.failedFor(ended)
	if why == "" || a.rollback == nil {
		return false
	}
	if err := recovered(func() error { return a.rollback(ctx, why) }); err != nil {
		for _, d := range a.done {
			d.err = together(d.err, fmt.Errorf("taking back what was done: %w", err))
		}
	}
	return a.found != nil
}

func (a *applier) stage(ctx context.Context, n int, s task.Stage, self string) error {
	order, byHost := group(s.Steps, self)
	window := s.Window
	if window <= 0 {
		window = len(order)
	}
	for len(order) > 0 {
		if err := a.interrupted(ctx); err != nil {
			a.leave(order, err)
			return err
		}
		most := min(window, len(order))
		err := a.window(ctx, n, s, order[:most], byHost)
		if order = order[most:]; err != nil {
			a.leave(order, err)
			return err
		}
	}
	return nil
}

func (a *applier) interrupted(ctx context.Context) error {
	select {
	case <-a.stop:
		return errStopped
	default:
		return ctx.Err()
	}
}

// window is some hosts at the same time, then what must hold on each of them.
func (a *applier) window(ctx context.Context, n int, s task.Stage, hosts []string, steps map[string][]task.Step) error {
	var g errgroup.Group
	g.SetLimit(max(1, a.forks))
	for _, host := range hosts {
		g.Go(func() (err error) {
			if err := a.admission.begin(ctx, host, steps[host]); err != nil {
				a.fail(host, err)
				return failedOn{host}
			}
			defer func() { a.admission.end(host, err != nil) }()
			for _, st := range steps[host] {
				if err := a.step(ctx, st, host, deed{stage: n}); err != nil {
					return failedOn{host}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil || s.Until == nil {
		return err
	}
	for _, host := range hosts {
		if err := a.step(ctx, task.Step{Host: host, Change: s.Until}, host, deed{stage: n}); err != nil {
			return failedOn{host}
		}
	}
	return nil
}

// group keeps the order of hosts as they first appear.
func group(steps []task.Step, self string) ([]string, map[string][]task.Step) {
	var order []string
	by := map[string][]task.Step{}
	for _, st := range steps {
		h := st.Host
		if h == "" {
			h = self
		}
		if by[h] == nil {
			order = append(order, h)
		}
		by[h] = append(by[h], st)
	}
	return order, by
}

func (a *applier) step(ctx context.Context, st task.Step, self string, d deed) (err error) {
	host := st.Host
	if host == "" {
		host = self
	}
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{r}
		}
		if err != nil {
			a.fail(host, err)
		}
	}()
	h, release, err := a.host(ctx, host)
	if err != nil {
		return err
	}
	defer release()
	if a.admission != nil {
		if err := a.admission.claim(ctx, host, st); err != nil {
			return err
		}
	}
	out, err := within(ctx, "the change", a.limit, func(ctx context.Context) (change.Outcome, error) {
		return a.do(ctx, h, st.Change, d)
	})
	a.add(host, st.Change, out)
	if err == nil && out.Exec != nil && out.Exec.Code != 0 {
		return &ExitError{out.Exec.Code}
	}
	return err
}

func (a *applier) at(host string) *applied {
	d := a.done[host]
	if d == nil {
		d = &applied{}
		a.done[host] = d
	}
	return d
}

func (a *applier) add(host string, c change.Change, out change.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.at(host)
	d.out.Steps = append(d.out.Steps, out)
	d.out.Changed = d.out.Changed || out.Changed && !change.Quiet(c)
}

func (a *applier) fail(host string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.at(host)
	d.err = together(d.err, err)
}

// leave tells hosts that a plan ended before they were done. One that has
// failed itself knows why.
func (a *applier) leave(hosts []string, why error) {
	for _, h := range hosts {
		if d := a.at(h); d.err == nil {
			d.err = &NotBegunError{why}
		}
	}
}

func (r *run) applier(s *playbook.BoundStep, at journal.Place, action bool, host func(context.Context, string) (change.Host, func(), error)) *applier {
	limit := ChangeLimit
	if s.Timeout > 0 {
		limit = s.Timeout
	}
	return &applier{forks: r.forks(s), limit: limit, do: ledger{r, at, action}.do, host: host}
}
