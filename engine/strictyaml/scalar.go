package strictyaml

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

//nolint:gochecknoglobals // constants, if types could be
var (
	nodeType    = reflect.TypeFor[*Node]()
	anyType     = reflect.TypeFor[any]()
	decoderType = reflect.TypeFor[ScalarDecoder]()
	wholeNumber = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)$`)
)

func scalarDecoder(v reflect.Value) (ScalarDecoder, bool) {
	if v.CanAddr() && v.Addr().Type().Implements(decoderType) {
		return v.Addr().Interface().(ScalarDecoder), true
	}
	if v.Kind() != reflect.Pointer && v.Type().Implements(decoderType) {
		return v.Interface().(ScalarDecoder), true
	}
	return nil, false
}

// describe names what stands there, for "want X, got Y".
func describe(n *Node) string {
	switch n.Kind {
	case Null:
		return "nothing"
	case Map:
		return "a map"
	case Seq:
		return "a list"
	}
	raw := []rune(n.Raw)
	if len(raw) > 40 {
		raw = append(raw[:40], '…')
	}
	switch n.Value.(type) {
	case bool:
		return "the bool " + string(raw)
	case string:
		return strconv.Quote(string(raw))
	}
	return string(raw)
}

func setScalar(n *Node, v reflect.Value) error {
	want := typeName(v.Type())
	mismatch := errors.New("must be a " + want + ", got " + describe(n))
	if n.Kind == Null {
		return &source.Mistake{Text: "must be a " + want + ", but there is no value", Hint: "give it a value or remove the key"}
	}
	if n.Kind != Scalar {
		return mismatch
	}
	switch v.Kind() {
	case reflect.String:
		if b, ok := n.Value.(bool); ok {
			hint := fmt.Sprintf("write it in quotes: %q", n.Raw)
			if !n.literal() {
				hint = fmt.Sprintf("the template gives the bool %v; end it with | string if that is meant", b)
			}
			return &source.Mistake{Text: "must be a string, got the bool " + n.Raw, Hint: hint}
		}
		v.SetString(n.Raw)
	case reflect.Bool:
		b, ok := toBool(n)
		if !ok {
			return &source.Mistake{Text: mismatch.Error(), Hint: "write yes or no"}
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, ok := toInt(n)
		if !ok {
			return mismatch
		}
		if v.OverflowInt(i) {
			return fmt.Errorf("%d is too large", i)
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, ok := toInt(n)
		if !ok || i < 0 {
			return errors.New("must be a whole number from 0, got " + describe(n))
		}
		if v.OverflowUint(uint64(i)) {
			return fmt.Errorf("%d is too large", i)
		}
		v.SetUint(uint64(i))
	case reflect.Float32, reflect.Float64:
		f, ok := toFloat(n)
		if !ok {
			return mismatch
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("the Go type %s cannot be decoded", v.Type())
	}
	return nil
}

// literal tells that the node stands in the file as it is, and was not made by
// rendering a template there.
func (n *Node) literal() bool {
	line := []rune(n.Line)
	return n.Pos.Col >= 1 && n.Pos.Col-1 <= len(line) && strings.HasPrefix(string(line[n.Pos.Col-1:]), n.Raw)
}

func toBool(n *Node) (value, ok bool) {
	switch v := n.Value.(type) {
	case bool:
		return v, true
	case int64:
		return v == 1, v == 0 || v == 1
	case string:
		switch strings.ToLower(v) {
		case "yes", "true", "on", "y", "t", "1":
			return true, true
		case "no", "false", "off", "n", "f", "0":
			return false, true
		}
	}
	return false, false
}

func toInt(n *Node) (int64, bool) {
	switch v := n.Value.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case string:
		if s := strings.TrimSpace(v); wholeNumber.MatchString(s) {
			i, err := strconv.ParseInt(s, 10, 64)
			return i, err == nil
		}
	}
	return 0, false
}

func toFloat(n *Node) (float64, bool) {
	switch v := n.Value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return 0, false
}
