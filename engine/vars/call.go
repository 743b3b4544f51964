package vars

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

func containsText(s, sub string) bool { return strings.Contains(s, sub) }

// arguments of a filter, test, function or method.
type arguments struct {
	m    *machine
	pos  []any
	kw   map[string]any
	used int
}

func (m *machine) arguments(pos []nodes.Expression, kw map[string]nodes.Expression) *arguments {
	a := &arguments{m: m}
	for _, e := range pos {
		a.pos = append(a.pos, m.eval(e))
	}
	for _, k := range slices.Sorted(maps.Keys(kw)) {
		if a.kw == nil {
			a.kw = map[string]any{}
		}
		a.kw[k] = m.eval(kw[k])
	}
	return a
}

// raw takes the next argument, by place or by name; ok tells whether it was given.
func (a *arguments) raw(name string) (any, bool) {
	if v, ok := a.kw[name]; ok {
		delete(a.kw, name)
		return v, true
	}
	if a.used < len(a.pos) {
		a.used++
		return a.pos[a.used-1], true
	}
	return nil, false
}

func (a *arguments) any(name string, or any) any {
	if v, ok := a.raw(name); ok {
		return a.m.use(v)
	}
	return or
}

// must takes an argument that has to be given.
func (a *arguments) must(name string) any {
	v, ok := a.raw(name)
	if !ok {
		panic(fmt.Errorf("the argument %q is missing", name))
	}
	return a.m.use(v)
}

func (a *arguments) str(name, or string) string {
	switch v := a.any(name, or).(type) {
	case string:
		return v
	case int64, float64, bool:
		return a.m.str(v)
	default:
		panic(fmt.Errorf("the argument %q is %s, not a string", name, typeName(v)))
	}
}

func (a *arguments) mustStr(name string) string {
	v := a.must(name)
	if s, ok := v.(string); ok {
		return s
	}
	panic(fmt.Errorf("the argument %q is %s, not a string", name, typeName(v)))
}

func (a *arguments) int(name string, or int64) int64 {
	v := a.any(name, or)
	if i, ok := integer(v); ok {
		return i
	}
	panic(fmt.Errorf("the argument %q is %s, not an integer", name, typeName(v)))
}

func (a *arguments) bool(name string, or bool) bool { return isTrue(a.any(name, or)) }

// rest takes all remaining arguments by place.
func (a *arguments) rest() []any {
	r := a.pos[a.used:]
	a.used = len(a.pos)
	return r
}

// done refuses what nobody took.
func (a *arguments) done() {
	if a.used < len(a.pos) {
		panic(fmt.Errorf("too many arguments"))
	}
	for _, k := range slices.Sorted(maps.Keys(a.kw)) {
		panic(fmt.Errorf("unknown argument %q", k))
	}
}

type filterFunc func(m *machine, in any, a *arguments) any
type testFunc func(m *machine, in any, a *arguments) bool

func (m *machine) filtered(n *nodes.FilteredExpression) any {
	v := m.eval(n.Expression)
	for _, f := range n.Filters {
		v = m.at(f.Token, func() any { return m.applyFilter(f.Name, v, m.arguments(f.Args, f.Kwargs)) })
	}
	return v
}

// applyFilter runs one filter; only those in laxFilters see undefined values.
func (m *machine) applyFilter(name string, in any, a *arguments) any {
	f, ok := m.tables.filters[trimBuiltin(name)]
	if !ok {
		panic(fmt.Errorf("unknown filter %q", name))
	}
	m.charge(1)
	if !f.lax {
		in = m.read(in)
	}
	v := f.do(m, in, a)
	a.done()
	if s, ok := v.(string); ok {
		return m.text(s)
	}
	return v
}

// read gives a value to code that may read all of a text, and charges for that.
func (m *machine) read(v any) any {
	v = m.use(v)
	if s, ok := v.(string); ok {
		m.charge(len(s) / bytesPerStep)
	}
	return v
}

func (m *machine) test(n *nodes.TestExpression) any {
	v := m.eval(n.Expression)
	return m.at(n.Test.Token, func() any {
		return m.applyTest(n.Test.Name, v, m.arguments(n.Test.Args, n.Test.Kwargs))
	})
}

func (m *machine) applyTest(name string, in any, a *arguments) bool {
	t, ok := m.tables.tests[trimBuiltin(name)]
	if !ok {
		panic(fmt.Errorf("unknown test %q", name))
	}
	m.charge(1)
	if !t.lax {
		in = m.read(in)
	}
	r := t.do(m, in, a)
	a.done()
	return r
}

func (m *machine) call(n *nodes.Call) any {
	switch fn := n.Func.(type) {
	case *nodes.Name:
		if v, ok := m.locals.get(fn.Name.Val); ok {
			if mac, ok := v.(*macro); ok {
				return m.at(fn.Name, func() any { return mac.call(m, m.arguments(n.Args, n.Kwargs)) })
			}
			panic(errAt(fn.Name, `"`+fn.Name.Val+`" is not a function`, ""))
		}
		f, ok := m.tables.functions[fn.Name.Val]
		if !ok {
			panic(errAt(fn.Name, `unknown function "`+fn.Name.Val+`"`, ""))
		}
		return m.at(fn.Name, func() any {
			a := m.arguments(n.Args, n.Kwargs)
			v := f(m, a)
			a.done()
			return v
		})
	case *nodes.GetAttribute:
		base := m.value(fn.Node)
		return m.at(fn.Location, func() any {
			a := m.arguments(n.Args, n.Kwargs)
			v := m.method(m.read(base), fn.Attribute, a)
			a.done()
			if s, ok := v.(string); ok {
				return m.text(s)
			}
			return v
		})
	}
	panic(errAt(n.Location, "this cannot be called", ""))
}

type functionFunc func(m *machine, a *arguments) any

func functions() map[string]functionFunc {
	return map[string]functionFunc{
		"range":     rangeFunction,
		"dict":      dictFunction,
		"namespace": func(m *machine, a *arguments) any { return &namespace{dictFunction(m, a).(*dict)} },
	}
}

func dictFunction(m *machine, a *arguments) any {
	d := newDict(0)
	for _, v := range a.rest() {
		src, ok := m.plain(m.use(v)).(*dict)
		if !ok {
			panic(fmt.Errorf("dict() takes a dictionary, not %s", typeName(v)))
		}
		for _, k := range src.keys {
			m.charge(1)
			d.set(k, src.vals[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.kw)) {
		d.set(k, a.kw[k])
	}
	a.kw = nil
	return d
}

// rangeFunction is Python's range(), with at most maxRange items in one rendering.
func rangeFunction(m *machine, a *arguments) any {
	args := a.rest()
	if len(args) < 1 || len(args) > 3 {
		panic(fmt.Errorf("range() takes one to three integers"))
	}
	n := []int64{0, 0, 1}
	for i, v := range args {
		x, ok := integer(m.use(v))
		if !ok {
			panic(fmt.Errorf("range() takes integers, not %s", typeName(v)))
		}
		n[i] = x
	}
	from, to, step := n[0], n[1], n[2]
	if len(args) == 1 {
		from, to = 0, n[0]
	}
	if step == 0 {
		panic(fmt.Errorf("range() with a step of zero"))
	}
	out := []any{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if m.ranged++; m.ranged > maxRange {
			panic(m.limit("range() gives more than 10,000 items"))
		}
		out = append(out, i)
		if next := i + step; (step > 0) != (next > i) {
			break // overflow
		}
	}
	m.charge(len(out))
	return out
}
