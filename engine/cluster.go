package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// member is one host's part in a cluster task.
type member struct {
	h    *host
	it   *item
	in   task.AnyInput
	res  result
	away bool // its condition is false: it has no part
	ours bool // the control machine, which only steps of the plan name
}

// clusterStep checks every host of the batch, plans once with all of them in
// view, and applies the stages. It returns the hosts that an interrupt kept
// from being looked at: then nothing is planned at all.
func (r *run) clusterStep(ctx context.Context, s *playbook.BoundStep, hosts []*host) (left []*host) {
	outer := ctx
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	members := r.membersOf(s, hosts)
	if r.recallCluster(s, members) || r.tookBackCluster(s, members) {
		return nil
	}
	if left = r.each(ctx, r.forks(s), hostsOf(members), func(h *host) { r.checkMember(ctx, s, members[indexOf(members, h)]) }); len(left) > 0 {
		return hosts
	}
	part := slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return m.away })
	var control *member
	if err := recovered(func() (err error) { control, err = r.clusterPlan(ctx, outer, s, part); return err }); err != nil {
		for _, m := range part {
			if m.res.err == nil {
				r.spoil(&m.res, err)
			}
		}
	}
	if control != nil {
		members = append(members, control)
	}
	for _, m := range members {
		if ctx.Err() != nil && outer.Err() == nil && errors.Is(m.res.err, context.DeadlineExceeded) {
			m.res.err = &LimitError{What: "the task", Limit: s.Timeout}
		}
		m.res.hidden = r.scope(m.h, s).hidden()
		r.cloud(ctx, m.h, s, &m.res)
		if !m.in.Reach {
			r.keep(journal.Place{Step: s.ID, Host: m.h.name()}, &m.res)
		}
		switch {
		case !m.in.Reach || isLost(m.res.err):
			r.settle(m.h, s, &m.res)
		case len(m.res.planned) > 0 && (r.opt.Check || m.res.changed): // it is not of the play, and has a part in the plan
			r.see(m.h, s, &m.res)
			r.emitResults(m.h, s, &m.res)
		}
	}
	return nil
}

func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{p}
		}
	}()
	return f()
}

func hostsOf(members []*member) []*host {
	var out []*host
	for _, m := range members {
		out = append(out, m.h)
	}
	return out
}

func indexOf(members []*member, h *host) int {
	return slices.IndexFunc(members, func(m *member) bool { return m.h == h })
}

// membersOf are the hosts of the batch and those of the task's Reach that are
// not in it, in inventory order.
func (r *run) membersOf(s *playbook.BoundStep, hosts []*host) []*member {
	var members []*member
	seen := map[string]bool{}
	for _, h := range hosts {
		seen[h.name()] = true
		members = append(members, &member{h: h})
	}
	for _, g := range s.Def.Reach {
		for _, name := range r.opt.Inventory.Members(g) {
			if !seen[name] {
				seen[name] = true
				members = append(members, &member{h: r.host(name), in: task.AnyInput{Reach: true}})
			}
		}
	}
	order := map[string]int{}
	for i, name := range r.opt.Inventory.Hosts() {
		order[name] = i
	}
	slices.SortStableFunc(members, func(a, b *member) int { return order[a.h.name()] - order[b.h.name()] })
	return members
}

// checkMember reads one host. What went wrong is in m.res, and for Plan in m.in.
func (r *run) checkMember(ctx context.Context, s *playbook.BoundStep, m *member) {
	reach := m.in.Reach
	m.in = task.AnyInput{Host: m.h.name(), Target: m.h.name(), Groups: r.opt.Inventory.GroupsOf(m.h.name()), Reach: reach}
	err := recovered(func() error {
		sc := r.scope(m.h, s)
		yes, err := sc.all(s.When)
		if m.away = err == nil && !yes && !reach; err != nil || m.away {
			return err
		}
		if m.it, err = r.prepare(ctx, m.h, s, sc); m.it != nil {
			m.in = m.it.input(nil)
			m.in.Reach = reach
		}
		if err == nil {
			m.in.State, err = s.Def.Check(ctx, m.it.read, m.it.params)
		}
		return err
	})
	switch {
	case err != nil:
		m.in.State, m.in.Err = nil, err
		m.res = r.planFailure(err)
	case m.away:
		m.res = result{status: event.Skipped, text: "condition"}
	}
}

