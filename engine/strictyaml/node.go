// Package strictyaml reads YAML the way dayops wants it read: one document,
// every mistake with its place, Ansible's meaning of yes and 0644, and a strict
// walk against Go types that serves decoding, defaults and documentation. It is
// the only package that imports the YAML library.
package strictyaml

import "github.com/dayops/dayops/engine/source"

// Kind tells what a Node holds.
type Kind int

const (
	Null Kind = iota
	Scalar
	Map
	Seq
)

// Node is one value of a YAML file, or a value made by rendering a template
// that stood there; it keeps the place in the file either way. Aliases and
// merge keys are already resolved. A Node is never changed after it was made.
type Node struct {
	Kind  Kind
	Pos   source.Pos
	Line  string // text of the source line at Pos, for Mistakes
	Value any    // of a Scalar: string, bool, int64, float64, as Ansible (YAML 1.1) reads it
	Raw   string // of a Scalar: the text as written; needed for modes and versions (0644, 1.10)
	Quote bool   // of a Scalar: it was quoted or a block, so Value is a string
	Tag   string // explicit tag such as "!vault"; "" when there was none
	Pairs []Pair // of a Map, in the order of the file
	Items []*Node
}

// Pair is one entry of a Map. Keys are strings; Parse refuses others.
type Pair struct {
	Key   string
	KeyAt *Node // the key itself, for its place
	Value *Node
}

// Get returns the value of key, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Pairs {
		if n.Pairs[i].Key == key {
			return n.Pairs[i].Value
		}
	}
	return nil
}

// Keys lists a Map's keys in the order of the file.
func (n *Node) Keys() []string {
	keys := make([]string, len(n.Pairs))
	for i, p := range n.Pairs {
		keys[i] = p.Key
	}
	return keys
}

// Mistake makes a mistake at this node's place, underlining its raw text, with
// its quotes.
func (n *Node) Mistake(text, hint string) *source.Mistake {
	if n == nil {
		return &source.Mistake{Text: text, Hint: hint}
	}
	return &source.Mistake{Pos: n.Pos, Line: n.Line, Len: n.width(), Text: text, Hint: hint}
}

func (n *Node) width() int {
	line := []rune(n.Line)
	if !n.Quote || n.Pos.Col < 1 || n.Pos.Col > len(line) {
		return len([]rune(n.Raw))
	}
	switch line[n.Pos.Col-1] {
	case '"', '\'':
		return len([]rune(n.Raw)) + 2
	case '|', '>':
		return 1
	}
	return len([]rune(n.Raw))
}

// Any gives plain data: nil, string, bool, int64, float64, []any and
// map[string]any. The order of maps is lost.
func (n *Node) Any() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Scalar:
		return n.Value
	case Map:
		m := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			m[p.Key] = p.Value.Any()
		}
		return m
	case Seq:
		s := make([]any, len(n.Items))
		for i, it := range n.Items {
			s[i] = it.Any()
		}
		return s
	}
	return nil
}

// Render returns a copy of the tree in which every Scalar for which f gives
// ok is replaced by the plain value that f returns (a map or list becomes a
// Map or Seq), at the same place. It collects f's errors through report and
// goes on.
func (n *Node) Render(f func(*Node) (value any, ok bool, err error), report func(*Node, error)) *Node {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Scalar:
		v, ok, err := f(n)
		if err != nil {
			report(n, err)
			return n
		}
		if !ok {
			return n
		}
		return fromAny(v, n)
	case Map:
		c := *n
		c.Pairs = make([]Pair, len(n.Pairs))
		for i, p := range n.Pairs {
			c.Pairs[i] = Pair{Key: p.Key, KeyAt: p.KeyAt, Value: p.Value.Render(f, report)}
		}
		return &c
	case Seq:
		c := *n
		c.Items = make([]*Node, len(n.Items))
		for i, it := range n.Items {
			c.Items[i] = it.Render(f, report)
		}
		return &c
	}
	return n
}
