package engine

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/localfile"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/vars"
)

// run is one run of one playbook.
type run struct {
	opt    Options
	stream *stream
	pool   *pool
	holds  *holds
	sums   *localfile.Sums

	templates vars.Engine

	mu       sync.Mutex
	hosts    map[string]*host
	used     map[int64]bool                    // changes of the memory that were found in a plan again
	stages   map[journal.Place][]journal.Stage // of plans of this controller that are taken back when they fail
	back     map[journal.Place]*rollback       // that were taken up again
	steps    []*journal.Step                   // changes of this controller, as the journal has them
	report   Report
	unlogged int // lines of what no_log steps gave that the redactor knows

	play  *playbook.BoundPlay
	batch []*host         // of the batch under way
	epoch int             // grows with each turn
	gone  map[string]bool // hosts that have failed or were lost before this turn
	once  map[string]*onceResult

	saved    map[planfile.Key]*planfile.Step
	shadows  bool      // a dry run inside a run: what it says is not shown
	seen     *forecast // what a shadow saw
	foreseen *forecast // of this run; nil without a forecast

	asking     sync.Mutex
	granted    map[key]change.Risk // what a person approved
	lanes      lanes
	gatekeeper gatekeeper
}

// onceResult is what a run_once step gave, for the batches that come after.
type onceResult struct {
	host string
	res  result
}

// Run carries out a bound playbook. What went wrong on hosts is in the Report and in the events.
func Run(ctx context.Context, opt Options) Report {
	if opt.Forks <= 0 {
		opt.Forks = DefaultForks
	}
	r := &run{
		opt:    opt,
		stream: &stream{run: opt.RunID, now: opt.Now, sink: opt.Sink, secret: opt.Redactor},
		pool:   newPool(opt.Dialer),
		sums:   localfile.NewSums(),
		hosts:  map[string]*host{},
		used:   map[int64]bool{},
		holds:  newHolds(),
	}
	defer r.pool.close()
	defer r.release()
	r.saved = bySavedKey(opt.Saved)
	if opt.Keep != nil {
		r.seen = &forecast{}
	}
	start := opt.Now()
	shown := map[string]any{"check": opt.Check, "forks": opt.Forks, "builtin": opt.Playbook.Builtin}
	maps.Copy(shown, opt.Shown)
	r.emit(event.Event{Kind: event.RunStart, Text: opt.Playbook.File, Hosts: opt.Playbook.HostNames(), Data: shown})
	if opt.Memory != nil {
		r.recover(ctx)
	}
	if r.begins(ctx) {
		r.plays(ctx)
	}
	if opt.Keep != nil {
		r.keepAll(ctx, r.seen)
	}
	r.tidy(ctx)
	r.recap()
	r.report.Interrupted, r.report.Unreachable = r.interrupted(ctx), r.unreachable()
	code, text := opt.ExitCode(r.report)
	data := map[string]any{"changes": r.report.Changes, "unknown": r.report.Unknown, "interrupted": r.report.Interrupted, "refused": r.report.Refused}
	if r.foreseen != nil {
		data["forecast"] = r.foreseen.sum()
	}
	r.emit(event.Event{Kind: event.RunEnd, Code: &code, Text: text, Seconds: opt.Now().Sub(start).Seconds(), Data: data})
	return r.report
}

// plays runs one play after the other.
func (r *run) plays(ctx context.Context) {
	all := r.opt.Playbook.Plays
	for i, p := range all {
		if r.interrupted(ctx) || !r.runPlay(ctx, p, all[i+1:]) {
			break
		}
	}
}

// begins tells whether the run may begin: it looks ahead where anything riskier
// than Safe may happen, and asks for what nobody has approved.
func (r *run) begins(ctx context.Context) bool {
	if r.opt.Check || r.opt.Playbook.MaxRisk() == change.Safe && r.opt.Saved == nil {
		return true
	}
	sh := r.lookAhead(ctx)
	if r.foreseen = sh.seen; r.interrupted(ctx) {
		return false
	}
	// One that is taken up again has moved the hosts itself; its steps are held to the plan one by one.
	if r.opt.Saved != nil && r.opt.Memory == nil && !r.fresh(ctx, sh) {
		return false
	}
	if err := r.permit(ctx, r.foreseen); err != nil {
		r.report.Refused = true
		r.tellRefused(err)
		return false
	}
	return true
}

