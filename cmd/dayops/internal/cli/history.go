package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
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
		Use: "history", Short: "List past runs; show one again", GroupID: "look",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.historyList(&f) },
	}
	f.outputFlags(cmd.PersistentFlags())
	show := &cobra.Command{
		Use: "show RUN", Short: "Replay the record of a run", Example: "  dayops history show 7f3c -v",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.historyShow(&f, args[0]) },
	}
	cmd.AddCommand(show)
	return cmd
}

func (a *app) historyList(f *flags) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	entries, unreadable, err := journal.Open(dir).List()
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
		say(a.out, "%s  %s  %-28s %4d hosts  %s\n", e.Run, e.Start.Local().Format(time.DateTime), name(e), e.Hosts, ending(e))
	}
	if unreadable > 0 {
		say(a.err, "%s below %s cannot be read\n", count(unreadable, "record"), dir)
	}
	return nil
}

func name(e journal.Entry) string {
	if e.Check {
		return e.Playbook + " (dry run)"
	}
	return e.Playbook
}

func ending(e journal.Entry) string {
	if !e.Ended {
		return "did not end"
	}
	return fmt.Sprintf("exit %d %s, %d changed, %.1fs", e.Code, shortOf(e.Code), e.Changes, e.Seconds)
}

func (a *app) historyShow(f *flags, run string) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	h := journal.Open(dir)
	id, err := h.Find(run)
	var unknown *journal.UnknownRunError
	if errors.As(err, &unknown) {
		return usage("dayops history", "%s", err)
	}
	if err != nil {
		return err
	}
	var sink event.Sink = view.NewJSON(a.out)
	if f.output != "json" {
		sink = view.NewText(a.out, view.TextOptions{Colour: view.Colour(a.out, a.getenv), Verbose: f.verbose, Quiet: f.quiet})
	}
	ended := false
	err = h.Replay(id, func(e event.Event) {
		ended = ended || e.Kind == event.RunEnd
		sink.Emit(e)
	})
	if err == nil && !ended {
		say(a.err, "run %s did not end: it is still running, or it was killed\n", id)
	}
	return err
}
