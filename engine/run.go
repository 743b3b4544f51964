package engine

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/vars"
)

// run is one run of one playbook.
type run struct {
	opt    Options
	stream *stream
	pool   *pool
	files  *fileCache

	templates vars.Engine

	mu     sync.Mutex
	hosts  map[string]*host
	report Report

	play  *playbook.BoundPlay
	batch []*host // of the batch under way
	once  map[string]*onceResult
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
		files:  newFileCache(),
		hosts:  map[string]*host{},
	}
	defer r.pool.close()
	start := opt.Now()
	shown := map[string]any{"check": opt.Check, "forks": opt.Forks, "builtin": opt.Playbook.Builtin}
	maps.Copy(shown, opt.Shown)
	r.emit(event.Event{Kind: event.RunStart, Text: opt.Playbook.File, Hosts: opt.Playbook.HostNames(), Data: shown})
	for _, p := range opt.Playbook.Plays {
		if r.stopped() || ctx.Err() != nil {
			break
		}
		r.runPlay(ctx, p)
	}
	r.recap()
	r.report.Interrupted = r.stopped() || ctx.Err() != nil
	code, text := opt.ExitCode(r.report)
	r.emit(event.Event{Kind: event.RunEnd, Code: &code, Text: text, Seconds: opt.Now().Sub(start).Seconds(), Data: map[string]any{
		"changes": r.report.Changes, "unknown": r.report.Unknown, "interrupted": r.report.Interrupted}})
	return r.report
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

// runPlay goes batch by batch. A batch over its failure budget ends the play
// for every host that is left, as with Ansible.
func (r *run) runPlay(ctx context.Context, p *playbook.BoundPlay) {
	r.play, r.once = p, map[string]*onceResult{}
	if len(p.Targets) == 0 {
		r.emit(event.Event{Kind: event.PlaySkip, Play: p.Title(), Text: p.Empty})
		return
	}
	r.emit(event.Event{Kind: event.PlayStart, Play: p.Title(), Hosts: p.Targets})
	rest := p.Targets
	for _, n := range batchSizes(len(rest), p.Serial) {
		var hosts []*host
		for _, name := range rest[:n] {
			if h := r.host(name); h.usable() {
				hosts = append(hosts, h)
			}
		}
		rest = rest[n:]
		if len(hosts) > 0 && !r.runBatch(ctx, hosts) && len(rest) > 0 {
			r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: p.Title(),
				Text: fmt.Sprintf("too many hosts failed: the other %d hosts are not begun", len(rest)), Hosts: rest})
			return
		}
		if r.stopped() || ctx.Err() != nil {
			return
		}
	}
}

// runBatch takes one batch through the play; false means over budget.
func (r *run) runBatch(ctx context.Context, hosts []*host) bool {
	r.batch = hosts
	r.hideSecrets(hosts)
	r.connectBatch(ctx, hosts)
	within := r.withinBudget()
	for _, s := range r.play.Steps {
		if !within || r.stopped() || ctx.Err() != nil || len(r.usable()) == 0 {
			break
		}
		r.runStep(ctx, s)
		within = r.withinBudget()
	}
	// Handlers run also on hosts that failed later: a changed configuration
	// whose service was not restarted is the worse surprise (Ansible's --force-handlers).
	r.runHandlers(ctx)
	return within
}

// hideSecrets makes the redactor know what stands in variables whose names say
// that they are secret.
func (r *run) hideSecrets(hosts []*host) {
	for _, h := range hosts {
		for _, s := range r.base(h).Secrets() {
			r.opt.Redactor.Add(s)
		}
	}
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

// each runs f on hosts, as many at once as forks allow. No new host begins after an interrupt.
func (r *run) each(hosts []*host, f func(*host)) {
	var g errgroup.Group
	g.SetLimit(r.opt.Forks)
	for _, h := range hosts {
		if r.stopped() {
			break
		}
		g.Go(func() error { f(h); return nil })
	}
	_ = g.Wait()
}

func (r *run) runStep(ctx context.Context, s *playbook.BoundStep) {
	r.emit(event.Event{Kind: event.StepStart, Play: r.play.Title(), Step: s.Title(), StepID: s.ID, Task: s.Task, Handler: s.Handler})
	hosts := r.usable()
	switch {
	case s.Def.Cluster:
		r.clusterStep(ctx, s, hosts)
	case s.RunOnce != nil && *s.RunOnce:
		r.onceStep(ctx, s, hosts)
	default:
		r.each(hosts, func(h *host) {
			res := r.hostStep(ctx, h, s)
			r.settle(h, s, r.scope(h, s), &res)
		})
	}
}

// onceStep runs on the play's first usable host, once for all batches. Every
// host sees what it registered; if it fails, it failed for all.
func (r *run) onceStep(ctx context.Context, s *playbook.BoundStep, hosts []*host) {
	o := r.once[s.ID]
	if o == nil {
		h := hosts[0]
		res := r.hostStep(ctx, h, s)
		r.settle(h, s, r.scope(h, s), &res)
		o = &onceResult{host: h.name(), res: res}
		if isLost(res.err) && len(hosts) > 1 && r.opt.Check {
			return
		}
		r.once[s.ID] = o
	}
	for _, h := range hosts {
		if h.name() == o.host {
			continue
		}
		r.remember(h, s, &o.res)
		if o.res.status == event.Failed || isLost(o.res.err) {
			h.failed = true
			h.counts.Failed++
			r.emit(event.Event{Kind: event.Result, Host: h.name(), Step: s.Title(), StepID: s.ID, Status: event.Failed,
				Text: "run_once failed on " + o.host, Cause: "run_once failed on " + o.host})
			r.report.Failed = true
		}
	}
}

func (r *run) applier(s *playbook.BoundStep, host func(context.Context, string) (change.Host, func(), error)) *applier {
	limit := ChangeLimit
	if s.Timeout > 0 {
		limit = s.Timeout
	}
	return &applier{forks: r.opt.Forks, limit: limit, host: host, stop: r.opt.Stop}
}

func (r *run) changeHost(name string, it *item) change.Host {
	h := change.Host{Name: name, Conn: it.conn, As: it.as, Reader: it.base, Run: r.opt.RunID, Now: r.opt.Now}
	h.Progress = func(done, total int64) {
		r.emit(event.Event{Kind: event.Progress, Host: name, Done: done, Total: total})
	}
	return h
}
