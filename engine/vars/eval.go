package vars

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Bounds of one rendering, with every variable that it reads. They hold by
// construction: each node evaluated, each item visited and each bytesPerStep
// bytes made or searched is one step, so no template runs longer than maxSteps
// of bounded work (measured: under a second of one processor). Regular expressions are Go's, linear
// in their input.
const (
	maxSteps     = 1_000_000
	bytesPerStep = 64
	maxRange     = 10_000  // items of all range() together
	maxString    = 8 << 20 // bytes of one string
	maxEvalDepth = 400     // nested evaluations, macros, variables of variables
)

// machine evaluates one rendering. It is used by one goroutine. Errors travel
// as panics up to Template.run, which places them.
type machine struct {
	steps    int
	ranged   int
	depth    int
	scope    *Scope
	tables   *tables
	locals   *frame
	out      *strings.Builder
	maxOut   int
	patterns map[string]pattern
	hosts    map[string]*Scope // those that hostvars has given
	solving  []string          // variables being resolved, for cycles
}

type frame struct {
	vars   map[string]any
	parent *frame
}

func (f *frame) get(name string) (any, bool) {
	for ; f != nil; f = f.parent {
		if v, ok := f.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// LimitError says which bound a template ran into.
type LimitError struct{ Text string }

func (e *LimitError) Error() string { return e.Text }

func (m *machine) limit(text string) error { return &LimitError{text} }

func (m *machine) charge(n int) {
	if m.steps += n; m.steps > maxSteps || m.steps < 0 {
		panic(m.limit("the template does too much work (over 1,000,000 steps)"))
	}
}

// text charges for a string that was made and bounds it.
func (m *machine) text(s string) string {
	if len(s) > maxString {
		panic(m.limit("a text grows beyond 8 MiB"))
	}
	m.charge(len(s) / bytesPerStep)
	return s
}

func (m *machine) enter() {
	if m.depth++; m.depth > maxEvalDepth {
		panic(m.limit("the template recurses too deeply"))
	}
}

// use gives v, or panics with an UndefinedError when it is undefined.
func (m *machine) use(v any) any {
	if u, ok := v.(*undefined); ok {
		if u.quiet {
			return ""
		}
		panic(u.err())
	}
	return v
}

// value evaluates n to something that is defined.
func (m *machine) value(n nodes.Expression) any { return m.use(m.eval(n)) }

// at places an error of a filter, test or operator that knows no place.
func (m *machine) at(t *tokens.Token, f func() any) (v any) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		panic(placeAt(t, r))
	}()
	return f()
}

func placeAt(t *tokens.Token, r any) any {
	err, ok := r.(error)
	if !ok {
		return r
	}
	if placed(err) {
		return err
	}
	return errAt(t, err.Error(), "")
}

func (m *machine) eval(n nodes.Expression) any {
	m.charge(1)
	m.enter()
	defer func() { m.depth-- }()
	switch n := n.(type) {
	case *nodes.None:
		return nil
	case *nodes.String:
		return n.Val
	case *nodes.Integer:
		return int64(n.Val)
	case *nodes.Float:
		return n.Val
	case *nodes.Bool:
		return n.Val
	case *nodes.List:
		return m.evalList(n.Val)
	case *nodes.Tuple:
		return m.evalList(n.Val)
	case *nodes.Dict:
		return m.evalDict(n)
	case *nodes.Name:
		return m.name(n.Name)
	case *nodes.GetAttribute:
		return m.getAttribute(n)
	case *nodes.GetItem:
		return m.getItem(n)
	case *nodes.GetSlice:
		return m.at(n.Location, func() any { return m.slice(n) })
	case *nodes.Call:
		return m.call(n)
	case *nodes.FilteredExpression:
		return m.filtered(n)
	case *nodes.TestExpression:
		return m.test(n)
	case *nodes.Negation:
		return !isTrue(m.value(n.Term))
	case *nodes.UnaryExpression:
		return m.at(n.Operator, func() any { return negate(m.value(n.Term), n.Negative) })
	case *nodes.BinaryExpression:
		return m.binary(n)
	case *compareExpr:
		return m.compareChain(n)
	case *condExpr:
		return m.cond(n)
	case *constant:
		return fromPlain(n.v)
	case *bodyNode:
		v, _ := m.locals.get(bodyName)
		return v
	}
	panic(fmt.Errorf("internal: no evaluation for %T", n))
}

