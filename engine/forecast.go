package engine

import (
	"errors"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// forecast is the end of a dry run's step: the plan is told, not done, and
// what it would leave is kept for later steps to read.
func (it *item) forecast(in task.AnyInput, plan task.Plan, res *result) {
	switch {
	case changesNothing(plan):
		res.status = event.OK
	case opaque(plan):
		res.status, res.unknown = event.Unknown, it.s.Title()
	default:
		res.status, res.changed = event.Changed, true
	}
	for _, st := range plan.Changes() {
		target := st.Host
		if target == "" {
			target = it.target
		}
		foresee(it.r.host(target), it.s, st.Change)
	}
	res.own = it.s.Def.Result(in, res.outcome)
}

// changesNothing tells a plan that is empty, or only waits for something or backs it up.
func changesNothing(p task.Plan) bool {
	for _, st := range p.Changes() {
		if !change.Quiet(st.Change) {
			return false
		}
	}
	return true
}

// foresee keeps what a change would leave on a host, and which step made it so.
func foresee(h *host, s *playbook.BoundStep, c change.Change) {
	if c.Opaque() && s.ChangesNothing() {
		return // the playbook's word: it only reads
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.overlay.Step = s.Title()
	change.Foresee(h.overlay, c)
}

// knowable tells whether what `register` would see is known before the step
// has run: nothing to do, or changes whose outcome holds nothing of the host's.
func knowable(kind task.Kind, res *result) bool {
	return res.unknown == "" && (len(res.changes) == 0 || kind == task.State)
}

// planFailure tells a step that cannot be planned yet from one that failed.
func (r *run) planFailure(err error) result {
	var u *change.UnknownError
	if r.opt.Check && errors.As(err, &u) {
		return result{status: event.Unknown, unknown: u.Step}
	}
	if step, ok := unknownName(err); ok && r.opt.Check {
		return result{status: event.Unknown, unknown: step}
	}
	return failure(err)
}
