// Package tasktest is the conformance that every task passes: reading changes
// nothing and gives the same twice, planning is pure, what is foreseen comes
// true, a second run of a State task has nothing left to do, no plan is riskier
// than announced, and everything is documented.
package tasktest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/localfile"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Case is one way to use a task.
type Case struct {
	Name string
	// Params is YAML. DIR stands for the host's sandbox, LOCAL for a folder of
	// the control machine.
	Params string
	// Prepare makes the sandbox as the task finds it.
	Prepare func(t *testing.T, h *Host)
	// Values are what expressions give, by their text; an error is an undefined variable.
	Values map[string]any
	// Facts are the target's.
	Facts facts.Host
	// Changes are the kinds of the planned changes, in order: "write attrs". "" is none.
	Changes string
	// Error is part of the error of Check or Plan; nothing is applied then.
	Error string
	// Missing tells that the error is a task.MissingError.
	Missing bool
	// Findings are the statuses and texts of the plan's findings: "fail: text".
	Findings []string
	// Diff is part of the first change's diff.
	Diff string
	// After looks at what became of it. It sees the first run's result as register would.
	After func(t *testing.T, h *Host, result map[string]any)
	// Again says that a second plan of an Action is empty too.
	Again bool
	// Wire says that the case is also run over SSH, see package remote.
	Wire bool
	// Unforeseen says why a dry run cannot be compared with what came.
	Unforeseen string
}

// limit of one case.
const limit = 60 * time.Second

// Run runs the cases against a host that connect gives, one sandbox for each.
func Run(t *testing.T, def *task.Definition, connect func(t *testing.T) *Host, cases ...Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			h := connect(t)
			h.Reader = reader.New(h.Conn, h.As)
			if c.Prepare != nil {
				c.Prepare(t, h)
			}
			(&run{t: t, ctx: ctx, def: def, c: c, h: h}).all()
		})
	}
}

type run struct {
	t   *testing.T
	ctx context.Context
	def *task.Definition
	c   Case
	h   *Host

	before []string          // what an undo must bring back
	back   [][]change.Change // inverses of what was applied, in that order
	blobs  blobs
}

func (r *run) all() {
	in, plan, ok := r.look(r.h.Reader, true)
	if !ok {
		return
	}
	r.judge(in, plan)
	o := r.foresee(plan)
	r.before, r.blobs = r.h.undoable(r.t), blobs{}
	out := r.apply(plan)
	if r.c.Unforeseen == "" {
		r.cameTrue(o)
	}
	r.settled(in)
	r.result(in, out)
	r.undo(plan)
}

// params decodes and resolves the case's parameters as the engine does.
func (r *run) params() any {
	text := strings.NewReplacer("DIR", r.h.Dir, "LOCAL", r.h.Local).Replace(r.c.Params)
	n, err := strictyaml.Parse("case.yml", []byte(text))
	require.NoError(r.t, err)
	p, err := r.def.Decode(n, nil)
	require.NoError(r.t, err)
	local := localfile.Resolver{Dir: r.h.Local, Host: r.h.Name, Sums: localfile.NewSums(), Eval: r.value,
		Render: func(_ string, text []byte) ([]byte, error) { return text, nil }}
	p, err = local.Params(p)
	require.NoError(r.t, err)
	return p
}

// value is what the case says that an expression gives.
func (r *run) value(n *strictyaml.Node) (any, error) {
	v, ok := r.c.Values[fmt.Sprint(n.Value)]
	require.True(r.t, ok, "the case gives no value for %v", n.Value)
	if err, bad := v.(error); bad {
		return nil, err
	}
	return v, nil
}

// look does Check and Plan through rd and holds them to their contract; the
// first time it does each twice.
func (r *run) look(rd task.Reader, first bool) (task.AnyInput, task.Plan, bool) {
	in := task.AnyInput{Host: r.h.Name, Target: r.h.Name, Params: r.params(), Facts: r.c.Facts, Now: time.Unix(1800000000, 0)}
	before := r.h.listing(r.t)
	state, err := r.def.Check(r.ctx, rd, in.Params)
	if err == nil && first {
		again, err := r.def.Check(r.ctx, rd, in.Params)
		require.NoError(r.t, err, "second Check")
		require.Equal(r.t, steady(state), steady(again), "two Checks of an unchanged host")
	}
	require.Equal(r.t, before, r.h.listing(r.t), "Check must not change the host")
	var plan task.Plan
	if err == nil {
		in.State = state
		plan, err = r.plan(in)
		require.Equal(r.t, before, r.h.listing(r.t), "Plan must not change the host")
	}
	if err == nil && first {
		r.sameAgain(rd, in, plan)
	}
	if first && r.c.Error != "" {
		require.ErrorContains(r.t, err, r.c.Error)
		var missing *task.MissingError
		require.Equal(r.t, r.c.Missing, errors.As(err, &missing), "is a MissingError")
		return in, plan, false
	}
	require.NoError(r.t, err)
	return in, plan, true
}

