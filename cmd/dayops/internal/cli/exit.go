package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/journal"
)

// Exit codes. 2 and 4 are Ansible's, 3 and 130 restic's, 10 terraform's 2 moved out of the way.
const (
	exitDone         = 0
	exitUnexpected   = 1
	exitFailed       = 2
	exitIncomplete   = 3
	exitUnreachable  = journal.CodeUnreachable
	exitUsage        = 5
	exitRefused      = journal.CodeRefused
	exitNotConverged = 7
	exitStale        = 8
	exitChanges      = 10
	exitLocked       = journal.CodeLocked
	exitInterrupted  = journal.CodeInterrupted
)

type exitCode struct {
	Code    int
	Short   string // in the last line of a run
	Meaning string // in --help and README
}

// exitCodes is the one table; --help and README show it.
func exitCodes() []exitCode {
	return []exitCode{
		{exitDone, "done", "done"},
		{exitUnexpected, "unexpected error", "unexpected error of dayops itself"},
		{exitFailed, "failed", "a task failed on a host"},
		{exitIncomplete, "incomplete", "done but incomplete: a backup with items that could not be read, an undo that left something as it is"},
		{exitUnreachable, "unreachable", "a host is unreachable, or its key or login was refused"},
		{exitUsage, "usage", "wrong usage or a bad file; nothing was connected"},
		{exitRefused, "refused", "refused by a gate or for want of approval"},
		{exitNotConverged, "not converged", "not converged: after its changes a task still wants to change something"},
		{exitStale, "stale", "the plan is stale"},
		{exitChanges, "changes", "--detailed-exitcode: plan found changes, or history diff found differences"},
		{exitLocked, "locked", "locked by another run"},
		{exitInterrupted, "interrupted", "interrupted"},
	}
}

func shortOf(code int) string {
	for _, c := range exitCodes() {
		if c.Code == code {
			return c.Short
		}
	}
	return ""
}

// codeOf gives the code of a run and, when several hold, says the others too:
// 11 before 8, 6, then 130, 4, 2, 7, 3.
func codeOf(r engine.Report, detailed bool) (int, string) {
	var hold []int
	for _, c := range []struct {
		is   bool
		code int
	}{
		{r.Locked, exitLocked}, {r.Stale, exitStale}, {r.Refused, exitRefused}, {r.Interrupted, exitInterrupted}, {r.Unreachable, exitUnreachable}, {r.Failed, exitFailed},
		{r.NotConverged, exitNotConverged}, {r.Partial, exitIncomplete},
		{detailed && r.Changes+r.Unknown > 0, exitChanges},
	} {
		if c.is {
			hold = append(hold, c.code)
		}
	}
	if len(hold) == 0 {
		return exitDone, ""
	}
	text := shortOf(hold[0])
	var also []string
	for _, c := range hold[1:] {
		also = append(also, fmt.Sprintf("%d, %s", c, shortOf(c)))
	}
	if also != nil {
		text += "; also " + strings.Join(also, "; ")
	}
	return hold[0], text
}

// coded is an error that knows its exit code.
type coded struct {
	code int
	err  error
	hint string
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// usage is a mistake of the command line, with what to type instead.
func usage(hint, format string, args ...any) error {
	return &coded{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// errShown ends the program with a code when everything has been said already.
type errShown struct{ code int }

func (e *errShown) Error() string { return fmt.Sprintf("exit %d", e.code) }

func codeOfError(err error) int {
	var c *coded
	var s *errShown
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &s):
		return s.code
	case errors.As(err, &c):
		return c.code
	}
	return exitUnexpected
}
