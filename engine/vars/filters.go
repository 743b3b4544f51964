package vars

import (
	"fmt"
	"maps"
	"math"
	"path"
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
	f, _, ok := number(in)
	if !ok {
		panic(fmt.Errorf("round takes a number, not %s", typeName(in)))
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

// textFilter makes a filter of a function on strings; other values are
// written as text first, as Jinja does.
func textFilter(f func(string) any) filterFunc {
	return func(m *machine, in any, a *arguments) any {
		s := m.str(in)
		m.charge(len(s) / bytesPerStep)
		return f(s)
	}
}

func textFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"lower":      textFilter(func(s string) any { return strings.ToLower(s) }),
		"upper":      textFilter(func(s string) any { return strings.ToUpper(s) }),
		"capitalize": textFilter(func(s string) any { return capitalize(s) }),
		"title":      textFilter(func(s string) any { return titleCase(s) }),
		"wordcount":  textFilter(func(s string) any { return int64(len(strings.Fields(s))) }),
		"trim":       filterTrim,
		"replace":    filterReplace,
		"split":      filterSplit,
		"splitlines": func(m *machine, in any, a *arguments) any { return splitLines(m, m.str(in)) },
		"indent":     filterIndent,
		"center":     func(m *machine, in any, a *arguments) any { return m.pad(m.str(in), a.int("width", 80), " ", 'c') },
		"truncate":   filterTruncate,
		"format":     func(m *machine, in any, a *arguments) any { return m.percent(m.str(in), a.rest()) },
		"comment":    filterComment,
		"quote":      textFilter(func(s string) any { return shellQuote(s) }),
		"basename":   textFilter(func(s string) any { return s[strings.LastIndex(s, "/")+1:] }),
		"dirname":    textFilter(func(s string) any { return dirname(s) }),
		"splitext": textFilter(func(s string) any {
			ext := path.Ext(s)
			if strings.TrimLeft(path.Base(strings.TrimSuffix(s, ext)), ".") == "" || strings.HasSuffix(strings.TrimSuffix(s, ext), "/") {
				ext = ""
			}
			return []any{strings.TrimSuffix(s, ext), ext}
		}),
		"regex_replace": filterRegexReplace,
		"regex_search":  filterRegexSearch,
		"regex_findall": filterRegexFindall,
		"regex_escape":  textFilter(func(s string) any { return regexEscape(s) }),
	}
}

func capitalize(s string) string {
	r := []rune(strings.ToLower(s))
	if len(r) > 0 {
		r[0] = []rune(strings.ToUpper(string(r[0])))[0]
	}
	return string(r)
}

// titleCase is Jinja's: a letter is large after a space, bracket or dash.
func titleCase(s string) string {
	var b strings.Builder
	start := true
	for _, r := range s {
		if start {
			b.WriteString(strings.ToUpper(string(r)))
		} else {
			b.WriteString(strings.ToLower(string(r)))
		}
		start = strings.ContainsRune(" \t\n\r-([{<", r)
	}
	return b.String()
}

func filterTrim(m *machine, in any, a *arguments) any {
	s := m.str(in)
	if chars := a.any("chars", nil); chars != nil {
		return strings.Trim(s, m.str(chars))
	}
	return strings.TrimSpace(s)
}

func filterReplace(m *machine, in any, a *arguments) any {
	return m.replace(m.str(in), m.str(a.must("old")), m.str(a.must("new")), a.int("count", -1))
}

// replace bounds what strings.Replace may make before it makes it.
func (m *machine) replace(s, old, with string, count int64) string {
	n := int64(strings.Count(s, old))
	m.charge(len(s) / bytesPerStep)
	if count >= 0 {
		n = min(n, count)
	}
	if n*int64(len(with)) > maxString {
		panic(m.limit("a text grows beyond 8 MiB"))
	}
	return strings.Replace(s, old, with, int(n))
}

func filterSplit(m *machine, in any, a *arguments) any {
	s, ok := in.(string)
	if !ok {
		panic(fmt.Errorf("split takes a string, not %s", typeName(in)))
	}
	return m.split(s, a.any("sep", nil), a.int("maxsplit", -1))
}

// split is Python's str.split.
func (m *machine) split(s string, sep any, limit int64) any {
	var parts []string
	m.charge(len(s) / bytesPerStep)
	if sep == nil {
		for s = strings.TrimSpace(s); s != ""; {
			i := strings.IndexAny(s, " \t\r\n\f\v")
			if i < 0 || limit >= 0 && int64(len(parts)) >= limit {
				parts = append(parts, s)
				break
			}
			parts = append(parts, s[:i])
			s = strings.TrimSpace(s[i:])
		}
		return m.strings(parts)
	}
	by, ok := sep.(string)
	if !ok || by == "" {
		panic(fmt.Errorf("the separator of split must be a text"))
	}
	m.charge(strings.Count(s, by))
	n := -1
	if limit >= 0 {
		n = int(min(limit, int64(len(s)))) + 1
	}
	return m.strings(strings.SplitN(s, by, n))
}

