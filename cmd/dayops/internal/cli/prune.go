package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/engine/journal"
)

type pruneFlags struct {
	keep   int
	older  string
	dryRun bool
	force  bool
}

func (a *app) pruneCommand(f *flags) *cobra.Command {
	var p pruneFlags
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove the records of old runs",
		Long: `Remove the records of old runs from this machine: events, journal, and what undo
would need. A run that is gone cannot be undone, resumed or reported any more.

With both --keep and --older-than a run goes only if both let it go. A run that
is under way always stays. Without --force these stay too, each named with why:
a run that dayops resume would take up (it did not end, was interrupted, left a
change in doubt, or ended with exit 4, 6 or 11), and a record that cannot be
read. So that they do not pile up, a run that ended with exit 4, 6 or 11 and left
nothing in doubt goes when it had begun no change, when it is 90 days old, or when
a later run of the same playbook and inventory was for all of its hosts and began.

What runs moved aside on hosts stays there: dayops aside lists and purges it.`,
		Example: "  dayops history prune --keep 50 --older-than 30d --dry-run\n  dayops history prune --older-than 26w",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.prune(f, p, cmd.Flags().Changed("keep")) },
	}
	cmd.Flags().IntVar(&p.keep, "keep", 0, "keep the newest N runs")
	cmd.Flags().StringVar(&p.older, "older-than", "", "remove only what began longer ago: 30d, 12h, 26w")
	cmd.Flags().BoolVar(&p.dryRun, "dry-run", false, "say what would go and remove nothing")
	cmd.Flags().BoolVar(&p.force, "force", false, "also runs that dayops resume would take up, and records that cannot be read")
	return cmd
}

func (a *app) policy(p pruneFlags, keepGiven bool) (journal.Policy, error) {
	out := journal.Policy{Keep: p.keep, Force: p.force, Now: a.now()}
	if keepGiven && p.keep < 1 {
		return out, usage("at least 1", "--keep %d keeps nothing", p.keep)
	}
	if p.older != "" {
		age, err := parseAge(p.older)
		if err != nil {
			return out, usage("a number with m, h, d or w: 30d", "--older-than %s: %s", p.older, err)
		}
		out.Before = a.now().Add(-age)
	}
	if out.Empty() {
		return out, usage("dayops history prune --keep 50, --older-than 30d, or both", "%s", journal.ErrEmptyPolicy)
	}
	return out, nil
}

// parseAge reads a whole number with its unit.
func parseAge(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if s == "" {
		return 0, errors.New("no time")
	}
	unit, ok := units[s[len(s)-1]]
	if !ok {
		return 0, errors.New("no unit")
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	switch {
	case err != nil || n == 0:
		return 0, errors.New("not a number above zero")
	case n > uint64(100*365*24*time.Hour/unit):
		return 0, errors.New("longer than a hundred years")
	}
	return time.Duration(n) * unit, nil
}

func (a *app) prune(f *flags, p pruneFlags, keepGiven bool) error {
	if err := f.checkOutput(); err != nil {
		return err
	}
	policy, err := a.policy(p, keepGiven)
	if err != nil {
		return err
	}
	h, err := a.history()
	if err != nil {
		return err
	}
	candidates, err := h.Candidates(policy)
	if err != nil {
		return err
	}
	if !p.dryRun {
		err = h.Sweep()
	}
	t := pruneTotals{}
	for _, c := range candidates {
		why := c.Stays(p.force)
		if why == "" && !p.dryRun {
			why, err = removeRun(h, c, p.force, err)
		}
		t.add(c, why)
		a.tellPruned(f, p, c, why)
	}
	if f.output != "json" {
		a.tellTotals(p, t)
	}
	return err
}

// removeRun removes one run. What cannot be removed does not keep the others.
func removeRun(h *journal.History, c journal.Candidate, force bool, before error) (why string, err error) {
	err = h.Remove(c, force)
	var stays *journal.StaysError
	switch {
	case errors.As(err, &stays):
		return stays.Why, before
	case errors.Is(err, journal.ErrHeld):
		return "is under way", before
	case errors.Is(err, fs.ErrNotExist): // somebody else removed it
		return "", before
	case err != nil:
		return "could not be removed", errors.Join(before, err)
	}
	return "", before
}

type pruneTotals struct {
	gone, kept int
	bytes      int64
	changed    bool
}

func (t *pruneTotals) add(c journal.Candidate, why string) {
	if why != "" {
		t.kept++
		return
	}
	t.gone++
	t.bytes += c.Bytes
	t.changed = t.changed || c.Changes > 0 && !c.Check
}

func (a *app) tellPruned(f *flags, p pruneFlags, c journal.Candidate, why string) {
	if f.output == "json" {
		_ = json.NewEncoder(a.out).Encode(map[string]any{"run": c.Run, "start": c.Start, "playbook": c.Playbook, "bytes": c.Bytes,
			"removed": why == "" && !p.dryRun, "would_remove": why == "", "stays": why})
		return
	}
	word, rest := "removed", ""
	switch {
	case why != "":
		word, rest = "stays", "  "+why
	case p.dryRun:
		word = "would go"
	}
	if f.quiet && why == "" {
		return
	}
	say(a.out, "%-8s  %s  %s  %8s  %s%s\n", word, c.Run, c.Start.Local().Format(time.DateTime), sizeText(c.Bytes), name(c.Entry), rest)
}

func (a *app) tellTotals(p pruneFlags, t pruneTotals) {
	word := "removed"
	if p.dryRun {
		word = "would be removed"
	}
	line := fmt.Sprintf("%s, %s %s", count(t.gone, "run"), sizeText(t.bytes), word)
	if t.kept > 0 {
		line += fmt.Sprintf("; %d of those that the rules let go stay", t.kept)
	}
	say(a.out, "%s\n", line)
	if t.changed {
		say(a.out, "what they moved aside on hosts is still there: dayops aside all -b lists it, --purge removes it\n")
	}
}
