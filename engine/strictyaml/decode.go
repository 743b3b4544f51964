package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

// ScalarDecoder is a type that reads itself from a scalar: a file mode, a
// duration, a size. It gets the node so that it can tell 0644 from 644 by
// Raw. The error's text must say what is wrong; the walk adds the place. An
// error that is a *source.Mistake may carry a hint. Such a type may have a
// method TypeName() string for documentation and messages ("file mode").
type ScalarDecoder interface {
	DecodeScalar(n *Node) error
}

// Options of a Decode.
type Options struct {
	// Template tells that a scalar holds a template and is to be taken unread:
	// its type is checked when it has been rendered, and its field keeps its
	// zero value. Nil: no templates.
	Template func(*Node) bool
	// Of names what is decoded, for messages: "copy", "a play". May be empty.
	Of string
	// At is the place for what is missing, such as the key that n belongs to.
	// Nil: n itself.
	At *Node
	// Unknown gives the hint for a key that is not known, "" for the nearest
	// name. Nil: always the nearest name.
	Unknown func(key string) string
}

// Decode walks n against the struct that into points to and fills it. The
// error is a source.List of all unknown keys (with the nearest name), wrong
// types, missing required fields and values outside `enum`. A nil or Null n
// counts as an empty map.
//
// Struct tags: `yaml:"name"` (also ",inline" for embedded structs and for a
// map[string]any, map[string]*Node or other map that takes every other key),
// `required:"true"`, `default:"text"` (YAML), `enum:"a,b,c"`, `doc:"text"`,
// `alias:"other,names"`, `split:","` (a string given for a list is split).
// Fields without a yaml tag are left alone. Pointers tell unset from zero. A
// field of type *Node or any takes the node or its plain value unread.
//
// What Ansible takes and does no harm is taken: a number for a string (as it
// was written: 1.10 stays "1.10"), a numeric string for a number, "yes" or
// "true" in quotes for a bool, one scalar for a list of one. A bare yes for a
// string is refused, and so is a key without a value, except for a list, a
// map, a struct or a pointer.
func Decode(n *Node, into any, opt Options) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode into %T: want a pointer to a struct", into)
	}
	d := decoder{opt: opt}
	if n == nil {
		n = &Node{}
		if opt.At != nil {
			n.Pos, n.Line = opt.At.Pos, opt.At.Line
		}
	}
	if opt.At == nil {
		opt.At = n
	}
	if !d.template(n) {
		d.structure(n, opt.At, opt.Of, v.Elem(), opt.Unknown)
	}
	return d.ms.Err()
}

type decoder struct {
	opt Options
	ms  source.Mistakes
}

func (d *decoder) template(n *Node) bool {
	return n.Kind == Scalar && d.opt.Template != nil && d.opt.Template(n)
}

func (d *decoder) structure(n, at *Node, of string, v reflect.Value, unknown func(string) string) {
	if n.Kind != Map && n.Kind != Null {
		d.ms.Add(n.Mistake(subject(of)+" must be a map of keys and values, got "+describe(n), ""))
		return
	}
	t := tableOf(v.Type())
	given := make([]*Pair, len(t.fields))
	for i := range n.Pairs {
		p := &n.Pairs[i]
		f := t.find(p.Key)
		switch {
		case f < 0 && t.rest != nil:
			d.rest(p, v, t.rest)
		case f < 0:
			d.unknown(p, of, t, unknown)
		case given[f] != nil:
			d.ms.Add(p.KeyAt.Mistake(fmt.Sprintf("%q and %q are the same thing", given[f].Key, p.Key), "keep one of them"))
		default:
			given[f] = p
		}
	}
	for i := range t.fields {
		f := &t.fields[i]
		switch {
		case given[i] != nil:
			d.field(given[i].Value, given[i].KeyAt, f, v)
		case f.required:
			d.ms.Add(at.Mistake(strings.TrimSpace("missing "+ofSuffix(quoteName(f.name), of)), f.doc))
		case f.hasDefault:
			d.field(f.defaultNode(), nil, f, v)
		}
	}
}

func subject(of string) string {
	if of == "" {
		return "this"
	}
	return of
}

func ofSuffix(text, of string) string {
	if of == "" {
		return text
	}
	return text + " of " + of
}

func quoteName(name string) string { return `"` + name + `"` }

func (d *decoder) unknown(p *Pair, of string, t *table, hint func(string) string) {
	h := ""
	if hint != nil {
		h = hint(p.Key)
	}
	if h == "" {
		h = source.DidYouMean(p.Key, t.names())
	}
	if h == "" && len(t.fields) <= 24 {
		h = "known: " + strings.Join(t.canonical(), ", ")
	}
	d.ms.Add(p.KeyAt.Mistake(ofSuffix("unknown key "+quoteName(p.Key), of), h))
}

