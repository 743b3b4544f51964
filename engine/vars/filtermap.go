package vars

import (
	"fmt"
	"slices"
	"strings"
)

func mapFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"combine":    filterCombine,
		"dict2items": filterDict2Items,
		"items2dict": filterItems2Dict,
		"dictsort":   filterDictSort,
		"items": func(m *machine, in any, a *arguments) any {
			return m.method(in, "items", a)
		},
		"extract":     filterExtract,
		"subelements": filterSubelements,
	}
}

func (m *machine) dictOf(v any, what string) *dict {
	d, ok := m.plain(m.use(v)).(*dict)
	if !ok {
		panic(fmt.Errorf("%s takes a dictionary, not %s", what, typeName(v)))
	}
	m.charge(len(d.keys))
	return d
}

func filterCombine(m *machine, in any, a *arguments) any {
	recursive := false
	if v, ok := a.kw["recursive"]; ok {
		recursive = isTrue(m.use(v))
		delete(a.kw, "recursive")
	}
	how := "replace"
	if v, ok := a.kw["list_merge"]; ok {
		how = m.str(m.use(v))
		delete(a.kw, "list_merge")
	}
	if !slices.Contains([]string{"replace", "keep", "append", "prepend", "append_rp", "prepend_rp"}, how) {
		panic(fmt.Errorf("combine: unknown list_merge %q", how))
	}
	out := m.dictOf(in, "combine")
	for _, v := range m.flat(a.rest()) {
		out = m.merge(out, m.dictOf(v, "combine"), recursive, how)
	}
	return out
}

// flat opens lists among combine's arguments, one level.
func (m *machine) flat(args []any) (out []any) {
	for _, v := range args {
		if l, ok := v.([]any); ok {
			out = append(out, l...)
		} else {
			out = append(out, v)
		}
	}
	return out
}

func (m *machine) merge(a, b *dict, recursive bool, lists string) *dict {
	m.charge(10 + 2*len(a.keys) + 2*len(b.keys))
	m.enter()
	defer func() { m.depth-- }()
	out := newDict(len(a.keys) + len(b.keys))
	for _, k := range a.keys {
		out.set(k, a.vals[k])
	}
	for _, k := range b.keys {
		v := b.vals[k]
		old, had := out.vals[k]
		od, oldDict := old.(*dict)
		vd, newDict := v.(*dict)
		ol, oldList := old.([]any)
		vl, newList := v.([]any)
		switch {
		case had && recursive && oldDict && newDict:
			v = m.merge(od, vd, recursive, lists)
		case had && oldList && newList:
			v = m.mergeLists(ol, vl, lists)
		}
		out.set(k, v)
	}
	return out
}

func (m *machine) mergeLists(a, b []any, how string) []any {
	without := func(l, drop []any) []any {
		return slices.DeleteFunc(slices.Clone(l), func(v any) bool {
			return slices.ContainsFunc(drop, func(w any) bool { return m.equal(v, w) })
		})
	}
	m.charge(len(a) + len(b))
	switch how {
	case "keep":
		return a
	case "append":
		return slices.Concat(a, b)
	case "prepend":
		return slices.Concat(b, a)
	case "append_rp":
		return slices.Concat(without(a, b), b)
	case "prepend_rp":
		return slices.Concat(b, without(a, b))
	}
	return b
}

func pair(kName string, k any, vName string, v any) *dict {
	d := newDict(2)
	d.set(kName, k)
	d.set(vName, v)
	return d
}

func filterDict2Items(m *machine, in any, a *arguments) any {
	k, v := a.str("key_name", "key"), a.str("value_name", "value")
	d := m.dictOf(in, "dict2items")
	out := make([]any, len(d.keys))
	for i, key := range d.keys {
		out[i] = pair(k, key, v, d.vals[key])
	}
	return out
}

func filterItems2Dict(m *machine, in any, a *arguments) any {
	k, v := a.str("key_name", "key"), a.str("value_name", "value")
	out := newDict(0)
	for _, it := range m.items(in) {
		d := m.dictOf(it, "items2dict")
		key, ok := d.vals[k]
		val, ok2 := d.vals[v]
		if !ok || !ok2 {
			panic(fmt.Errorf("items2dict: an item lacks %q or %q", k, v))
		}
		out.set(m.keyText(m.use(key)), val)
	}
	return out
}

func filterDictSort(m *machine, in any, a *arguments) any {
	caseSensitive, by, reverse := a.bool("case_sensitive", false), a.str("by", "key"), a.bool("reverse", false)
	d := m.dictOf(in, "dictsort")
	pairs := make([]any, len(d.keys))
	for i, k := range d.keys {
		pairs[i] = []any{k, d.vals[k]}
	}
	index := int64(0)
	if by == "value" {
		index = 1
	}
	return filterSort(m, pairs, m.again(nil, map[string]any{"attribute": index, "reverse": reverse, "case_sensitive": caseSensitive}))
}

