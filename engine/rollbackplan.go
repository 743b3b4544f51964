package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// failedFor says why a plan has failed; "" where only an interrupt ended it.
func (a *applier) failedFor(ended error) string {
	var why []string
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.done)) {
		err := a.done[name].err
		var notBegun *NotBegunError
		if err != nil && !errors.As(err, &notBegun) && !isInterrupt(err) {
			why = append(why, fmt.Sprintf("%s: %s", name, err))
		}
	}
	if len(why) == 0 && errors.Is(ended, context.DeadlineExceeded) {
		why = append(why, "the limit of the step is over")
	}
	return strings.Join(why, "; ")
}

// rollBack is what a plan with Rollback does when it has failed.
func (r *run) rollBack(ctx context.Context, s *playbook.BoundStep, at journal.Place, a *applier, why string) error {
	if ctx.Err() != nil || len(r.standing(at)) == 0 {
		return nil
	}
	said := r.opt.Redactor.Redact(why)
	if err := r.opt.Journal.Append(journal.Record{Kind: journal.RolledBack, Time: r.opt.Now().UTC(), At: at, Error: said}); err != nil {
		return err
	}
	r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: r.play.Title(), Step: s.Title(), StepID: s.ID, Text: "the plan failed, what it did is taken back: " + why})
	back := &applier{forks: a.forks, limit: a.limit, do: ledger{r: r, at: at}.do}
	back.host = func(ctx context.Context, name string) (change.Host, func(), error) {
		h, release, err := a.host(ctx, name)
		var gone *noPartError // the plan of an earlier controller had one for it
		if errors.As(err, &gone) {
			return r.hostAt(ctx, at, name)
		}
		return h, release, err
	}
	if a.admission != nil && a.admission.whole {
		back.admission = a.admission
	}
	b, err := r.newRollback(s, at, said, back)
	if err != nil {
		return err
	}
	b.run(ctx)
	a.rolledBack(b, said)
	return nil
}

// keptStages are a plan's stages as the journal keeps them.
func keptStages(p task.Plan) ([]journal.Stage, error) {
	var out []journal.Stage
	for _, st := range p.Stages {
		kept := journal.Stage{Window: st.Window}
		if st.Until != nil {
			raw, err := change.Encode(st.Until, change.EncodeOptions{})
			if err != nil {
				return nil, err
			}
			kept.Until = &journal.Change{Kind: st.Until.Kind(), Summary: st.Until.Summary(), Data: raw}
		}
		out = append(out, kept)
	}
	return out, nil
}

// rolledBack puts what a rollback gave into the plan's own results.
func (a *applier) rolledBack(b *rollback, why string) {
	a.found = b.say
	for host, e := range b.on {
		d := a.at(host)
		if d.err = notBegunNoMore(d.err); d.err != nil {
			e = &RolledBackError{Left: e.Left}
		}
		d.err = together(d.err, e, b.cut[host])
		d.out.Changed = len(e.Left) > 0
	}
	for host, d := range a.done {
		var notBegun *NotBegunError
		if b.on[host] == nil && errors.As(d.err, &notBegun) {
			d.err = &RolledBackError{Why: why}
		}
	}
}

func notBegunNoMore(err error) error {
	var notBegun *NotBegunError
	if errors.As(err, &notBegun) {
		return nil
	}
	return err
}
