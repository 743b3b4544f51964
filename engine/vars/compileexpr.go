package vars

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/strictyaml"
)

// compileExpr reads a scalar as a bare expression.
func compileExpr(n *strictyaml.Node) (*Template, error) {
	s, ok := n.Value.(string)
	if !ok {
		return &Template{place: placer{node: n}, expr: &constant{n.Any()}}, nil
	}
	t := &Template{place: placer{node: n, src: s}, maxOut: maxExprOutput}
	if err := t.compileBare(s); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Template) compileBare(s string) (err error) {
	defer func() { err = t.place.recovered(recover(), err) }()
	if len(s) > maxExprSource {
		return t.place.mistake(&syntaxError{text: fmt.Sprintf("the expression is longer than %d KiB", maxExprSource>>10)})
	}
	if i := braces(s); i >= 0 {
		return t.place.mistake(&syntaxError{at: i, end: i + 2, text: "a condition is an expression already", hint: "write it without {{ }}"})
	}
	toks, serr := lexExpr(s)
	if serr != nil {
		return t.place.mistake(serr)
	}
	p := &exprParser{s: tokens.NewStream(toks)}
	t.expr, err = p.parse(func() nodes.Expression {
		e := p.tuple()
		p.end()
		return e
	})
	if err != nil {
		return t.place.mistake(asSyntax(err))
	}
	t.refs, serr = readNames([]nodes.Node{&outputNode{Value: t.expr}}, &t.place)
	if serr != nil {
		return t.place.mistake(serr)
	}
	return nil
}

// braces finds {{ or {% outside quotes.
func braces(s string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' || s[i] == '"':
			end := strings.IndexByte(s[i+1:], s[i])
			if end < 0 {
				return -1
			}
			i += end + 1
		case strings.HasPrefix(s[i:], "{{") || strings.HasPrefix(s[i:], "{%"):
			return i
		}
	}
	return -1
}
