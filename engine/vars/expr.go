package vars

import (
	"strconv"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// maxDepth bounds how deeply expressions and blocks may nest, maxChain how
// many operators or filters may follow one another without brackets.
const (
	maxDepth = 50
	maxChain = 1000
)

// exprParser reads Jinja's expression grammar (jinja2/parser.py) into gonja's
// nodes. gonja's own parser does not nest "a if b else c", takes only one
// operand after "in" and "is", so that `x in y | default([])` filters the
// result of "in", and skips missing commas.
//
// Methods panic with *syntaxError; parse catches it.
type exprParser struct {
	s     *tokens.Stream
	depth int
}

// parse runs f and turns its panic into an error.
func (p *exprParser) parse(f func() nodes.Expression) (n nodes.Expression, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *syntaxError:
			err = e
		default:
			panic(e)
		}
	}()
	return f(), nil
}

func (p *exprParser) fail(text, hint string) {
	panic(errAt(p.s.Current(), text, hint))
}

func (p *exprParser) is(types ...tokens.Type) bool {
	for _, t := range types {
		if p.s.Current().Type == t {
			return true
		}
	}
	return false
}

func (p *exprParser) take(t tokens.Type) *tokens.Token {
	if p.s.Current().Type != t {
		return nil
	}
	return p.s.Next()
}

func (p *exprParser) word(w string) *tokens.Token {
	if c := p.s.Current(); c.Type == tokens.Name && c.Val == w {
		return p.s.Next()
	}
	return nil
}

func (p *exprParser) want(t tokens.Type, what string) *tokens.Token {
	tok := p.take(t)
	if tok == nil {
		p.fail("expected "+what+", found "+p.found(), "")
	}
	return tok
}

func (p *exprParser) found() string {
	if c := p.s.Current(); c.Type != tokens.EOF && c.Val != "" {
		return `"` + c.Val + `"`
	}
	return "the end"
}

func (p *exprParser) end() {
	if !p.s.EOF() {
		p.fail("unexpected "+p.found()+" after the expression", "")
	}
}

// deeper guards a recursive step; call the result when done.
func (p *exprParser) deeper() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail("expression nested too deeply", "")
	}
	return func() { p.depth-- }
}

func (p *exprParser) chain(n *int) {
	if *n++; *n > maxChain {
		p.fail("expression too long", "split it")
	}
}

// expr is the whole grammar: a if b else c.
func (p *exprParser) expr() nodes.Expression {
	defer p.deeper()()
	n := p.or()
	for count := 0; ; p.chain(&count) {
		at := p.word("if")
		if at == nil {
			return n
		}
		c := &condExpr{at: at, Then: n, Cond: p.or()}
		if p.word("else") != nil {
			c.Else = p.expr()
		}
		n = c
	}
}

// tuple is one expression, or several with commas between.
func (p *exprParser) tuple() nodes.Expression {
	n := p.expr()
	if !p.is(tokens.Comma) {
		return n
	}
	t := &nodes.Tuple{Location: p.s.Current(), Val: []nodes.Expression{n}}
	for p.take(tokens.Comma) != nil && !p.s.EOF() && !p.is(tokens.RightParenthesis) {
		t.Val = append(t.Val, p.expr())
	}
	return t
}

// binary reads operands of next joined by the given operators, left to right.
func (p *exprParser) binary(next func() nodes.Expression, ops ...tokens.Type) nodes.Expression {
	left := next()
	for count := 0; p.is(ops...); p.chain(&count) {
		op := p.s.Next()
		left = &nodes.BinaryExpression{Left: left, Operator: &nodes.BinOperator{Token: op}, Right: next()}
	}
	return left
}

func (p *exprParser) or() nodes.Expression  { return p.binary(p.and, tokens.Or) }
func (p *exprParser) and() nodes.Expression { return p.binary(p.not, tokens.And) }

func (p *exprParser) not() nodes.Expression {
	if op := p.take(tokens.Not); op != nil {
		defer p.deeper()()
		return &nodes.Negation{Operator: op, Term: p.not()}
	}
	return p.compare()
}