// fresh tells whether a saved plan still holds: every host answers, and nothing
// that the plan stands on has moved.
func (r *run) fresh(ctx context.Context, sh *run) bool {
	if sh.unreachable() {
		for _, name := range r.opt.Playbook.HostNames() {
			if h := sh.hosts[name]; h != nil && h.lost != nil {
				r.play = r.opt.Playbook.Plays[0]
				r.lose(r.host(name), nil, h.lost)
			}
		}
		r.emit(event.Event{Kind: event.Note, Status: event.Failed, Text: "a host of the plan cannot be reached: nothing was done on any host"})
		return false
	}
	if err := r.stale(ctx, sh); err != nil {
		r.report.Stale = true
		r.tellStale(err)
		return false
	}
	return true
}

func (r *run) emit(e event.Event) { r.stream.emit(e) }

// stopped tells whether the first interrupt has come.
func (r *run) stopped() bool {
	select {
	case <-r.opt.Stop:
		return true
	default:
		return false
	}
}

func (r *run) interrupted(ctx context.Context) bool { return r.stopped() || ctx.Err() != nil }

// host returns the state of a host by name, made at first sight.
func (r *run) host(name string) *host {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[name]
	if h == nil {
		h = newHost(name)
		r.hosts[name] = h
	}
	return h
}

// runPlay goes batch by batch. A batch over its failure budget, or without any
// host left, ends the run for everyone, as with Ansible: later plays and
// batches build on what this one did. It returns false then.
func (r *run) runPlay(ctx context.Context, p *playbook.BoundPlay, later []*playbook.BoundPlay) bool {
	r.play, r.once = p, map[string]*onceResult{}
	if len(p.Targets) == 0 {
		r.emit(event.Event{Kind: event.PlaySkip, Play: p.Title(), Text: p.Empty})
		return true
	}
	r.emit(event.Event{Kind: event.PlayStart, Play: p.Title(), Hosts: p.Targets})
	rest := p.Targets
	sizes := batchSizes(len(rest), p.Serial)
	for i, n := range sizes {
		var hosts []*host
		for _, name := range rest[:n] {
			if h := r.host(name); h.usable() {
				hosts = append(hosts, h)
			}
		}
		rest = rest[n:]
		if len(hosts) > 0 && len(sizes) > 1 {
			r.emit(event.Event{Kind: event.BatchStart, Play: p.Title(), Hosts: names(hosts), Done: int64(i + 1), Total: int64(len(sizes))})
		}
		if len(hosts) > 0 && !r.runBatch(ctx, hosts) {
			r.tellEnd(rest, later)
			return false
		}
		if r.interrupted(ctx) {
			break
		}
	}
	return true
}

// tellEnd says why the run ends here, and for whom.
func (r *run) tellEnd(rest []string, later []*playbook.BoundPlay) {
	var hosts []string
	for _, h := range r.usable() {
		hosts = append(hosts, h.name())
	}
	if hosts = append(hosts, rest...); len(hosts)+len(later) == 0 {
		return
	}
	lost := len(r.batch) - len(r.usable())
	text := fmt.Sprintf("%d of %d hosts failed: the run ends here", lost, len(r.batch))
	if len(later) > 0 {
		text += fmt.Sprintf("; plays not begun: %d", len(later))
	}
	if len(hosts) > 0 {
		text += "; not finished on"
	}
	r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: r.play.Title(), Text: text, Hosts: hosts})
}

// runBatch takes one batch through the play; false means over budget.
func (r *run) runBatch(ctx context.Context, hosts []*host) bool {
	r.batch = hosts
	r.turn()
	r.connectBatch(ctx, hosts)
	within := r.withinBudget()
	for _, s := range r.play.Steps {
		if !within || r.interrupted(ctx) {
			break
		}
		r.runStep(ctx, s, r.usable())
		within = r.withinBudget()
	}
	// Handlers run also on hosts that failed later: a changed configuration
	// whose service was not restarted is the worse surprise (Ansible's --force-handlers).
	r.runHandlers(ctx)
	return r.withinBudget()
}

