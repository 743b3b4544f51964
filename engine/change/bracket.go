package change

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

var _ Change = (*Bracket)(nil)

// Kind is "bracket".
func (b *Bracket) Kind() string { return "bracket" }

// Summary is one line for people.
func (b *Bracket) Summary() string {
	return summaries(b.Do) + "; then always: " + summaries(b.Then)
}

func summaries(list []Change) string {
	var s []string
	for _, c := range list {
		s = append(s, c.Summary())
	}
	return strings.Join(s, "; ")
}

// Diff is "".
func (b *Bracket) Diff() string { return "" }

// Risk is the highest of its changes.
func (b *Bracket) Risk() Risk {
	risk := Safe
	for _, c := range append(b.Do[:len(b.Do):len(b.Do)], b.Then...) {
		risk = max(risk, c.Risk())
	}
	return risk
}

// Reversal is None.
func (b *Bracket) Reversal() Reversal {
	return Reversal{None, "what was stopped and started cannot be taken back"}
}

// Opaque is false unless one of its changes is.
func (b *Bracket) Opaque() bool {
	for _, c := range append(b.Do[:len(b.Do):len(b.Do)], b.Then...) {
		if c.Opaque() {
			return true
		}
	}
	return false
}

// bracketable refuses what cannot be part of a script on the host.
func bracketable(c Change) error {
	switch c.(type) {
	case *Unit, *Exec:
		return nil
	}
	return fmt.Errorf("a bracket holds units and commands, not %q", c.Kind())
}

func (b *Bracket) observe(context.Context, Host) (Where, error) { return Before, nil }

func (b *Bracket) apply(context.Context, Host) (Outcome, error) {
	return Outcome{}, errors.New("not there yet: bracket")
}

func (b *Bracket) effect(o *Overlay) {
	for _, c := range append(b.Do[:len(b.Do):len(b.Do)], b.Then...) {
		c.effect(o)
	}
}