// plan plans twice: same input, same plan, input as it was.
func (r *run) plan(in task.AnyInput) (task.Plan, error) {
	was := dump(r.t, in)
	plan, err := r.def.Plan([]task.AnyInput{in}, in.Now)
	again, err2 := r.def.Plan([]task.AnyInput{in}, in.Now)
	require.Equal(r.t, err, err2, "two Plans of one input")
	require.Equal(r.t, dump(r.t, plan), dump(r.t, again), "two Plans of one input")
	require.Equal(r.t, was, dump(r.t, in), "Plan must leave its input alone")
	return plan, err
}

// judge compares a plan with what the case and the task announce.
func (r *run) judge(in task.AnyInput, plan task.Plan) {
	kinds := []string{}
	bound := r.def.MaxRisk(in.Params)
	for i, s := range plan.Changes() {
		kinds = append(kinds, s.Change.Kind())
		require.LessOrEqual(r.t, s.Change.Risk(), bound, "risk of %q", s.Change.Summary())
		require.NotEmpty(r.t, s.Change.Summary())
		require.NotContains(r.t, s.Change.Summary(), "\n")
		if i == 0 && r.c.Diff != "" {
			require.Contains(r.t, s.Change.Diff(), r.c.Diff)
		}
	}
	require.Equal(r.t, r.c.Changes, strings.Join(kinds, " "), "planned changes")
	if r.def.Kind(in.Params) == task.Assert {
		require.Empty(r.t, kinds, "an Assert changes nothing")
	}
	var found []string
	for _, f := range plan.Findings {
		require.NotContains(r.t, f.Text, "\n", "a finding is one line")
		found = append(found, [...]string{"ok", "warn", "fail"}[f.Status]+": "+f.Text)
	}
	require.Equal(r.t, r.c.Findings, found, "findings")
}

// foresee does a dry run: after it a State task must have nothing left to do.
func (r *run) foresee(plan task.Plan) *change.Overlay {
	o := &change.Overlay{}
	for _, s := range plan.Changes() {
		change.Foresee(o, s.Change)
	}
	if r.c.Unforeseen != "" || o.Opaque != "" || o.Brings != "" {
		return o
	}
	in, next, ok := r.look(change.Over(r.h.Reader, o), false)
	if ok && r.def.Kind(in.Params) != task.Action {
		require.Empty(r.t, summaries(next), "plan after a dry run")
	}
	return o
}

func (r *run) apply(plan task.Plan) task.Outcome {
	var out task.Outcome
	clock := r.clock()
	host := r.host()
	for _, s := range plan.Changes() {
		before, err := change.Observe(r.ctx, host, s.Change)
		require.NoError(r.t, err, s.Change.Summary())
		require.NotEqual(r.t, change.Neither, before, "before %q", s.Change.Summary())
		inverse, err := change.Invert(r.ctx, host, s.Change, r.blobs)
		require.NoError(r.t, err, s.Change.Summary())
		done, err := change.Apply(r.ctx, host, s.Change)
		require.NoError(r.t, err, s.Change.Summary())
		inverse, err = change.Refine(r.ctx, host, inverse, s.Change, done)
		require.NoError(r.t, err, s.Change.Summary())
		r.back = append(r.back, inverse)
		r.kept(s.Change, before, done)
		done.Start, done.End = clock, clock.Add(time.Second)
		r.sweep(host.Run, done.Aside)
		out.Steps = append(out.Steps, done)
		out.Changed = out.Changed || done.Changed
	}
	return out
}

func (r *run) clock() time.Time { return time.Unix(1800000000, 0) }

func (r *run) host() change.Host {
	return change.Host{Name: r.h.Name, Conn: r.h.Conn, As: r.h.As, Reader: r.h.Reader, Run: "tasktest-" + rand.Text(), Now: r.clock}
}

// sweep removes what the run moved out of the sandbox when the case is over.
func (r *run) sweep(id string, aside []string) {
	for _, path := range aside {
		root, _, found := strings.Cut(path, "/"+id+"/")
		if !found {
			continue // a backup beside its file
		}
		r.t.Cleanup(func() {
			_, err := r.h.Conn.Run(context.Background(), conn.Cmd{Argv: []string{"rm", "-rf", "--", root + "/" + id}, As: r.h.As, Limit: limit})
			require.NoError(r.t, err)
		})
	}
}

// settled plans again on the changed host.
func (r *run) settled(first task.AnyInput) {
	if r.def.Kind(first.Params) == task.Action && !r.c.Again {
		return
	}
	_, plan, ok := r.look(r.h.Reader, false)
	require.True(r.t, ok)
	require.Empty(r.t, summaries(plan), "second run")
}

func (r *run) result(in task.AnyInput, out task.Outcome) {
	made := r.def.Result(in, out)
	keys := data(r.t, made)
	for k := range keys {
		if !hasInline(made) {
			require.True(r.t, documented(r.def.ResultFields(), k), "result key %q is documented", k)
		}
	}
	if r.c.After != nil {
		r.c.After(r.t, r.h, keys)
	}
}

func summaries(p task.Plan) []string {
	var out []string
	for _, s := range p.Changes() {
		out = append(out, s.Change.Summary())
	}
	return out
}
