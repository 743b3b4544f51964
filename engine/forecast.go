package engine

import (
	"errors"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/task"
)

// forecast is the end of a dry run's step: the plan is told, not done, and
// what it would leave is kept for later steps to read.
func (it *item) forecast(in task.AnyInput, plan task.Plan, res *result) {
	switch {
	case onlyWaits(plan):
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
		o := it.r.host(target).overlay
		if st.Change.Opaque() && it.s.ChangesNothing() {
			continue // the playbook's word: it only reads
		}
		o.Step = it.s.Title()
		change.Foresee(o, st.Change)
	}
	res.own = it.s.Def.Result(in, res.outcome)
}

// onlyWaits tells a plan that changes nothing: it is empty, or waits for something.
func onlyWaits(p task.Plan) bool {
	for _, st := range p.Changes() {
		if _, ok := st.Change.(*change.Wait); !ok {
			return false
		}
	}
	return true
}

// knowable tells whether what `register` would see is known before the step
// has run: nothing to do, or changes whose outcome holds nothing of the host's.
func knowable(kind task.Kind, steps []event.Change, res *result) bool {
	if res.unknown != "" {
		return false
	}
	return len(steps) == 0 || kind == task.State
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
