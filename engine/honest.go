package engine

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
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
	case changed && !o.s.Def.Cluster:
		return otherwise(o, it)
	}
	return ""
}

// act is one thing that a change is about: what kind of change, and to which
// path, unit or package of which host. Its summary may hold what differs from
// one minute to the next, and is for people only.
type act struct{ host, kind, on, summary string }

// actsOf are those of a planned change that changes something. Of a command and
// a transfer no more than the kind is known.
func actsOf(st task.Step, target string) []act {
	if change.Quiet(st.Change) {
		return nil
	}
	a := act{host: orSelf(st.Host, target), kind: st.Change.Kind(), summary: st.Change.Summary()}
	on := change.Touches(st.Change)
	if _, unit := st.Change.(*change.Unit); unit && len(on) == 0 {
		return nil // systemd is told to read its files: a means, not an end
	}
	if len(on) == 0 {
		return []act{a}
	}
	var all []act
	for _, what := range on {
		a.on = moments.ReplaceAllString(what, "TIME")
		all = append(all, a)
	}
	return all
}

// moments are dates and numbers in names that a plan gives by the clock: a run
// makes its plan later than the forecast.
var moments = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}([T_ ][0-9]{2}:?[0-9]{2}(:?[0-9]{2})?)?|[0-9]{6,}`)

// otherwise tells where what was done is not what was foreseen, by kind, host
// and what it acts on.
func otherwise(o *seen, it *result) string {
	var did []act
	for _, st := range it.planned {
		did = append(did, actsOf(st, o.target)...)
	}
	without := func(some, others []act) (left []string) {
		for _, a := range some {
			same := func(b act) bool { return a.host == b.host && a.kind == b.kind && a.on == b.on }
			if !slices.ContainsFunc(others, same) && !slices.Contains(left, a.summary) {
				left = append(left, a.summary)
			}
		}
		return left
	}
	missing, more := without(o.acts, did), without(did, o.acts)
	switch {
	case len(missing)+len(more) == 0:
		return ""
	case it.hidden:
		return "the forecast said that it would change something else than it changed"
	case len(more) == 0:
		return "forecast also said: " + list(missing) + "; this was not done"
	case len(missing) == 0:
		return "the forecast did not say this, and it was done: " + list(more)
	}
	return "forecast said: " + list(missing) + "; done was: " + list(more)
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
