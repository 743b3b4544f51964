package engine

import (
	"context"
	"slices"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
)

// notify marks the handlers that a step names. A name may be a template; a
// name that no handler has is the binder's to refuse, or, from a template, a warning here.
func (r *run) notify(h *host, s *playbook.BoundStep, sc *scope, res *result) {
	for _, n := range s.Notify {
		name, err := sc.text(n)
		if err != nil {
			r.emit(event.Event{Kind: event.Note, Status: event.Warn, Host: h.name(), Step: s.Title(), Text: err.Error()})
			continue
		}
		found := false
		for _, hd := range r.play.Handlers {
			if hd.Title() == name || slices.Contains(hd.Listen, name) {
				found = true
				h.note(hd.ID, res.unknown)
			}
		}
		if !found {
			r.emit(event.Event{Kind: event.Note, Status: event.Warn, Host: h.name(), Step: s.Title(), Text: "no handler is named " + name})
		}
	}
}

// note remembers a notification; a sure one beats one that may come.
func (h *host) note(id, unknown string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.notified[id]; !ok || old != "" {
		h.notified[id] = unknown
	}
}

// runHandlers runs the notified handlers of the batch in the order in which
// the play lists them, each once per host. A handler may notify a later one.
func (r *run) runHandlers(ctx context.Context) {
	for _, hd := range r.play.Handlers {
		if r.stopped() || ctx.Err() != nil {
			return
		}
		var sure []*host
		var maybe []*host
		for _, h := range r.batch {
			step, ok := h.notified[hd.ID]
			switch {
			case !ok || h.lost != nil:
			case step == "":
				sure = append(sure, h)
			default:
				maybe = append(maybe, h)
			}
			delete(h.notified, hd.ID)
			_ = step
		}
		r.runHandler(ctx, hd, sure, maybe)
	}
}

func (r *run) runHandler(ctx context.Context, hd *playbook.BoundStep, sure, maybe []*host) {
	if len(sure)+len(maybe) == 0 {
		return
	}
	r.emit(event.Event{Kind: event.StepStart, Play: r.play.Title(), Step: hd.Title(), StepID: hd.ID, Task: hd.Task, Handler: true})
	r.each(sure, func(h *host) {
		res := r.hostStep(ctx, h, hd)
		r.settle(h, hd, r.scope(h, hd), &res)
	})
	for _, h := range maybe {
		res := result{status: event.Unknown, unknown: "a step that may notify it"}
		r.settle(h, hd, r.scope(h, hd), &res)
	}
}
