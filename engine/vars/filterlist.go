package vars

import (
	"fmt"
	"slices"
	"strings"
)

func listFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"length": filterLength, "count": filterLength,
		"list":                 func(m *machine, in any, a *arguments) any { return slices.Clone(m.items(in)) },
		"first":                func(m *machine, in any, a *arguments) any { return m.end(in, 0) },
		"last":                 func(m *machine, in any, a *arguments) any { return m.end(in, -1) },
		"join":                 filterJoin,
		"map":                  filterMap,
		"select":               func(m *machine, in any, a *arguments) any { return m.sift(in, a, false, true) },
		"reject":               func(m *machine, in any, a *arguments) any { return m.sift(in, a, false, false) },
		"selectattr":           func(m *machine, in any, a *arguments) any { return m.sift(in, a, true, true) },
		"rejectattr":           func(m *machine, in any, a *arguments) any { return m.sift(in, a, true, false) },
		"unique":               filterUnique,
		"sort":                 filterSort,
		"reverse":              filterReverse,
		"flatten":              filterFlatten,
		"union":                func(m *machine, in any, a *arguments) any { return m.setOp(in, a, "union") },
		"difference":           func(m *machine, in any, a *arguments) any { return m.setOp(in, a, "difference") },
		"intersect":            func(m *machine, in any, a *arguments) any { return m.setOp(in, a, "intersect") },
		"symmetric_difference": func(m *machine, in any, a *arguments) any { return m.setOp(in, a, "symmetric_difference") },
		"min":                  func(m *machine, in any, a *arguments) any { return m.extreme(in, a, -1) },
		"max":                  func(m *machine, in any, a *arguments) any { return m.extreme(in, a, 1) },
		"sum":                  filterSum,
		"zip":                  filterZip,
		"batch":                filterBatch,
		"groupby":              filterGroupby,
	}
}

func filterLength(m *machine, in any, a *arguments) any {
	switch v := in.(type) {
	case string:
		m.charge(len(v) / bytesPerStep)
		return int64(len([]rune(v)))
	case []any:
		return int64(len(v))
	case *dict:
		return int64(len(v.keys))
	case object:
		return int64(len(v.names(m)))
	}
	panic(fmt.Errorf("%s has no length", typeName(in)))
}

func (m *machine) end(in any, i int) any {
	items := m.items(in)
	if len(items) == 0 {
		return &undefined{name: "an item of an empty list"}
	}
	if i < 0 {
		i += len(items)
	}
	return items[i]
}

func filterJoin(m *machine, in any, a *arguments) any {
	sep, attr := a.str("d", ""), a.any("attribute", nil)
	var b strings.Builder
	for i, it := range m.items(in) {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(m.str(m.use(m.attrPath(it, attr))))
		if b.Len() > maxString {
			panic(m.limit("a text grows beyond 8 MiB"))
		}
	}
	return b.String()
}

// attrPath follows a path like "stat.size" or an index; nil is the item itself.
func (m *machine) attrPath(v, path any) any {
	switch p := path.(type) {
	case nil:
		return v
	case string:
		for _, part := range strings.Split(p, ".") {
			m.charge(1)
			v = m.use(v)
			var next any
			ok := false
			if n, isNum := atoi(part); isNum {
				next, ok = m.part(v, n)
			}
			if !ok {
				next, ok = m.part(v, part)
			}
			if !ok {
				return &undefined{name: "the attribute " + p}
			}
			v = next
		}
		return v
	}
	r, ok := m.part(m.use(v), path)
	if !ok {
		return &undefined{name: "the attribute " + m.str(path)}
	}
	return r
}

func atoi(s string) (int64, bool) {
	n := int64(0)
	for _, r := range s {
		if r < '0' || r > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int64(r-'0')
	}
	return n, s != ""
}

