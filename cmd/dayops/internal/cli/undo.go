package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/journal"
)

func (a *app) undoCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "undo [RUN]", Short: "Take back what a run changed", GroupID: "work",
		Long: `Show what would take back the changes of a run, the last one first, and do it
after a yes. Files get their old content, mode and owner, services their old
state, packages their old versions. What cannot be taken back is named, and
what somebody changed since is left alone and named: then, or with a command
that nothing takes back, the exit code is 3. What a run that was killed left in
doubt is looked at. An undo is a run of its own: it can be resumed and undone.

Without RUN: your last run that changed something. It is asked for at the
terminal; without one, -y is needed. -y also approves what is disruptive.`,
		Example: "  dayops undo 7f3c -C          only show it\n  dayops undo 7f3c -l master-0 --force /etc/origin/master/master-config.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			run := ""
			if len(args) > 0 {
				run = args[0]
			}
			return a.undo(&f, run)
		},
	}
	f.connectFlags(cmd.Flags())
	f.changeFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&f.check, "check", "C", false, "show what would be taken back and change nothing")
	cmd.Flags().StringArrayVar(&f.force, "force", nil, "take back this path or unit although somebody changed it since (repeatable)")
	cmd.Flags().StringArrayVar(&f.leave, "leave", nil, "leave this path, unit or package as it is and take back the rest (repeatable)")
	return cmd
}

func (a *app) undo(f *flags, run string) error {
	h, err := a.history()
	if err != nil {
		return err
	}
	id, err := a.undoable(h, run)
	if err != nil {
		return err
	}
	if run == "" {
		say(a.err, "your last run that changed something: %s\n", a.aboutRun(h, id))
	}
	f.diff = true
	j, err := a.undoJob(f, id)
	if err != nil {
		return err
	}
	if j.bound == nil {
		where := ""
		if f.limit != "" {
			where = " on " + f.limit
		}
		say(a.out, "run %s changed nothing%s that could be taken back\n", id, where)
		return nil
	}
	if f.check {
		return a.execute(context.Background(), f, j)
	}
	show := *f
	show.check = true
	if err := a.execute(context.Background(), &show, j); err != nil {
		return err
	}
	if !f.yes {
		if !a.terminal() {
			return &coded{code: exitRefused, err: errors.New("nothing was undone: there is no terminal to ask at"), hint: "dayops undo " + id + " -y does it without asking"}
		}
		if !a.confirm(fmt.Sprintf("Undo run %s on %s?", id, count(len(j.bound.HostNames()), "host"))) {
			return &coded{code: exitRefused, err: errors.New("nothing was undone"), hint: "-y does it without asking"}
		}
	}
	err = a.execute(context.Background(), f, j)
	if codeOfError(err) == exitFailed {
		say(a.err, "what cannot be taken back keeps the rest of its host as it is; --leave PATH, UNIT or PACKAGE goes on without it\n")
	}
	return err
}

// undoable is the run, or the person's own last one that changed something.
func (a *app) undoable(h *journal.History, run string) (string, error) {
	if run != "" {
		return a.findRun(h, run)
	}
	entries, _, err := h.List()
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(entries) {
		if m, err := h.Read(e.Run); err == nil && len(m.Steps) > 0 && m.Run.User == a.owner("").User {
			return e.Run, nil
		}
	}
	return "", usage("dayops history", "there is no run that changed something")
}

// aboutRun is one line about a run.
func (a *app) aboutRun(h *journal.History, id string) string {
	m, err := h.Read(id)
	if err != nil {
		return id
	}
	s := fmt.Sprintf("%s, %s", id, view.Line(m.Run.Playbook))
	if len(m.Steps) > 0 {
		s += ", " + m.Steps[0].Time.Local().Format(time.DateTime)
	}
	return s
}

// undoJob is the playbook that takes back run id, with the inventory of the run.
func (a *app) undoJob(f *flags, id string) (*job, error) {
	h, err := a.history()
	if err != nil {
		return nil, err
	}
	m, err := h.Read(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("dayops history", "run %s changed nothing on any host", id)
	}
	if err != nil {
		return nil, err
	}
	if h.Held(id) {
		return nil, &coded{code: exitLocked, err: fmt.Errorf("run %s is still under way", id), hint: "stop it with Ctrl-C, or wait: dayops history show " + id}
	}
	var k keptFlags
	if err := json.Unmarshal(m.Run.Options, &k); err != nil {
		return nil, fmt.Errorf("the options of run %s: %w", id, err)
	}
	limit, tags := f.limit, f.tags
	if err := f.take(k); err != nil {
		return nil, err
	}
	f.limit, f.tags, f.skipTags = limit, tags, nil
	if f.inventory == nil {
		if err := os.Chdir(m.Run.Dir); err != nil {
			return nil, usage("-i INVENTORY", "the working folder of run %s: %s", id, err)
		}
		f.inventory = m.Run.Sources
	}
	inv, sources, err := a.mustInventory(f)
	if err != nil {
		return nil, err
	}
	opt := engine.UndoOptions{Force: f.force, Leave: f.leave, OpenBlob: func(name string) (io.ReadCloser, error) { return h.OpenBlob(id, name) }}
	if f.limit != "" {
		if opt.Hosts, err = limitHosts(inv, f.limit); err != nil {
			return nil, badFiles(err)
		}
	}
	bound, err := engine.Undo(m, opt)
	return &job{inv: inv, sources: sources, bound: bound, undone: m, undoneOn: opt.Hosts}, err
}
