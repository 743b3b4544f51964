package vars

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/source"
)

// Ref is one variable that a template reads.
type Ref struct {
	Name    string   // the first name of the path
	Path    []string // what follows as far as it is constant: hostvars['h'].x gives h, x
	Guarded bool     // read only where it may be undefined: under "is defined" or default
	Pos     source.Pos
	mistake *source.Mistake
}

// Mistake reports that the name is defined nowhere, with the nearest of known.
func (r Ref) Mistake(known []string) *source.Mistake {
	m := *r.mistake
	m.Text, m.Hint = `"`+r.Name+`" is undefined`, source.DidYouMean(r.Name, known)
	return &m
}

// nameReader walks a tree. Unlike gonja's Walk it enters expressions; an
// unknown node is an error, so that none is passed over.
type nameReader struct {
	place   *placer
	refs    []Ref
	locals  *localScope
	guarded map[string]bool // names asked about with "is defined" anywhere
	maybe   map[string]bool // names set on some paths only
}

type localScope struct {
	names  map[string]bool
	parent *localScope
}

func (s *localScope) has(name string) bool {
	for ; s != nil; s = s.parent {
		if s.names[name] {
			return true
		}
	}
	return false
}

func readNames(list []nodes.Node, place *placer) (refs []Ref, err *syntaxError) {
	r := &nameReader{place: place, guarded: map[string]bool{}, maybe: map[string]bool{}, locals: &localScope{names: map[string]bool{}}}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *syntaxError:
			err = e
		default:
			panic(e)
		}
	}()
	r.list(list)
	for i := range r.refs {
		if n := r.refs[i].Name; r.guarded[n] || r.maybe[n] {
			r.refs[i].Guarded = true
		}
	}
	return r.refs, nil
}

func (r *nameReader) scoped(names []string, f func()) map[string]bool {
	outer := r.locals
	inner := &localScope{names: map[string]bool{}, parent: outer}
	for _, n := range names {
		inner.names[n] = true
	}
	r.locals = inner
	f()
	r.locals = outer
	return inner.names
}

func (r *nameReader) list(list []nodes.Node) {
	for _, n := range list {
		r.block(n)
	}
}

func (r *nameReader) wrapper(w *nodes.Wrapper) {
	if w != nil {
		r.list(w.Nodes)
	}
}

func (r *nameReader) block(n nodes.Node) {
	switch n := n.(type) {
	case *nodes.Data, *rawNode, nil:
	case *nodes.ControlStructureBlock:
		r.block(n.ControlStructure)
	case *outputNode:
		r.expr(n.Value, false)
	case *ifNode:
		r.branches(n)
	case *forNode:
		r.expr(n.Over, false)
		r.scoped(append([]string{"loop"}, n.Targets...), func() {
			r.expr(n.Cond, false)
			r.wrapper(n.Body)
		})
		r.scoped(nil, func() { r.wrapper(n.Else) })
	case *setNode:
		r.expr(n.Value, false)
		r.scoped(nil, func() { r.wrapper(n.Body) })
		if n.Attr == "" {
			for _, t := range n.Targets {
				r.locals.names[t] = true
			}
		}
	case *macroNode:
		r.locals.names[n.Name] = true
		names := make([]string, len(n.Params))
		for i, p := range n.Params {
			r.expr(p.Default, false)
			names[i] = p.Name
		}
		r.scoped(names, func() { r.wrapper(n.Body) })
	case *withNode:
		names := make([]string, len(n.Params))
		for i, p := range n.Params {
			r.expr(p.Default, false)
			names[i] = p.Name
		}
		r.scoped(names, func() { r.wrapper(n.Body) })
	case *filterNode:
		r.scoped(nil, func() { r.wrapper(n.Body) })
		r.expr(n.Value, false)
	default:
		panic(&syntaxError{text: fmt.Sprintf("internal: no reading of names in %T", n)})
	}
}

// branches: what every branch sets is set afterwards; what only some set may
// still be read from outside.
func (r *nameReader) branches(n *ifNode) {
	var sets []map[string]bool
	for i, c := range n.Conds {
		r.expr(c, false)
		sets = append(sets, r.scoped(nil, func() { r.wrapper(n.Then[i]) }))
	}
	if n.Else != nil {
		sets = append(sets, r.scoped(nil, func() { r.wrapper(n.Else) }))
	}
	for _, set := range sets {
		for name := range set {
			everywhere := n.Else != nil && !slices.ContainsFunc(sets, func(s map[string]bool) bool { return !s[name] })
			if everywhere {
				r.locals.names[name] = true
			} else {
				r.maybe[name] = true
			}
		}
	}
}

func (r *nameReader) each(list []nodes.Expression) {
	for _, e := range list {
		r.expr(e, false)
	}
}

func (r *nameReader) kwargs(kw map[string]nodes.Expression) {
	for _, k := range slices.Sorted(maps.Keys(kw)) {
		r.expr(kw[k], false)
	}
}