func filterMap(m *machine, in any, a *arguments) any {
	out := []any{}
	if attr, ok := a.kw["attribute"]; ok {
		delete(a.kw, "attribute")
		or, hasDefault := a.kw["default"]
		delete(a.kw, "default")
		for _, it := range m.items(in) {
			v := m.attrPath(it, attr)
			if _, undef := v.(*undefined); undef && hasDefault {
				v = or
			}
			out = append(out, v)
		}
		return out
	}
	name := a.mustStr("filter")
	rest, kw := a.rest(), a.kw
	a.kw = nil
	for _, it := range m.items(in) {
		out = append(out, m.applyFilter(name, it, m.again(rest, kw)))
	}
	return out
}

// again gives the same arguments to one more call.
func (m *machine) again(pos []any, kw map[string]any) *arguments {
	c := &arguments{m: m, pos: pos, kw: map[string]any{}}
	for k, v := range kw {
		c.kw[k] = v
	}
	return c
}

// sift is select, reject and their attr forms.
func (m *machine) sift(in any, a *arguments, byAttr, keep bool) any {
	var attr any
	if byAttr {
		attr = a.must("attribute")
	}
	test, named := a.raw("test")
	rest, kw := a.rest(), a.kw
	a.kw = nil
	out := []any{}
	for _, it := range m.items(in) {
		v := m.attrPath(it, attr)
		var is bool
		if named {
			name, ok := m.use(test).(string)
			if !ok {
				panic(fmt.Errorf("the name of a test is a string"))
			}
			is = m.applyTest(name, v, m.again(rest, kw))
		} else {
			is = isTrue(m.use(v))
		}
		if is == keep {
			out = append(out, it)
		}
	}
	return out
}

// foldCase makes texts comparable without regard to case, as Jinja sorts.
func foldCase(v any, caseSensitive bool) any {
	if s, ok := v.(string); ok && !caseSensitive {
		return strings.ToLower(s)
	}
	return v
}

func filterUnique(m *machine, in any, a *arguments) any {
	caseSensitive, attr := a.bool("case_sensitive", false), a.any("attribute", nil)
	seen, out := map[string]bool{}, []any{}
	for _, it := range m.items(in) {
		v := m.use(m.attrPath(it, attr))
		m.measure(v, 0)
		if k := hashKey(foldCase(m.plain(v), caseSensitive)); !seen[k] {
			seen[k] = true
			out = append(out, it)
		}
	}
	return out
}

func filterSort(m *machine, in any, a *arguments) any {
	reverse, caseSensitive, attr := a.bool("reverse", false), a.bool("case_sensitive", false), a.any("attribute", nil)
	out := slices.Clone(m.items(in))
	keys := map[int]any{}
	order := make([]int, len(out))
	for i, it := range out {
		order[i] = i
		keys[i] = foldCase(m.use(m.attrPath(it, attr)), caseSensitive)
	}
	slices.SortStableFunc(order, func(x, y int) int {
		m.measure(keys[x], 0)
		c, ok := compare(keys[x], keys[y])
		if !ok {
			panic(fmt.Errorf("cannot order %s and %s", typeName(keys[x]), typeName(keys[y])))
		}
		if reverse {
			return -c
		}
		return c
	})
	sorted := make([]any, len(out))
	for i, j := range order {
		sorted[i] = out[j]
	}
	return sorted
}

func filterReverse(m *machine, in any, a *arguments) any {
	if s, ok := in.(string); ok {
		r := []rune(s)
		slices.Reverse(r)
		return string(r)
	}
	out := slices.Clone(m.items(in))
	slices.Reverse(out)
	return out
}

func filterFlatten(m *machine, in any, a *arguments) any {
	levels := a.int("levels", maxDepth)
	skipNulls := a.bool("skip_nulls", true)
	out := []any{}
	var walk func(v any, level int64)
	walk = func(v any, level int64) {
		for _, it := range m.items(v) {
			if l, ok := it.([]any); ok && level > 0 {
				walk(l, level-1)
				continue
			}
			if s, ok := it.(string); it == nil && skipNulls || ok && skipNulls && (s == "None" || s == "null") {
				continue
			}
			out = append(out, it)
		}
	}
	walk(in, min(levels, maxDepth))
	return out
}

