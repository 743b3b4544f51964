package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/playbooks"
)

type resumeFlags struct {
	flags
	retryFailed bool
	changed     bool
	done, again []int64
}

func (a *app) resumeCommand() *cobra.Command {
	var f resumeFlags
	cmd := &cobra.Command{
		Use: "resume [RUN]", Short: "Finish a run that was killed, cut off or interrupted", GroupID: "work",
		Long: `Take a run up again where it was: what is done is not done again, what was begun
and is not known to have ended is looked for on the hosts, and what was stopped
is started again first.

Without RUN: your newest run that can be gone on with, because it did not end,
was interrupted, lost a host, was refused or locked out (exit 4, 6, 11, 130), or
left a change in doubt; one that had begun nothing comes after one that had. It
is named. Where a later run of yours has changed something since, this is asked
for at the terminal; without one, RUN must be given.

Playbook, inventory and options are those of the run; a playbook or inventory
that was changed since is refused. A command without a probe whose process died
on the host cannot be known: it is named, and --done ID or --again ID says what
to make of it. A run that ended with failures is taken up with --retry-failed.`,
		Example: "  dayops resume\n  dayops resume 7f3c --retry-failed",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			run := ""
			if len(args) > 0 {
				run = args[0]
			}
			return a.resume(&f, run)
		},
	}
	f.connectFlags(cmd.Flags())
	f.changeFlags(cmd.Flags())
	cmd.Flags().BoolVar(&f.retryFailed, "retry-failed", false, "take up only the hosts that failed or could not be reached")
	cmd.Flags().BoolVar(&f.changed, "accept-changes", false, "go on although playbook or inventory were changed since")
	cmd.Flags().Int64SliceVar(&f.done, "done", nil, "this change, named by an earlier resume, was made")
	cmd.Flags().Int64SliceVar(&f.again, "again", nil, "this change was not made, or may be made again")
	return cmd
}

func (a *app) resume(f *resumeFlags, run string) error {
	h, err := a.history()
	if err != nil {
		return err
	}
	id, err := a.resumable(h, run, f.retryFailed)
	if err != nil {
		return err
	}
	jr, m, err := h.Resume(id)
	switch {
	case errors.Is(err, journal.ErrHeld):
		return &coded{code: exitLocked, err: err, hint: "it goes on by itself; dayops history show " + id}
	case errors.Is(err, os.ErrNotExist):
		return usage("run the playbook again", "run %s only read, or was made by an older dayops: there is nothing to take up", id)
	case errors.Is(err, journal.ErrNotBegun):
		return usage("run the playbook again", "%s", err)
	case err != nil:
		return err
	}
	defer jr.Close()
	if !f.retryFailed && !m.GoesOn() {
		hint := "dayops resume " + id + " --retry-failed"
		if m.Code == exitDone {
			hint = "nothing of it is left to do; dayops history show " + id
		}
		return usage(hint, "run %s has ended: exit %d %s", id, m.Code, shortOf(m.Code))
	}
	if err := os.Chdir(m.Run.Dir); err != nil {
		return usage("", "the working folder of run %s: %s", id, err)
	}
	if f.texts, err = ownEdits(h, m); err != nil {
		return err
	}
	j, err := a.again(f, m)
	if err != nil {
		return err
	}
	events, err := h.Reopen(id)
	if err != nil {
		return err
	}
	about, err := a.about(&f.flags, j, id)
	if err != nil {
		return errors.Join(err, events.Close())
	}
	if err := jr.TakeUp(journal.Record{Time: a.now().UTC(), Run: about}, m, j.forget); err != nil {
		return errors.Join(err, events.Close())
	}
	j.record = &record{id: id, history: h, events: events, journal: jr, memory: m}
	j.answers = f.answers()
	return a.execute(context.Background(), &f.flags, j)
}

func (f *resumeFlags) answers() map[int64]engine.Answer {
	out := map[int64]engine.Answer{}
	for _, id := range f.done {
		out[id] = engine.AnswerDone
	}
	for _, id := range f.again {
		out[id] = engine.AnswerAgain
	}
	return out
}

