package vars

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/source"
)

// name reads a local of the template, else a variable of the scope.
func (m *machine) name(t *tokens.Token) any {
	if v, ok := m.locals.get(t.Val); ok {
		return v
	}
	v, err := m.scope.resolve(m, t.Val)
	var undef *UndefinedError
	switch {
	case errors.As(err, &undef):
		return &undefined{name: t.Val, at: t, hint: causeHint(undef)}
	case errors.Is(err, errNotFound):
		return &undefined{name: t.Val, at: t, near: func() string { return source.DidYouMean(t.Val, m.scope.Names()) }}
	case err != nil:
		panic(err)
	}
	return v
}

func (m *machine) equal(a, b any) bool {
	a, b = m.plain(a), m.plain(b)
	m.measure(a, 0)
	m.measure(b, 0)
	return equal(a, b)
}

// measure charges what comparing or indexing v will cost, before it is done.
func (m *machine) measure(v any, depth int) {
	m.charge(1)
	if depth > 2*maxDepth {
		panic(m.limit("a value is nested too deeply to compare"))
	}
	switch v := v.(type) {
	case string:
		m.charge(len(v) / bytesPerStep)
	case []any:
		for _, it := range v {
			m.measure(it, depth+1)
		}
	case *dict:
		for _, it := range v.vals {
			m.measure(it, depth+1)
		}
	}
}

// plain turns lazy objects into dictionaries.
func (m *machine) plain(v any) any {
	switch v := v.(type) {
	case object:
		return m.materialise(v)
	case *namespace:
		return v.dict
	}
	return v
}

func (m *machine) materialise(o object) *dict {
	d := newDict(0)
	for _, name := range o.names(m) {
		m.charge(1)
		if v, ok := o.attr(m, name); ok {
			if _, undef := v.(*undefined); !undef {
				d.set(name, v)
			}
		}
	}
	return d
}

// part gives an item of a dictionary or list.
func (m *machine) part(v, key any) (any, bool) {
	switch v := v.(type) {
	case *dict:
		r, ok := v.vals[m.keyText(key)]
		return r, ok
	case *namespace:
		r, ok := v.vals[m.keyText(key)]
		return r, ok
	case object:
		s, ok := key.(string)
		if !ok {
			return nil, false
		}
		return v.attr(m, s)
	case []any:
		i, ok := integer(key)
		if i < 0 {
			i += int64(len(v))
		}
		if !ok || i < 0 || i >= int64(len(v)) {
			return nil, false
		}
		return v[i], true
	case string:
		i, ok := integer(key)
		if !ok {
			return nil, false
		}
		m.charge(len(v) / bytesPerStep)
		r := []rune(v)
		if i < 0 {
			i += int64(len(r))
		}
		if i < 0 || i >= int64(len(r)) {
			return nil, false
		}
		return string(r[i]), true
	}
	return nil, false
}

func (m *machine) getAttribute(n *nodes.GetAttribute) any {
	base := m.eval(n.Node)
	var key any = n.Attribute
	label := n.Attribute
	if n.Attribute == "" {
		key, label = int64(n.Index), fmt.Sprint(n.Index)
	}
	return m.member(base, key, n.Location, pathText(n.Node)+"."+label)
}

func (m *machine) getItem(n *nodes.GetItem) any {
	base := m.eval(n.Node)
	key := m.value(n.Arg)
	label := pathText(n.Node) + "[" + func() string {
		if s, ok := key.(string); ok {
			return pyQuote(s)
		}
		return typeName(key)
	}() + "]"
	return m.member(base, key, n.Location, label)
}

// member is a part of base, or undefined. A part of something undefined is
// undefined too, as in Ansible, so that `a.b.c | default(1)` works.
func (m *machine) member(base, key any, at *tokens.Token, label string) any {
	if u, ok := base.(*undefined); ok {
		return u
	}
	switch key.(type) {
	case string, int64, bool, float64:
	default:
		panic(errAt(at, typeName(key)+" cannot be an index", ""))
	}
	if v, ok := m.part(base, key); ok {
		return v
	}
	return &undefined{name: label, at: at, near: func() string {
		switch b := m.describe(base).(type) {
		case []string:
			if s, ok := key.(string); ok {
				return source.DidYouMean(s, b)
			}
		case string:
			return b
		}
		return ""
	}}
}

