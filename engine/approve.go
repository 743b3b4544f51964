package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// Ask is what a person is asked to approve.
type Ask struct {
	Need  change.Risk // Disruptive or Destructive
	Steps []RefusedStep
	Hosts []string // all that these steps touch, each once
	Late  bool     // the run is under way, and this was not foreseen
}

// RefusedStep is a step that needs approval, or must not be done.
type RefusedStep struct {
	Play, Step, ID string
	Risk           change.Risk
	Hosts          []string
	Changes        []string // what it does to them and whether that can be taken back; each once
	Why            string   // a precondition that does not hold; or why it is not known what it will do
}

// RefusedError: changes were not approved, or a precondition of a step that
// loses data does not hold. Nothing of these steps was done on any host.
type RefusedError struct {
	Need         change.Risk
	Steps        []RefusedStep
	Precondition bool
	Moved        bool   // it is not what the saved plan says
	Late         bool   // the run was under way
	Type         string // the command to type; "" when no command helps
}

func (e *RefusedError) Error() string {
	hosts := hostsIn(e.Steps)
	if e.Precondition {
		s := e.Steps[0]
		return fmt.Sprintf("%q would lose data, and must not begin anywhere: on %s, %s", s.Step, list(s.Hosts), s.Why)
	}
	if s := e.Steps[0]; e.Moved {
		return fmt.Sprintf("not as planned: %q on %s would now %s; %s", s.Step, list(s.Hosts), strings.Join(s.Changes, ", "), s.Why)
	}
	var what []string
	for _, s := range e.Steps {
		what = append(what, fmt.Sprintf("%q (%s)", s.Step, strings.Join(append(slices.Clone(s.Changes[:min(len(s.Changes), 2)]), s.Why)[:max(1, min(len(s.Changes), 2))], "; ")))
	}
	return fmt.Sprintf("not approved: %s changes on %s: %s", e.Need, list(hosts), strings.Join(what, ", "))
}

func list(hosts []string) string {
	const most = 8
	if len(hosts) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(hosts[:most], ", "), len(hosts)-most)
	}
	return strings.Join(hosts, ", ")
}

