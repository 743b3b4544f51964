package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
)

// notifies tells whether a result calls handlers: it changed something, or
// may. A failure calls none, except where the change was made and did not last.
func (r *result) notifies(s *playbook.BoundStep) bool {
	var nc *NotConvergedError
	switch r.status {
	case event.Failed, event.Ignored:
		return r.changed && errors.As(r.err, &nc)
	case event.Unknown:
		return !s.ChangesNothing()
	}
	return r.changed
}

// notify marks the handlers that a step names. A name may be a template; a
// name that no handler has is the binder's to refuse, or, from a template, a warning here.
func (r *run) notify(h *host, s *playbook.BoundStep, sc *scope, res *result) {
	if !res.notifies(s) {
		return
	}
	for _, n := range s.Notify {
		name, err := sc.text(n)
		if err != nil {
			r.warn(h, s, err.Error())
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
			r.warn(h, s, "no handler is named "+name)
		}
	}
}

func (r *run) warn(h *host, s *playbook.BoundStep, text string) {
	r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: r.play.Title(), Host: h.name(), Step: s.Title(), StepID: s.ID, Text: text})
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
// What was notified and could not run is told.
func (r *run) runHandlers(ctx context.Context) {
	for _, hd := range r.play.Handlers {
		if r.interrupted(ctx) {
			break
		}
		r.runHandler(ctx, hd)
	}
	for _, hd := range r.play.Handlers {
		r.tellPending(ctx, hd)
	}
}

func (r *run) runHandler(ctx context.Context, hd *playbook.BoundStep) {
	var sure []*host
	maybe := map[*host]string{} // and the step that may notify it
	for _, h := range r.batch {
		step, ok := h.notified[hd.ID]
		if !ok || h.lost != nil {
			continue
		}
		delete(h.notified, hd.ID)
		if step == "" {
			sure = append(sure, h)
		} else {
			maybe[h] = step
		}
	}
	if len(sure)+len(maybe) == 0 {
		return
	}
	delete(r.once, hd.ID) // once for each time that it is notified
	for _, h := range r.runStep(ctx, hd, sure) {
		h.note(hd.ID, "")
	}
	for _, h := range r.batch {
		if step, ok := maybe[h]; ok {
			r.settle(h, hd, &result{status: event.Unknown, unknown: step})
		}
	}
}

// tellPending names a handler that was notified and has not run, on whom and why.
func (r *run) tellPending(ctx context.Context, hd *playbook.BoundStep) {
	why := map[string][]string{}
	for _, h := range r.batch {
		if _, ok := h.notified[hd.ID]; !ok {
			continue
		}
		delete(h.notified, hd.ID)
		reason := "a later handler notified it"
		switch {
		case h.lost != nil:
			reason = "the connection is gone"
		case r.interrupted(ctx):
			reason = "interrupted"
		}
		why[reason] = append(why[reason], h.name())
	}
	for _, reason := range []string{"interrupted", "the connection is gone", "a later handler notified it"} {
		if hosts := why[reason]; hosts != nil {
			r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: r.play.Title(), Step: hd.Title(), StepID: hd.ID, Handler: true,
				Text: "handler \"" + hd.Title() + "\" was notified and did not run (" + reason + ")", Hosts: hosts})
		}
	}
}
