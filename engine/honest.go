package engine

import (
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
)

// compare tells where a step came out otherwise than the forecast of this run
// said. What was unknown, failed, was tried several times or was done before a
// resume, and so before its forecast, is not compared.
func (r *run) compare(h *host, s *playbook.BoundStep, res *result) {
	if r.foreseen == nil || isLost(res.err) || r.begunBefore(s.ID, h.name()) {
		return
	}
	items := res.items
	if items == nil {
		items = []result{*res}
	}
	for i := range items {
		it := &items[i]
		o := r.foreseen.get(key{s.ID, h.name(), i})
		text := difference(o, it)
		if text == "" {
			continue
		}
		if it.item != "" && !it.hidden {
			text = "(" + it.item + ") " + text
		}
		r.mu.Lock()
		r.foreseen.differ++
		r.mu.Unlock()
		r.warn(h, s, text)
	}
}

// begunBefore tells whether an earlier controller made some of a step on a host.
func (r *run) begunBefore(step, host string) bool {
	return r.opt.Memory != nil && slices.ContainsFunc(r.opt.Memory.Steps, func(s *journal.Step) bool { return s.At.Step == step && s.Change.Host == host })
}

// difference is what to say of a forecast that did not come true; "" of one that did.
func difference(o *seen, it *result) string {
	if it.recalled || it.status == event.Failed || it.status == event.Ignored || it.attempts > 1 {
		return ""
	}
	changed := it.outcome.Changed
	switch {
	case o == nil && changed:
		return "the forecast did not come to this step, and it changed something"
	case o == nil || o.status == event.Unknown:
		return ""
	case o.status == event.Failed:
		return "the forecast said that it would fail, and it did not"
	case !o.would && changed:
		return "forecast said no change, and it changed" + firstOf(it)
	case o.would && !changed:
		return "forecast said that it would change, and it changed nothing"
	}
	return ""
}

func firstOf(it *result) string {
	if len(it.changes) == 0 || it.hidden {
		return ""
	}
	return fmt.Sprintf(" (%s)", it.changes[0].Summary)
}

// sum is what the end of a run says of its forecast.
func (f *forecast) sum() map[string]any {
	return map[string]any{"changes": f.changes, "unknown": f.unknown, "differences": f.differ}
}
