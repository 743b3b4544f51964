package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/journal"
)

func (a *app) diffCommand(f *flags) *cobra.Command {
	detailed := false
	cmd := &cobra.Command{
		Use: "diff [BEFORE] RUN", Short: "Say what went differently in two runs",
		Long: `Compare two runs, host by host and step by step: what was ok and is changed or
failed now, what is new or gone, what was changed in another way, and what took
longer. With one RUN: with the run before it of the same playbook and
inventory, dry runs with dry runs.

Steps are the same when their play, name and task are, wherever they stand in
the playbook. Exit code 0, also when there are differences; with
--detailed-exitcode 10 then (times alone are none).`,
		Example: "  dayops history diff 7f3c a01b\n  dayops history diff a01b --detailed-exitcode",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.historyDiff(f, args, detailed)
		},
		ValidArgsFunction: a.completeRuns,
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 10 when there are differences")
	return cmd
}

func (a *app) historyDiff(f *flags, args []string, detailed bool) error {
	if err := f.checkOutput(); err != nil {
		return err
	}
	h, err := a.history()
	if err != nil {
		return err
	}
	runs := make([]string, len(args))
	for i, arg := range args {
		if runs[i], err = a.findRun(h, arg); err != nil {
			return err
		}
	}
	if len(runs) == 1 {
		before, err := runBefore(h, runs[0])
		if err != nil {
			return err
		}
		runs = []string{before, runs[0]}
	}
	before, err := gather(h, runs[0])
	if err != nil {
		return err
	}
	after, err := gather(h, runs[1])
	if err != nil {
		return err
	}
	d := view.Compare(before, after)
	if f.output == "json" {
		err = d.WriteJSON(a.out)
	} else if !f.quiet || !d.Same {
		d.WriteText(a.out, view.Colour(a.out, a.getenv))
	}
	if err == nil && detailed && !d.Same {
		return &errShown{exitChanges}
	}
	return err
}

// runBefore is the last run before this one that did the same on the same hosts.
func runBefore(h *journal.History, run string) (string, error) {
	entries, _, err := h.List()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(entries, func(e journal.Entry) bool { return e.Run == run })
	for j := i - 1; j >= 0; j-- {
		if e := entries[j]; e.Playbook == entries[i].Playbook && e.Inventory == entries[i].Inventory && e.Check == entries[i].Check {
			return e.Run, nil
		}
	}
	return "", usage("dayops history; then dayops history diff BEFORE "+run, "no earlier run of the same playbook and inventory is known")
}