func (m *machine) evalList(exprs []nodes.Expression) any {
	l := make([]any, len(exprs))
	for i, e := range exprs {
		l[i] = m.eval(e)
	}
	return l
}

func (m *machine) evalDict(n *nodes.Dict) any {
	d := newDict(len(n.Pairs))
	for _, p := range n.Pairs {
		k := m.value(p.Key)
		switch k.(type) {
		case string, int64, float64, bool, nil:
			d.set(m.keyText(k), m.eval(p.Value))
		default:
			panic(errAt(p.Key.Position(), typeName(k)+" cannot be a key", ""))
		}
	}
	return d
}

// keyText is how a scalar stands as a key: dictionaries have string keys only.
func (m *machine) keyText(k any) string {
	if s, ok := k.(string); ok {
		return s
	}
	var b strings.Builder
	m.repr(&b, k, 0)
	return b.String()
}

func (m *machine) cond(n *condExpr) any {
	switch {
	case isTrue(m.value(n.Cond)):
		return m.eval(n.Then)
	case n.Else != nil:
		return m.eval(n.Else)
	}
	return &undefined{name: "the if expression without else", at: n.at, quiet: true}
}

func negate(v any, negative bool) any {
	sign := int64(1)
	if negative {
		sign = -1
	}
	if i, ok := integer(v); ok {
		return sign * i
	}
	if f, ok := v.(float64); ok {
		return float64(sign) * f
	}
	panic(fmt.Errorf("%s has no sign", typeName(v)))
}

func (m *machine) binary(n *nodes.BinaryExpression) any {
	op := n.Operator.Token
	left := m.value(n.Left)
	switch op.Type {
	case tokens.And:
		if !isTrue(left) {
			return left
		}
		return m.value(n.Right)
	case tokens.Or:
		if isTrue(left) {
			return left
		}
		return m.value(n.Right)
	}
	right := m.value(n.Right)
	return m.at(op, func() any {
		switch op.Type {
		case tokens.Tilde:
			return m.text(m.str(left) + m.str(right))
		case tokens.Addition:
			return m.add(left, right)
		case tokens.Multiply:
			if v, ok := m.repeat(left, right); ok {
				return v
			}
		}
		return arithmetic(op, left, right)
	})
}

func (m *machine) compareChain(n *compareExpr) any {
	left := m.value(n.First)
	for i, op := range n.Ops {
		right := m.value(n.Rest[i])
		ok := m.at(op.at, func() any { return m.compareOne(op, left, right) }).(bool)
		if !ok {
			return false
		}
		left = right
	}
	return true
}

func (m *machine) compareOne(op compareOp, a, b any) bool {
	switch op.at.Type {
	case tokens.Equals:
		return m.equal(a, b)
	case tokens.Ne:
		return !m.equal(a, b)
	case tokens.In:
		return m.contains(b, a) != op.not
	}
	c, ok := compare(a, b)
	if !ok {
		hint := ""
		if typeName(a) == "a string" || typeName(b) == "a string" {
			hint = `; text becomes a number with "| int"`
		}
		panic(fmt.Errorf("cannot order %s and %s%s", typeName(a), typeName(b), hint))
	}
	switch op.at.Type {
	case tokens.LowerThan:
		return c < 0
	case tokens.LowerThanOrEqual:
		return c <= 0
	case tokens.GreaterThan:
		return c > 0
	}
	return c >= 0
}
