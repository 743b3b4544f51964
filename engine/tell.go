package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// count puts a result into the host's line of the recap and into the report.
func (r *run) count(h *host, res *result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &h.counts
	switch res.status {
	case event.OK:
		c.OK++
	case event.Changed:
		c.OK++
	case event.Skipped:
		c.Skipped++
	case event.Ignored:
		c.OK++
		c.Ignored++
	case event.Partial:
		c.Failed++
		c.Partial++
		r.report.Partial = true
	case event.Unknown:
		c.Unknown++
		r.report.Unknown++
	case event.Failed:
		c.Failed++
		why := res.reasons()
		r.report.NotConverged = r.report.NotConverged || why.notConverged
		r.report.Refused = r.report.Refused || why.refused
		r.report.Failed = r.report.Failed || why.other || !why.notConverged && !why.refused
	}
	if res.changed && res.status != event.Failed {
		c.Changed++
		r.report.Changes++
	}
}

// emitResults tells what a step gave: each item of a loop, or the host.
func (r *run) emitResults(h *host, s *playbook.BoundStep, res *result) {
	if len(res.items) == 0 {
		r.emitResult(h, s, res)
		return
	}
	for i := range res.items {
		it := &res.items[i]
		if res.status == event.Ignored && it.status == event.Failed {
			it.status = event.Ignored
		}
		r.emitResult(h, s, it)
	}
}

func (r *run) emitResult(h *host, s *playbook.BoundStep, res *result) {
	for _, f := range res.findings {
		if res.hidden {
			f.Text, f.Hint = hiddenText, ""
		}
		r.emit(event.Event{Kind: event.Finding, Host: f.Host, Step: s.Title(), StepID: s.ID, Task: s.Task,
			Head: f.Head, Status: findingStatus(f.Status), Text: f.Text, Hint: f.Hint})
	}
	e := event.Event{Kind: event.Result, Play: r.play.Title(), Step: s.Title(), StepID: s.ID, Task: s.Task, Handler: s.Handler,
		Host: h.name(), Earlier: res.recalled, Target: elsewhere(h, res), Item: res.item, Status: res.status, Changes: res.changes, Text: res.text}
	switch res.unknown {
	case "":
	case s.Title():
		e.Text = "what it does is not known before it has run"
	default:
		e.Text = "unknown until \"" + res.unknown + "\" has run"
	}
	if res.err != nil {
		e.Text = res.err.Error()
		if e.Cause, e.Hint = explain(h.name(), res.err); errors.Is(res.err, context.Canceled) && e.Text == context.Canceled.Error() {
			e.Text = e.Cause // Go's words for it say nothing
		}
	}
	for _, o := range res.outcome.Steps {
		e.Details = append(e.Details, o.Notes...)
	}
	if res.status == event.Partial {
		e.Cause, e.Hint = "done but incomplete", "the lines under the host name what is missing; the rest is whole"
	}
	if res.hidden {
		r.censor(&e)
	} else {
		r.reveal(&e, res)
	}
	if r.opt.Check {
		e.Kind = event.Forecast
	} else if !r.opt.Diff {
		for i := range e.Changes {
			e.Changes[i].Diff = ""
		}
	}
	r.emit(e)
}

// elsewhere is the target of a delegated step.
func elsewhere(h *host, res *result) string {
	if res.target == h.name() {
		return ""
	}
	return res.target
}

// reveal adds what the task itself has to say.
func (r *run) reveal(e *event.Event, res *result) {
	e.Data = plain(res.own)
	if msg, ok := e.Data["msg"].(string); ok && e.Text == "" {
		e.Text = msg
	}
	for _, m := range append(missed(res.outcome), res.missed...) {
		e.Details = append(e.Details, fmt.Sprintf("%s  %s", m.Path, m.Why))
	}
	if x := lastExec(res.outcome); x != nil {
		code := x.Code
		e.RC, e.Stdout, e.Stderr = &code, x.Stdout.String(), x.Stderr.String()
	}
}

// hiddenText stands where no_log hides something.
const hiddenText = "hidden by no_log"

// censor leaves only that something happened.
func (r *run) censor(e *event.Event) {
	e.Data, e.Details, e.Item = nil, nil, ""
	if e.Text != "" {
		e.Text = hiddenText
	}
	if e.Cause != "" {
		e.Cause = hiddenText
	}
}

func findingStatus(s task.Status) event.Status {
	switch s {
	case task.Warn:
		return event.Warn
	case task.Fail:
		return event.Failed
	}
	return event.OK
}

// recap tells every host's counts in inventory order.
func (r *run) recap() {
	for _, name := range r.opt.Playbook.HostNames() {
		c := r.host(name).counts
		r.emit(event.Event{Kind: event.Recap, Host: name, Counts: &c})
	}
}
