package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
)

// stateDir is the XDG state folder: $XDG_STATE_HOME/dayops, else ~/.local/state/dayops.
func (a *app) stateDir() (string, error) {
	if d := a.getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "dayops"), nil
	}
	home := a.getenv("HOME")
	if home == "" {
		return "", usage("set HOME or XDG_STATE_HOME", "no folder is known to keep the history of runs in")
	}
	return filepath.Join(home, ".local", "state", "dayops"), nil
}

func (a *app) historyCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "history", Short: "List past runs; show one again, compare two, remove old ones", GroupID: "look",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.historyList(&f) },
	}
	f.outputFlags(cmd.PersistentFlags())
	cmd.PersistentFlags().Lookup("output").Usage = "text, or json: one event or run a line; of diff one document"
	list := &cobra.Command{
		Use: "list", Short: "List past runs, the newest last",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.historyList(&f) },
	}
	show := &cobra.Command{
		Use: "show RUN", Short: "Replay the record of a run", Example: "  dayops history show 7f3c -v",
		Args:              cobra.ExactArgs(1),
		RunE:              func(_ *cobra.Command, args []string) error { return a.historyShow(&f, args[0]) },
		ValidArgsFunction: a.completeRuns,
	}
	cmd.AddCommand(list, show, a.diffCommand(&f), a.pruneCommand(&f))
	return cmd
}

// checkOutput refuses a form that is none; f.output is text or json then.
func (f *flags) checkOutput() error {
	if f.output != "text" && f.output != "json" {
		return usage("text or json", "--output=%s is not known", f.output)
	}
	return nil
}

// history opens the history of runs.
func (a *app) history() (*journal.History, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return journal.Open(dir), nil
}

// findRun completes the beginning of a run's id.
func (a *app) findRun(h *journal.History, run string) (string, error) {
	id, err := h.Find(run)
	var unknown *journal.UnknownRunError
	if errors.As(err, &unknown) {
		return "", usage("dayops history", "%s", err)
	}
	return id, err
}

// completeRuns offers the ids of past runs, each with what it was.
func (a *app) completeRuns(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if h, err := a.history(); err == nil {
		entries, _, _ := h.List()
		for _, e := range slices.Backward(entries) {
			out = append(out, fmt.Sprintf("%s\t%s %s, %s", e.Run, e.Start.Local().Format(time.DateTime), view.Line(name(e)), a.ending(h, e)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func (a *app) historyList(f *flags) error {
	if err := f.checkOutput(); err != nil {
		return err
	}
	h, err := a.history()
	if err != nil {
		return err
	}
	entries, unreadable, err := h.List()
	if err != nil {
		return err
	}
	if f.output == "json" {
		enc := json.NewEncoder(a.out)
		for _, e := range entries {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	if len(entries) == 0 {
		say(a.out, "no runs yet\n")
	}
	for _, e := range entries {
		say(a.out, "%s  %s  %-28s %9s  %s\n", e.Run, e.Start.Local().Format(time.DateTime), name(e), count(e.Hosts, "host"), a.ending(h, e))
	}
	if unreadable > 0 {
		say(a.err, "%s cannot be read; dayops history prune --force removes old ones\n", count(unreadable, "record"))
	}
	return nil
}

func name(e journal.Entry) string {
	if e.Check {
		return e.Playbook + " (dry run)"
	}
	return e.Playbook
}

func (a *app) ending(h *journal.History, e journal.Entry) string {
	switch {
	case !e.Ended && h.Held(e.Run):
		return "under way"
	case !e.Ended && e.Check:
		return "did not end"
	case !e.Ended:
		return "did not end; dayops resume " + e.Run
	}
	did := "changed"
	if e.Check {
		did = "would change"
	}
	return fmt.Sprintf("exit %d %s, %d %s, %.1fs", e.Code, shortOf(e.Code), e.Changes, did, e.Seconds)
}

func (a *app) historyShow(f *flags, run string) error {
	if err := f.checkOutput(); err != nil {
		return err
	}
	h, err := a.history()
	if err != nil {
		return err
	}
	id, err := a.findRun(h, run)
	if err != nil {
		return err
	}
	var sink event.Sink = view.NewJSON(a.out)
	if f.output != "json" {
		sink = view.NewText(a.out, view.TextOptions{Width: view.Width(a.out), Colour: view.Colour(a.out, a.getenv), Verbose: f.verbose, Quiet: f.quiet})
	}
	ended := false
	err = h.Replay(id, func(e event.Event) {
		ended = ended || e.Kind == event.RunEnd
		sink.Emit(e)
	})
	if err == nil && !ended {
		a.sayUnended(h, id)
	}
	return err
}

// sayUnended tells of a record without an end why that may be.
func (a *app) sayUnended(h *journal.History, run string) {
	_, err := h.Read(run)
	switch {
	case h.Held(run):
		say(a.err, "run %s is under way\n", run)
	case err != nil:
		say(a.err, "run %s did not end: it is still running, or it was killed\n", run)
	default:
		say(a.err, "run %s did not end: dayops resume %s\n", run, run)
	}
}
