package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// shadow is a dry run inside a run: the same connections and files, hosts of
// its own that know only what it foresees itself. What it says goes to sink.
func (r *run) shadow(sink event.Sink) *run {
	opt := r.opt
	opt.Check, opt.Sink, opt.Saved = true, sink, nil
	if r.opt.Saved != nil {
		opt.Keep = &Keep{Seal: r.opt.Seal}
	}
	return &run{
		opt: opt, shadows: true, pool: r.pool, sums: r.sums, hosts: map[string]*host{}, seen: &forecast{},
		stream: &stream{run: opt.RunID, now: opt.Now, sink: sink, secret: opt.Redactor},
	}
}

// lookAhead forecasts the whole playbook, so that every refusal comes before
// anything is done. Facts that it gathered are kept.
func (r *run) lookAhead(ctx context.Context) *run {
	s := r.shadow(&ahead{next: r.stream})
	s.plays(ctx)
	for name, h := range s.hosts {
		if h.gathered {
			mine := r.host(name)
			mine.facts, mine.gathered = h.facts, true
		}
	}
	s.seen.sort(r.opt.Inventory.Hosts())
	s.seen.changes, s.seen.unknown = s.report.Changes, s.report.Unknown
	return s
}

// ahead is where a shadow's events go: a progress bar may show how far it is,
// nothing is written down.
type ahead struct{ next *stream }

// Emit passes on that a step begins and which host is done with it.
func (a *ahead) Emit(e event.Event) {
	p := event.Event{Kind: event.Progress, Text: event.LookingAhead, Step: e.Step}
	switch e.Kind {
	case event.PlayStart:
		p.Total = int64(len(e.Hosts))
	case event.StepStart:
	case event.Forecast, event.Unreachable:
		p.Host = e.Host
	default:
		return
	}
	a.next.emit(p)
}

// key names one plan: a step on a host with one value of its loop.
type key struct {
	step, host string
	n          int // place in the loop, from 0
}

// seen is what a forecast said of one plan.
type seen struct {
	key
	play    string
	s       *playbook.BoundStep
	target  string
	item    string
	status  event.Status
	unknown string
	err     error
	hidden  bool
	risky   []task.Step    // those of its changes that are not Safe; others may hold whole files
	planned int            // how many changes it has
	would   bool           // whether any of them changes something
	acts    []act          // those that change something
	written *planfile.Step // for a saved plan
}

// plan puts in what a plan is made of.
func (o *seen) plan(steps []task.Step) {
	o.planned = len(steps)
	for _, st := range steps {
		if !change.Quiet(st.Change) {
			o.would = true
			o.acts = append(o.acts, actsOf(st, o.target)...)
		}
		if st.Change.Risk() > change.Safe {
			o.risky = append(o.risky, st)
		}
	}
}

// forecast is what a dry run saw of each plan.
type forecast struct {
	mu               sync.Mutex
	order            []*seen
	clusters         []planfile.Cluster
	by               map[key]*seen
	changes, unknown int
	differ           int // plans that came out otherwise
}

// see keeps what a dry run says of a step on a host; a loop is one plan an item.
func (r *run) see(h *host, s *playbook.BoundStep, res *result) {
	if r.seen == nil {
		return
	}
	items := res.items
	if items == nil {
		items = []result{*res}
	}
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	if r.seen.by == nil {
		r.seen.by = map[key]*seen{}
	}
	for i := range items {
		it := &items[i]
		o := &seen{
			key: key{s.ID, h.name(), i}, play: r.play.Title(), s: s, target: cmp.Or(it.target, h.name()), item: it.item, status: it.status,
			unknown: it.unknown, err: it.err, hidden: it.hidden,
		}
		if o.plan(it.planned); r.opt.Keep != nil {
			o.written = written(o, it)
		}
		r.seen.by[o.key] = o
		r.seen.order = append(r.seen.order, o)
	}
}