// expr reads the names in n; guarded tells that n may be undefined as a whole.
func (r *nameReader) expr(n nodes.Node, guarded bool) {
	switch n := n.(type) {
	case nil, *nodes.None, *nodes.String, *nodes.Integer, *nodes.Float, *nodes.Bool, *bodyNode, *constant:
	case *nodes.Name, *nodes.GetAttribute, *nodes.GetItem:
		r.path(n, guarded)
	case *nodes.List:
		r.each(n.Val)
	case *nodes.Tuple:
		r.each(n.Val)
	case *nodes.Dict:
		for _, p := range n.Pairs {
			r.expr(p.Key, false)
			r.expr(p.Value, false)
		}
	case *nodes.GetSlice:
		r.expr(n.Node, false)
		for _, b := range []nodes.Node{n.Start, n.End, n.Step} {
			r.expr(b, false)
		}
	case *nodes.Call:
		r.call(n)
	case *nodes.FilteredExpression:
		f := n.Filters[0]
		r.expr(n.Expression, f.Name == "default" || f.Name == "d")
		r.each(f.Args)
		r.kwargs(f.Kwargs)
	case *nodes.TestExpression:
		r.testExpr(n)
	case *nodes.Negation:
		r.expr(n.Term, false)
	case *nodes.UnaryExpression:
		r.expr(n.Term, false)
	case *nodes.BinaryExpression:
		r.expr(n.Left, false)
		r.expr(n.Right, false)
	case *compareExpr:
		r.expr(n.First, false)
		r.each(n.Rest)
	case *condExpr:
		r.expr(n.Cond, false)
		r.expr(n.Then, guarded)
		r.expr(n.Else, guarded)
	default:
		panic(&syntaxError{text: fmt.Sprintf("internal: no reading of names in %T", n)})
	}
}

func (r *nameReader) testExpr(n *nodes.TestExpression) {
	guard := n.Test.Name == "defined" || n.Test.Name == "undefined"
	if name, _, _ := r.split(n.Expression); guard && name != nil && !r.locals.has(name.Val) {
		r.guarded[name.Val] = true
	}
	r.expr(n.Expression, guard)
	r.each(n.Test.Args)
	r.kwargs(n.Test.Kwargs)
}

func (r *nameReader) call(n *nodes.Call) {
	switch fn := n.Func.(type) {
	case *nodes.Name:
		if _, ok := builtin.functions[fn.Name.Val]; !ok && !r.locals.has(fn.Name.Val) {
			panic(errAt(fn.Name, `unknown function "`+fn.Name.Val+`"`, functionHint(fn.Name.Val)))
		}
	case *nodes.GetAttribute:
		if !slices.Contains(methodNames(), fn.Attribute) && !isMutator(fn.Attribute) {
			panic(errAt(fn.Location, `unknown method "`+fn.Attribute+`"`, nearest(fn.Attribute, methodNames())))
		}
		r.expr(fn.Node, false)
	default:
		panic(errAt(n.Location, "this cannot be called", ""))
	}
	r.each(n.Args)
	r.kwargs(n.Kwargs)
}

func functionHint(name string) string {
	switch name {
	case "lookup", "query", "q":
		return "templates read no files, environment or commands; put the value into a variable or pass it with -e"
	case "now":
		return "templates read no clock"
	}
	return nearest(name, slices.Sorted(maps.Keys(builtin.functions)))
}

// split takes a path apart: its first name, the constant keys, the expressions
// used as other keys.
func (r *nameReader) split(n nodes.Node) (name *tokens.Token, path []string, inner []nodes.Node) {
	constantSoFar := true
	var keys []string
	for {
		switch x := n.(type) {
		case *nodes.Name:
			slices.Reverse(keys)
			for _, k := range keys {
				if k == notConstant {
					constantSoFar = false
				}
				if constantSoFar {
					path = append(path, k)
				}
			}
			return x.Name, path, inner
		case *nodes.GetAttribute:
			if x.Attribute != "" {
				keys = append(keys, x.Attribute)
			} else {
				keys = append(keys, notConstant)
			}
			n = x.Node
		case *nodes.GetItem:
			if s, ok := x.Arg.(*nodes.String); ok {
				keys = append(keys, s.Val)
			} else {
				keys = append(keys, notConstant)
				inner = append(inner, x.Arg)
			}
			n = x.Node
		default:
			return nil, nil, append(inner, n)
		}
	}
}

const notConstant = "\x00"

func (r *nameReader) path(n nodes.Node, guarded bool) {
	name, path, inner := r.split(n)
	for _, e := range inner {
		r.expr(e, false)
	}
	if name == nil || r.locals.has(name.Val) {
		return
	}
	m := r.place.mistake(errAt(name, "", ""))
	r.refs = append(r.refs, Ref{Name: name.Val, Path: path, Guarded: guarded, Pos: m.Pos, mistake: m})
}