func (d *decoder) rest(p *Pair, v reflect.Value, path []int) {
	m := v.FieldByIndex(path)
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	e := reflect.New(m.Type().Elem()).Elem()
	if d.value(p.Value, p.Key, e) {
		m.SetMapIndex(reflect.ValueOf(p.Key).Convert(m.Type().Key()), e)
	}
}

func (d *decoder) field(n, key *Node, f *field, v reflect.Value) {
	if n == nil {
		return
	}
	if key != nil && n.Pos.Line == 0 {
		c := *n
		c.Pos, c.Line = key.Pos, key.Line
		n = &c
	}
	if f.split != "" && n.Kind == Scalar && !d.template(n) {
		if s, ok := n.Value.(string); ok {
			n = splitNode(n, s, f.split)
		}
	}
	before := d.ms.Len()
	d.value(n, f.name, v.FieldByIndex(f.index))
	if len(f.enum) > 0 && d.ms.Len() == before {
		d.enum(n, f)
	}
}

func splitNode(n *Node, s, sep string) *Node {
	seq := &Node{Kind: Seq, Pos: n.Pos, Line: n.Line}
	for part := range strings.SplitSeq(s, sep) {
		if part = strings.TrimSpace(part); part != "" {
			c := *n
			c.Value, c.Raw = part, part
			seq.Items = append(seq.Items, &c)
		}
	}
	return seq
}

func (d *decoder) enum(n *Node, f *field) {
	switch n.Kind {
	case Seq:
		for _, it := range n.Items {
			d.enum(it, f)
		}
	case Scalar:
		if d.template(n) || slices.Contains(f.enum, n.Raw) || slices.Contains(f.enum, fmt.Sprint(n.Value)) {
			return
		}
		hint := source.DidYouMean(n.Raw, f.enum)
		if hint == "" {
			hint = "one of: " + strings.Join(f.enum, ", ")
		}
		d.ms.Add(n.Mistake(fmt.Sprintf("%q must be one of %s, got %q", f.name, strings.Join(f.enum, ", "), n.Raw), hint))
	}
}

// value decodes one node into v, whose settable value it fills, and tells
// whether it did.
func (d *decoder) value(n *Node, name string, v reflect.Value) bool {
	if n == nil {
		n = &Node{}
	}
	switch v.Type() {
	case nodeType:
		v.Set(reflect.ValueOf(n))
		return true
	case anyType:
		if a := n.Any(); a != nil {
			v.Set(reflect.ValueOf(a))
		}
		return true
	}
	if d.template(n) {
		return false
	}
	if sd, ok := scalarDecoder(v); ok {
		return d.own(n, name, sd, v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if n.Kind == Null {
			return true
		}
		p := reflect.New(v.Type().Elem())
		if d.value(n, name, p.Elem()) {
			v.Set(p)
			return true
		}
		return false
	case reflect.Struct:
		d.structure(n, n, name, v, nil)
		return true
	case reflect.Slice:
		return d.list(n, name, v)
	case reflect.Map:
		return d.dict(n, name, v)
	}
	err := setScalar(n, v)
	d.wrong(n, name, err)
	return err == nil
}

func (d *decoder) own(n *Node, name string, sd ScalarDecoder, v reflect.Value) bool {
	if n.Kind != Scalar {
		d.wrong(n, name, errors.New("must be a "+typeName(v.Type())+", got "+describe(n)))
		return false
	}
	err := sd.DecodeScalar(n)
	d.wrong(n, name, err)
	return err == nil
}

// wrong reports err about the value of name.
func (d *decoder) wrong(n *Node, name string, err error) {
	if err == nil {
		return
	}
	text, hint := err.Error(), ""
	var m *source.Mistake
	if errors.As(err, &m) {
		text, hint = m.Text, m.Hint
	}
	d.ms.Add(n.Mistake(quoteName(name)+": "+text, hint))
}

func (d *decoder) list(n *Node, name string, v reflect.Value) bool {
	items := n.Items
	switch n.Kind {
	case Null:
		return true
	case Scalar:
		items = []*Node{n}
	case Map:
		d.wrong(n, name, errors.New("must be a "+typeName(v.Type())+", got a map"))
		return false
	}
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, it := range items {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(it, name, e)
		out = reflect.Append(out, e)
	}
	v.Set(out)
	return true
}

func (d *decoder) dict(n *Node, name string, v reflect.Value) bool {
	if n.Kind == Null {
		return true
	}
	if n.Kind != Map {
		d.wrong(n, name, errors.New("must be a "+typeName(v.Type())+", got "+describe(n)))
		return false
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Pairs))
	for _, p := range n.Pairs {
		e := reflect.New(v.Type().Elem()).Elem()
		if d.value(p.Value, p.Key, e) {
			m.SetMapIndex(reflect.ValueOf(p.Key).Convert(v.Type().Key()), e)
		}
	}
	v.Set(m)
	return true
}
