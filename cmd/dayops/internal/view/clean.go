package view

import (
	"fmt"
	"strings"
	"unicode"
)

// Clean makes text of several lines safe for a terminal; only its own line
// breaks stay. What comes from a host goes through Line, so that it cannot begin a line.
func Clean(s string) string {
	if !strings.Contains(s, "\n") {
		return Line(s)
	}
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Line(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Line makes text from anywhere safe for one line of a terminal: it cannot
// move the cursor, change colours, reverse the writing direction or begin
// another line. What was taken out is shown escaped.
func Line(s string) string {
	// A stray byte such as 0x9b is a control character to an 8-bit terminal.
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.IndexFunc(s, unsafeRune) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteByte(' ')
		case r == '\r':
			b.WriteString(`\r`)
		case unsafeRune(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafeRune: control characters, and the format characters that reorder or hide text.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// block is multi-line text, each line safe, without trailing blank lines and
// at most most lines long; how many were left out is the last line.
func block(s string, most int) []string { return lines(s, most, Line) }

// tabbed is block with tabs as they are: in a diff they matter.
func tabbed(s string, most int) []string {
	return lines(s, most, func(l string) string {
		parts := strings.Split(l, "\t")
		for i := range parts {
			parts[i] = Line(parts[i])
		}
		return strings.Join(parts, "\t")
	})
}

func lines(s string, most int, clean func(string) string) []string {
	s = strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	if s == "" {
		return nil
	}
	var out []string
	for l := range strings.SplitSeq(s, "\n") {
		if len(out) == most {
			out = append(out, fmt.Sprintf("... %d more lines", strings.Count(s, "\n")+1-most))
			break
		}
		out = append(out, clean(l))
	}
	return out
}
