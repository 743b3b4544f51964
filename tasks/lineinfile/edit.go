package lineinfile

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// edit is one line's worth of editing, ready to be done to a text.
type edit struct {
	line     string
	hasLine  bool
	match    *regexp.Regexp // line to replace or remove
	search   *string        // the same, as plain text
	anchor   *regexp.Regexp // line to insert at
	before   bool           // insert before the anchor, not after
	top      bool           // insert at the start of the file
	first    bool
	backrefs bool
	template []piece
}

// split cuts a text into lines that keep their line breaks.
func split(text []byte) [][]byte {
	if len(text) == 0 {
		return nil
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// body is a line as expressions see it. Python's $ also matches before a last
// line break, RE2's does not; without the break both agree.
func body(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\n")) }

// same tells whether a line is text, whatever its line break.
func same(line []byte, text string) bool { return string(bytes.TrimRight(line, "\r\n")) == text }

func (e *edit) hits(line []byte) bool {
	switch {
	case e.match != nil:
		return e.match.Match(body(line))
	case e.search != nil:
		return bytes.Contains(line, []byte(*e.search))
	}
	return false
}

// find is the line that regexp or search_string names, or -1.
func (e *edit) find(lines [][]byte) int {
	at := -1
	for i, l := range lines {
		if e.hits(l) {
			at = i
			if e.first {
				break
			}
		}
	}
	return at
}

// places looks, where nothing matched, for the line itself and for the index
// to insert at; -1 stands for neither.
func (e *edit) places(lines [][]byte) (exact, insert int) {
	exact, insert = -1, -1
	for i, l := range lines {
		switch {
		case same(l, e.line):
			exact = i
		case e.anchor != nil && e.anchor.Match(body(l)):
			insert = i
			if !e.before {
				insert = i + 1
			}
			if e.first {
				return exact, insert
			}
		}
	}
	return exact, insert
}

// put makes sure that the line is there.
func (e *edit) put(text []byte) ([]byte, string) {
	lines := split(text)
	if at := e.find(lines); at >= 0 {
		return e.replace(lines, at)
	}
	exact, insert := e.places(lines)
	switch {
	case exact >= 0 && !e.backrefs:
		return e.replace(lines, exact)
	case e.backrefs:
		return text, ""
	case e.top:
		insert = 0
	case insert < 0:
		insert = len(lines)
	case !e.before && insert < len(lines) && same(lines[insert], e.line):
		return text, ""
	}
	lines = slices.Clone(lines)
	if insert == len(lines) && insert > 0 {
		lines[insert-1] = terminated(lines[insert-1])
	}
	lines = slices.Insert(lines, insert, terminated([]byte(e.line)))
	return bytes.Join(lines, nil), "line added"
}

// replace puts the line in the place of lines[at].
func (e *edit) replace(lines [][]byte, at int) ([]byte, string) {
	line := []byte(e.line)
	if e.backrefs && e.match != nil {
		src := body(lines[at])
		line = expand(e.template, src, e.match.FindSubmatchIndex(src))
	}
	line = terminated(line)
	if bytes.Equal(line, lines[at]) {
		return bytes.Join(lines, nil), ""
	}
	lines = slices.Clone(lines)
	lines[at] = line
	return bytes.Join(lines, nil), "line replaced"
}

func terminated(line []byte) []byte {
	if bytes.HasSuffix(line, []byte("\n")) {
		return line
	}
	return append(slices.Clip(line), '\n')
}

// remove takes out every line that matches.
func (e *edit) remove(text []byte) ([]byte, string) {
	var keep [][]byte
	gone := 0
	for _, l := range split(text) {
		hit := e.hits(l)
		if e.match == nil && e.search == nil {
			hit = same(l, e.line)
		}
		if hit {
			gone++
		} else {
			keep = append(keep, l)
		}
	}
	if gone == 0 {
		return text, ""
	}
	return bytes.Join(keep, nil), strconv.Itoa(gone) + " line(s) removed"
}

// piece is text, or the number of a group.
type piece struct {
	text  string
	group int
}

var groupName = regexp.MustCompile(`^\\g<([A-Za-z_0-9]+)>`)

// parseTemplate reads a replacement as Python's re does: \1 to \99, \g<1>,
// \g<name>, \n, \t, \r, \\.
func parseTemplate(s string, re *regexp.Regexp) ([]piece, error) {
	var out []piece
	group := func(n int) error {
		if n > re.NumSubexp() {
			return fmt.Errorf(`"line" names group %d; "regexp" has %d`, n, re.NumSubexp())
		}
		out = append(out, piece{group: n})
		return nil
	}
	for s != "" {
		text, rest, found := strings.Cut(s, `\`)
		if text != "" {
			out = append(out, piece{text: text, group: -1})
		}
		if !found {
			break
		}
		var err error
		if m := groupName.FindStringSubmatch(`\` + rest); m != nil {
			n, bad := strconv.Atoi(m[1])
			if bad != nil {
				if n = re.SubexpIndex(m[1]); n < 0 {
					return nil, fmt.Errorf(`"line" names group %q, which "regexp" has not`, m[1])
				}
			}
			s = rest[len(m[0])-1:]
			err = group(n)
		} else {
			s, err = escape(rest, &out, group)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// escape reads what follows a backslash.
func escape(rest string, out *[]piece, group func(int) error) (string, error) {
	if rest == "" {
		return "", fmt.Errorf(`"line" ends in a backslash; with backrefs write \\`)
	}
	c := rest[0]
	if c >= '1' && c <= '9' {
		n := 1
		if len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9' {
			n = 2
		}
		g, err := strconv.Atoi(rest[:n])
		if err != nil {
			return "", err
		}
		return rest[n:], group(g)
	}
	plain, ok := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': `\`}[c]
	if !ok {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '0' {
			return "", fmt.Errorf(`"line" has the unknown escape \%c; with backrefs write \\%c`, c, c)
		}
		plain = `\` + string(c) // Python keeps other escapes as they stand
	}
	*out = append(*out, piece{text: plain, group: -1})
	return rest[1:], nil
}

// expand fills the groups of one match; a group that took no part is empty.
func expand(template []piece, src []byte, at []int) []byte {
	var out []byte
	for _, p := range template {
		switch {
		case p.group < 0:
			out = append(out, p.text...)
		case at[2*p.group] >= 0:
			out = append(out, src[at[2*p.group]:at[2*p.group+1]]...)
		}
	}
	return out
}
