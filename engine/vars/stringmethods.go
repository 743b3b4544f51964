package vars

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

func anyAffix(v any, has func(string) bool) bool {
	switch v := v.(type) {
	case string:
		return has(v)
	case []any:
		for _, it := range v {
			if s, ok := it.(string); ok && has(s) {
				return true
			}
		}
		return false
	}
	panic(fmt.Errorf("expected a string or a list of strings, not %s", typeName(v)))
}

func all(s string, is func(rune) bool) bool {
	for _, r := range s {
		if !is(r) {
			return false
		}
	}
	return s != ""
}

func (m *machine) stringMethodRare(s, name string, a *arguments) (any, bool) {
	runeIndex := func(i int) any {
		if i < 0 {
			return int64(-1)
		}
		return int64(utf8.RuneCountInString(s[:i]))
	}
	switch name {
	case "find":
		return runeIndex(strings.Index(s, a.mustStr("sub"))), true
	case "rfind":
		return runeIndex(strings.LastIndex(s, a.mustStr("sub"))), true
	case "index":
		i := strings.Index(s, a.mustStr("sub"))
		if i < 0 {
			panic(fmt.Errorf("the text is not found"))
		}
		return runeIndex(i), true
	case "count":
		return int64(strings.Count(s, a.mustStr("sub"))), true
	case "isdigit":
		return all(s, unicode.IsDigit), true
	case "isalpha":
		return all(s, unicode.IsLetter), true
	case "isalnum":
		return all(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }), true
	case "isspace":
		return all(s, unicode.IsSpace), true
	case "islower":
		return s == strings.ToLower(s) && s != strings.ToUpper(s), true
	case "isupper":
		return s == strings.ToUpper(s) && s != strings.ToLower(s), true
	case "zfill":
		sign := ""
		if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
			sign, s = s[:1], s[1:]
		}
		return sign + m.pad(s, a.int("width", 0)-int64(len(sign)), "0", 'r'), true
	case "ljust":
		return m.pad(s, a.int("width", 0), a.str("fillchar", " "), 'l'), true
	case "rjust":
		return m.pad(s, a.int("width", 0), a.str("fillchar", " "), 'r'), true
	case "center":
		return m.pad(s, a.int("width", 0), a.str("fillchar", " "), 'c'), true
	case "partition":
		before, after, found := strings.Cut(s, a.mustStr("sep"))
		if !found {
			return []any{s, "", ""}, true
		}
		return []any{before, s[len(before) : len(s)-len(after)], after}, true
	case "rpartition":
		sep := a.mustStr("sep")
		i := strings.LastIndex(s, sep)
		if i < 0 {
			return []any{"", "", s}, true
		}
		return []any{s[:i], sep, s[i+len(sep):]}, true
	}
	return nil, false
}

// pyTitle is Python's str.title: a letter is large after anything but a letter.
func pyTitle(s string) string {
	var b strings.Builder
	inWord := false
	for _, r := range s {
		switch {
		case !unicode.IsLetter(r):
			b.WriteRune(r)
		case inWord:
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(unicode.ToTitle(r))
		}
		inWord = unicode.IsLetter(r)
	}
	return b.String()
}

func (m *machine) rsplit(s string, a *arguments) any {
	sep, limit := a.any("sep", nil), a.int("maxsplit", -1)
	if limit < 0 {
		return m.split(s, sep, -1)
	}
	by, ok := sep.(string)
	if !ok || by == "" {
		panic(fmt.Errorf("rsplit with a limit needs a separator"))
	}
	var parts []any
	for ; limit > 0; limit-- {
		i := strings.LastIndex(s, by)
		if i < 0 {
			break
		}
		m.charge(1)
		parts = append([]any{s[i+len(by):]}, parts...)
		s = s[:i]
		m.charge(len(parts))
	}
	return append([]any{s}, parts...)
}

// braces is str.format with {}, {0} and {name}, without format specifications.
func (m *machine) braces(s string, a *arguments) string {
	args := a.rest()
	kw := a.kw
	a.kw = nil
	var b strings.Builder
	next := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			panic(fmt.Errorf("a { without } in the format"))
		}
		field := s[i+1 : i+end]
		i += end
		var v any
		n, isNum := atoi(field)
		switch {
		case field == "" && next < len(args):
			v = args[next]
			next++
		case isNum && n < int64(len(args)):
			v = args[n]
		case kw[field] != nil:
			v = kw[field]
		default:
			panic(fmt.Errorf("format has no value for {%s}", field))
		}
		b.WriteString(m.str(m.use(v)))
		if b.Len() > maxString {
			panic(m.limit("a text grows beyond 8 MiB"))
		}
	}
	return b.String()
}