func (m *machine) setOp(in any, a *arguments, op string) any {
	left, right := m.items(in), m.items(a.must("other"))
	keysOf := func(l []any) map[string]bool {
		set := map[string]bool{}
		for _, v := range l {
			m.measure(v, 0)
			set[hashKey(m.plain(m.use(v)))] = true
		}
		return set
	}
	inLeft, inRight := keysOf(left), keysOf(right)
	seen, out := map[string]bool{}, []any{}
	add := func(l []any, want func(k string) bool) {
		for _, v := range l {
			if k := hashKey(m.plain(v)); !seen[k] && want(k) {
				seen[k] = true
				out = append(out, v)
			}
		}
	}
	always := func(string) bool { return true }
	switch op {
	case "union":
		add(left, always)
		add(right, always)
	case "difference":
		add(left, func(k string) bool { return !inRight[k] })
	case "intersect":
		add(left, func(k string) bool { return inRight[k] })
	default:
		add(left, func(k string) bool { return !inRight[k] })
		add(right, func(k string) bool { return !inLeft[k] })
	}
	return out
}

func (m *machine) extreme(in any, a *arguments, sign int) any {
	attr, caseSensitive := a.any("attribute", nil), a.bool("case_sensitive", false)
	var best, bestKey any
	for i, it := range m.items(in) {
		k := foldCase(m.use(m.attrPath(it, attr)), caseSensitive)
		if i > 0 {
			c, ok := compare(k, bestKey)
			if !ok {
				panic(fmt.Errorf("cannot order %s and %s", typeName(k), typeName(bestKey)))
			}
			if c*sign <= 0 {
				continue
			}
		}
		best, bestKey = it, k
	}
	if bestKey == nil {
		return &undefined{name: "an item of an empty list"}
	}
	return best
}

func filterSum(m *machine, in any, a *arguments) any {
	attr, sum := a.any("attribute", nil), a.any("start", int64(0))
	for _, it := range m.items(in) {
		sum = m.add(sum, m.use(m.attrPath(it, attr)))
	}
	return sum
}

func filterZip(m *machine, in any, a *arguments) any {
	lists := [][]any{m.items(in)}
	n := len(lists[0])
	for _, v := range a.rest() {
		lists = append(lists, m.items(v))
		n = min(n, len(lists[len(lists)-1]))
	}
	m.charge(n * len(lists))
	out := make([]any, n)
	for i := range n {
		row := make([]any, len(lists))
		for j := range lists {
			row[j] = lists[j][i]
		}
		out[i] = row
	}
	return out
}

func filterBatch(m *machine, in any, a *arguments) any {
	n := a.int("linecount", 0)
	fill, hasFill := a.raw("fill_with")
	if n < 1 || n > maxRange {
		panic(fmt.Errorf("batch needs a size between 1 and 10,000"))
	}
	out := []any{}
	for chunk := range slices.Chunk(m.items(in), int(n)) {
		chunk = slices.Clone(chunk)
		for hasFill && int64(len(chunk)) < n {
			chunk = append(chunk, fill)
		}
		out = append(out, chunk)
	}
	return out
}

func filterGroupby(m *machine, in any, a *arguments) any {
	attr := a.must("attribute")
	sorted := filterSort(m, in, m.again(nil, map[string]any{"attribute": attr})).([]any)
	out := []any{}
	for _, it := range sorted {
		k := m.use(m.attrPath(it, attr))
		if n := len(out); n > 0 && m.equal(out[n-1].([]any)[0], k) {
			g := out[n-1].([]any)
			g[1] = append(g[1].([]any), it)
			continue
		}
		out = append(out, []any{k, []any{it}})
	}
	return out
}
