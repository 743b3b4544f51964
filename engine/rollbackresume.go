package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// goBack goes on with the rollbacks of a play that an earlier controller left,
// and then does what their plans must do in the end.
func (r *run) goBack(ctx context.Context, p *playbook.BoundPlay) {
	m := r.opt.Memory
	for _, at := range rolledBack(m) {
		s := r.stepAt(at.Step)
		if !playOf(p, at.Step) || s == nil || r.saidAll(at) || r.interrupted(ctx) {
			continue
		}
		err := recovered(func() error { return r.goBackAt(ctx, s, at) })
		if err != nil {
			r.emit(event.Event{Kind: event.Note, Status: event.Failed, StepID: s.ID, Step: s.Title(), Text: "taking back what was done: " + err.Error()})
		}
	}
}

// rolledBack are the places of plans that an earlier controller took back, in order.
func rolledBack(m *journal.Memory) []journal.Place {
	return slices.SortedFunc(maps.Keys(m.Rollbacks), func(a, b journal.Place) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Host, b.Host), a.Item-b.Item, a.Try-b.Try)
	})
}

// saidAll tells whether every host that a rolled-back plan changed has its result.
func (r *run) saidAll(at journal.Place) bool {
	for _, s := range r.opt.Memory.Steps {
		host := at.Host
		if host == "" {
			host = s.Change.Host
		}
		if _, said := r.opt.Memory.Results[journal.Place{Step: at.Step, Host: host, Item: at.Item}]; s.At == at && !said {
			return false
		}
	}
	return true
}

func (r *run) goBackAt(ctx context.Context, s *playbook.BoundStep, at journal.Place) error {
	m := r.opt.Memory
	why := m.Rollbacks[at]
	limit := ChangeLimit
	if s.Timeout > 0 {
		limit = s.Timeout
	}
	a := &applier{forks: r.forks(s), limit: limit, do: ledger{r: r, at: at}.do, host: func(ctx context.Context, name string) (change.Host, func(), error) {
		return r.hostAt(ctx, at, name)
	}}
	b, err := r.newRollback(s, at, why, a)
	if err != nil {
		return err
	}
	if len(b.deeds) > 0 {
		r.emit(event.Event{Kind: event.Note, Status: event.Warn, Step: s.Title(), StepID: s.ID, Text: fmt.Sprintf("a rollback is taken up again, %d changes are still to be taken back: %s", len(b.deeds), why)})
	}
	b.run(ctx)
	for _, st := range m.Steps {
		if host := st.Change.Host; st.At == at && b.on[host] == nil {
			b.on[host] = &RolledBackError{Why: why}
		}
	}
	r.mu.Lock()
	if r.back == nil {
		r.back = map[journal.Place]*rollback{}
	}
	r.back[at] = b
	r.mu.Unlock()
	r.finallyAt(ctx, at, b)
	for _, host := range slices.Sorted(maps.Keys(b.cut)) {
		if isLost(b.cut[host]) {
			r.lose(r.host(host), s, b.cut[host])
		}
	}
	return nil
}

// hostAt is what changes of a plan of an earlier controller are applied to, as
// the account that it worked as.
func (r *run) hostAt(ctx context.Context, at journal.Place, name string) (change.Host, func(), error) {
	h := r.host(name)
	if h.lost != nil {
		return change.Host{}, nil, h.lost
	}
	if h.failed { // over what was in doubt there
		return change.Host{}, nil, errors.New("what was begun there cannot be known")
	}
	as := ""
	for _, st := range r.opt.Memory.Steps {
		if st.At == at && st.Change.Host == name {
			as = st.Change.As
		}
	}
	l, err := r.connect(ctx, name)
	if err != nil {
		return change.Host{}, nil, err
	}
	release, err := l.take(ctx, nil)
	return r.onHost(at, name, l.conn, as), release, err
}

// finallyAt does what a plan that was taken back must do in the end, and waits for
// what must hold then.
func (r *run) finallyAt(ctx context.Context, at journal.Place, b *rollback) {
	plan := r.opt.Memory.Plans[at]
	for _, kept := range slices.Concat(plan.Finally, plan.After) {
		c, err := r.decode(r.opt.RunID, kept)
		if err == nil {
			err = r.finish(ctx, kept.Host, at, func(ctx context.Context) error {
				_, release, err := b.a.host(ctx, kept.Host)
				if err != nil {
					return err
				}
				defer release()
				_, err = (ledger{r: r, at: at, action: true}).do(ctx, r.onHost(at, kept.Host, r.pool.link(kept.Host).conn, kept.As), c, deed{})
				return err
			}, c)
		}
		if err == nil {
			continue
		}
		if b.on[kept.Host] == nil {
			b.on[kept.Host] = &RolledBackError{Why: b.why}
		}
		b.on[kept.Host].Left = append(b.on[kept.Host].Left, kept.Summary+" ("+err.Error()+")")
		if isLost(err) || isInterrupt(err) {
			b.cut[kept.Host] = err
		}
	}
}

// tookBack is what to say of a step that an earlier controller began and whose
// plan has been taken back; nil of any other. Of several tries the last counts, as
// it would have without an interruption.
func (r *run) tookBack(at journal.Place) error {
	if r.opt.Memory == nil {
		return nil
	}
	for _, p := range slices.Backward(rolledBack(r.opt.Memory)) {
		if p.Step != at.Step || p.Host != at.Host || p.Item != at.Item {
			continue
		}
		b := r.backAt(p)
		if b == nil || b.on[at.Host] == nil {
			return &RolledBackError{Why: r.opt.Memory.Rollbacks[p]}
		}
		return together(b.on[at.Host], b.cut[at.Host])
	}
	return nil
}

func (r *run) backAt(at journal.Place) *rollback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.back[at]
}

// tookBackCluster settles a cluster task whose plan has been taken back.
func (r *run) tookBackCluster(s *playbook.BoundStep, members []*member) bool {
	if r.opt.Memory == nil {
		return false
	}
	at := journal.Place{Step: s.ID}
	why, ok := r.opt.Memory.Rollbacks[at]
	if !ok {
		return false
	}
	b := r.backAt(at)
	if b != nil && b.on[task.ControlMachine] != nil && memberNamed(members, task.ControlMachine) == nil {
		members = append(slices.Clone(members), &member{h: r.host(task.ControlMachine)})
	}
	for _, m := range members {
		place := journal.Place{Step: s.ID, Host: m.h.name()}
		res, known := r.recall(place)
		if !known {
			var e error = &RolledBackError{Why: why}
			if b != nil && b.on[m.h.name()] != nil {
				e = together(b.on[m.h.name()], b.cut[m.h.name()])
			}
			res = failure(e)
			res.hidden = r.scope(m.h, s).hidden()
		}
		m.res = res
		if !known && !m.in.Reach {
			r.keep(place, &m.res)
		}
	}
	if b != nil {
		share(b.say, members)
	}
	for _, m := range members {
		if !m.in.Reach || isLost(m.res.err) {
			r.settle(m.h, s, &m.res)
		}
	}
	return true
}
