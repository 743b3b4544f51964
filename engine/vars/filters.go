package vars

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// filter is one entry of the table; a lax one also takes undefined values.
type filter struct {
	do  filterFunc
	lax bool
}

// tables are what templates can name. No filter reads a file, the environment,
// a command, the network or the clock, and none is random: the same variables
// give the same text.
type tables struct {
	filters   map[string]filter
	tests     map[string]test
	functions map[string]functionFunc
}

// builtin is never changed. Filters reach it through their machine.
//
//nolint:gochecknoglobals // read only, and too dear to build for every template
var builtin = &tables{allFilters(), allTests(), functions()}

func filterNames() []string { return slices.Sorted(maps.Keys(builtin.filters)) }
func testNames() []string   { return slices.Sorted(maps.Keys(builtin.tests)) }

func allFilters() map[string]filter {
	t := map[string]filter{}
	for name, f := range map[string]filterFunc{"default": filterDefault, "d": filterDefault, "mandatory": filterMandatory} {
		t[name] = filter{f, true}
	}
	for _, group := range []map[string]filterFunc{scalarFilters(), textFilters(), listFilters(), mapFilters(), codecFilters()} {
		for name, f := range group {
			t[name] = filter{f, false}
		}
	}
	return t
}

func filterDefault(m *machine, in any, a *arguments) any {
	or, given := a.raw("default_value")
	if !given {
		or = ""
	}
	falsy := a.bool("boolean", false)
	if _, undef := in.(*undefined); undef || falsy && !isTrue(in) {
		return or
	}
	return in
}

func filterMandatory(m *machine, in any, a *arguments) any {
	msg := a.str("msg", "")
	if u, ok := in.(*undefined); ok && msg != "" {
		u.hint = msg
	}
	return m.use(in)
}

func scalarFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"bool":    filterBool,
		"int":     filterInt,
		"float":   filterFloat,
		"string":  func(m *machine, in any, a *arguments) any { return m.str(in) },
		"abs":     filterAbs,
		"round":   filterRound,
		"ternary": filterTernary,
		"type_debug": func(m *machine, in any, a *arguments) any {
			return typeName(in)
		},
	}
}

// filterBool is Ansible's: yes, on, true, 1 are true, everything else is not.
func filterBool(m *machine, in any, a *arguments) any {
	switch v := in.(type) {
	case bool, nil:
		return v == true
	case string:
		switch strings.ToLower(v) {
		case "yes", "on", "1", "true":
			return true
		}
		return false
	case int64:
		return v == 1
	case float64:
		return v == 1
	}
	return false
}

func filterInt(m *machine, in any, a *arguments) any {
	or := a.any("default", int64(0))
	base := a.int("base", 10)
	switch v := in.(type) {
	case bool:
		i, _ := integer(v)
		return i
	case int64:
		return v
	case float64:
		if math.Abs(v) < 1<<63 {
			return int64(v)
		}
	case string:
		s := strings.ReplaceAll(strings.TrimSpace(v), "_", "")
		if base != 10 && base >= 0 && base <= 36 && base != 1 {
			s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "0x"), "0o"), "0b")
		}
		if i, err := strconv.ParseInt(s, int(min(max(base, 2), 36)), 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<63 {
			return int64(f)
		}
	}
	return or
}

func filterFloat(m *machine, in any, a *arguments) any {
	or := a.any("default", 0.0)
	if f, _, ok := number(in); ok {
		return f
	}
	if s, ok := in.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
			return f
		}
	}
	return or
}

func filterAbs(m *machine, in any, a *arguments) any {
	if i, ok := integer(in); ok {
		return max(i, -i)
	}
	if f, ok := in.(float64); ok {
		return math.Abs(f)
	}
	panic(fmt.Errorf("abs takes a number, not %s", typeName(in)))
}

func filterRound(m *machine, in any, a *arguments) any {
	f, isInt, ok := number(in)
	switch {
	case !ok:
		panic(fmt.Errorf("round takes a number, not %s", typeName(in)))
	case isInt && len(a.pos) == 0 && len(a.kw) == 0:
		return in
	}
	scale := math.Pow(10, float64(max(-15, min(15, a.int("precision", 0)))))
	switch method := a.str("method", "common"); method {
	case "common":
		return math.RoundToEven(f*scale) / scale
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	default:
		panic(fmt.Errorf("round knows common, ceil and floor, not %q", method))
	}
}

func filterTernary(m *machine, in any, a *arguments) any {
	yes, _ := a.raw("true_val")
	no, _ := a.raw("false_val")
	null, hasNull := a.raw("none_val")
	switch {
	case in == nil && hasNull:
		return null
	case isTrue(in):
		return yes
	}
	return no
}
