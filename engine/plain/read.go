package plain

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strconv"
	"time"
)

// Unmarshal reads what Marshal wrote into what v points to, which must be zero.
func Unmarshal(data []byte, v any) error {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("%T is no pointer", v)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return read(tree, into.Elem())
}

func read(tree any, v reflect.Value) error {
	if into, ok := v.Addr().Interface().(*json.RawMessage); ok {
		raw, err := json.Marshal(tree)
		*into = raw
		return err
	}
	if tree == nil {
		if v.Kind() != reflect.Pointer {
			return fmt.Errorf("null where %s should be", v.Type())
		}
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return read(tree, v.Elem())
	}
	if special, err := readSpecial(tree, v); special || err != nil {
		return err
	}
	switch v.Kind() {
	case reflect.Bool:
		b, ok := tree.(bool)
		v.SetBool(b)
		return wrong(!ok, tree, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s, _ := tree.(json.Number)
		n, err := strconv.ParseInt(string(s), 10, v.Type().Bits())
		v.SetInt(n)
		return wrong(err != nil, tree, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s, _ := tree.(json.Number)
		n, err := strconv.ParseUint(string(s), 10, v.Type().Bits())
		v.SetUint(n)
		return wrong(err != nil, tree, v)
	case reflect.String:
		s, ok := text(tree)
		v.SetString(s)
		return wrong(!ok, tree, v)
	case reflect.Slice:
		return readSlice(tree, v)
	case reflect.Map:
		return readMap(tree, v)
	case reflect.Struct:
		return readStruct(tree, v)
	}
	return fmt.Errorf("%s is not plain data", v.Type())
}

func wrong(is bool, tree any, v reflect.Value) error {
	if !is {
		return nil
	}
	return fmt.Errorf("%.40q is no %s", fmt.Sprint(tree), v.Type())
}

// readSpecial reads the types that are written as a text of their own.
func readSpecial(tree any, v reflect.Value) (bool, error) {
	s, _ := tree.(string)
	var err error
	switch into := v.Addr().Interface().(type) {
	case *fs.FileMode:
		var n uint64
		n, err = strconv.ParseUint(s, 8, 12)
		*into = mode(uint32(n))
	case *time.Time:
		*into, err = time.Parse(time.RFC3339Nano, s)
	case *time.Duration:
		*into, err = time.ParseDuration(s)
	case encoding.TextUnmarshaler:
		err = into.UnmarshalText([]byte(s))
	default:
		return false, nil
	}
	if err != nil {
		err = wrong(true, tree, v)
	}
	return true, err
}

func mode(n uint32) fs.FileMode {
	m := fs.FileMode(n & 0o777)
	for bit, unix := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if n&unix != 0 {
			m |= bit
		}
	}
	return m
}

func text(tree any) (string, bool) {
	switch t := tree.(type) {
	case string:
		return t, true
	case map[string]any:
		s, ok := t["base64"].(string)
		b, err := base64.StdEncoding.DecodeString(s)
		return string(b), ok && err == nil && len(t) == 1
	}
	return "", false
}

func readSlice(tree any, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		s, ok := text(tree)
		v.SetBytes([]byte(s))
		return wrong(!ok, tree, v)
	}
	list, ok := tree.([]any)
	if !ok {
		return wrong(true, tree, v)
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i, item := range list {
		if err := read(item, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func readMap(tree any, v reflect.Value) error {
	m, ok := tree.(map[string]any)
	if !ok || v.Type().Key().Kind() != reflect.String {
		return wrong(true, tree, v)
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(m)))
	for k, item := range m {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := read(item, e); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
	}
	return nil
}

func readStruct(tree any, v reflect.Value) error {
	m, ok := tree.(map[string]any)
	if !ok {
		return wrong(true, tree, v)
	}
	at := map[string]int{}
	for i := range v.NumField() {
		if f := v.Type().Field(i); written(f) {
			at[key(f.Name)] = i
		}
	}
	for k, item := range m {
		i, ok := at[k]
		if !ok {
			return fmt.Errorf("unknown key %.40q", k)
		}
		if err := read(item, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}
