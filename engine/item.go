package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/localfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// item is one task on one host, with one value of its loop: everything that
// Check, Plan and Apply need.
type item struct {
	r      *run
	h      *host
	s      *playbook.BoundStep
	sc     *scope
	params any
	local  *localfile.Resolver // filled params in
	target string
	link   *link     // nil for a task that needs no connection
	conn   conn.Conn // the link's, with the step's environment
	as     string
	facts  facts.Host // of the target, where the task reads them
	base   *reader.Reader
	read   task.Reader
	outer  context.Context // of a step with a limit: without it
	began  time.Time       // when that limit began to count
}

// prepare renders and decodes the parameters and connects where needed.
func (r *run) prepare(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope) (*item, error) {
	it := &item{r: r, h: h, s: s, sc: sc, target: h.name()}
	if s.DelegateTo != nil {
		t, err := sc.text(s.DelegateTo)
		if err != nil {
			return nil, err
		}
		it.target = t
	}
	node, err := sc.node(s.Params)
	if err != nil {
		return nil, err
	}
	p, err := s.Def.Decode(node, nil)
	if err != nil {
		return nil, err
	}
	it.local = &localfile.Resolver{Dir: r.opt.Playbook.Dir, Host: h.name(), Sums: r.sums, Render: sc.file, Eval: sc.value}
	if it.params, err = it.local.Params(p); err != nil {
		return nil, err
	}
	if s.Def.Control {
		return it, nil
	}
	return it, it.connect(ctx)
}

func (it *item) connect(ctx context.Context) error {
	l, err := it.r.connect(ctx, it.target)
	if err != nil {
		return err
	}
	it.link = l
	th := it.r.host(it.target)
	if it.as, err = it.sc.account(th); err != nil {
		return err
	}
	env, err := it.sc.environment()
	if err != nil {
		return err
	}
	it.conn = withEnv(l.conn, env)
	it.base = reader.New(it.conn, it.as).With(it.r.logins(it.s, it.target))
	onHost := func() change.Host { return it.r.changeHost(it.target, it) }
	it.read = limited{it.base, onHost}
	if it.r.opt.Check {
		it.read = limited{change.Over(it.base, th.overlay), onHost}
	}
	if it.s.Def.Facts {
		it.facts, err = th.gather(ctx, l, it.r.opt.Now)
	}
	return err
}

func (it *item) input(state any) task.AnyInput {
	return task.AnyInput{Host: it.h.name(), Target: it.target, Params: it.params, Facts: it.facts, State: state,
		Now: it.r.clock(it.sc.at), Groups: it.r.opt.Inventory.GroupsOf(it.h.name())}
}

// once is Check, Plan, Apply, Verify of one host task.
func (it *item) once(ctx context.Context) result {
	if it.link != nil {
		release, err := it.link.take(ctx, it.r.opt.Stop)
		if err != nil {
			return failure(err)
		}
		defer release()
	}
	if it.s.Timeout == 0 {
		return it.work(ctx)
	}
	// Not counted: connecting, and waiting for the target's turn, for other hosts, for a person.
	it.outer, it.began = ctx, it.r.opt.Now()
	limited, cancel := context.WithTimeout(ctx, it.s.Timeout)
	defer cancel()
	res := it.work(limited)
	if limited.Err() != nil && ctx.Err() == nil && errors.Is(res.err, context.DeadlineExceeded) {
		res.err = &LimitError{What: "the task", Limit: it.s.Timeout}
	}
	return res
}

func (it *item) work(ctx context.Context) result {
	in, plan, err := it.plan(ctx)
	if err == nil && it.r.mustHold(it.target, it.as, plan) {
		// What was seen before the lock was taken may not hold any more.
		if _, err = it.r.hold(ctx, it.target, it.as); err == nil {
			in, plan, err = it.plan(ctx)
		}
	}
	if err != nil {
		return it.r.planFailure(err)
	}
	res := result{findings: of(plan.Findings, it.h.name()), changes: describe(plan.Changes(), it.h.name(), it.sc.hidden()), facts: plan.Facts[it.h.name()],
		planned: plan.Changes(), in: &in}
	if err := failed(plan.Findings); err != nil {
		res.status, res.err = event.Failed, err
		res.own = it.s.Def.Result(in, res.outcome)
		return res
	}
	if it.r.opt.Check {
		it.forecast(in, plan, &res)
		it.foretell(ctx, plan, &res)
		return res
	}
	it.apply(ctx, in, plan, &res)
	return res
}