// again binds what the run was started with.
func (a *app) again(f *resumeFlags, m *journal.Memory) (*job, error) {
	var k keptFlags
	if err := json.Unmarshal(m.Run.Options, &k); err != nil {
		return nil, fmt.Errorf("the options of run %s: %w", m.Run.ID, err)
	}
	err := f.take(k)
	if err != nil {
		return nil, err
	}
	f.inventory, f.force, f.leave = m.Run.Sources, k.Force, k.Leave
	var retry []string
	if f.retryFailed {
		if retry, err = a.toRetry(m); err != nil {
			return nil, err
		}
	}
	j, err := a.bindAgain(f, m, retry)
	if err != nil {
		return nil, err
	}
	j.forget = engine.FailedOn(m, retry)
	if err := a.holdTo(j, k); err != nil {
		return nil, err
	}
	f.applied, f.appliedSum = k.Plan, k.PlanSum
	for _, d := range []struct{ what, was, is string }{
		{"playbook", m.Run.Playbooks, j.bound.Digest()}, {"inventory", m.Run.Inventory, j.inv.Digest()},
	} {
		if d.was != d.is && !f.changed {
			var text string
			if d.what == "playbook" && json.Unmarshal(m.Run.Text, &text) == nil {
				say(a.err, "%s", udiff.Unified("of run "+m.Run.ID, "now", text, string(j.bound.Text)))
			}
			return nil, &coded{code: exitStale, err: fmt.Errorf("the %s of run %s was changed since", d.what, m.Run.ID), hint: "--accept-changes goes on with the new one"}
		}
	}
	if m.Run.Playbooks != j.bound.Digest() {
		return j, inPlace(m, j.bound)
	}
	return j, nil
}

// identity is by what a step is known again: its name, or without one what it does.
func identity(s *playbook.Step) string {
	if s.Name != nil {
		return fmt.Sprint(s.Task, ": ", s.Name.Value)
	}
	return fmt.Sprint(s.Task, ": ", s.Params.Any())
}

// inPlace refuses a playbook in which a step that was begun is another one now:
// a journal knows steps by their places, and would take one for the other.
func inPlace(m *journal.Memory, now *playbook.Bound) error {
	var text string
	if json.Unmarshal(m.Run.Text, &text) != nil {
		return nil // an undo has none
	}
	was, err := playbook.Load(m.Run.Playbook, []byte(text))
	if err != nil {
		return fmt.Errorf("the playbook of run %s: %w", m.Run.ID, err)
	}
	is := map[string]string{}
	for _, p := range now.Plays {
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			is[s.ID] = identity(s.Step)
		}
	}
	for _, p := range was.Plays {
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			if what := identity(s); m.Begun(s.ID) && is[s.ID] != what {
				return &coded{code: exitStale, err: fmt.Errorf("step %s of run %s was begun, and another one is in its place now: %q, before: %q", s.ID, m.Run.ID, is[s.ID], what),
					hint: "add and remove steps behind those that were begun, or run the new playbook: dayops run " + m.Run.Playbook}
			}
		}
	}
	return nil
}

func (a *app) bindAgain(f *resumeFlags, m *journal.Memory, retry []string) (*job, error) {
	if m.Run.Undo != "" {
		return a.undoJob(&f.flags, m.Run.Undo)
	}
	j, err := a.bind(&f.flags, func() (*playbook.Playbook, error) {
		var text string
		if f.adhoc && json.Unmarshal(m.Run.Text, &text) == nil {
			return playbook.Load(m.Run.Playbook, []byte(text))
		}
		src, err := playbook.Find(m.Run.Playbook, playbooks.FS)
		if err != nil {
			return nil, err
		}
		return src.Load()
	})
	if err != nil || !f.retryFailed {
		return j, err
	}
	for _, p := range j.bound.Plays {
		p.Targets = slices.DeleteFunc(p.Targets, func(h string) bool { return !slices.Contains(retry, h) })
		if len(p.Targets) == 0 && p.Empty == "" {
			p.Empty = "no host of it failed"
		}
	}
	return j, nil
}

// toRetry are the hosts to take up with --retry-failed: there must be some.
func (a *app) toRetry(m *journal.Memory) ([]string, error) {
	h, err := a.history()
	if err != nil {
		return nil, err
	}
	hosts, err := unfinished(h, m.Run.ID)
	switch {
	case err != nil:
		return nil, err
	case len(hosts) > 0:
		return hosts, nil
	case m.GoesOn():
		return nil, usage("dayops resume "+m.Run.ID, "no host of run %s failed so far, and it is not done", m.Run.ID)
	}
	return nil, usage("dayops history show "+m.Run.ID, "no host of run %s failed", m.Run.ID)
}

// unfinished are the hosts that failed, were left incomplete or could not be
// reached, by the last word of the record.
func unfinished(h *journal.History, run string) ([]string, error) {
	last := map[string]event.Counts{}
	var order []string
	err := h.Replay(run, func(e event.Event) {
		if e.Kind == event.Recap && e.Counts != nil {
			if _, seen := last[e.Host]; !seen {
				order = append(order, e.Host)
			}
			last[e.Host] = *e.Counts
		}
	})
	return slices.DeleteFunc(order, func(h string) bool { return last[h].Failed+last[h].Unreachable == 0 }), err
}
