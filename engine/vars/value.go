package vars

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/strictyaml"
)

// Values inside an expression are nil, bool, int64, float64, string, []any,
// *dict, and these few types of our own. None is changed after it was made,
// but for a namespace.

// dict keeps the order of its keys: templates write files.
type dict struct {
	keys []string
	vals map[string]any
}

func newDict(n int) *dict { return &dict{vals: make(map[string]any, n)} }

func (d *dict) set(k string, v any) {
	if _, ok := d.vals[k]; !ok {
		d.keys = append(d.keys, k)
	}
	d.vals[k] = v
}

// namespace is the one thing that {% set ns.x = 1 %} may change.
type namespace struct{ *dict }

// undefined is a name, or a part of a value, that is not there. Using it is an
// error; asking whether it is defined, or giving it a default, is not.
type undefined struct {
	name  string // the whole path as written
	at    *tokens.Token
	hint  string
	near  func() string // makes the hint when it is needed
	quiet bool          // counts as empty text when it is used
}

// object is a value whose parts are made when they are asked for.
type object interface {
	attr(m *machine, name string) (any, bool)
	names(m *machine) []string
}

// omitted is the value of omit.
type omitted struct{}

// fromPlain turns plain data into values, deeply. The data is copied.
func fromPlain(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v
	case map[string]any:
		d := newDict(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.set(k, fromPlain(v[k]))
		}
		return d
	case []any:
		l := make([]any, len(v))
		for i := range v {
			l[i] = fromPlain(v[i])
		}
		return l
	case *strictyaml.Node:
		return fromNode(v)
	}
	return fromReflect(reflect.ValueOf(v))
}

// fromReflect takes Go's other numbers, maps with string keys, lists and
// pointers; anything else becomes its text.
func fromReflect(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(min(v.Uint(), math.MaxInt64))
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Map:
		plain := make(map[string]any, v.Len())
		for _, k := range v.MapKeys() {
			plain[fmt.Sprint(k.Interface())] = v.MapIndex(k).Interface()
		}
		return fromPlain(plain)
	case reflect.Slice, reflect.Array:
		if b, ok := v.Interface().([]byte); ok {
			return string(b)
		}
		l := make([]any, v.Len())
		for i := range l {
			l[i] = fromPlain(v.Index(i).Interface())
		}
		return l
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if _, ok := v.Interface().(fmt.Stringer); !ok {
			return fromPlain(v.Elem().Interface())
		}
	}
	return fmt.Sprint(v.Interface())
}

// fromNode reads a tree as data: templates in it stay text.
func fromNode(n *strictyaml.Node) any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case strictyaml.Map:
		d := newDict(len(n.Pairs))
		for _, p := range n.Pairs {
			d.set(p.Key, fromNode(p.Value))
		}
		return d
	case strictyaml.Seq:
		l := make([]any, len(n.Items))
		for i, it := range n.Items {
			l[i] = fromNode(it)
		}
		return l
	case strictyaml.Scalar:
		return n.Value
	}
	return nil
}

// isTrue is Python's truth.
func isTrue(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// typeName is what messages call a value.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "none"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "a string"
	case []any:
		return "a list"
	case *dict, object, *namespace:
		return "a dictionary"
	case *undefined:
		return "undefined"
	case *macroNode, *macro:
		return "a macro"
	}
	return "a special value"
}

func number(v any) (f float64, isInt bool, ok bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true, true
	case float64:
		return v, false, true
	case bool:
		if v {
			return 1, true, true
		}
		return 0, true, true
	}
	return 0, false, false
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func equal(a, b any) bool {
	if ai, ok := integer(a); ok {
		if bi, ok := integer(b); ok {
			return ai == bi
		}
	}
	if af, _, ok := number(a); ok {
		bf, _, ok := number(b)
		return ok && af == bf
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		b, ok := b.(string)
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for k, v := range a.vals {
			if w, ok := b.vals[k]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case omitted:
		_, ok := b.(omitted)
		return ok
	}
	return false
}

// compare orders numbers, strings and lists; ok is false for anything else.
func compare(a, b any) (c int, ok bool) {
	if ai, ok := integer(a); ok {
		if bi, ok := integer(b); ok {
			return cmpOrdered(ai, bi), true
		}
	}
	if af, _, ok := number(a); ok {
		if bf, _, ok := number(b); ok {
			return cmpOrdered(af, bf), true
		}
		return 0, false
	}
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	case []any:
		b, ok := b.([]any)
		if !ok {
			return 0, false
		}
		for i := 0; i < len(a) && i < len(b); i++ {
			if equal(a[i], b[i]) {
				continue
			}
			return compare(a[i], b[i])
		}
		return cmpOrdered(len(a), len(b)), true
	}
	return 0, false
}

func cmpOrdered[T int | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// hashKey is equal for equal values: what unique and the set filters index by.
func hashKey(v any) string {
	if f, _, ok := number(v); ok {
		return "n" + strconv.FormatFloat(f, 'g', -1, 64)
	}
	switch v := v.(type) {
	case string:
		return "s" + v
	case []any:
		var b strings.Builder
		for _, it := range v {
			prefixed(&b, hashKey(it))
		}
		return "l" + b.String()
	case *dict:
		var b strings.Builder
		for _, k := range slices.Sorted(slices.Values(v.keys)) {
			prefixed(&b, k)
			prefixed(&b, hashKey(v.vals[k]))
		}
		return "d" + b.String()
	case nil:
		return "0"
	}
	return fmt.Sprintf("o%T", v)
}

// prefixed writes s with its length, so that no two lists look alike.
func prefixed(b *strings.Builder, s string) {
	b.WriteString(strconv.Itoa(len(s)))
	b.WriteByte(':')
	b.WriteString(s)
}