// filterExtract looks the input up in a container: 'h1' | extract(hostvars, 'x').
func filterExtract(m *machine, in any, a *arguments) any {
	box := a.must("container")
	keys := []any{in}
	switch more := a.any("morekeys", nil).(type) {
	case nil:
	case []any:
		keys = append(keys, more...)
	default:
		keys = append(keys, more)
	}
	for _, k := range keys {
		v, ok := m.part(m.use(box), k)
		if !ok {
			return &undefined{name: "the part " + m.str(k)}
		}
		box = v
	}
	return box
}

func filterSubelements(m *machine, in any, a *arguments) any {
	path, skip := a.must("subelements"), a.bool("skip_missing", false)
	if d, ok := in.(*dict); ok {
		vals := make([]any, len(d.keys))
		for i, k := range d.keys {
			vals[i] = d.vals[k]
		}
		in = vals
	}
	out := []any{}
	for _, it := range m.items(in) {
		v := m.attrPath(it, path)
		if _, undef := v.(*undefined); undef && skip {
			continue
		}
		for _, sub := range m.items(v) {
			out = append(out, []any{it, sub})
		}
	}
	return out
}

// isMutator tells the methods of Python that change a value in place; calling
// one gets a hint when it runs.
func isMutator(name string) bool {
	switch name {
	case "append", "extend", "insert", "remove", "pop", "update", "setdefault":
		return true
	}
	return false
}

func methodNames() []string {
	return []string{"upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "replace",
		"join", "format", "find", "rfind", "index", "count", "isdigit", "isalpha", "isalnum", "isspace", "islower", "isupper", "zfill", "ljust", "rjust", "center",
		"partition", "rpartition", "removeprefix", "removesuffix", "items", "keys", "values", "get"}
}

// method calls Python's methods of strings, dictionaries and lists, those that
// change nothing.
func (m *machine) method(base any, name string, a *arguments) any {
	switch b := m.plain(base).(type) {
	case string:
		m.charge(len(b) / bytesPerStep)
		if v, ok := m.stringMethod(b, name, a); ok {
			return v
		}
	case *dict:
		if v, ok := m.dictMethod(b, name, a); ok {
			return v
		}
	case []any:
		switch name {
		case "index":
			want := a.must("value")
			if i := slices.IndexFunc(b, func(v any) bool { return m.equal(v, want) }); i >= 0 {
				return int64(i)
			}
			panic(fmt.Errorf("the list does not hold the value"))
		case "count":
			want, n := a.must("value"), int64(0)
			for _, v := range b {
				if m.equal(v, want) {
					n++
				}
			}
			return n
		}
	}
	hint := ""
	switch name {
	case "append", "extend", "insert", "remove", "pop":
		hint = `; values are not changed in place: use "+", union or difference`
	case "update", "setdefault":
		hint = "; values are not changed in place: use combine"
	}
	panic(fmt.Errorf("%s has no method %q%s", typeName(base), name, hint))
}

func (m *machine) dictMethod(d *dict, name string, a *arguments) (any, bool) {
	m.charge(1)
	switch name {
	case "keys":
		return m.strings(d.keys), true
	case "values":
		out := make([]any, len(d.keys))
		for i, k := range d.keys {
			out[i] = d.vals[k]
		}
		m.charge(len(out))
		return out, true
	case "items":
		out := make([]any, len(d.keys))
		for i, k := range d.keys {
			out[i] = []any{k, d.vals[k]}
		}
		m.charge(len(out))
		return out, true
	case "get":
		v, ok := d.vals[m.keyText(a.must("key"))]
		or, _ := a.raw("default")
		if !ok {
			v = or
		}
		return v, true
	}
	return nil, false
}

func (m *machine) stringMethod(s, name string, a *arguments) (any, bool) {
	chars := func(trim func(string, string) string) any {
		set := a.any("chars", nil)
		if set == nil {
			return trim(s, " \t\r\n\f\v")
		}
		return trim(s, m.str(set))
	}
	switch name {
	case "upper":
		return strings.ToUpper(s), true
	case "lower":
		return strings.ToLower(s), true
	case "title":
		return pyTitle(s), true
	case "capitalize":
		return capitalize(s), true
	case "strip":
		return chars(strings.Trim), true
	case "lstrip":
		return chars(strings.TrimLeft), true
	case "rstrip":
		return chars(strings.TrimRight), true
	case "split":
		return m.split(s, a.any("sep", nil), a.int("maxsplit", -1)), true
	case "rsplit":
		return m.rsplit(s, a), true
	case "splitlines":
		return splitLines(m, s), true
	case "startswith":
		return anyAffix(a.must("prefix"), func(p string) bool { return strings.HasPrefix(s, p) }), true
	case "endswith":
		return anyAffix(a.must("suffix"), func(p string) bool { return strings.HasSuffix(s, p) }), true
	case "replace":
		return m.replace(s, a.mustStr("old"), a.mustStr("new"), a.int("count", -1)), true
	case "join":
		return filterJoin(m, a.must("iterable"), m.again([]any{s}, nil)), true
	case "format":
		return m.braces(s, a), true
	case "removeprefix":
		return strings.TrimPrefix(s, a.mustStr("prefix")), true
	case "removesuffix":
		return strings.TrimSuffix(s, a.mustStr("suffix")), true
	}
	return m.stringMethodRare(s, name, a)
}