func hostsIn(steps []RefusedStep) []string {
	var out []string
	for _, s := range steps {
		for _, h := range s.Hosts {
			if !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

// unapproved gathers the plans whose risk nobody has approved, a step each.
func (r *run) unapproved(order []*seen) (steps []RefusedStep, need change.Risk) {
	for _, o := range order {
		risk := o.risk()
		if risk <= r.approved(o.s) || isLost(o.err) || o.status == event.Failed {
			continue
		}
		need = max(need, risk)
		i := slices.IndexFunc(steps, func(s RefusedStep) bool { return s.ID == o.step })
		if i < 0 {
			steps, i = append(steps, RefusedStep{Play: o.play, Step: o.s.Title(), ID: o.step}), len(steps)
		}
		s := &steps[i]
		s.Risk = max(s.Risk, risk)
		for _, name := range touched(o) {
			if !slices.Contains(s.Hosts, name) {
				s.Hosts = append(s.Hosts, name)
			}
		}
		if o.planned == 0 {
			s.Why = fmt.Sprintf("unknown until %q has run; it can be %s", o.unknown, risk)
		}
		for _, l := range o.lines() {
			if !slices.Contains(s.Changes, l) {
				s.Changes = append(s.Changes, l)
			}
		}
	}
	return steps, need
}

// approved is what the command line and the playbook approve for a step.
func (r *run) approved(s *playbook.BoundStep) change.Risk { return max(r.opt.Approve, s.Approved()) }

// touched are the hosts that risky changes reach.
func touched(o *seen) []string {
	var out []string
	for _, st := range o.risky {
		if !slices.Contains(out, orSelf(st.Host, o.target)) {
			out = append(out, orSelf(st.Host, o.target))
		}
	}
	if out == nil {
		return []string{o.target}
	}
	return out
}

func orSelf(host, self string) string {
	if host == "" {
		return self
	}
	return host
}

// lines say what the risky changes do, and what cannot be taken back.
func (o *seen) lines() []string {
	var out []string
	for _, st := range o.risky {
		c := st.Change
		text := c.Summary()
		if o.hidden {
			text = hiddenText
		}
		if rev := c.Reversal(); rev.Class == change.None && c.Risk() == change.Destructive {
			text += ", cannot be taken back"
		}
		out = append(out, text)
	}
	return out
}

// permit asks for what the forecast needs and nobody has approved. An error is
// a refusal: nothing has been done on any host.
func (r *run) permit(ctx context.Context, f *forecast) error {
	if bad := f.broken(); len(bad) > 0 {
		return &RefusedError{Need: change.Destructive, Steps: bad, Precondition: true}
	}
	if refused := f.refusals(); refused != nil {
		return refused
	}
	steps, need := r.unapproved(f.order)
	if need == change.Safe {
		return nil
	}
	if !r.ask(ctx, Ask{Need: need, Steps: steps, Hosts: hostsIn(steps)}) {
		return &RefusedError{Need: need, Steps: steps, Type: r.retype(need)}
	}
	for _, o := range f.order {
		r.grant(o.key, o.risk())
	}
	return nil
}

func (r *run) retype(need change.Risk) string {
	if r.opt.Retype == nil {
		return ""
	}
	return r.opt.Retype(need)
}

// ask puts one question at a time to the person at the terminal, if there is one.
func (r *run) ask(ctx context.Context, a Ask) bool {
	if r.opt.Approver == nil {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.asking.Lock()
	defer r.asking.Unlock()
	if r.interrupted(ctx) {
		return false
	}
	yes := r.opt.Approver(ctx, r.clean(a))
	if yes {
		r.emit(event.Event{Kind: event.Note, Text: fmt.Sprintf("approved at the terminal: %s changes on %s", a.Need, list(a.Hosts)), Hosts: a.Hosts})
	}
	return yes
}

// clean takes secrets out of what a person is asked.
func (r *run) clean(a Ask) Ask {
	a.Steps = slices.Clone(a.Steps)
	for i := range a.Steps {
		s := &a.Steps[i]
		s.Play, s.Step, s.Why = r.opt.Redactor.Redact(s.Play), r.opt.Redactor.Redact(s.Step), r.opt.Redactor.Redact(s.Why)
		s.Changes = slices.Clone(s.Changes)
		for j := range s.Changes {
			s.Changes[j] = r.opt.Redactor.Redact(s.Changes[j])
		}
	}
	return a
}

func (r *run) grant(k key, risk change.Risk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.granted == nil {
		r.granted = map[key]change.Risk{}
	}
	r.granted[k] = max(r.granted[k], risk)
}

func (r *run) grantedFor(k key) change.Risk {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.granted[k]
}

// allow compares the plan of a step that was reached with what was approved.
// What is riskier stops and asks, or is refused.
func (r *run) allow(ctx context.Context, o *seen) error {
	steps, need := r.unapproved([]*seen{o})
	if need == change.Safe || need <= r.grantedFor(o.key) {
		return nil
	}
	// A loop that could not be unrolled was approved as a whole.
	if f := r.foreseen.get(o.key); f != nil && need <= r.grantedFor(f.key) {
		return nil
	}
	if r.ask(ctx, Ask{Need: need, Steps: steps, Hosts: hostsIn(steps), Late: true}) {
		r.grant(o.key, need)
		return nil
	}
	return &RefusedError{Need: need, Steps: steps, Late: true, Type: r.retype(need)}
}

// tellRefused says before anything was done what is refused, where, and what to type.
func (r *run) tellRefused(err error) {
	e := event.Event{Kind: event.Note, Status: event.Failed, Text: "refused, nothing was done on any host: " + err.Error()}
	if re, ok := err.(*RefusedError); ok {
		e.Text = "refused, nothing was done on any host: want of approval for " + re.Need.String() + " changes"
		if re.Precondition {
			e.Text = "refused, nothing was done on any host: a precondition of a step that loses data does not hold"
		}
		for _, s := range re.Steps {
			line := fmt.Sprintf("%s: %s: %s", s.Step, s.Risk, list(s.Hosts))
			for _, c := range append(slices.Clone(s.Changes), s.Why) {
				if c != "" {
					line += "; " + c
				}
			}
			e.Details = append(e.Details, line)
		}
		e.Hosts, e.Hint = hostsIn(re.Steps), re.Type
	}
	var g *GateError
	if errors.As(err, &g) {
		e.Hint = g.Hint
	}
	r.emit(e)
}

// admit is called between a plan and its first change. The returned function
// ends what the plan holds: its place among the hosts of its groups, its claims.
func (it *item) admit(ctx context.Context, plan task.Plan) (*admission, error) {
	o := &seen{key: key{it.s.ID, it.h.name(), it.sc.n}, play: it.r.play.Title(), s: it.s, target: it.target, hidden: it.sc.hidden()}
	o.plan(plan.Changes())
	if err := it.r.asSaved(ctx, o, plan.Changes()); err != nil {
		return nil, err
	}
	if err := it.r.allow(ctx, o); err != nil {
		return nil, err
	}
	a := &admission{r: it.r, s: it.s, whole: true, steps: plan.Changes()}
	if highest(o.risky) >= change.Disruptive {
		ignore, err := it.sc.flag(it.s.IgnoreErrors)
		if err := a.enter(ctx, it.target, err == nil && ignore); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(a.steps, func(st task.Step) bool { return len(a.concerned(ctx, it.target, st)) > 0 }) {
		return a, nil
	}
	if err := a.reserve(ctx, it.target); err != nil {
		a.leave(it.target, false)
		return nil, err
	}
	return a, nil
}

// admitted is admit with the waiting taken out of the step's limit: what comes
// after goes on under the context that it returns.
func (it *item) admitted(ctx context.Context, plan task.Plan) (context.Context, context.CancelFunc, *admission, error) {
	if it.s.Timeout == 0 || it.outer == nil {
		adm, err := it.admit(ctx, plan)
		return ctx, func() {}, adm, err
	}
	left := it.s.Timeout - it.r.opt.Now().Sub(it.began)
	adm, err := it.admit(it.outer, plan)
	ctx, cancel := context.WithTimeout(it.outer, left)
	if err != nil {
		cancel()
	}
	return ctx, cancel, adm, err
}

// allowCluster is allow for a plan of several hosts: all of it or nothing.
func (r *run) allowCluster(ctx context.Context, s *playbook.BoundStep, members []*member) error {
	for _, m := range members {
		o := &seen{key: key{step: s.ID, host: m.h.name()}, play: r.play.Title(), s: s, target: m.h.name(), hidden: r.scope(m.h, s).hidden()}
		o.plan(m.res.planned)
		if err := r.asSaved(ctx, o, m.res.planned); err != nil {
			return err
		}
		if err := r.allow(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// foretell adds to a dry run's result what the gates say of the plan.
func (it *item) foretell(ctx context.Context, plan task.Plan, res *result) {
	found, refused := it.r.foretell(ctx, it.s, it.target, plan.Changes())
	res.findings = append(res.findings, found...)
	if refused != nil {
		res.status, res.err, res.changed = event.Failed, refused, false
	}
}

func (r *run) foretellCluster(ctx context.Context, s *playbook.BoundStep, plan task.Plan, members []*member) {
	// In the order in which the plan comes to the hosts: a member is removed on
	// one before another is stopped.
	order := map[string]int{}
	for i, st := range plan.Changes() {
		if _, seen := order[st.Host]; !seen {
			order[st.Host] = i
		}
	}
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b *member) int { return order[a.h.name()] - order[b.h.name()] })
	for _, m := range members {
		found, refused := r.foretell(ctx, s, m.h.name(), stepsOf(plan, m.h.name()))
		m.res.findings = append(m.res.findings, found...)
		m.res.err = together(m.res.err, refused)
	}
}