// clusterPlan plans once for all and does it, or tells it in a dry run. Hosts
// that could not be read have their part in the plan, with their error. In a
// dry run nothing can be said about any of them while one is unknown.
// The control machine is one more member where the plan names it.
func (r *run) clusterPlan(ctx, outer context.Context, s *playbook.BoundStep, members []*member) (control *member, err error) {
	var ins []task.AnyInput
	concerned := false
	files := r.inventoryFiles()
	for _, m := range members {
		if m.res.status == event.Unknown {
			return nil, m.in.Err
		}
		m.in.Inventory = files
		var err error
		if m.in.Made, err = r.madeBefore(journal.Place{Step: s.ID}, m.h.name()); err != nil {
			return nil, err
		}
		ins = append(ins, m.in)
		concerned = concerned || !m.in.Reach
	}
	if !concerned {
		return nil, nil
	}
	now := r.clock(journal.Place{Step: s.ID})
	plan, err := s.Def.Plan(ins, now)
	if err != nil {
		return nil, err
	}
	r.excuse(plan.Excused)
	if control, err = r.controlMachine(ctx, s, plan, members); err != nil {
		return nil, err
	}
	if control != nil {
		members = append(slices.Clone(members), control)
	}
	for _, m := range members {
		m.res.in, m.res.planned = &m.in, stepsOf(plan, m.h.name())
		m.res.facts = plan.Facts[m.h.name()]
		m.res.changes = describe(stepsOf(plan, m.h.name()), m.h.name(), r.scope(m.h, s).hidden())
		m.res.place(placesOf(plan, m.h.name()))
	}
	bad := spread(plan.Findings, members)
	switch {
	case r.opt.Check:
		if bad == nil {
			r.outline(s, plan, members)
		}
		r.forecastCluster(s, plan, members)
		r.foretellCluster(ctx, s, plan, members)
	case bad == nil:
		r.applyCluster(ctx, outer, s, plan, now, members)
	}
	for _, m := range members {
		r.memberStatus(m)
		if m.in.Err == nil && !m.ours {
			m.res.own = s.Def.Result(m.in, m.res.outcome)
		}
	}
	return control, nil
}

func (r *run) memberStatus(m *member) {
	switch res := &m.res; {
	case res.err != nil:
		res.status = event.Failed
	case res.unknown != "":
		res.status = event.Unknown
	case len(missed(res.outcome)) > 0:
		res.status = event.Partial
	default:
		res.status = changedOr(res.changed)
	}
}

// spread gives each member its findings. Those about the whole cluster, or a
// host outside the play, stand at the first host of the play; if one of them
// fails, it has failed for all, and nothing may be done.
func spread(fs []task.Finding, members []*member) (bad error) {
	first := members[slices.IndexFunc(members, func(m *member) bool { return !m.in.Reach })]
	for _, f := range fs {
		m := first
		i := slices.IndexFunc(members, func(m *member) bool { return m.h.name() == f.Host && !m.in.Reach })
		if i >= 0 {
			m = members[i]
		}
		m.res.findings = append(m.res.findings, f)
		switch {
		case f.Status != task.Fail:
		case i >= 0:
			m.res.err = together(m.res.err, &FindingError{f})
		case bad == nil || !strings.Contains(bad.Error(), f.Text):
			bad = together(bad, &FindingError{f})
		}
	}
	for _, m := range members {
		if bad != nil && m.res.err == nil && !m.in.Reach {
			m.res.err = bad
		}
	}
	return bad
}

func stepsOf(p task.Plan, host string) []task.Step {
	return slices.DeleteFunc(p.Changes(), func(s task.Step) bool { return s.Host != host })
}

func (r *run) forecastCluster(s *playbook.BoundStep, plan task.Plan, members []*member) {
	for _, m := range members {
		steps := stepsOf(plan, m.h.name())
		for _, st := range steps {
			foresee(m.h, s, st.Change)
		}
		switch {
		case m.res.err != nil:
		case slices.ContainsFunc(steps, func(st task.Step) bool { return st.Change.Opaque() }):
			m.res.unknown = s.Title()
		default:
			m.res.changed = slices.ContainsFunc(steps, func(st task.Step) bool { return !change.Quiet(st.Change) })
		}
	}
}

func memberNamed(members []*member, name string) *member {
	i := slices.IndexFunc(members, func(m *member) bool { return m.h.name() == name })
	if i < 0 {
		return nil
	}
	return members[i]
}
