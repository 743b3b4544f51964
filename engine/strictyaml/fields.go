package strictyaml

import (
	"reflect"
	"slices"
	"strings"
)

// field is one key that a struct takes.
type field struct {
	name       string
	aliases    []string
	index      []int
	typ        reflect.Type
	required   bool
	hasDefault bool
	def        string
	enum       []string
	doc        string
	split      string
}

// table is what one walk over a struct type finds; decoding and documentation
// both work from it.
type table struct {
	fields []field
	rest   []int // index of the inline map, nil when there is none
}

func tableOf(t reflect.Type) *table {
	tb := &table{}
	tb.add(t, nil)
	return tb
}

func (tb *table) add(t reflect.Type, path []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("yaml")
		if !ok || tag == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		index := append(slices.Clone(path), i)
		if slices.Contains(strings.Split(opts, ","), "inline") {
			if sf.Type.Kind() == reflect.Map {
				tb.rest = index
			} else {
				tb.add(sf.Type, index)
			}
			continue
		}
		f := field{name: name, index: index, typ: sf.Type, doc: sf.Tag.Get("doc"), split: sf.Tag.Get("split")}
		f.required = sf.Tag.Get("required") == "true"
		f.def, f.hasDefault = sf.Tag.Lookup("default")
		f.aliases = commaList(sf.Tag.Get("alias"))
		f.enum = commaList(sf.Tag.Get("enum"))
		tb.fields = append(tb.fields, f)
	}
}

func commaList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func (tb *table) find(key string) int {
	return slices.IndexFunc(tb.fields, func(f field) bool {
		return f.name == key || slices.Contains(f.aliases, key)
	})
}

func (tb *table) canonical() []string {
	var names []string
	for _, f := range tb.fields {
		names = append(names, f.name)
	}
	return names
}

func (tb *table) names() []string {
	names := tb.canonical()
	for _, f := range tb.fields {
		names = append(names, f.aliases...)
	}
	return names
}

// defaultNode reads the default tag as YAML; for a string it is taken as it is.
func (f *field) defaultNode() *Node {
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if n, err := Parse("", []byte(f.def)); err == nil {
			return n
		}
	}
	n := &Node{Kind: Scalar, Raw: f.def, Value: f.def, Quote: true}
	if t.Kind() != reflect.String || reflect.PointerTo(t).Implements(decoderType) {
		n.Value, n.Quote = resolve(f.def), false
	}
	return n
}

// Field documents one parameter, from the same walk that decodes it.
type Field struct {
	Name     string
	Type     string // "string", "bool", "whole number", "list of string", "file mode", ...
	Required bool
	Default  string
	Enum     []string
	Aliases  []string
	Doc      string
	Fields   []Field // of a struct or a list of structs
}

// Describe lists the fields of the struct type t (or pointer to one) in
// declaration order. Types that contain themselves are described once.
func Describe(t reflect.Type) []Field { return describeType(t, nil) }

func describeType(t reflect.Type, above []reflect.Type) []Field {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || slices.Contains(above, t) {
		return nil
	}
	above = append(slices.Clone(above), t)
	var out []Field
	for _, f := range tableOf(t).fields {
		d := Field{Name: f.name, Type: typeName(f.typ), Required: f.required, Default: f.def, Enum: f.enum, Aliases: f.aliases, Doc: f.doc}
		inner := f.typ
		for inner != nodeType && (inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map) {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && !reflect.PointerTo(inner).Implements(decoderType) {
			d.Fields = describeType(inner, above)
		}
		out = append(out, d)
	}
	return out
}

// typeName is the word for a type in messages and documentation.
func typeName(t reflect.Type) string {
	if t == nodeType || t == anyType {
		return "any"
	}
	base := t
	if t.Kind() == reflect.Pointer {
		base = t.Elem()
	}
	if namer, ok := reflect.New(base).Interface().(interface{ TypeName() string }); ok {
		return namer.TypeName()
	}
	if reflect.PointerTo(base).Implements(decoderType) {
		return strings.ToLower(base.Name())
	}
	switch base.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(base.Elem())
	case reflect.Map:
		return "map of " + typeName(base.Elem())
	case reflect.Struct:
		return "map"
	}
	return "whole number"
}
