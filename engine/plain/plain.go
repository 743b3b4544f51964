// Package plain writes plain Go data as JSON and reads it back without loss:
// text that is no UTF-8 (a host's file names may be any bytes) too. Nothing is
// left open: keys are the fields' names in lower case with underscores, zero
// values are left out, an unknown key is an error.
//
//	string, []byte    "text", or {"base64": "..."} where it is not UTF-8
//	fs.FileMode       "0644", octal as chmod reads it
//	time.Time         RFC 3339 with nanoseconds, UTC
//	time.Duration     "1m30s"
//	encoding.TextMarshaler and json.RawMessage as they say themselves
//
// Functions, channels and unexported fields are left out; interfaces are an error.
package plain

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Marshal is v as one line of JSON. Equal data gives equal bytes.
func Marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := write(&b, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func write(b *bytes.Buffer, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			b.WriteString("null")
			return nil
		}
		return write(b, v.Elem())
	}
	switch x := v.Interface().(type) {
	case json.RawMessage:
		if len(x) == 0 {
			b.WriteString("null")
			return nil
		}
		return json.Compact(b, x)
	case fs.FileMode:
		return quote(b, octal(x))
	case time.Time:
		return quote(b, x.UTC().Format(time.RFC3339Nano))
	case time.Duration:
		return quote(b, x.String())
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return err
		}
		return quote(b, string(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		b.WriteString(strconv.FormatUint(v.Uint(), 10))
	case reflect.String:
		return writeText(b, v.String())
	case reflect.Slice:
		return writeSlice(b, v)
	case reflect.Map:
		return writeMap(b, v)
	case reflect.Struct:
		return writeStruct(b, v)
	default:
		return fmt.Errorf("%s is not plain data", v.Type())
	}
	return nil
}

func quote(b *bytes.Buffer, s string) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder ends with a line break
	return nil
}

func writeText(b *bytes.Buffer, s string) error {
	if utf8.ValidString(s) {
		return quote(b, s)
	}
	b.WriteString(`{"base64":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}`)
	return nil
}

func writeSlice(b *bytes.Buffer, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return writeText(b, string(v.Bytes()))
	}
	b.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := write(b, v.Index(i)); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func writeMap(b *bytes.Buffer, v reflect.Value) error {
	m := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		if k.Kind() != reflect.String || !utf8.ValidString(k.String()) {
			return fmt.Errorf("a key of %s is no text", v.Type())
		}
		m[k.String()] = v.MapIndex(k)
	}
	b.WriteByte('{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := quote(b, k); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := write(b, m[k]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeStruct(b *bytes.Buffer, v reflect.Value) error {
	b.WriteByte('{')
	first := true
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !written(f) || empty(v.Field(i)) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(`"` + key(f.Name) + `":`)
		if err := write(b, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", key(f.Name), err)
		}
	}
	b.WriteByte('}')
	return nil
}

func written(f reflect.StructField) bool {
	return f.IsExported() && f.Type.Kind() != reflect.Func && f.Type.Kind() != reflect.Chan
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.IsZero()
		}
		for i := range v.NumField() {
			if written(v.Type().Field(i)) && !empty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// key is a field's name: FromFile is from_file, SHA256 sha256, UIDs uids.
func key(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1]) && unicode.IsUpper(r[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func octal(m fs.FileMode) string {
	n := uint32(m.Perm())
	for bit, unix := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			n |= unix
		}
	}
	return fmt.Sprintf("%04o", n)
}
