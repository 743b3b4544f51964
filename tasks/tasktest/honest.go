package tasktest

import (
	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
)

// sameAgain makes the plan once more from a new look: a saved plan is held to
// what its changes do, so an unchanged host must give the same ones.
func (r *run) sameAgain(rd task.Reader, in task.AnyInput, plan task.Plan) {
	state, err := r.def.Check(r.ctx, rd, in.Params)
	require.NoError(r.t, err)
	in.State = state
	again, err := r.def.Plan([]task.AnyInput{in}, in.Now)
	require.NoError(r.t, err)
	require.Equal(r.t, digests(plan), digests(again), "digests of two plans of an unchanged host")
}

func digests(p task.Plan) []string {
	var out []string
	for _, s := range p.Changes() {
		out = append(out, change.Digest(s.Change))
	}
	return out
}

// kept tells a plan that lied: a change of a State task that was said to be
// needed and was not, or that did nothing.
func (r *run) kept(c change.Change, before change.Where, done change.Outcome) {
	if _, wait := c.(*change.Wait); wait || r.def.Kind(r.params()) != task.State {
		return
	}
	require.NotEqual(r.t, change.After, before, "the plan lied: %q was done already", c.Summary())
	require.True(r.t, done.Changed, "the plan lied: %q changed nothing", c.Summary())
}
