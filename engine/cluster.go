package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// member is one host's part in a cluster task.
type member struct {
	h    *host
	it   *item
	in   task.AnyInput
	res  result
	done bool // res stands: skipped, unknown or not even prepared
}

// clusterStep checks every host of the batch, plans once with all of them in
// view, and applies the stages.
func (r *run) clusterStep(ctx context.Context, s *playbook.BoundStep, hosts []*host) {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	members := r.checkMembers(ctx, s, hosts)
	plan, err := r.planCluster(s, members)
	var part []*member
	for _, m := range members {
		if !m.done {
			part = append(part, m)
		}
	}
	if err != nil {
		for _, m := range part {
			m.res = r.planFailure(err)
		}
	} else if len(part) > 0 {
		r.clusterPlan(ctx, s, plan, part)
	}
	for _, m := range members {
		if !m.in.Reach || isLost(m.res.err) {
			r.settle(m.h, s, r.scope(m.h, s), &m.res)
		}
	}
}

// checkMembers reads all hosts at the same time, and those of the task's Reach
// that are not in the batch.
func (r *run) checkMembers(ctx context.Context, s *playbook.BoundStep, hosts []*host) []*member {
	var members []*member
	for _, h := range hosts {
		members = append(members, &member{h: h})
	}
	for _, name := range r.reach(s, hosts) {
		members = append(members, &member{h: r.host(name), in: task.AnyInput{Reach: true}})
	}
	byHost := map[*host]*member{}
	var all []*host
	for _, m := range members {
		byHost[m.h] = m
		all = append(all, m.h)
	}
	r.each(all, func(h *host) { r.checkMember(ctx, s, byHost[h]) })
	order := map[string]int{}
	for i, name := range r.opt.Inventory.Hosts() {
		order[name] = i
	}
	slices.SortStableFunc(members, func(a, b *member) int { return order[a.h.name()] - order[b.h.name()] })
	return members
}

func (r *run) reach(s *playbook.BoundStep, hosts []*host) []string {
	seen := map[string]bool{}
	for _, h := range hosts {
		seen[h.name()] = true
	}
	var out []string
	for _, g := range s.Def.Reach {
		for _, name := range r.opt.Inventory.Members(g) {
			if !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

func (r *run) checkMember(ctx context.Context, s *playbook.BoundStep, m *member) {
	defer func() {
		if p := recover(); p != nil {
			m.res, m.done = failure(fmt.Errorf("panic: %v", p)), true
		}
	}()
	reach := m.in.Reach
	sc := r.scope(m.h, s)
	yes, err := sc.all(s.When)
	if err == nil && !yes && !reach {
		m.res, m.done = result{status: event.Skipped, text: "condition"}, true
		return
	}
	if err == nil {
		m.it, err = r.prepare(ctx, m.h, s, sc)
	}
	if err != nil {
		m.res, m.done = r.planFailure(err), true
		m.in = task.AnyInput{Host: m.h.name(), Target: m.h.name(), Reach: reach, Err: err}
		return
	}
	state, err := s.Def.Check(ctx, m.it.read, m.it.params)
	m.in = m.it.input(state)
	m.in.Reach, m.in.Err = reach, err
	if err != nil {
		m.res = r.planFailure(err)
	}
}

// planCluster plans with every member that could be prepared. A host whose
// parameters cannot be made is not the cluster's business.
func (r *run) planCluster(s *playbook.BoundStep, members []*member) (task.Plan, error) {
	var ins []task.AnyInput
	for _, m := range members {
		if m.it != nil && !m.done {
			ins = append(ins, m.in)
		}
	}
	if len(ins) == 0 {
		return task.Plan{}, nil
	}
	return s.Def.Plan(ins, r.opt.Now())
}

func (r *run) clusterPlan(ctx context.Context, s *playbook.BoundStep, plan task.Plan, members []*member) {
	byTarget := map[string]*member{}
	for _, m := range members {
		byTarget[m.h.name()] = m
		m.res.facts = plan.Facts[m.h.name()]
		m.res.changes = describe(stepsOf(plan, m.h.name()), m.h.name(), m.it.hidden())
		m.res.hidden = m.it.hidden()
	}
	r.spread(plan.Findings, members, byTarget)
	bad := failed(clusterWide(plan.Findings))
	for _, m := range members {
		if m.res.err == nil && bad != nil {
			m.res.status, m.res.err = event.Failed, bad
		}
	}
	switch {
	case r.opt.Check:
		r.forecastCluster(s, plan, members)
	case bad != nil:
	default:
		r.applyCluster(ctx, s, plan, members, byTarget)
	}
	for _, m := range members {
		if m.in.Err == nil {
			m.res.own = s.Def.Result(m.in, m.res.outcome)
		}
	}
}

// spread gives each member its findings; those of the whole cluster stand at the first.
func (r *run) spread(fs []task.Finding, members []*member, by map[string]*member) {
	for _, f := range fs {
		m := by[f.Host]
		if m == nil {
			m = members[0]
		}
		m.res.findings = append(m.res.findings, f)
		if f.Host != "" && f.Status == task.Fail && m.res.err == nil {
			m.res.status, m.res.err = event.Failed, &FindingError{f}
		}
	}
}

func clusterWide(fs []task.Finding) []task.Finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f task.Finding) bool { return f.Host != "" })
}