func (p *exprParser) compare() nodes.Expression {
	c := &compareExpr{First: p.sum()}
	for count := 0; ; p.chain(&count) {
		op := compareOp{at: p.s.Current()}
		switch {
		case p.is(tokens.Equals, tokens.Ne, tokens.GreaterThan, tokens.GreaterThanOrEqual, tokens.LowerThan, tokens.LowerThanOrEqual, tokens.In):
			p.s.Next()
		case p.is(tokens.Not) && p.s.Peek() != nil && p.s.Peek().Type == tokens.In:
			p.s.Next()
			op = compareOp{at: p.s.Next(), not: true}
		case len(c.Ops) == 0:
			return c.First
		default:
			return c
		}
		c.Ops = append(c.Ops, op)
		c.Rest = append(c.Rest, p.sum())
	}
}

func (p *exprParser) sum() nodes.Expression {
	return p.binary(p.concat, tokens.Addition, tokens.Subtraction)
}
func (p *exprParser) concat() nodes.Expression { return p.binary(p.product, tokens.Tilde) }
func (p *exprParser) product() nodes.Expression {
	return p.binary(p.power, tokens.Multiply, tokens.Division, tokens.FloorDivision, tokens.Modulo)
}
func (p *exprParser) power() nodes.Expression {
	return p.binary(func() nodes.Expression { return p.unary(true) }, tokens.Power)
}

func (p *exprParser) unary(filters bool) nodes.Expression {
	var n nodes.Expression
	if p.is(tokens.Subtraction, tokens.Addition) {
		defer p.deeper()()
		op := p.s.Next()
		n = &nodes.UnaryExpression{Operator: op, Negative: op.Type == tokens.Subtraction, Term: p.unary(false)}
	} else {
		n = p.primary()
	}
	n = p.postfix(n)
	if filters {
		n = p.filters(n)
	}
	return n
}

func (p *exprParser) primary() nodes.Expression {
	t := p.s.Current()
	switch t.Type {
	case tokens.Name:
		p.s.Next()
		return nameNode(t)
	case tokens.String:
		p.s.Next()
		val := t.Val
		for p.is(tokens.String) { // neighbours join, as in Python
			val += p.s.Next().Val
		}
		return &nodes.String{Location: t, Val: val}
	case tokens.Integer:
		p.s.Next()
		v, _ := strconv.Atoi(t.Val)
		return &nodes.Integer{Location: t, Val: v}
	case tokens.Float:
		p.s.Next()
		v, _ := strconv.ParseFloat(t.Val, 64)
		return &nodes.Float{Location: t, Val: v}
	case tokens.LeftParenthesis, tokens.LeftBracket, tokens.LeftBrace:
		defer p.deeper()()
		return p.bracketed()
	}
	p.fail("expected a value, found "+p.found(), valueHint(t))
	return nil
}

func valueHint(t *tokens.Token) string {
	switch t.Type {
	case tokens.Assign:
		return `compare with "=="`
	case tokens.EOF:
		return "something is missing at the end"
	}
	return ""
}

func nameNode(t *tokens.Token) nodes.Expression {
	switch t.Val {
	case "true", "True":
		return &nodes.Bool{Location: t, Val: true}
	case "false", "False":
		return &nodes.Bool{Location: t, Val: false}
	case "none", "None":
		return &nodes.None{Location: t}
	}
	return &nodes.Name{Name: t}
}

func (p *exprParser) bracketed() nodes.Expression {
	open := p.s.Next()
	switch open.Type {
	case tokens.LeftParenthesis:
		if p.take(tokens.RightParenthesis) != nil {
			return &nodes.Tuple{Location: open}
		}
		n := p.tuple()
		p.want(tokens.RightParenthesis, `")"`)
		return n
	case tokens.LeftBracket:
		return &nodes.List{Location: open, Val: p.list(tokens.RightBracket, `"]"`)}
	}
	d := &nodes.Dict{Token: open}
	for !p.is(tokens.RightBrace) {
		key := p.expr()
		p.want(tokens.Colon, `":"`)
		d.Pairs = append(d.Pairs, &nodes.Pair{Key: key, Value: p.expr()})
		if p.take(tokens.Comma) == nil {
			break
		}
	}
	p.want(tokens.RightBrace, `"}"`)
	return d
}

func (p *exprParser) list(end tokens.Type, what string) (vals []nodes.Expression) {
	for !p.is(end) {
		vals = append(vals, p.expr())
		if p.take(tokens.Comma) == nil {
			break
		}
	}
	p.want(end, what)
	return vals
}
