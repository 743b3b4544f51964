package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/term"

	"github.com/dayops/dayops/engine/journal"
)

// terminal tells whether there is one to ask at.
func (a *app) terminal() bool {
	in, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(in.Fd()))
}

// resumable is the run, or the person's own newest one that can be gone on
// with; with failed, one that has hosts that failed. A run that is not the last
// one is not taken up unasked.
func (a *app) resumable(h *journal.History, run string, failed bool) (string, error) {
	if run != "" {
		return a.findRun(h, run)
	}
	id, later, err := a.newestOpen(h, failed)
	if err != nil {
		return "", err
	}
	say(a.err, "your newest run to go on with: %s\n", a.aboutRun(h, id))
	return id, a.agreeTo(h, id, later, failed)
}

// newestOpen finds a run to go on with, and the later runs that are none, the
// newest first. One that had begun nothing gives way to an older one that had.
func (a *app) newestOpen(h *journal.History, failed bool) (id string, later []laterRun, err error) {
	entries, _, err := h.List()
	if err != nil {
		return "", nil, err
	}
	idle, before := "", 0 // a run that had begun nothing, and how many are later
	for _, e := range slices.Backward(entries) {
		m, err := h.Read(e.Run)
		switch {
		case e.Check, errors.Is(err, fs.ErrNotExist), errors.Is(err, journal.ErrNotBegun):
			continue
		case err != nil: // nobody can say what it did
			later = append(later, laterRun{e.Run, true})
			continue
		case m.Run.User != a.owner("").User:
			continue
		}
		open := !h.Held(e.Run) && (m.GoesOn() || failed && m.Code != exitDone)
		if open && failed && e.Ended {
			hosts, err := unfinished(h, e.Run)
			open = err == nil && len(hosts) > 0
		}
		switch begun := len(m.Steps) > 0 || !m.Ended; {
		case open && (begun || failed):
			return e.Run, later, nil
		case open && idle == "":
			idle, before = e.Run, len(later)
		}
		later = append(later, laterRun{e.Run, len(m.Steps) > 0})
	}
	switch {
	case idle != "":
		return idle, later[:before], nil
	case failed:
		return "", nil, usage("dayops history", "there is no run with hosts that failed")
	}
	return "", nil, usage("dayops history; a run that ended with failures: dayops resume --retry-failed", "there is no run to take up")
}

// laterRun is one that is not to be gone on with.
type laterRun struct {
	id      string
	changed bool // something, as far as is known
}

// agreeTo has a person agree to a run that is not the last one.
func (a *app) agreeTo(h *journal.History, id string, later []laterRun, failed bool) error {
	if len(later) == 0 {
		return nil
	}
	last := later[max(0, slices.IndexFunc(later, func(l laterRun) bool { return l.changed }))]
	say(a.err, "it is not your last run, which was: %s\n", a.aboutRun(h, last.id))
	command := "dayops resume " + id
	if failed {
		command += " --retry-failed"
	}
	switch {
	case a.terminal():
		if !a.confirm(fmt.Sprintf("Go on with run %s all the same?", id)) {
			return &coded{code: exitRefused, err: errors.New("nothing was taken up"), hint: command + " takes it up without asking"}
		}
	case last.changed:
		return &coded{code: exitRefused, err: fmt.Errorf("nothing was taken up: run %s has changed something since, and there is no terminal to ask at", last.id),
			hint: command + " takes it up without asking"}
	}
	return nil
}