// describe gives the names that base has, or a text when it can have none.
func (m *machine) describe(base any) any {
	switch b := base.(type) {
	case *dict:
		return b.keys
	case *namespace:
		return b.keys
	case object:
		return b.names(m)
	case []any:
		return fmt.Sprintf("it is a list of %d", len(b))
	}
	return "it is " + typeName(base)
}

// pathText writes an expression as the user did, for names and indices.
func pathText(n nodes.Node) string {
	switch n := n.(type) {
	case *nodes.Name:
		return n.Name.Val
	case *nodes.GetAttribute:
		if n.Attribute == "" {
			return fmt.Sprintf("%s.%d", pathText(n.Node), n.Index)
		}
		return pathText(n.Node) + "." + n.Attribute
	case *nodes.GetItem:
		return pathText(n.Node) + "[" + pathText(n.Arg) + "]"
	case *nodes.String:
		return pyQuote(n.Val)
	case *nodes.Integer:
		return fmt.Sprint(n.Val)
	}
	return "..."
}

func (m *machine) slice(n *nodes.GetSlice) any {
	base := m.value(n.Node)
	bound := func(e nodes.Node) *int64 {
		if e == nil {
			return nil
		}
		v := m.value(e)
		if v == nil {
			return nil
		}
		i, ok := integer(v)
		if !ok {
			panic(errors.New("a slice needs integers"))
		}
		return &i
	}
	from, to, step := bound(n.Start), bound(n.End), int64(1)
	if s := bound(n.Step); s != nil {
		step = *s
	}
	if step == 0 {
		panic(errors.New("slice step cannot be zero"))
	}
	switch v := base.(type) {
	case []any:
		m.charge(len(v))
		return pySlice(v, from, to, step)
	case string:
		m.charge(len(v) / bytesPerStep)
		return string(pySlice([]rune(v), from, to, step))
	}
	panic(fmt.Errorf("%s cannot be sliced", typeName(base)))
}

func pySlice[T any](v []T, from, to *int64, step int64) []T {
	n := int64(len(v))
	clamp := func(p *int64, missing, low, high int64) int64 {
		if p == nil {
			return missing
		}
		i := *p
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	out := []T{}
	if step > 0 {
		end := clamp(to, n, 0, n)
		for i := clamp(from, 0, 0, n); i < end; i += min(step, n+1) {
			out = append(out, v[i])
		}
		return out
	}
	end := clamp(to, -1, -1, n-1)
	for i := clamp(from, n-1, -1, n-1); i > end; i += max(step, -n-1) {
		out = append(out, v[i])
	}
	return out
}

// items lists what a loop over v visits: a dictionary gives its keys.
func (m *machine) items(v any) []any {
	switch v := m.use(v).(type) {
	case []any:
		m.charge(len(v))
		return v
	case *dict:
		return m.strings(v.keys)
	case *namespace:
		return m.strings(v.keys)
	case object:
		return m.strings(v.names(m))
	case string:
		m.charge(len(v))
		var out []any
		for _, r := range v {
			out = append(out, string(r))
		}
		return out
	}
	panic(fmt.Errorf("%s is not a list", typeName(v)))
}

func (m *machine) strings(l []string) []any {
	m.charge(len(l))
	out := make([]any, len(l))
	for i, s := range l {
		out[i] = s
	}
	return out
}

func (m *machine) contains(in, v any) bool {
	switch in := in.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			panic(fmt.Errorf("cannot look for %s in a string", typeName(v)))
		}
		m.charge((len(in) + len(s)) / bytesPerStep)
		return containsText(in, s)
	case []any:
		return slices.ContainsFunc(in, func(it any) bool { return m.equal(m.use(it), v) })
	case *dict, *namespace:
		_, ok := m.part(in, v)
		return ok
	case object:
		s, ok := v.(string)
		if !ok {
			return false
		}
		_, ok = in.attr(m, s)
		return ok
	}
	panic(fmt.Errorf("%s holds nothing to look in", typeName(in)))
}
