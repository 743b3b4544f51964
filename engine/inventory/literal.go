package inventory

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

const literalDepth = 50

var (
	pyInt   = regexp.MustCompile(`^(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?0)*|[1-9](?:_?[0-9])*)`)
	pyFloat = regexp.MustCompile(`^(?:[0-9](?:_?[0-9])*)?(?:\.(?:[0-9](?:_?[0-9])*)?)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?`)
	pyName  = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_]*`)
)

// iniValue reads the value of an INI variable as Ansible does: what is a
// Python literal becomes that value, everything else is the text itself.
// cols gives the column of each character; at is used when text is empty.
func iniValue(text []rune, cols []int, at source.Pos, line string) *strictyaml.Node {
	p := &literal{text: text, cols: cols, at: at, line: line}
	if n, ok := p.whole(); ok {
		return n
	}
	n := p.node(0)
	n.Kind, n.Value, n.Raw = strictyaml.Scalar, string(text), string(text)
	return n
}

// literal parses what Python's ast.literal_eval takes, less complex numbers
// and integers beyond 64 bits, which stay text.
type literal struct {
	text  []rune
	cols  []int
	at    source.Pos
	line  string
	i     int
	depth int
}

func (p *literal) node(i int) *strictyaml.Node {
	pos := p.at
	if i < len(p.cols) {
		pos.Col = p.cols[i]
	}
	return &strictyaml.Node{Pos: pos, Line: p.line}
}

func (p *literal) scalar(i int, v any) *strictyaml.Node {
	n := p.node(i)
	n.Kind, n.Value, n.Raw = strictyaml.Scalar, v, string(p.text[i:p.i])
	return n
}

func (p *literal) space() {
	for p.i < len(p.text) && strings.ContainsRune(" \t\f", p.text[p.i]) {
		p.i++
	}
}

func (p *literal) next(r rune) bool {
	p.space()
	if p.i < len(p.text) && p.text[p.i] == r {
		p.i++
		return true
	}
	return false
}

// whole reads one value, or several with commas between them, up to the end
// or a comment.
func (p *literal) whole() (*strictyaml.Node, bool) {
	p.space()
	start := p.i
	n, ok := p.value()
	if !ok {
		return nil, false
	}
	if p.next(',') {
		items, ok := p.items(n, 0)
		if !ok {
			return nil, false
		}
		n = p.node(start)
		n.Kind, n.Items = strictyaml.Seq, items
	}
	p.space()
	return n, p.i == len(p.text) || p.text[p.i] == '#'
}

func (p *literal) value() (*strictyaml.Node, bool) {
	p.space()
	if p.i >= len(p.text) || p.depth >= literalDepth {
		return nil, false
	}
	p.depth++
	defer func() { p.depth-- }()
	start := p.i
	switch r := p.text[p.i]; {
	case r == '[':
		p.i++
		return p.seq(start, ']')
	case r == '(':
		p.i++
		return p.paren(start)
	case r == '{':
		p.i++
		return p.dict(start)
	case r == '+' || r == '-':
		p.i++
		return p.signed(start, r == '-')
	case r >= '0' && r <= '9' || r == '.':
		return p.number(start)
	}
	return p.word(start)
}

// items reads the rest of a list after its first item and comma.
func (p *literal) items(first *strictyaml.Node, end rune) ([]*strictyaml.Node, bool) {
	items := []*strictyaml.Node{first}
	for {
		p.space()
		if p.i == len(p.text) || p.text[p.i] == '#' {
			return items, end == 0
		}
		if end != 0 && p.next(end) {
			return items, true
		}
		n, ok := p.value()
		if !ok {
			return nil, false
		}
		items = append(items, n)
		if p.next(',') {
			continue
		}
		if end != 0 {
			return items, p.next(end)
		}
		return items, true
	}
}

func (p *literal) seq(start int, end rune) (*strictyaml.Node, bool) {
	n := p.node(start)
	n.Kind = strictyaml.Seq
	if p.next(end) {
		return n, true
	}
	first, ok := p.value()
	if !ok {
		return nil, false
	}
	if !p.next(',') {
		n.Items = []*strictyaml.Node{first}
		return n, p.next(end)
	}
	n.Items, ok = p.items(first, end)
	return n, ok
}

// paren is a tuple, which becomes a list, or a value in parentheses.
func (p *literal) paren(start int) (*strictyaml.Node, bool) {
	if p.next(')') {
		n := p.node(start)
		n.Kind = strictyaml.Seq
		return n, true
	}
	first, ok := p.value()
	if !ok {
		return nil, false
	}
	if p.next(')') {
		return first, true
	}
	if !p.next(',') {
		return nil, false
	}
	n := p.node(start)
	n.Kind = strictyaml.Seq
	n.Items, ok = p.items(first, ')')
	return n, ok
}

// dict is a dict, or a set, which becomes a list.
func (p *literal) dict(start int) (*strictyaml.Node, bool) {
	n, seen := p.node(start), map[string]int{}
	n.Kind = strictyaml.Map
	if p.next('}') {
		return n, true
	}
	for {
		key, ok := p.value()
		if !ok {
			return nil, false
		}
		if len(n.Pairs) == 0 && !p.next(':') {
			return p.set(n, key)
		} else if len(n.Pairs) > 0 && !p.next(':') {
			return nil, false
		}
		val, ok := p.value()
		if !ok || key.Kind == strictyaml.Map || key.Kind == strictyaml.Seq {
			return nil, false
		}
		addPair(n, seen, key, val)
		switch {
		case p.next('}'):
			return n, true
		case !p.next(','):
			return nil, false
		case p.next('}'):
			return n, true
		}
	}
}

func (p *literal) set(n, first *strictyaml.Node) (*strictyaml.Node, bool) {
	n.Kind = strictyaml.Seq
	if !p.next(',') {
		n.Items = []*strictyaml.Node{first}
		return n, p.next('}')
	}
	var ok bool
	n.Items, ok = p.items(first, '}')
	return n, ok
}

// addPair sets a key; the last of two equal keys wins, as in Python.
func addPair(n *strictyaml.Node, seen map[string]int, key, val *strictyaml.Node) {
	name := key.Raw
	if s, ok := key.Value.(string); ok {
		name = s
	}
	if i, ok := seen[name]; ok {
		n.Pairs[i] = strictyaml.Pair{Key: name, KeyAt: key, Value: val}
		return
	}
	seen[name] = len(n.Pairs)
	n.Pairs = append(n.Pairs, strictyaml.Pair{Key: name, KeyAt: key, Value: val})
}

func (p *literal) signed(start int, negative bool) (*strictyaml.Node, bool) {
	n, ok := p.value()
	if !ok {
		return nil, false
	}
	switch v := n.Value.(type) {
	case int64:
		if negative {
			v = -v
		}
		return p.scalar(start, v), true
	case float64:
		if negative {
			v = -v
		}
		return p.scalar(start, v), true
	}
	return nil, false
}

func (p *literal) number(start int) (*strictyaml.Node, bool) {
	end := start
	for end < len(p.text) && (wordChar(p.text[end]) && p.text[end] < 0x80 || strings.ContainsRune(".+-", p.text[end])) && end-start < 400 {
		end++
	}
	rest := string(p.text[start:end])
	whole, frac := pyInt.FindString(rest), pyFloat.FindString(rest)
	if len(frac) > len(whole) {
		if !strings.ContainsAny(frac, ".eE") || frac == "." {
			return nil, false // 0644: not a number in Python either
		}
		p.i = start + len(frac)
		v, err := strconv.ParseFloat(strings.ReplaceAll(frac, "_", ""), 64)
		return p.scalar(start, v), err == nil && p.ended()
	}
	p.i = start + len(whole)
	v, err := strconv.ParseInt(strings.ReplaceAll(whole, "_", ""), 0, 64)
	return p.scalar(start, v), whole != "" && err == nil && p.ended()
}

// ended tells that no letter or digit follows a number.
func (p *literal) ended() bool {
	return p.i == len(p.text) || !wordChar(p.text[p.i]) && p.text[p.i] != '.'
}

func wordChar(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
}

func (p *literal) word(start int) (*strictyaml.Node, bool) {
	name := []rune(pyName.FindString(string(p.text[start:min(len(p.text), start+8)])))
	after := start + len(name)
	if after < len(p.text) && (p.text[after] == '\'' || p.text[after] == '"') {
		return p.strings(start)
	}
	p.i = after
	switch string(name) {
	case "True":
		return p.scalar(start, true), p.ended()
	case "False":
		return p.scalar(start, false), p.ended()
	case "None":
		n := p.node(start)
		n.Raw = "None"
		return n, p.ended()
	}
	return nil, false
}
