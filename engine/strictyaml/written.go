package strictyaml

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/dayops/dayops/engine/source"
)

// Written is a node as it stands in the text, for those who edit the text:
// aliases are not followed and merge keys are not merged. Offsets are bytes
// into the text that was given.
type Written struct {
	Kind  Kind
	Style byte // of a Scalar: 0 plain, or ' " | >; of a Map or Seq: 0 block, or { [
	Tied  bool // has an anchor or a tag, or is an alias: Start is that of the mark, and End is not known
	Value string
	Line  int // counted from 0
	Start int // its first byte; of no use when there is no text (an empty Null)
	End   int // of a scalar: behind its last byte; -1 where it takes several lines or cannot be told
	Keys  []*Written
	Items []*Written // of a Map: the values, one for each key
}

// Get gives the key of that name and its value; nil when there is none, or
// when it is there twice.
func (w *Written) Get(key string) (at, value *Written) {
	if w == nil || w.Kind != Map {
		return nil, nil
	}
	for i, k := range w.Keys {
		if k.Kind == Scalar && !k.Tied && k.Value == key {
			if at != nil {
				return nil, nil
			}
			at, value = k, w.Items[i]
		}
	}
	return at, value
}

// Merges tells whether a Map takes keys from elsewhere through <<.
func (w *Written) Merges() bool {
	return slices.ContainsFunc(w.Keys, func(k *Written) bool { return k.Value == "<<" && k.Style == 0 })
}

// Empty tells whether nothing stands where the value would be.
func (w *Written) Empty() bool { return w.Kind == Null && !w.Tied && w.Value == "" }

// ParseWritten reads a text that Parse can read. Its lines end in \n or \r\n; a
// text with other line breaks of YAML 1.1 is refused, so that lines mean the
// same to every editor. The error is a source.List.
func ParseWritten(file, s string) (*Written, error) {
	if _, err := Parse(file, []byte(s)); err != nil {
		return nil, err
	}
	var ms source.Mistakes
	t := newText(file, []byte(s), &ms)
	w := writer{text: s, bom: len(s) - len(t.s)}
	for i, line := range t.lines {
		w.starts = append(w.starts, w.next(i, len(line)))
	}
	if len(t.lines) != strings.Count(t.s, "\n")+1 {
		ms.Add(&source.Mistake{Pos: source.Pos{File: file}, Text: "the file has line breaks that only YAML 1.1 knows", Hint: "let its lines end in \\n"})
		return nil, ms.Err()
	}
	doc, _, err := decodeTwo(strings.NewReader(t.s))
	if err != nil {
		ms.Add(t.syntax(err))
		return nil, ms.Err()
	}
	if doc == nil || len(doc.Content) == 0 {
		return &Written{}, nil
	}
	return w.node(doc.Content[0]), nil
}

// writer turns the library's tree into places of the text.
type writer struct {
	text   string
	bom    int
	starts []int // of lines
	end    int   // of the line before, with its break
}

func (w *writer) next(i, length int) int {
	start := w.end
	if i == 0 {
		start = w.bom
	}
	w.end = start + length
	if strings.HasPrefix(w.text[w.end:], "\r\n") {
		w.end++
	}
	if w.end < len(w.text) {
		w.end++
	}
	return start
}

func (w *writer) node(y *yaml.Node) *Written {
	n := &Written{Value: y.Value, Line: max(y.Line-1, 0), End: -1,
		Tied: y.Anchor != "" || y.Kind == yaml.AliasNode || y.Style&yaml.TaggedStyle != 0}
	n.Line = min(n.Line, len(w.starts)-1)
	n.Start = w.offset(n.Line, y.Column-1)
	switch y.Kind {
	case yaml.ScalarNode:
		n.Kind, n.Style = Scalar, scalarStyle(y)
		if !quoted(y) && !n.Tied && resolve(y.Value) == nil {
			n.Kind = Null
		}
		if !n.Tied {
			n.End = w.scalarEnd(n)
		}
	case yaml.SequenceNode:
		n.Kind = Seq
		if y.Style&yaml.FlowStyle != 0 {
			n.Style = '['
		}
		for _, c := range y.Content {
			n.Items = append(n.Items, w.node(c))
		}
	case yaml.MappingNode:
		n.Kind = Map
		if y.Style&yaml.FlowStyle != 0 {
			n.Style = '{'
		}
		for i := 0; i+1 < len(y.Content); i += 2 {
			n.Keys = append(n.Keys, w.node(y.Content[i]))
			n.Items = append(n.Items, w.node(y.Content[i+1]))
		}
	}
	return n
}

// offset is the place of a character that stands so many characters into a line.
func (w *writer) offset(line, chars int) int {
	off := w.starts[line]
	for ; chars > 0 && off < len(w.text); chars-- {
		_, size := utf8.DecodeRuneInString(w.text[off:])
		off += size
	}
	return off
}

func scalarStyle(y *yaml.Node) byte {
	switch {
	case y.Style&yaml.DoubleQuotedStyle != 0:
		return '"'
	case y.Style&yaml.SingleQuotedStyle != 0:
		return '\''
	case y.Style&yaml.LiteralStyle != 0:
		return '|'
	case y.Style&yaml.FoldedStyle != 0:
		return '>'
	}
	return 0
}

func (w *writer) scalarEnd(n *Written) int {
	rest := w.text[n.Start:]
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	switch n.Style {
	case 0: // a plain scalar has no escapes, so on one line it is its own text
		if strings.HasPrefix(rest, n.Value) {
			return n.Start + len(n.Value)
		}
	case '"', '\'':
		if rest == "" || rest[0] != n.Style {
			return -1
		}
		for i := 1; i < len(rest); i++ {
			switch {
			case n.Style == '"' && rest[i] == '\\':
				i++
			case rest[i] != n.Style:
			case n.Style == '\'' && i+1 < len(rest) && rest[i+1] == '\'':
				i++
			default:
				return n.Start + i + 1
			}
		}
	}
	return -1
}
