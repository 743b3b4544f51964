package vars

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

func (m *machine) add(a, b any) any {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return m.text(a + b)
		}
	case []any:
		if b, ok := b.([]any); ok {
			m.charge(len(a) + len(b))
			return append(append(make([]any, 0, len(a)+len(b)), a...), b...)
		}
	}
	_, as := a.(string)
	_, bs := b.(string)
	if as || bs {
		panic(fmt.Errorf(`cannot add %s and %s: join text with "~"`, typeName(a), typeName(b)))
	}
	return arithmetic(&tokens.Token{Type: tokens.Addition, Val: "+"}, a, b)
}

// repeat is text * n or list * n, in either order.
func (m *machine) repeat(a, b any) (any, bool) {
	if _, ok := a.(int64); ok {
		a, b = b, a
	}
	n, ok := b.(int64)
	if !ok {
		return nil, false
	}
	n = max(n, 0)
	switch a := a.(type) {
	case string:
		if len(a) > 0 && n > int64(maxString/len(a)) {
			panic(m.limit("a text grows beyond 8 MiB"))
		}
		return m.text(strings.Repeat(a, int(n))), true
	case []any:
		if len(a) > 0 && n > int64(maxSteps/len(a)) {
			panic(m.limit("a list grows too long"))
		}
		m.charge(len(a) * int(n))
		out := make([]any, 0, len(a)*int(n))
		for range n {
			out = append(out, a...)
		}
		return out, true
	}
	return nil, false
}

func arithmetic(op *tokens.Token, a, b any) any {
	x, xi, xok := number(a)
	y, yi, yok := number(b)
	if !xok || !yok {
		hint := ""
		if _, ok := a.(string); ok || xok {
			hint = `; text becomes a number with "| int"`
		}
		panic(fmt.Errorf(`cannot compute %s %s %s%s`, typeName(a), op.Val, typeName(b), hint))
	}
	if y == 0 && (op.Type == tokens.Division || op.Type == tokens.FloorDivision || op.Type == tokens.Modulo) {
		panic(errors.New("division by zero"))
	}
	if xi && yi && op.Type != tokens.Division {
		p, _ := integer(a)
		q, _ := integer(b)
		return intArithmetic(op.Type, p, q)
	}
	switch op.Type {
	case tokens.Addition:
		return x + y
	case tokens.Subtraction:
		return x - y
	case tokens.Multiply:
		return x * y
	case tokens.Division:
		return x / y
	case tokens.FloorDivision:
		return math.Floor(x / y)
	case tokens.Modulo:
		return x - y*math.Floor(x/y)
	case tokens.Power:
		return math.Pow(x, y)
	}
	panic(fmt.Errorf("unknown operator %q", op.Val))
}

func intArithmetic(op tokens.Type, p, q int64) any {
	var exact float64
	var r int64
	switch op {
	case tokens.Addition:
		r, exact = p+q, float64(p)+float64(q)
	case tokens.Subtraction:
		r, exact = p-q, float64(p)-float64(q)
	case tokens.Multiply:
		r, exact = p*q, float64(p)*float64(q)
	case tokens.FloorDivision, tokens.Modulo:
		d := p / q
		if p%q != 0 && (p < 0) != (q < 0) {
			d--
		}
		if op == tokens.FloorDivision {
			return d
		}
		return p - d*q
	case tokens.Power:
		exact = math.Pow(float64(p), float64(q))
		if q < 0 {
			return exact
		}
		r = 1
		for i := int64(0); i < q && math.Abs(exact) < 1<<63 && p != 0 && p != 1; i++ {
			if p == -1 {
				r = 1 - 2*(q%2)
				break
			}
			r *= p
		}
		if p == 0 && q > 0 {
			r = 0
		}
	}
	if math.Abs(exact) >= 1<<63 {
		panic(errors.New("the number grows too large"))
	}
	return r
}