// get is what was foreseen for a plan; nil when the forecast did not come to
// it. A loop whose values were unknown stands for each of its items.
func (f *forecast) get(k key) *seen {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.by[k]; o != nil {
		return o
	}
	k.n = 0
	if o := f.by[k]; o != nil && o.s.Loop != nil && o.item == "" {
		return o
	}
	return nil
}

// sort puts plans in the order in which their steps were first reached, then of the inventory.
func (f *forecast) sort(hosts []string) {
	place, step := map[string]int{}, map[string]int{}
	for i, h := range hosts {
		place[h] = i
	}
	for _, o := range f.order {
		if _, ok := step[o.step]; !ok {
			step[o.step] = len(step)
		}
	}
	slices.SortStableFunc(f.order, func(a, b *seen) int {
		return cmp.Or(step[a.step]-step[b.step], place[a.host]-place[b.host], a.n-b.n)
	})
}

// risk is what the plan may cost: what is not known may be as bad as the step allows.
func (o *seen) risk() change.Risk {
	if o.status == event.Unknown && o.planned == 0 {
		return o.s.MaxRisk()
	}
	return highest(o.risky)
}

func highest(steps []task.Step) change.Risk {
	risk := change.Safe
	for _, st := range steps {
		risk = max(risk, st.Change.Risk())
	}
	return risk
}

// preflight plans a step that may lose data on all its hosts before the first
// of them is touched. What fails on one ends it for all.
func (r *run) preflight(ctx context.Context, s *playbook.BoundStep, hosts []*host) error {
	if r.opt.Check || s.MaxRisk() < change.Destructive || s.Def.Cluster || s.RunOnce != nil && *s.RunOnce {
		return nil
	}
	sh := r.shadow(&ahead{next: r.stream})
	sh.play, sh.batch, sh.epoch, sh.gone = r.play, r.batch, r.epoch, r.gone
	for _, h := range hosts {
		sh.hosts[h.name()] = h.copied()
	}
	atOnce(r.forks(s), len(hosts), func(i int) {
		h := sh.host(hosts[i].name())
		res := sh.hostStep(ctx, h, s)
		sh.see(h, s, &res)
	})
	sh.seen.sort(r.opt.Inventory.Hosts())
	if bad := sh.seen.broken(); len(bad) > 0 {
		return &RefusedError{Need: change.Destructive, Steps: bad, Precondition: true}
	}
	return nil
}

// copied is the host as a shadow may go on with it.
func (h *host) copied() *host {
	c := newHost(h.id)
	h.mu.Lock()
	defer h.mu.Unlock()
	c.facts, c.gathered = h.facts, h.gathered
	for k, v := range h.learned {
		c.learned[k] = v
	}
	return c
}

// broken lists the steps that may lose data and whose preconditions do not hold somewhere.
func (f *forecast) broken() []RefusedStep {
	var out []RefusedStep
	for _, o := range f.order {
		if o.s.MaxRisk() < change.Destructive || o.status != event.Failed || isLost(o.err) {
			continue
		}
		why := against(o.err)
		if o.hidden {
			why = hiddenText
		}
		i := slices.IndexFunc(out, func(s RefusedStep) bool { return s.ID == o.step && s.Why == why })
		if i < 0 {
			out, i = append(out, RefusedStep{Play: o.play, Step: o.s.Title(), ID: o.step, Risk: change.Destructive, Why: why}), len(out)
		}
		out[i].Hosts = append(out[i].Hosts, o.host)
	}
	return out
}

// against is all that speaks against a step, each with what to do about it.
func against(err error) string {
	list := []error{err}
	var all *multierror.Error
	if errors.As(err, &all) {
		list = all.Errors
	}
	var out []string
	for _, e := range list {
		text := e.Error()
		var f *FindingError
		if errors.As(e, &f) && f.Hint != "" {
			text += " (next: " + f.Hint + ")"
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

// isRefused tells a step that was not allowed from one that failed.
func isRefused(err error) bool {
	var r *RefusedError
	var g *GateError
	return errors.As(err, &r) || errors.As(err, &g)
}
