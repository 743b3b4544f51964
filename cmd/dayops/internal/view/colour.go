package view

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/dayops/dayops/engine/event"
)

// Colour tells whether w is to be coloured: NO_COLOR and TERM=dumb say no,
// CLICOLOR_FORCE and FORCE_COLOR say yes, else a terminal is.
func Colour(w io.Writer, getenv func(string) string) bool {
	switch {
	case getenv("NO_COLOR") != "":
		return false
	case getenv("CLICOLOR_FORCE") != "" && getenv("CLICOLOR_FORCE") != "0", getenv("FORCE_COLOR") != "":
		return true
	case getenv("TERM") == "dumb":
		return false
	}
	return IsTerminal(w)
}

// IsTerminal tells whether w is one.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
)

func (t *Text) paint(code, s string) string {
	if !t.opt.Colour || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func colourOf(s event.Status) string {
	switch s {
	case event.OK:
		return green
	case event.Changed, event.Warn, event.Partial:
		return yellow
	case event.Failed, event.Unreached:
		return red
	case event.Skipped, event.Unknown, event.Ignored:
		return cyan
	}
	return ""
}
