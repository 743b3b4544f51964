package vars

import (
	"fmt"
	"path"
	"strings"
)

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
