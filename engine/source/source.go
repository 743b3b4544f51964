// Package source says where in a user's files something stands, and reports
// the mistakes found there the way a compiler does: place, line, caret, hint.
package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/dayops/dayops/engine/secret"
)

// Pos is a place in a file. Line and Col start at 1; Col counts characters,
// not bytes. The zero Pos means "no place known".
type Pos struct {
	File string
	Line int
	Col  int
}

// String gives file:line:col, the form that editors make clickable.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Mistake is one error in a user's file, with what is needed to mend it.
type Mistake struct {
	Pos  Pos
	Text string // what is wrong, lower case, no full stop
	Hint string // what to do about it; may be empty
	Line string // the text of the line at Pos; empty when not known
	Len  int    // how many characters the caret underlines; 0 counts as 1
}

// Error is the one-line form.
func (m *Mistake) Error() string {
	s := m.Text
	if p := m.Pos.String(); p != "" {
		s = p + ": " + s
	}
	if m.Hint != "" {
		s += " (" + m.hint() + ")"
	}
	return s
}

// Excerpt is the full form: place and text, the line, a caret, the hint.
// Lines longer than 120 characters are cut around the caret. Values of secrets
// are masked, in the line and in the hint.
func (m *Mistake) Excerpt() string {
	var b strings.Builder
	if p := m.Pos.String(); p != "" {
		b.WriteString(p + ": ")
	}
	b.WriteString(m.Text + "\n")
	if m.Line != "" && m.Pos.Col > 0 {
		line, col := m.line()
		n := max(1, min(m.Len, len(line)-col+1))
		fmt.Fprintf(&b, "  %s\n  %s%s\n", string(line), strings.Repeat(" ", col-1), strings.Repeat("^", n))
	}
	if m.Hint != "" {
		b.WriteString("  hint: " + m.hint() + "\n")
	}
	return b.String()
}

// line is the part of the line to show, and the column in it.
func (m *Mistake) line() ([]rune, int) {
	runes := []rune(printable(m.Line))
	before := string(runes[:min(m.Pos.Col-1, len(runes))])
	beyond := m.Pos.Col - 1 - len([]rune(before))
	text, at := secret.Line(string(runes), len(before))
	return window([]rune(text), len([]rune(text[:at]))+beyond+1)
}

// hint is Hint without secrets: it may repeat what the user wrote.
func (m *Mistake) hint() string {
	hint, _ := secret.Line(m.Hint, 0)
	return hint
}

// printable keeps the width of a line while making tabs, control characters
// and those that reorder text harmless to a terminal.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff':
			return '?'
		}
		return r
	}, line)
}

func window(line []rune, col int) ([]rune, int) {
	const width, before = 120, 60
	if len(line) > width && col > before {
		cut := min(col-before, len(line)-width)
		line, col = line[cut:], col-cut
	}
	return line[:min(len(line), width)], col
}

// Mistakes collects; it is safe for concurrent use and ready when zero.
type Mistakes struct {
	mu   sync.Mutex
	list []*Mistake
}

// Add records one mistake.
func (ms *Mistakes) Add(m *Mistake) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.list = append(ms.list, m)
}

// AddErr records the mistakes inside err, also those that it wraps or joins,
// or err itself without a place. Nil is ignored.
func (ms *Mistakes) AddErr(err error) {
	switch e := err.(type) {
	case nil:
		return
	case *Mistake:
		ms.Add(e)
		return
	case List:
		for _, m := range e {
			ms.Add(m)
		}
		return
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			ms.AddErr(inner)
		}
		return
	}
	var m *Mistake
	var l List
	switch {
	case errors.As(err, &m):
		ms.Add(m)
	case errors.As(err, &l):
		ms.AddErr(l)
	default:
		ms.Add(&Mistake{Text: err.Error()})
	}
}

// Len is the number recorded so far.
func (ms *Mistakes) Len() int {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return len(ms.list)
}

// Err is nil when nothing was recorded, else a List in file and line order
// without repetitions.
func (ms *Mistakes) Err() error {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if len(ms.list) == 0 {
		return nil
	}
	out := slices.Clone(ms.list)
	slices.SortStableFunc(out, func(a, b *Mistake) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	out = slices.CompactFunc(out, func(a, b *Mistake) bool { return a.Pos == b.Pos && a.Text == b.Text })
	return List(out)
}

// List is every mistake found in one go; never empty.
type List []*Mistake

// Error joins the one-line forms.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, m := range l {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Excerpts joins the full forms, a blank line between them.
func (l List) Excerpts() string {
	parts := make([]string, len(l))
	for i, m := range l {
		parts[i] = m.Excerpt()
	}
	return strings.Join(parts, "\n")
}
