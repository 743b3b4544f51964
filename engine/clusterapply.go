package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// applyCluster does a plan of several hosts and, where it changed something,
// looks at all of them again.
func (r *run) applyCluster(ctx, outer context.Context, s *playbook.BoundStep, plan task.Plan, now time.Time, members []*member) {
	if err := r.allowCluster(ctx, s, members); err != nil {
		for _, m := range members {
			m.res.err = together(m.res.err, err)
		}
		return
	}
	a := r.applier(s, journal.Place{Step: s.ID}, clusterAction(s, members), func(ctx context.Context, name string) (change.Host, func(), error) {
		h, link, err := r.memberHost(members, name)
		if err != nil {
			return h, nil, err
		}
		release, err := link.take(ctx, nil)
		return h, release, err
	})
	a.rollback = func(_ context.Context, why string) error {
		return r.rollBack(outer, s, journal.Place{Step: s.ID}, a, why) // also when the step's limit is over
	}
	a.stop, a.admission = r.opt.Stop, &admission{r: r, s: s, steps: plan.Changes()}
	if err := r.beforeCluster(ctx, s, plan, now, members); err != nil {
		for _, m := range members {
			m.res.err = together(m.res.err, err)
		}
		return
	}
	changed, action := false, clusterAction(s, members)
	for name, d := range a.run(ctx, plan, "") {
		m := memberNamed(members, name)
		if m == nil { // somebody whom nobody knows, or who only had a part in an earlier controller's plan
			if members[0].res.err == nil {
				members[0].res.err = d.err
			}
			continue
		}
		m.res.outcome, m.res.changed = d.out, d.out.Changed
		m.res.err = together(m.res.err, d.err)
		changed = changed || d.out.Changed
		if action && m.res.err == nil {
			r.proveMember(ctx, s, m)
		}
	}
	share(a.found, members)
	blame(members)
	if changed && !action {
		r.verifyCluster(ctx, s, members)
	}
}

// share gives each member its findings; the first of the play those about hosts
// outside it.
func share(found map[string][]task.Finding, members []*member) {
	first := slices.IndexFunc(members, func(m *member) bool { return !m.in.Reach })
	for _, name := range slices.Sorted(maps.Keys(found)) {
		m := memberNamed(members, name)
		if m == nil || m.in.Reach {
			m = members[first]
		}
		m.res.findings = append(m.res.findings, found[name]...)
	}
}

// blame: a plan that fails on a host outside the play has failed for the play.
func blame(members []*member) {
	first := slices.IndexFunc(members, func(m *member) bool { return !m.in.Reach })
	for _, m := range members {
		if !m.in.Reach && m.res.err != nil {
			return
		}
	}
	for _, m := range members {
		if m.in.Reach && m.res.err != nil && m.in.Err == nil {
			members[first].res.err = fmt.Errorf("%s: %w", m.h.name(), m.res.err)
			return
		}
	}
}

// noPartError: a step names a host that the task does not concern.
type noPartError struct{ host string }

func (e *noPartError) Error() string { return e.host + " has no part in this step" }

// memberHost is what changes on a member are applied to. Its peers are the other
// members; who reads one does not wait for its turn.
func (r *run) memberHost(members []*member, name string) (change.Host, *link, error) {
	m := memberNamed(members, name)
	if m == nil || m.it == nil || m.it.link == nil {
		return change.Host{}, nil, &noPartError{name}
	}
	h := r.changeHost(name, m.it)
	h.Peer = func(_ context.Context, name string) (change.Host, error) {
		h, _, err := r.memberHost(members, name)
		return h, err
	}
	return h, m.it.link, nil
}

// proveMember has the task prove what it did on a host.
func (r *run) proveMember(ctx context.Context, s *playbook.BoundStep, m *member) {
	var found []task.Finding
	err := recovered(func() (err error) {
		found, err = s.Def.Verify(ctx, m.it.read, m.in, m.res.outcome)
		return err
	})
	m.res.findings = append(m.res.findings, of(found, m.h.name())...)
	if err = together(err, failed(found)); err != nil {
		m.res.err = fmt.Errorf("verify: %w", err)
	}
}

// clusterAction tells the kind of the task by the first host's parameters.
func clusterAction(s *playbook.BoundStep, members []*member) bool {
	i := slices.IndexFunc(members, func(m *member) bool { return m.it != nil && m.it.params != nil })
	return i >= 0 && s.Def.Kind(members[i].it.params) == task.Action
}

// verifyCluster looks at all members again after a change: no host that has
// changed and not failed may have anything left to do.
func (r *run) verifyCluster(ctx context.Context, s *playbook.BoundStep, members []*member) {
	hosts := slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return m.ours })
	ins := make([]task.AnyInput, len(hosts))
	files := r.inventoryFiles()
	atOnce(r.forks(s), len(hosts), func(i int) {
		ins[i] = hosts[i].in
		ins[i].Inventory, ins[i].Made = files, nil // nothing is owed any more
		if ins[i].Err == nil {
			ins[i].Err = recovered(func() (err error) {
				ins[i].State, err = s.Def.Check(ctx, hosts[i].it.read, hosts[i].it.params)
				return err
			})
		}
	})
	again, err := s.Def.Plan(ins, r.opt.Now())
	for _, m := range members {
		if !m.res.changed || m.res.err != nil {
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

// beforeCluster takes the locks of all members that the plan changes, before
// anything is done on any of them, and journals what must be done in the end, and
// the time that it was planned with: taken up again it is planned with that.
func (r *run) beforeCluster(ctx context.Context, s *playbook.BoundStep, plan task.Plan, now time.Time, members []*member) error {
	accounts := map[string]string{}
	for _, m := range members {
		if m.it == nil {
			continue
		}
		accounts[m.h.name()] = m.it.as
		if len(stepsOf(plan, m.h.name())) == 0 || !r.mustHold(m.h.name(), m.it.as, task.Plan{Finally: stepsOf(plan, m.h.name())}) {
			continue
		}
		if _, err := r.hold(ctx, m.h.name(), m.it.as); err != nil {
			return &MemberError{Host: m.h.name(), Err: err}
		}
	}
	at := journal.Place{Step: s.ID}
	return r.announce(at, now, plan, func(host string) (string, string) { return host, accounts[host] })
}

// MemberError is one host's, for which a step is begun on none.
type MemberError struct {
	Host string
	Err  error
}

func (e *MemberError) Error() string { return e.Host + ": " + e.Err.Error() }

func (e *MemberError) Unwrap() error { return e.Err }

// recallCluster settles a step that an earlier controller finished on every host.
func (r *run) recallCluster(s *playbook.BoundStep, members []*member) bool {
	var own []*member
	for _, m := range members {
		if m.in.Reach {
			continue
		}
		res, ok := r.recall(journal.Place{Step: s.ID, Host: m.h.name()})
		if !ok {
			return false
		}
		m.res = res
		own = append(own, m)
	}
	for _, m := range own {
		r.settle(m.h, s, &m.res)
	}
	if res, ok := r.recall(journal.Place{Step: s.ID, Host: task.ControlMachine}); ok && memberNamed(members, task.ControlMachine) == nil {
		r.settle(r.host(task.ControlMachine), s, &res)
	}
	return true
}
