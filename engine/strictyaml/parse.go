package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/dayops/dayops/engine/source"
)

// Limits of one file. Larger files are refused, not cut.
const (
	MaxBytes = 8 << 20
	MaxDepth = 100
	MaxNodes = 1_000_000 // after aliases and merge keys are expanded
)

// Parse reads one document. The error is a source.List of everything that is
// wrong with the text itself: syntax, a tab, a duplicate key, a key that is not
// a string, a second document, not UTF-8, over the limits. An empty file gives
// a Null node.
//
// Scalars are read as Ansible (YAML 1.1, PyYAML) reads them, with two
// exceptions: timestamps and base-60 numbers (22:22) stay strings, and 0o644 is
// a number. Keys that look like numbers are taken as written.
func Parse(file string, data []byte) (*Node, error) {
	var ms source.Mistakes
	t := newText(file, data, &ms)
	if ms.Len() > 0 {
		return nil, ms.Err()
	}
	doc, second, err := decodeTwo(strings.NewReader(t.s))
	if err != nil {
		ms.Add(t.syntax(err))
		return nil, ms.Err()
	}
	if second > 0 {
		ms.Add(t.mistake(second, 1, 3, "a second document in one file", "keep one document to a file, and remove this ---"))
	}
	if doc == nil || len(doc.Content) == 0 {
		return &Node{Pos: source.Pos{File: file, Line: 1, Col: 1}, Line: t.line(1)}, ms.Err()
	}
	c := converter{text: t, ms: &ms, done: map[*yaml.Node]converted{}}
	n := c.node(doc.Content[0], 1).node
	if err := ms.Err(); err != nil {
		return nil, err
	}
	return n, nil
}

// decodeTwo reads the first document and tells on which line a second one
// starts, 0 when there is none.
func decodeTwo(r io.Reader) (doc *yaml.Node, second int, err error) {
	// The library panics on some states that it believes impossible.
	defer func() {
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("yaml: %v", p)
		}
	}()
	d := yaml.NewDecoder(r)
	var first, next yaml.Node
	switch err := d.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	}
	switch err := d.Decode(&next); {
	case errors.Is(err, io.EOF):
		return &first, 0, nil
	case err != nil:
		return nil, 0, err
	}
	return &first, max(next.Line, 1), nil
}

// text is a file that passed the checks made before the YAML library sees it.
type text struct {
	file  string
	s     string
	lines []string
}

func newText(file string, data []byte, ms *source.Mistakes) *text {
	t := &text{file: file}
	if len(data) > MaxBytes {
		ms.Add(&source.Mistake{Pos: source.Pos{File: file}, Text: fmt.Sprintf("the file has %d bytes; the limit is %d", len(data), MaxBytes), Hint: "split it into several files"})
		return t
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		ms.Add(&source.Mistake{Pos: source.Pos{File: file, Line: 1, Col: 1}, Text: "the file is UTF-16, not UTF-8", Hint: "save it as UTF-8: iconv -f UTF-16 -t UTF-8"})
		return t
	}
	data = bytes.TrimPrefix(data, []byte{0xef, 0xbb, 0xbf})
	t.s = string(data)
	t.lines = splitLines(t.s)
	if m := t.badCharacter(); m != nil {
		ms.Add(m)
		return t
	}
	if n := strings.Count(t.s, ",") + strings.Count(t.s, ":") + len(t.lines); n > MaxNodes {
		ms.Add(&source.Mistake{Pos: source.Pos{File: file}, Text: fmt.Sprintf("the file has too many values; the limit is %d", MaxNodes), Hint: "split it into several files"})
	}
	return t
}

// splitLines cuts where YAML 1.1 sees line breaks, so that line numbers agree.
func splitLines(s string) []string {
	var lines []string
	start := 0
	for i, r := range s {
		if i < start {
			continue
		}
		switch r {
		case '\r':
			lines = append(lines, s[start:i])
			start = i + 1
			if strings.HasPrefix(s[start:], "\n") {
				start++
			}
		case '\n':
			lines = append(lines, s[start:i])
			start = i + 1
		case '\u0085':
			lines = append(lines, s[start:i])
			start = i + 2
		case '\u2028', '\u2029':
			lines = append(lines, s[start:i])
			start = i + 3
		}
	}
	return append(lines, s[start:])
}

// badCharacter finds the first byte that is not UTF-8, or the first control
// character.
func (t *text) badCharacter() *source.Mistake {
	for i, line := range t.lines {
		col := 0
		for off, r := range line {
			col++
			switch {
			case r == '\ufffd' && !strings.HasPrefix(line[off:], "\ufffd"):
				return t.mistake(i+1, col, 1, fmt.Sprintf("byte 0x%02x is not UTF-8", line[off]), "save the file as UTF-8")
			case r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0:
				return t.mistake(i+1, col, 1, fmt.Sprintf("control character U+%04X", r), `remove it, or write it inside double quotes as "\x`+fmt.Sprintf("%02x", r)+`"`)
			}
		}
	}
	return nil
}

func (t *text) line(n int) string {
	if n < 1 || n > len(t.lines) {
		return ""
	}
	return t.lines[n-1]
}

func (t *text) mistake(line, col, length int, what, hint string) *source.Mistake {
	return &source.Mistake{
		Pos:  source.Pos{File: t.file, Line: line, Col: col},
		Line: strings.ToValidUTF8(t.line(line), "?"), Len: length, Text: what, Hint: hint,
	}
}