func stepsOf(p task.Plan, host string) []task.Step {
	return slices.DeleteFunc(p.Changes(), func(s task.Step) bool { return s.Host != host })
}

func (r *run) forecastCluster(s *playbook.BoundStep, plan task.Plan, members []*member) {
	for _, m := range members {
		steps := stepsOf(plan, m.h.name())
		for _, st := range steps {
			change.Foresee(m.h.overlay, st.Change)
		}
		switch {
		case m.res.err != nil || m.res.unknown != "":
		case len(steps) == 0:
			m.res.status = event.OK
		default:
			m.res.status, m.res.changed = event.Changed, true
		}
	}
}

func (r *run) applyCluster(ctx context.Context, s *playbook.BoundStep, plan task.Plan, members []*member, by map[string]*member) {
	a := r.applier(s, func(ctx context.Context, name string) (change.Host, func(), error) {
		m := by[name]
		if m == nil {
			return change.Host{}, nil, fmt.Errorf("%s has no part in this step", name)
		}
		release, err := m.it.link.take(ctx)
		return r.changeHost(name, m.it), release, err
	})
	for name, d := range a.run(ctx, plan, "") {
		if m := by[name]; m != nil {
			m.res.outcome, m.res.changed = d.out, d.out.Changed
			if d.err != nil {
				m.res.status, m.res.err = event.Failed, together(m.res.err, d.err)
			}
		}
	}
	changed := false
	for _, m := range members {
		changed = changed || m.res.changed
		switch {
		case m.res.err != nil:
			m.res.status = event.Failed
		case m.res.changed:
			m.res.status = event.Changed
		default:
			m.res.status = event.OK
		}
		if len(missed(m.res.outcome)) > 0 && m.res.err == nil {
			m.res.status = event.Partial
		}
	}
	if changed {
		r.verifyCluster(ctx, s, members)
	}
}

// verifyCluster looks at all members again after a change.
func (r *run) verifyCluster(ctx context.Context, s *playbook.BoundStep, members []*member) {
	var ins []task.AnyInput
	for _, m := range members {
		in := m.in
		if m.in.Err == nil {
			in.State, in.Err = s.Def.Check(ctx, m.it.read, m.it.params)
		}
		ins = append(ins, in)
	}
	again, err := s.Def.Plan(ins, r.opt.Now())
	for _, m := range members {
		if m.res.status != event.Changed || s.Def.Kind(m.it.params) != task.State {
			continue
		}
		switch left := stepsOf(again, m.h.name()); {
		case err != nil:
			m.res.status, m.res.err = event.Failed, fmt.Errorf("verify: %w", err)
		case len(left) > 0:
			m.res.status, m.res.err = event.Failed, &NotConvergedError{Left: left[0].Change.Summary()}
		}
	}
}
