package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/engine/vars"
)

// settle draws the consequences of a step for its host: register, notify,
// counts, failed or lost, and the events.
func (r *run) settle(h *host, s *playbook.BoundStep, res *result) {
	sc := r.scope(h, s)
	if isLost(res.err) {
		r.settleLost(h, s, sc, res)
		return
	}
	if res.status == event.Failed {
		if ignore, err := sc.flag(s.IgnoreErrors); err == nil && ignore {
			res.status = event.Ignored
		}
	}
	r.see(h, s, res)
	r.compare(h, s, res)
	var gone *conn.LockLostError // found by the change, or by a heartbeat before it
	if errors.As(res.err, &gone) {
		r.locked()
	}
	r.remember(h, s, res)
	r.count(h, res)
	r.notify(h, s, sc, res)
	r.emitResults(h, s, res)
	if res.status == event.Failed {
		h.failed = true
	}
}

// settleLost tells of the items that were done before the connection broke.
func (r *run) settleLost(h *host, s *playbook.BoundStep, sc *scope, res *result) {
	for i := range res.items {
		if it := &res.items[i]; !isLost(it.err) {
			r.notify(h, s, sc, it)
			r.emitResult(h, s, it)
		}
	}
	r.lose(h, s, res.err)
}

// remember keeps what later steps may read.
func (r *run) remember(h *host, s *playbook.BoundStep, res *result) {
	for k, v := range res.facts {
		r.hide(v, res.hidden, secret.Name(k))
		h.learn(k, v)
	}
	r.hide(res.confidential(), res.hidden, s.Register != "" && secret.Name(s.Register))
	if s.Register != "" {
		if r.opt.Check && !knowable(taskKind(res), res) {
			h.cannotKnow(s.Register, s.Title())
		} else {
			h.learn(s.Register, res.registered())
		}
	}
	if res.status == event.Unknown {
		for _, name := range s.Sets() {
			h.cannotKnow(name, s.Title())
		}
	}
}

// Bounds on what is remembered as secret: every line of it is looked for in all
// that is said from then on.
const (
	maxSecretLines  = 1000 // of one value that has a secret name
	maxUnloggedRest = 1000 // of all that no_log steps gave
)

// hide keeps the texts in v out of what people and programs read from here on,
// also where a later step shows them. What a no_log step gave is not told by
// the step itself in any case; a long listing is not remembered whole.
func (r *run) hide(v any, unlogged, named bool) {
	if !unlogged && !named {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	left := maxSecretLines
	if !named {
		left = maxUnloggedRest - r.unlogged
	}
	for _, t := range vars.SecretTexts(v) {
		n := strings.Count(t, "\n") + 1
		if n > left {
			continue
		}
		left -= n
		r.opt.Redactor.Add(t)
	}
	if !named {
		r.unlogged = maxUnloggedRest - left
	}
}

func taskKind(res *result) task.Kind {
	if slices.ContainsFunc(res.changes, func(c event.Change) bool { return c.Kind == "exec" || c.Kind == "transfer" }) {
		return task.Action
	}
	return task.State
}

// OnceError: a run_once step failed on the host that ran it for all.
type OnceError struct{ Host string }

func (e *OnceError) Error() string { return "run_once failed on " + e.Host }

// onceStep runs on the first usable host, once for all batches of the play.
// Every host sees what it registered; if it fails, it failed for all.
func (r *run) onceStep(ctx context.Context, s *playbook.BoundStep, hosts []*host) {
	o := r.once[s.ID]
	if o == nil {
		h := r.onceHost(s, hosts)
		o = &onceResult{host: h.name(), res: r.hostStep(ctx, h, s)}
		r.settle(h, s, &o.res)
		r.once[s.ID] = o
	} else {
		r.emit(event.Event{Kind: event.Note, Play: r.play.Title(), Step: s.Title(), StepID: s.ID, Text: "done once for the play, on " + o.host})
	}
	for _, h := range hosts {
		switch {
		case h.name() == o.host:
		case o.res.status == event.Failed || isLost(o.res.err):
			res := failure(&OnceError{Host: o.host})
			r.count(h, &res)
			r.emitResult(h, s, &res)
			h.failed = true
		default:
			r.remember(h, s, &o.res)
		}
	}
}

// onceHost is the first host, or the one on which an earlier controller began
// the step: a host that was away then must not do it once more.
func (r *run) onceHost(s *playbook.BoundStep, hosts []*host) *host {
	if m := r.opt.Memory; m != nil {
		for _, name := range r.play.Targets {
			if m.Knows(s.ID, name) {
				return r.host(name)
			}
		}
	}
	return hosts[0]
}

// reasons says in which ways items of a result have failed.
type reasons struct{ notConverged, refused, other bool }

func (r *result) reasons() (why reasons) {
	items := r.items
	if len(items) == 0 {
		items = []result{*r}
	}
	for i := range items {
		var nc *NotConvergedError
		switch {
		case items[i].err == nil:
		case errors.As(items[i].err, &nc):
			why.notConverged = true
		case isRefused(items[i].err):
			why.refused = true
		default:
			why.other = true
		}
	}
	return why
}
