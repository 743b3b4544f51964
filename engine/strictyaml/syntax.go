package strictyaml

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// syntax gives the library's error a place and words for a person. The library
// names a line at most, and that is not always the line at fault: its scanner's
// errors count from 1, its parser's from 0 and name the start of the
// enclosing block.
func (t *text) syntax(err error) *source.Mistake {
	m := yamlLine.FindStringSubmatch(strings.TrimSpace(err.Error()))
	what := m[2]
	line, _ := strconv.Atoi(m[1])
	switch {
	case strings.HasPrefix(what, "unknown anchor"):
		return t.unknownAnchor(what)
	case strings.HasPrefix(what, "did not find expected key"), strings.HasPrefix(what, "did not find expected '-' indicator"):
		line = t.firstBadLine(line + 1)
	case strings.HasPrefix(what, "did not find expected ',' or"), strings.HasPrefix(what, "did not find expected node content"):
		line++
	}
	line = min(max(line, 1), len(t.lines))
	// A tab breaks the block after the line that the scanner names.
	for _, l := range []int{line, line + 1} {
		if tab := tabIndent(t.line(l)); tab > 0 && tabBreaks.MatchString(what) {
			return t.mistake(l, tab, 1, "a tab in the indentation", "indent with spaces; YAML allows no tabs there")
		}
	}
	return t.explain(what, line)
}

func tabIndent(line string) int {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	return strings.IndexByte(indent, '\t') + 1
}

var tabBreaks = regexp.MustCompile(`tab character|cannot start any token|expected key|mapping values|expected ':'`)

func (t *text) unknownAnchor(what string) *source.Mistake {
	name := strings.TrimSuffix(strings.TrimPrefix(what, "unknown anchor '"), "' referenced")
	for i, line := range t.lines {
		if at := strings.Index(line, "*"+name); at >= 0 {
			return t.mistake(i+1, len([]rune(line[:at]))+1, len([]rune(name))+1, "no anchor &"+name+" above", `quote the value if a text that starts with * is meant`)
		}
	}
	return t.mistake(1, 1, 1, "no anchor &"+name+" above", "")
}

// firstBadLine finds the line at which the text stops being YAML: the one
// after the longest run of whole lines that can be read. from is where the
// library says that the enclosing block starts.
func (t *text) firstBadLine(from int) int {
	m := &meter{s: t.s}
	_, _, _ = decodeTwo(m)
	last := len(splitLines(t.s[:m.off]))
	budget := 4 << 20
	for l := last; l > max(from, 1); l-- {
		prefix := strings.Join(t.lines[:l-1], "\n") + "\n"
		if _, _, err := decodeTwo(strings.NewReader(prefix)); err == nil {
			return l
		}
		if budget -= len(prefix); budget < 0 {
			break
		}
	}
	return from
}

// meter hands out one byte at a time, which shows how far the library read.
type meter struct {
	s   string
	off int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.off >= len(m.s) || len(p) == 0 {
		return 0, io.EOF
	}
	p[0] = m.s[m.off]
	m.off++
	return 1, nil
}

const (
	bareTemplate     = "a value that starts with {{ and is not in quotes"
	bareTemplateHint = `put the whole value in quotes: "{{ name }}"`
)

var (
	openTemplate = regexp.MustCompile(`^[^"'#]*?(?::|-)\s+(\{\{)`)
	afterQuote   = regexp.MustCompile(`(?::|-)\s+("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*([^\s#,\]}])`)
	innerColon   = regexp.MustCompile(`:(?:\s|$)`)
	badStart     = regexp.MustCompile("(?:^|[:-]\\s+|[\\[,{]\\s*)([@`%\\t])")
	badEscape    = regexp.MustCompile(`\\[^0abt\tnvfre "/\\N_LPxuU]`)
)

