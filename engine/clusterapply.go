package engine

import (
	"context"
	"fmt"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// applyCluster does a plan of several hosts and, where it changed something,
// looks at all of them again.
func (r *run) applyCluster(ctx context.Context, s *playbook.BoundStep, plan task.Plan, members []*member) {
	if err := r.allowCluster(ctx, s, members); err != nil {
		for _, m := range members {
			m.res.err = together(m.res.err, err)
		}
		return
	}
	a := r.applier(s, func(ctx context.Context, name string) (change.Host, func(), error) {
		m := memberNamed(members, name)
		if m == nil || m.it == nil || m.it.link == nil {
			return change.Host{}, nil, fmt.Errorf("%s has no part in this step", name)
		}
		release, err := m.it.link.take(ctx, nil)
		return r.changeHost(name, m.it), release, err
	})
	a.stop, a.admission = r.opt.Stop, &admission{r: r, s: s}
	changed := false
	for name, d := range a.run(ctx, plan, "") {
		m := memberNamed(members, name)
		if m == nil { // the plan names somebody whom nobody knows
			m = members[0]
		}
		m.res.outcome, m.res.changed = d.out, d.out.Changed
		m.res.err = together(m.res.err, d.err)
		changed = changed || d.out.Changed
	}
	if changed {
		r.verifyCluster(ctx, s, members)
	}
}

// verifyCluster looks at all members again after a change: no host that has
// changed and not failed may have anything left to do.
func (r *run) verifyCluster(ctx context.Context, s *playbook.BoundStep, members []*member) {
	ins := make([]task.AnyInput, len(members))
	atOnce(r.forks(s), len(members), func(i int) {
		ins[i] = members[i].in
		if ins[i].Err == nil {
			ins[i].Err = recovered(func() (err error) {
				ins[i].State, err = s.Def.Check(ctx, members[i].it.read, members[i].it.params)
				return err
			})
		}
	})
	again, err := s.Def.Plan(ins, r.opt.Now())
	for _, m := range members {
		if !m.res.changed || m.res.err != nil || s.Def.Kind(m.it.params) != task.State {
			continue
		}
		switch left := stepsOf(again, m.h.name()); {
		case err != nil:
			m.res.err = fmt.Errorf("verify: %w", err)
		case len(left) > 0:
			m.res.err = &NotConvergedError{Left: left[0].Change.Summary()}
		}
	}
}
