package vars

import (
	"fmt"
	"maps"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// bodyName holds the text of {% filter %}'s body; no user can name it.
const bodyName = "\x00body"

func (m *machine) write(s string) {
	m.charge(len(s)/bytesPerStep + 1)
	if m.out.Len()+len(s) > m.maxOut {
		panic(m.limit(fmt.Sprintf("the text that the template makes grows beyond %d MiB", m.maxOut>>20)))
	}
	m.out.WriteString(s)
}

// exec runs a list of template nodes.
func (m *machine) exec(list []nodes.Node) {
	m.enter()
	defer func() { m.depth-- }()
	for _, n := range list {
		m.charge(1)
		m.execOne(n)
	}
}

func (m *machine) execOne(n nodes.Node) {
	switch n := n.(type) {
	case *nodes.Data:
		m.write(n.Data.Val)
	case *nodes.ControlStructureBlock:
		m.execOne(n.ControlStructure)
	case *rawNode:
		m.write(n.Text)
	case *outputNode:
		v := m.value(n.Value)
		m.at(n.at, func() any { m.write(m.str(v)); return nil })
	case *ifNode:
		m.execIf(n)
	case *forNode:
		m.execFor(n)
	case *setNode:
		m.execSet(n)
	case *macroNode:
		m.locals.vars[n.Name] = &macro{node: n, outer: m.locals}
	case *withNode:
		inner := map[string]any{}
		for _, p := range n.Params {
			inner[p.Name] = m.eval(p.Default)
		}
		m.within(inner, func() { m.exec(n.Body.Nodes) })
	case *filterNode:
		text := m.capture(func() { m.within(map[string]any{}, func() { m.exec(n.Body.Nodes) }) })
		m.within(map[string]any{bodyName: text}, func() { m.write(m.str(m.value(n.Value))) })
	default:
		panic(fmt.Errorf("internal: no execution for %T", n))
	}
}

// within runs f with an inner frame of locals.
func (m *machine) within(inner map[string]any, f func()) {
	outer := m.locals
	m.locals = &frame{vars: inner, parent: outer}
	defer func() { m.locals = outer }()
	f()
}

// capture gives the text that f writes.
func (m *machine) capture(f func()) string {
	outer := m.out
	m.out = newOut()
	defer func() { m.out = outer }()
	f()
	return m.out.String()
}

func (m *machine) execIf(n *ifNode) {
	for i, c := range n.Conds {
		if isTrue(m.value(c)) {
			m.exec(n.Then[i].Nodes)
			return
		}
	}
	if n.Else != nil {
		m.exec(n.Else.Nodes)
	}
}

func (m *machine) execSet(n *setNode) {
	var v any
	if n.Body != nil {
		v = m.capture(func() { m.within(map[string]any{}, func() { m.exec(n.Body.Nodes) }) })
	} else {
		v = m.eval(n.Value)
	}
	switch {
	case n.Attr != "":
		ns, ok := m.locals.get(n.Targets[0])
		space, isSpace := ns.(*namespace)
		if !ok || !isSpace {
			panic(errAt(n.at, `"`+n.Targets[0]+`" is not a namespace`, "make it with {% set x = namespace() %}"))
		}
		space.set(n.Attr, v)
	case len(n.Targets) == 1:
		m.locals.vars[n.Targets[0]] = v
	default:
		m.bind(n.Targets, m.use(v), m.locals.vars)
	}
}

// bind gives each target its part of v.
func (m *machine) bind(targets []string, v any, into map[string]any) {
	if len(targets) == 1 {
		into[targets[0]] = v
		return
	}
	parts := m.items(v)
	if len(parts) != len(targets) {
		panic(fmt.Errorf("%d names for %d values", len(targets), len(parts)))
	}
	for i, t := range targets {
		into[t] = parts[i]
	}
}

func (m *machine) execFor(n *forNode) {
	over := m.value(n.Over)
	var frames []map[string]any
	m.at(n.at, func() any {
		for _, it := range m.items(over) {
			m.charge(1)
			vars := make(map[string]any, len(n.Targets)+1)
			m.bind(n.Targets, it, vars)
			keep := n.Cond == nil
			if !keep {
				m.within(maps.Clone(vars), func() { keep = isTrue(m.value(n.Cond)) })
			}
			if keep {
				frames = append(frames, vars)
			}
		}
		return nil
	})
	if len(frames) == 0 && n.Else != nil {
		m.within(map[string]any{}, func() { m.exec(n.Else.Nodes) })
	}
	for i, vars := range frames {
		vars["loop"] = &loop{i: i, n: len(frames), frames: frames, targets: n.Targets}
		m.within(vars, func() { m.exec(n.Body.Nodes) })
	}
}

// loop is the variable of that name inside {% for %}.
type loop struct {
	i, n    int
	frames  []map[string]any
	targets []string
}

func (l *loop) attr(_ *machine, name string) (any, bool) {
	switch name {
	case "index":
		return int64(l.i + 1), true
	case "index0":
		return int64(l.i), true
	case "revindex":
		return int64(l.n - l.i), true
	case "revindex0":
		return int64(l.n - l.i - 1), true
	case "first":
		return l.i == 0, true
	case "last":
		return l.i == l.n-1, true
	case "length":
		return int64(l.n), true
	case "previtem":
		return l.item(l.i - 1)
	case "nextitem":
		return l.item(l.i + 1)
	}
	return nil, false
}

func (l *loop) item(i int) (any, bool) {
	if i < 0 || i >= l.n {
		return nil, false
	}
	if len(l.targets) == 1 {
		return l.frames[i][l.targets[0]], true
	}
	var all []any
	for _, t := range l.targets {
		all = append(all, l.frames[i][t])
	}
	return all, true
}

func (l *loop) names(*machine) []string {
	return []string{"index", "index0", "revindex", "revindex0", "first", "last", "length"}
}

// macro is a {% macro %} with the locals that it sees.
type macro struct {
	node  *macroNode
	outer *frame
}

func (mac *macro) call(m *machine, a *arguments) any {
	inner := map[string]any{}
	here := m.locals
	m.locals = mac.outer
	defer func() { m.locals = here }()
	for _, p := range mac.node.Params {
		v, ok := a.raw(p.Name)
		switch {
		case ok:
		case p.Default != nil:
			v = m.eval(p.Default)
		default:
			v = &undefined{name: p.Name, at: mac.node.at, hint: "the macro was called without it"}
		}
		inner[p.Name] = v
	}
	a.done()
	return m.text(m.capture(func() { m.within(inner, func() { m.exec(mac.node.Body.Nodes) }) }))
}