func (it *item) plan(ctx context.Context) (task.AnyInput, task.Plan, error) {
	// Single looks have their own limit; sums of large files have only this one.
	state, err := within(ctx, "looking at the host", ChangeLimit, func(ctx context.Context) (any, error) {
		return it.s.Def.Check(ctx, it.read, it.params)
	})
	if err != nil {
		return task.AnyInput{}, task.Plan{}, err
	}
	in := it.input(state)
	p, err := it.s.Def.Plan([]task.AnyInput{in}, in.Now)
	return in, p, err
}

// apply does the plan and, where it changed something, looks again.
func (it *item) apply(ctx context.Context, in task.AnyInput, plan task.Plan, res *result) {
	outer := ctx
	if it.outer != nil {
		outer = it.outer
	}
	ctx, cancel, adm, err := it.admitted(ctx, plan)
	if err != nil {
		res.status, res.err = event.Failed, err
		return
	}
	defer cancel()
	defer func() { adm.leave(it.target, res.err != nil) }()
	action := it.s.Def.Kind(it.params) == task.Action
	a := it.r.applier(it.s, it.sc.at, action, it.changeHost) // without stop: a step under way is finished
	a.admission = adm
	a.rollback = func(_ context.Context, why string) error {
		return it.r.rollBack(outer, it.s, it.sc.at, a, why)
	}
	if res.err = it.r.announce(it.sc.at, in.Now, plan, func(string) (string, string) { return it.target, it.as }); res.err != nil {
		res.status = event.Failed
		return
	}
	got := a.run(ctx, plan, it.target)
	for name, d := range got {
		res.findings = append(res.findings, a.found[name]...)
		res.outcome.Changed = res.outcome.Changed || d.out.Changed
		res.outcome.Steps = append(res.outcome.Steps, d.out.Steps...)
		res.err = together(res.err, d.err)
	}
	if (ledger{r: it.r, at: it.sc.at}).before(it.target) {
		res.outcome.Changed = true
	}
	res.changed = res.outcome.Changed
	res.own = it.s.Def.Result(in, res.outcome)
	switch {
	case res.err != nil:
		res.status = event.Failed
	case res.changed:
		res.status = event.Changed
		it.verify(ctx, in, res)
	default:
		res.status = event.OK
		if action { // a backup changes nothing, and is proven all the same
			it.verify(ctx, in, res)
		}
	}
	if res.missed = plan.Missed; len(missed(res.outcome))+len(res.missed) > 0 && res.status != event.Failed {
		res.status = event.Partial
	}
}

// verify looks again after a change: a State task must have nothing left to
// do, an Action proves its result where it can.
func (it *item) verify(ctx context.Context, in task.AnyInput, res *result) {
	if it.s.Def.Kind(it.params) != task.State {
		found, err := it.s.Def.Verify(ctx, it.read, in, res.outcome)
		res.findings = append(res.findings, of(found, it.h.name())...)
		if err = together(err, failed(found)); err != nil {
			res.status, res.err = event.Failed, fmt.Errorf("verify: %w", err)
		}
		return
	}
	var again task.Plan
	params, err := it.local.Again(it.params)
	if err == nil {
		it.params = params
		_, again, err = it.plan(ctx)
	}
	if err != nil {
		res.status, res.err = event.Failed, fmt.Errorf("verify: %w", err)
		return
	}
	if left := again.Changes(); len(left) > 0 {
		res.status, res.err = event.Failed, &NotConvergedError{Left: left[0].Change.Summary()}
	}
}

// changeHost gives what changes on the named target are applied to. The
// item's own target is already held.
func (it *item) changeHost(_ context.Context, name string) (change.Host, func(), error) {
	if name != it.target {
		return change.Host{}, nil, fmt.Errorf("a host task may change %s only, not %s", it.target, name)
	}
	return it.r.changeHost(name, it), func() {}, nil
}

// NotConvergedError: after its changes were made, a State task wants to change something still.
type NotConvergedError struct{ Left string }

func (e *NotConvergedError) Error() string {
	return "not converged after apply; still to do: " + e.Left
}

// of names the host in findings that name none.
func of(fs []task.Finding, host string) []task.Finding {
	fs = slices.Clone(fs)
	for i := range fs {
		fs[i].Host = cmp.Or(fs[i].Host, host)
	}
	return fs
}

func failed(fs []task.Finding) error {
	for _, f := range fs {
		if f.Status == task.Fail {
			return &FindingError{f}
		}
	}
	return nil
}

// FindingError is a Finding that failed its step.
type FindingError struct{ task.Finding }

func (e *FindingError) Error() string { return e.Text }

func failure(err error) result { return result{status: event.Failed, err: err} }
