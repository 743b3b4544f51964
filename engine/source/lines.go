package source

import (
	"slices"
	"strings"
)

// Lines are the lines of a text, each with its end: \n, \r\n, or nothing at
// the end of the text. Joined they are the text again, byte for byte.
type Lines []string

// SplitLines cuts a text into lines. An empty text has none.
func SplitLines(text string) Lines { return slices.Collect(strings.Lines(text)) }

// String is the text.
func (l Lines) String() string { return strings.Join(l, "") }

// Bare is a line without its end.
func (l Lines) Bare(i int) string { return strings.TrimSuffix(strings.TrimSuffix(l[i], "\n"), "\r") }

// Insert gives the lines with more of them before index at. The new ones come
// without their ends, and get that of the line above, or below where there is
// none. A text whose last line had no end still has none afterwards.
func (l Lines) Insert(at int, lines ...string) Lines {
	if len(lines) == 0 {
		return slices.Clone(l)
	}
	end := l.end(at)
	out := slices.Clone(l[:at])
	open := at > 0 && !strings.HasSuffix(l[at-1], "\n")
	if open {
		out[at-1] += end
	}
	for _, s := range lines {
		out = append(out, s+end)
	}
	if open {
		out[len(out)-1] = lines[len(lines)-1]
	}
	return append(out, l[at:]...)
}

func (l Lines) end(at int) string {
	for _, i := range []int{at - 1, at, at - 2} {
		if i < 0 || i >= len(l) || !strings.HasSuffix(l[i], "\n") {
			continue
		}
		if strings.HasSuffix(l[i], "\r\n") {
			return "\r\n"
		}
		return "\n"
	}
	return "\n"
}

// Delete gives the lines without those from..to-1. A text whose last line had
// no end still has none afterwards.
func (l Lines) Delete(from, to int) Lines {
	out := append(slices.Clone(l[:from]), l[to:]...)
	if n := len(out); n > 0 && to == len(l) && from < to && !strings.HasSuffix(l[to-1], "\n") {
		out[n-1] = out.Bare(n - 1)
	}
	return out
}
