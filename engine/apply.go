package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
)

// applied is what one host got of a plan.
type applied struct {
	out task.Outcome
	err error
}

// applier carries out one plan: stage by stage, each stage in windows of
// hosts, Finally whatever happens. It is the only caller of change.Apply.
type applier struct {
	forks int
	limit time.Duration
	// host gives what changes on the named target are applied to.
	host func(ctx context.Context, name string) (change.Host, func(), error)
	// stop is closed when no further change may begin.
	stop <-chan struct{}

	mu   sync.Mutex
	done map[string]*applied
}

// run applies p and returns what each target got. self is the target of steps
// that name none. A failed change ends its host's part; the plan goes no further than the stage in
// which any host failed.
func (a *applier) run(ctx context.Context, p task.Plan, self string) map[string]*applied {
	a.done = map[string]*applied{}
	for _, s := range p.Stages {
		if a.stage(ctx, s, self) != nil {
			break
		}
	}
	// Finally outlives an interrupt: what was stopped must be started again.
	fin := context.WithoutCancel(ctx)
	for _, st := range p.Finally {
		_ = a.step(fin, st, self, false) // kept in a.done, and the others have to run all the same
	}
	return a.done
}

var errStopped = errors.New("interrupted before this change")

func (a *applier) stage(ctx context.Context, s task.Stage, self string) error {
	order, byHost := group(s.Steps, self)
	window := s.Window
	if window == 0 {
		window = len(order)
	}
	for len(order) > 0 {
		n := min(window, len(order))
		var g errgroup.Group
		g.SetLimit(max(1, a.forks))
		for _, host := range order[:n] {
			g.Go(func() error { return a.steps(ctx, byHost[host], host) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if s.Until != nil {
			for _, host := range order[:n] {
				if err := a.step(ctx, task.Step{Host: host, Change: s.Until}, self, true); err != nil {
					return err
				}
			}
		}
		order = order[n:]
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

func (a *applier) steps(ctx context.Context, steps []task.Step, host string) error {
	for _, st := range steps {
		if err := a.step(ctx, st, host, true); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) step(ctx context.Context, st task.Step, self string, stoppable bool) (err error) {
	host := st.Host
	if host == "" {
		host = self
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in %s: %v", st.Change.Kind(), r)
		}
		if err != nil {
			a.fail(host, err)
		}
	}()
	if stoppable {
		select {
		case <-a.stop:
			return errStopped
		default:
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.limit)
	defer cancel()
	h, release, err := a.host(ctx, host)
	if err != nil {
		return err
	}
	defer release()
	out, err := change.Apply(ctx, h, st.Change)
	a.add(host, out)
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

func (a *applier) add(host string, out change.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.at(host)
	d.out.Steps = append(d.out.Steps, out)
	d.out.Changed = d.out.Changed || out.Changed
}

func (a *applier) fail(host string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.at(host)
	d.err = together(d.err, err)
}
