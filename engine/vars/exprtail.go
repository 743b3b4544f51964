package vars

import (
	"strconv"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/source"
)

// postfix reads .name, [index], [from:to] and (arguments).
func (p *exprParser) postfix(n nodes.Expression) nodes.Expression {
	for count := 0; ; p.chain(&count) {
		at := p.s.Current()
		switch at.Type {
		case tokens.Dot:
			p.s.Next()
			n = p.attribute(at, n)
		case tokens.LeftBracket:
			p.s.Next()
			n = p.subscript(at, n)
		case tokens.LeftParenthesis:
			p.s.Next()
			n = p.call(at, n)
		default:
			return n
		}
	}
}

func (p *exprParser) attribute(at *tokens.Token, n nodes.Expression) nodes.Expression {
	t := p.s.Current()
	switch t.Type {
	case tokens.Integer:
		p.s.Next()
		i, _ := strconv.Atoi(t.Val)
		return &nodes.GetAttribute{Location: t, Node: n, Index: i}
	case tokens.Name, tokens.In, tokens.Is, tokens.And, tokens.Or, tokens.Not:
		p.s.Next()
		return &nodes.GetAttribute{Location: t, Node: n, Attribute: t.Val}
	}
	p.fail(`expected a name after ".", found `+p.found(), "")
	return nil
}

func (p *exprParser) subscript(at *tokens.Token, n nodes.Expression) nodes.Expression {
	defer p.deeper()()
	var parts [3]nodes.Node
	i, slice := 0, false
	for {
		if p.take(tokens.RightBracket) != nil {
			break
		}
		if p.take(tokens.Colon) != nil {
			if slice = true; i == 2 {
				p.fail("too many parts in a slice", "")
			}
			i++
			continue
		}
		if parts[i] != nil {
			p.fail(`expected "]", found `+p.found(), "")
		}
		parts[i] = p.tuple()
	}
	switch {
	case slice:
		return &nodes.GetSlice{Location: at, Node: n, Start: parts[0], End: parts[1], Step: parts[2]}
	case parts[0] == nil:
		panic(errAt(at, "empty brackets", "put an index or a key between them"))
	}
	return &nodes.GetItem{Location: at, Node: n, Arg: parts[0]}
}

func (p *exprParser) call(at *tokens.Token, fn nodes.Expression) nodes.Expression {
	c := &nodes.Call{Location: at, Func: fn}
	c.Args, c.Kwargs = p.args()
	if name, ok := fn.(*nodes.Name); ok {
		c.Location = name.Name
	}
	return c
}

// args reads arguments after "(" up to and with ")".
func (p *exprParser) args() (args []nodes.Expression, kwargs map[string]nodes.Expression) {
	defer p.deeper()()
	for !p.is(tokens.RightParenthesis) {
		if p.is(tokens.Multiply, tokens.Power) {
			p.fail("* and ** arguments are not supported", "")
		}
		if t := p.s.Current(); t.Type == tokens.Name && p.s.Peek() != nil && p.s.Peek().Type == tokens.Assign {
			p.s.Next()
			p.s.Next()
			if kwargs == nil {
				kwargs = map[string]nodes.Expression{}
			}
			if kwargs[t.Val] != nil {
				panic(errAt(t, `argument "`+t.Val+`" is given twice`, ""))
			}
			kwargs[t.Val] = p.expr()
		} else {
			args = append(args, p.expr())
		}
		if p.take(tokens.Comma) == nil {
			break
		}
	}
	p.want(tokens.RightParenthesis, `")"`)
	return args, kwargs
}

// filters reads `| filter` and `is test`, which bind tighter than operators.
func (p *exprParser) filters(n nodes.Expression) nodes.Expression {
	for count := 0; ; p.chain(&count) {
		switch {
		case p.take(tokens.Pipe) != nil:
			n = p.filter(n)
		case p.is(tokens.Is):
			n = p.test(n)
		case p.is(tokens.LeftParenthesis):
			n = p.call(p.s.Next(), n)
		default:
			return n
		}
	}
}

// dotted reads a name with dots; collections' prefixes of builtins are dropped.
func (p *exprParser) dotted(what string) *tokens.Token {
	t := p.s.Current()
	if t.Type != tokens.Name && t.Type != tokens.In {
		p.fail("expected the name of a "+what+", found "+p.found(), "")
	}
	p.s.Next()
	name := *t
	for p.take(tokens.Dot) != nil {
		name.Val += "." + p.want(tokens.Name, "a name").Val
	}
	name.Val = trimBuiltin(name.Val)
	return &name
}

func (p *exprParser) filter(n nodes.Expression) nodes.Expression {
	t := p.dotted("filter")
	f := &nodes.FilterCall{Token: t, Name: t.Val}
	if _, ok := builtin.filters[t.Val]; !ok {
		panic(errAt(t, `unknown filter "`+t.Val+`"`, nearest(t.Val, filterNames())))
	}
	if p.take(tokens.LeftParenthesis) != nil {
		f.Args, f.Kwargs = p.args()
	}
	checkNamedCallee(t.Val, f.Args)
	return &nodes.FilteredExpression{Expression: n, Filters: []*nodes.FilterCall{f}}
}

// checkNamedCallee finds unknown filters and tests that are named in strings:
// map('uper'), select('mach', ...), selectattr('a', 'defned').
func checkNamedCallee(filter string, args []nodes.Expression) {
	i, what, known := 0, "test", testNames
	switch filter {
	case "map":
		what, known = "filter", filterNames
	case "select", "reject":
	case "selectattr", "rejectattr":
		i = 1
	default:
		return
	}
	if i >= len(args) {
		return
	}
	s, ok := args[i].(*nodes.String)
	if !ok {
		return
	}
	for _, k := range known() {
		if k == trimBuiltin(s.Val) {
			return
		}
	}
	panic(errAt(s.Location, "unknown "+what+` "`+s.Val+`"`, nearest(s.Val, known())))
}

func (p *exprParser) test(n nodes.Expression) nodes.Expression {
	p.s.Next()
	not := p.take(tokens.Not)
	t := p.dotted("test")
	call := &nodes.TestCall{Token: t, Name: t.Val}
	if _, ok := builtin.tests[t.Val]; !ok {
		panic(errAt(t, `unknown test "`+t.Val+`"`, nearest(t.Val, testNames())))
	}
	cur := p.s.Current()
	switch cur.Type {
	case tokens.LeftParenthesis:
		p.s.Next()
		call.Args, call.Kwargs = p.args()
	case tokens.Name:
		if cur.Val == "else" || cur.Val == "if" || cur.Val == "recursive" {
			break
		}
		call.Args = []nodes.Expression{p.postfix(p.primary())}
	case tokens.String, tokens.Integer, tokens.Float, tokens.LeftBracket, tokens.LeftBrace:
		call.Args = []nodes.Expression{p.postfix(p.primary())}
	}
	if p.is(tokens.Is) {
		p.fail("two tests in a row", `join them with "and"`)
	}
	n = &nodes.TestExpression{Expression: n, Test: call}
	if not != nil {
		n = &nodes.Negation{Operator: not, Term: n}
	}
	return n
}

func trimBuiltin(name string) string {
	const prefix = "ansible.builtin."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):]
	}
	return name
}

func nearest(name string, known []string) string {
	if h := source.DidYouMean(name, known); h != "" {
		return h
	}
	return "dayops doc variables lists what there is"
}
