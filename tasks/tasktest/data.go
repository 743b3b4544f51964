package tasktest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dump is all of v that is data, for comparing.
func dump(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// steady is a state without what may differ between two looks.
func steady(state any) any {
	v := reflect.New(reflect.TypeOf(state)).Elem()
	v.Set(reflect.ValueOf(state))
	quiet(v)
	return v.Interface()
}

func quiet(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Tag.Get("plan") == "volatile":
			v.Field(i).SetZero()
		default:
			quiet(v.Field(i))
		}
	}
}

// data turns a task's result into what register holds, by its yaml tags.
func data(t *testing.T, v any) map[string]any {
	if v == nil {
		return nil
	}
	m, ok := plain(reflect.ValueOf(v)).(map[string]any)
	require.True(t, ok, "Result returns a struct")
	return m
}

func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			name, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			switch {
			case opts == "inline":
				if in, ok := plain(v.Field(i)).(map[string]any); ok {
					for k, x := range in {
						m[k] = x
					}
				}
			case name == "" || opts == "omitempty" && v.Field(i).IsZero():
			default:
				m[name] = plain(v.Field(i))
			}
		}
		return m
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = plain(it.Value())
		}
		return m
	}
	return v.Interface()
}

// hasInline tells a result whose keys are not known beforehand: debug's var.
func hasInline(v any) bool {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		if strings.Contains(t.Field(i).Tag.Get("yaml"), ",inline") {
			return true
		}
	}
	return false
}