func (r *run) withinBudget() bool {
	return !overBudget(r.play.Play, len(r.batch), len(r.batch)-len(r.usable()))
}

func (r *run) usable() []*host {
	var out []*host
	for _, h := range r.batch {
		if h.usable() {
			out = append(out, h)
		}
	}
	return out
}

// forks is how many hosts may be in a step at once; nil is no step.
func (r *run) forks(s *playbook.BoundStep) int {
	if s == nil || s.HostsAtOnce() == 0 {
		return r.opt.Forks
	}
	return min(r.opt.Forks, s.HostsAtOnce())
}

// each runs f on hosts, so many at once, and returns those on which it did not
// begin because of an interrupt.
func (r *run) each(ctx context.Context, most int, hosts []*host, f func(*host)) (left []*host) {
	begun := make([]bool, len(hosts))
	atOnce(most, len(hosts), func(i int) {
		if begun[i] = !r.interrupted(ctx); begun[i] {
			f(hosts[i])
		}
	})
	for i, h := range hosts {
		if !begun[i] {
			left = append(left, h)
		}
	}
	return left
}

// atOnce calls f with 0 to n-1, so many at once.
func atOnce(most, n int, f func(int)) {
	var g errgroup.Group
	g.SetLimit(most)
	for i := range n {
		g.Go(func() error { f(i); return nil })
	}
	_ = g.Wait()
}

// named gives the step with a template in its name rendered for the first
// host, as Ansible does; a name that cannot be rendered stays as written.
func (r *run) named(s *playbook.BoundStep, hosts []*host) *playbook.BoundStep {
	if s.Name == nil || len(hosts) == 0 || !vars.IsTemplate(s.Name) {
		return s
	}
	text, err := r.scope(hosts[0], s).text(s.Name)
	if err != nil {
		return s
	}
	step, name, bound := *s.Step, *s.Name, *s
	name.Value, name.Raw = text, text
	step.Name, bound.Step = &name, &step
	return &bound
}

// runStep takes hosts through one step. It returns those on which it did not
// begin because of an interrupt.
func (r *run) runStep(ctx context.Context, s *playbook.BoundStep, hosts []*host) (left []*host) {
	s = r.named(s, hosts)
	r.emit(event.Event{Kind: event.StepStart, Play: r.play.Title(), Step: s.Title(), StepID: s.ID, Task: s.Task, Handler: s.Handler})
	before := len(r.usable())
	if err := r.preflight(ctx, s, hosts); err != nil {
		for _, h := range hosts {
			res := failure(err)
			r.settle(h, s, &res)
		}
		hosts = nil
	}
	switch {
	case len(hosts) == 0:
	case s.Def.Cluster:
		left = r.clusterStep(ctx, s, hosts)
	case s.RunOnce != nil && *s.RunOnce:
		r.onceStep(ctx, s, hosts)
	default:
		left = r.each(ctx, r.forks(s), hosts, func(h *host) {
			res := r.hostStep(ctx, h, s)
			r.settle(h, s, &res)
		})
	}
	if len(left) > 0 {
		r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: r.play.Title(), Step: s.Title(), StepID: s.ID,
			Text: "interrupted: not begun on", Hosts: names(left)})
	}
	if len(r.usable()) != before {
		r.turn()
	}
	return left
}

// turn is due when what every scope reads has changed: play, batch, who is
// usable. It is called between steps, when no host is at work.
func (r *run) turn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = map[string]bool{}
	for name, h := range r.hosts {
		if !h.usable() {
			r.gone[name] = true
		}
	}
	r.epoch++
}

func names(hosts []*host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.name()
	}
	return out
}

func (r *run) changeHost(name string, it *item) change.Host {
	h := change.Host{Name: name, Conn: it.conn, As: it.as, Reader: it.base, Run: r.opt.RunID, Aside: r.opt.Aside, Now: r.opt.Now, Redial: r.redial(name), Proofs: r.opt.Proofs}
	h.Logins = r.logins(it.s, name)
	h.Progress = func(done, total int64) {
		r.emit(event.Event{Kind: event.Progress, Host: name, Done: done, Total: total})
	}
	return h
}
