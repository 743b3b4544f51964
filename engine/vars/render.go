package vars

import (
	"errors"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// RenderNode gives a copy of a tree with every template rendered. What a
// template gives takes its place in the file; a key or item whose value is
// omit is left out; a value tagged !unsafe stays as it is. A parameter that is
// just {{ name }} of a plain scalar in the user's files keeps that scalar's
// text as written, so that a mode 0644 kept in a variable is still 0644.
//
// The result is data: text in it that looks like a template is tagged !unsafe.
// An *UnknownError comes first and alone; otherwise all errors of Render are
// joined.
func (s *Scope) RenderNode(n *strictyaml.Node) (*strictyaml.Node, error) {
	r := &nodeRenderer{s: s}
	out := r.node(n)
	if r.unknown != nil {
		return nil, r.unknown
	}
	if len(r.errs) == 1 {
		return nil, r.errs[0]
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	if out == omittedNode {
		out = &strictyaml.Node{Pos: n.Pos, Line: n.Line}
	}
	return out, nil
}

type nodeRenderer struct {
	s       *Scope
	errs    []error
	unknown *UnknownError
}

// omittedNode stands for a value that is left out.
//
//nolint:gochecknoglobals // only its address is used
var omittedNode = &strictyaml.Node{}

func (r *nodeRenderer) node(n *strictyaml.Node) *strictyaml.Node {
	if n == nil || n.Tag == unsafeTag {
		return n
	}
	switch n.Kind {
	case strictyaml.Map:
		c := *n
		c.Pairs = make([]strictyaml.Pair, 0, len(n.Pairs))
		for _, p := range n.Pairs {
			if v := r.node(p.Value); v != omittedNode {
				c.Pairs = append(c.Pairs, strictyaml.Pair{Key: p.Key, KeyAt: p.KeyAt, Value: v})
			}
		}
		return &c
	case strictyaml.Seq:
		c := *n
		c.Items = make([]*strictyaml.Node, 0, len(n.Items))
		for _, it := range n.Items {
			if v := r.node(it); v != omittedNode {
				c.Items = append(c.Items, v)
			}
		}
		return &c
	}
	if !IsTemplate(n) {
		return n
	}
	return r.scalar(n)
}

func (r *nodeRenderer) scalar(n *strictyaml.Node) *strictyaml.Node {
	t, err := r.s.engine.Template(n)
	if err != nil {
		r.errs = append(r.errs, err)
		return n
	}
	v, err := t.Render(r.s)
	switch e := err.(type) {
	case nil:
	case *UnknownError:
		if r.unknown == nil {
			r.unknown = e
		}
		return n
	default:
		r.errs = append(r.errs, err)
		return n
	}
	if v == Omit {
		return omittedNode
	}
	if name, ok := t.loneName(); ok {
		if def, _ := r.s.Definition(name); def != nil && def.Kind == strictyaml.Scalar && !IsTemplate(def) {
			c := *def
			c.Pos, c.Line, c.Tag = n.Pos, n.Line, ""
			return guard(&c)
		}
	}
	out := strictyaml.FromAny(v, n.Pos)
	return guard(relined(out, n.Line))
}

// relined gives nodes that were made in the place of another its line.
func relined(n *strictyaml.Node, line string) *strictyaml.Node {
	n.Line = line
	for _, p := range n.Pairs {
		relined(p.Value, line)
		relined(p.KeyAt, line)
	}
	for _, it := range n.Items {
		relined(it, line)
	}
	return n
}

// guard tags texts that look like templates.
func guard(n *strictyaml.Node) *strictyaml.Node {
	if IsTemplate(n) {
		n.Tag = unsafeTag
	}
	for _, p := range n.Pairs {
		guard(p.Value)
	}
	for _, it := range n.Items {
		guard(it)
	}
	return n
}

// Expr is a compiled condition: when, until, changed_when, failed_when, that.
// A list holds when all its parts do.
type Expr struct {
	parts []*Template
	node  *strictyaml.Node
}

// CompileExpr reads a condition: a bare expression, true or false, or a list
// of them. The error is a source.List.
func CompileExpr(n *strictyaml.Node) (*Expr, error) {
	e := &Expr{node: n}
	var ms source.Mistakes
	e.add(n, &ms, true)
	return e, ms.Err()
}

func (e *Expr) add(n *strictyaml.Node, ms *source.Mistakes, lists bool) {
	switch {
	case n == nil || n.Kind == strictyaml.Null:
		ms.Add(n.Mistake("an empty condition", "write an expression, or leave the key out"))
	case n.Kind == strictyaml.Seq && lists:
		for _, it := range n.Items {
			e.add(it, ms, false)
		}
	case n.Kind != strictyaml.Scalar:
		ms.Add(n.Mistake("a condition must be an expression or a list of expressions", ""))
	default:
		t, err := compileExpr(n)
		if err != nil {
			ms.AddErr(err)
			return
		}
		e.parts = append(e.parts, t)
	}
}

// Names lists the variables that the condition reads.
func (e *Expr) Names() (refs []Ref) {
	for _, p := range e.parts {
		refs = append(refs, p.refs...)
	}
	return refs
}

// True evaluates the condition. See the package's comment for what is true.
func (e *Expr) True(s *Scope) (bool, error) {
	if err := s.known(e.Names()); err != nil {
		return false, err
	}
	for _, p := range e.parts {
		m := s.machine()
		v, err := p.run(m)
		if err != nil {
			return false, err
		}
		if text, ok := v.(string); ok {
			return false, p.place.mistake(&syntaxError{end: len(p.place.src),
				text: "the condition gives the text " + quoted(text) + ", neither true nor false",
				hint: `write "x | bool" for texts like yes and no, or "x | length > 0"`})
		}
		if !isTrue(v) {
			return false, nil
		}
	}
	return true, nil
}

// Value gives the expression's value as plain data; of a list, its last part's.
func (e *Expr) Value(s *Scope) (v any, err error) {
	for _, p := range e.parts {
		if v, err = p.Render(s); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// String is the condition as written.
func (e *Expr) String() string {
	text := ""
	for i, p := range e.parts {
		if i > 0 {
			text += " and "
		}
		text += p.place.node.Raw
	}
	return text
}

func quoted(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "..."
	}
	return pyQuote(s)
}