func splitLines(m *machine, s string) any {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if s == "" {
		return []any{}
	}
	m.charge(strings.Count(s, "\n"))
	return m.strings(strings.Split(strings.TrimSuffix(s, "\n"), "\n"))
}

func filterIndent(m *machine, in any, a *arguments) any {
	s := m.str(in)
	indent := ""
	switch w := a.any("width", int64(4)).(type) {
	case string:
		indent = w
	case int64:
		indent = strings.Repeat(" ", int(max(0, min(w, 1000))))
	}
	first, blank := a.bool("first", false), a.bool("blank", false)
	if int64(strings.Count(s, "\n")+1)*int64(len(indent)) > maxString {
		panic(m.limit("a text grows beyond 8 MiB"))
	}
	m.charge(strings.Count(s, "\n"))
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if i == 0 && first || i > 0 && (blank || l != "") {
			lines[i] = indent + l
		}
	}
	return strings.Join(lines, "\n")
}

func filterTruncate(m *machine, in any, a *arguments) any {
	s := []rune(m.str(in))
	n, kill, end, leeway := a.int("length", 255), a.bool("killwords", false), []rune(a.str("end", "...")), a.int("leeway", 5)
	if n < int64(len(end)) {
		panic(fmt.Errorf("truncate needs a length of at least %d", len(end)))
	}
	if int64(len(s)) <= n+leeway {
		return string(s)
	}
	cut := string(s[:n-int64(len(end))])
	if i := strings.LastIndex(cut, " "); !kill && i >= 0 {
		cut = cut[:i]
	}
	return cut + string(end)
}

func filterComment(m *machine, in any, a *arguments) any {
	lines := strings.Split(m.str(in), "\n")
	style := a.str("style", "plain")
	mark, ok := map[string]string{"plain": "# ", "erlang": "% ", "c": "// ", "ini": "; "}[style]
	if !ok {
		panic(fmt.Errorf("comment knows plain, ini, c and erlang, not %q", style))
	}
	m.charge(len(lines))
	for i, l := range lines {
		lines[i] = strings.TrimRight(mark+l, " ")
	}
	edge := strings.TrimRight(mark, " ")
	return edge + "\n" + strings.Join(lines, "\n") + "\n" + edge
}

func shellQuote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

func dirname(s string) string {
	head := s[:strings.LastIndex(s, "/")+1]
	if t := strings.TrimRight(head, "/"); t != "" {
		return t
	}
	return head
}

// pad widens s to width: 'l' puts the text left, 'r' right, 'c' in the middle.
func (m *machine) pad(s string, width int64, fill string, side byte) string {
	missing := width - int64(len([]rune(s)))
	if missing <= 0 {
		return s
	}
	if missing*int64(len(fill)) > maxString {
		panic(m.limit("a text grows beyond 8 MiB"))
	}
	switch side {
	case 'l':
		return s + strings.Repeat(fill, int(missing))
	case 'r':
		return strings.Repeat(fill, int(missing)) + s
	}
	left := missing/2 + (missing & width & 1)
	return strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(missing-left))
}

// percent is Python's % formatting for s, d, i, f, x, o, r, e, g and %%.
func (m *machine) percent(format string, args []any) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		end := i + 1
		for end < len(format) && strings.IndexByte("#0- +.123456789", format[end]) >= 0 {
			end++
		}
		if end >= len(format) || end-i > 12 {
			panic(fmt.Errorf("incomplete %% in the format"))
		}
		spec, verb := format[i:end], format[end]
		i = end
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if len(args) == 0 {
			panic(fmt.Errorf("too few values for the format"))
		}
		b.WriteString(m.percentOne(spec, verb, m.use(args[0])))
		m.charge(1)
		args = args[1:]
	}
	if len(args) > 0 {
		panic(fmt.Errorf("too many values for the format"))
	}
	return b.String()
}

func (m *machine) percentOne(spec string, verb byte, v any) string {
	for _, part := range strings.FieldsFunc(spec, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(part); err != nil || n > 10_000 {
			panic(fmt.Errorf("a width in the format is too large"))
		}
	}
	f, isInt, ok := number(v)
	switch verb {
	case 's':
		return fmt.Sprintf(spec+"s", m.str(v))
	case 'r':
		return fmt.Sprintf(spec+"s", pyQuote(m.str(v)))
	case 'd', 'i', 'x', 'X', 'o':
		if !ok || verb != 'd' && verb != 'i' && !isInt {
			panic(fmt.Errorf("%%%c takes a number, not %s", verb, typeName(v)))
		}
		i, isI := integer(v)
		if !isI {
			i = int64(f)
		}
		if verb == 'i' {
			verb = 'd'
		}
		return fmt.Sprintf(spec+string(verb), i)
	case 'f', 'e', 'g':
		if !ok {
			panic(fmt.Errorf("%%%c takes a number, not %s", verb, typeName(v)))
		}
		return fmt.Sprintf(spec+string(verb), f)
	}
	panic(fmt.Errorf("unknown format %%%c", verb))
}
