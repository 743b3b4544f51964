package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// lanes let disruptive changes reach one host of an inventory group at a time,
// where neither serial nor throttle says how many may be.
type lanes struct {
	mu     sync.Mutex
	busy   map[string]bool              // by group
	broken map[string]map[string]string // step -> group -> the host on which it failed
	freed  chan struct{}                // closed and made anew when a host leaves
}

// enter waits until no other host of these groups is inside, and takes them all.
// A group in which the step has failed is closed: what broke one host must not
// go on to the next.
func (l *lanes) enter(ctx context.Context, stop <-chan struct{}, step, host string, groups []string) error {
	for {
		l.mu.Lock()
		if l.freed == nil {
			l.freed, l.busy, l.broken = make(chan struct{}), map[string]bool{}, map[string]map[string]string{}
		}
		for _, g := range groups {
			if by := l.broken[step][g]; by != "" && by != host {
				l.mu.Unlock()
				return &NotBegunError{failedOn{by}}
			}
		}
		if !slices.ContainsFunc(groups, func(g string) bool { return l.busy[g] }) {
			for _, g := range groups {
				l.busy[g] = true
			}
			l.mu.Unlock()
			return nil
		}
		freed := l.freed
		l.mu.Unlock()
		select {
		case <-freed:
		case <-stop:
			return &NotBegunError{errStopped}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lanes) leave(step, host string, groups []string, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range groups {
		delete(l.busy, g)
		if failed {
			if l.broken[step] == nil {
				l.broken[step] = map[string]string{}
			}
			l.broken[step][g] = host
		}
	}
	close(l.freed)
	l.freed = make(chan struct{})
}

// lanesOf are the groups in which a host shares its turn; none where the
// playbook itself says how many hosts go at once.
func (r *run) lanesOf(s *playbook.BoundStep, host string) []string {
	if s.HostsAtOnce() > 0 || len(r.play.Serial) > 0 {
		return nil
	}
	return slices.DeleteFunc(r.opt.Inventory.GroupsOf(host), func(g string) bool { return g == "all" || g == "ungrouped" })
}

// admission is what the hosts of one plan hold while it is carried out.
type admission struct {
	r     *run
	s     *playbook.BoundStep
	back  bool        // of a rollback: an interrupt, and what failed before, do not keep it out
	whole bool        // held to the end of the plan, not of a host's part of a stage
	steps []task.Step // of the plan

	mu      sync.Mutex
	inside  map[string]bool // hosts in their lanes
	claims  map[string][]func()
	minds   map[change.Change][]Gate // who is to be asked about a change
	lenient bool
}

// enter takes the host's lanes, once in a plan.
func (a *admission) enter(ctx context.Context, host string, lenient bool) error {
	a.mu.Lock()
	if a.inside[host] {
		a.mu.Unlock()
		return nil
	}
	a.mu.Unlock()
	stop, step := a.r.opt.Stop, a.s.ID
	if a.back {
		stop, step = nil, step+" back"
	}
	if err := a.r.lanes.enter(ctx, stop, step, host, a.r.lanesOf(a.s, host)); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inside == nil {
		a.inside = map[string]bool{}
	}
	a.inside[host] = true
	a.lenient = lenient || a.s.Retries != nil || len(a.s.Until) > 0
	return nil
}

// leave gives back what the host holds: its claims first, which may wait until
// what they put at risk is healthy again.
func (a *admission) leave(host string, failed bool) {
	a.mu.Lock()
	claims, inside := a.claims[host], a.inside[host]
	delete(a.claims, host)
	delete(a.inside, host)
	a.mu.Unlock()
	a.r.gatekeeper.release(claims)
	if inside {
		a.r.lanes.leave(a.s.ID, host, a.r.lanesOf(a.s, host), failed && !a.lenient && !a.back)
	}
}

// begin and end are a host's part of a stage of a plan for several hosts.
func (a *admission) begin(ctx context.Context, host string, steps []task.Step) error {
	if a == nil || a.whole || highest(steps) < change.Disruptive {
		return nil
	}
	return a.enter(ctx, host, false)
}

func (a *admission) end(host string, failed bool) {
	if a != nil && !a.whole {
		a.leave(host, failed)
	}
}