// explain chooses column, text and hint for a syntax error on a line.
func (t *text) explain(what string, line int) *source.Mistake {
	s := t.line(line)
	at := func(byteOff, length int, what, hint string) *source.Mistake {
		return t.mistake(line, len([]rune(s[:byteOff]))+1, length, what, hint)
	}
	indent := len(s) - len(strings.TrimLeft(s, " \t"))
	whole := len([]rune(strings.TrimSpace(s)))
	if m := openTemplate.FindStringSubmatchIndex(s); m != nil {
		return at(m[2], 2, bareTemplate, bareTemplateHint)
	}
	switch {
	case strings.Contains(what, "mapping values are not allowed"):
		colons := innerColon.FindAllStringIndex(s, -1)
		if len(colons) > 1 {
			return at(colons[1][0], 1, `": " inside a value that is not in quotes`, "put the whole value in quotes")
		}
		return at(indent, whole, "this line is indented as if it belonged to the value above", "indent it like its neighbours, or end the line above with a colon")
	case strings.Contains(what, "cannot start any token"):
		if m := badStart.FindStringSubmatchIndex(s); m != nil {
			if s[m[2]] == '\t' {
				return at(m[2], 1, "a tab where YAML wants spaces", "replace it with spaces")
			}
			return at(m[2], 1, "a value cannot start with "+s[m[2]:m[3]], "put the value in quotes")
		}
	case strings.Contains(what, "found unexpected end of stream"), strings.Contains(what, "unexpected document indicator"):
		if i := strings.IndexAny(s, `"'`); i >= 0 {
			return at(i, 1, "a quote that is never closed", "")
		}
		return at(indent, whole, "the file ends in the middle of a value", "close the quote or bracket")
	case strings.Contains(what, "expected ',' or"):
		for l := line; l > max(0, line-50); l-- {
			if i := openBracket(t.line(l)); i >= 0 {
				return t.mistake(l, len([]rune(t.line(l)[:i]))+1, 1, "a bracket that is never closed, or an entry after it without a comma", "")
			}
		}
	case strings.Contains(what, "unknown escape"):
		if m := badEscape.FindStringIndex(s); m != nil {
			return at(m[0], 2, "an escape that YAML does not know", `write \\ for a backslash, or use single quotes`)
		}
	case strings.Contains(what, "exceeded max depth"):
		return at(indent, 1, fmt.Sprintf("nested more than %d levels deep", MaxDepth), "")
	case strings.Contains(what, "could not find expected ':'"):
		return t.missingColon(line)
	case strings.Contains(what, "expected key"), strings.Contains(what, "'-' indicator"):
		if m := afterQuote.FindStringSubmatchIndex(s); m != nil {
			return at(m[4], 1, "text after the closing quote", "put the whole value in one pair of quotes")
		}
		return at(indent, whole, "this line does not fit the lines above it", "indent it like its neighbours; in a list every entry starts with -")
	}
	return at(indent, whole, "YAML syntax: "+what, "")
}

// openBracket finds the first bracket of a line that a wrong one closes, or
// else the last that none closes; -1 if there is none.
func openBracket(s string) int {
	var open []int
	quote := byte(0)
	for i := range len(s) {
		c := s[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '{':
			open = append(open, i)
		case (c == ']' || c == '}') && len(open) > 0:
			last := open[len(open)-1]
			if (s[last] == '[') != (c == ']') {
				return last
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[len(open)-1]
}

// missingColon finds the line that has a key but no colon: the named one or
// one just above.
func (t *text) missingColon(line int) *source.Mistake {
	for l := line; l > max(0, line-3); l-- {
		s := t.line(l)
		trimmed := strings.TrimSpace(s)
		if trimmed != "" && !strings.HasPrefix(trimmed, "#") && !innerColon.MatchString(s) {
			indent := len(s) - len(strings.TrimLeft(s, " \t"))
			return t.mistake(l, indent+1, len([]rune(trimmed)), "a key without a colon", `write "key: value"`)
		}
	}
	return t.mistake(line, 1, 1, "a key without a colon", `write "key: value"`)
}
