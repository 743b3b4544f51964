package vars

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// regex compiles a pattern written for Python. Go's engine runs in time linear
// in the text, and has no lookaround and no backreference.
func (m *machine) regex(pattern string, ignoreCase, multiline bool) *regexp.Regexp {
	m.charge(100 + len(pattern))
	if len(pattern) > 10_000 {
		panic(m.limit("a pattern is longer than 10,000 bytes"))
	}
	flags := ""
	if ignoreCase {
		flags += "i"
	}
	if multiline {
		flags += "m"
	}
	p := strings.ReplaceAll(pattern, `\Z`, `\z`)
	if flags != "" {
		p = "(?" + flags + ")" + p
	}
	re, err := regexp.Compile(p)
	if err == nil {
		return re
	}
	for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(pattern, look) {
			panic(fmt.Errorf("the pattern uses lookaround %q...), which is not supported", look))
		}
	}
	panic(fmt.Errorf("the pattern is wrong: %w", err))
}

func (m *machine) chargeMatch(re *regexp.Regexp, s string) {
	// The engine's work is the text times the pattern; 16 bytes of pattern are one step a chunk.
	m.charge((1 + len(re.String())/16) * (1 + len(s)/8))
}

func filterRegexReplace(m *machine, in any, a *arguments) any {
	s := m.str(in)
	pattern, with := a.str("pattern", ""), a.str("replacement", "")
	re := m.regex(pattern, a.bool("ignorecase", false), a.bool("multiline", false))
	limit := a.int("count", 0)
	m.chargeMatch(re, s)
	var b strings.Builder
	last := 0
	for n, loc := range re.FindAllStringSubmatchIndex(s, -1) {
		if limit > 0 && int64(n) >= limit {
			break
		}
		m.charge(1 + len(with)/bytesPerStep)
		b.WriteString(s[last:loc[0]])
		m.expand(&b, re, with, s, loc)
		last = loc[1]
		if b.Len() > maxString {
			panic(m.limit("a text grows beyond 8 MiB"))
		}
	}
	b.WriteString(s[last:])
	return b.String()
}

// expand writes a replacement with Python's \1 and \g<name>.
func (m *machine) expand(b *strings.Builder, re *regexp.Regexp, with, s string, loc []int) {
	group := func(i int) {
		if i*2+1 >= len(loc) {
			panic(fmt.Errorf("the pattern has no group %d", i))
		}
		if loc[2*i] >= 0 {
			b.WriteString(s[loc[2*i]:loc[2*i+1]])
		}
	}
	for i := 0; i < len(with); i++ {
		if with[i] != '\\' || i+1 >= len(with) {
			b.WriteByte(with[i])
			continue
		}
		i++
		switch c := with[i]; {
		case c >= '0' && c <= '9':
			group(int(c - '0'))
		case c == 'g' && i+1 < len(with) && with[i+1] == '<' && strings.IndexByte(with[i:], '>') > 0:
			end := i + strings.IndexByte(with[i:], '>')
			group(groupNumber(re, with[i+2:end]))
			i = end
		case c == 'n':
			b.WriteByte('\n')
		case c == 't':
			b.WriteByte('\t')
		default:
			if c != '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
	}
}

func groupNumber(re *regexp.Regexp, name string) int {
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < 1000 {
		return i
	}
	if i := re.SubexpIndex(name); i >= 0 {
		return i
	}
	panic(fmt.Errorf("the pattern has no group %q", name))
}

// filterRegexSearch gives the match, or the groups that were asked for, or none.
func filterRegexSearch(m *machine, in any, a *arguments) any {
	s := m.str(in)
	pattern := a.str("pattern", "")
	re := m.regex(pattern, isTrue(a.kw["ignorecase"]), isTrue(a.kw["multiline"]))
	delete(a.kw, "ignorecase")
	delete(a.kw, "multiline")
	m.chargeMatch(re, s)
	loc := re.FindStringSubmatchIndex(s)
	var groups []any
	want := a.rest()
	if loc == nil {
		return nil
	}
	for _, g := range want {
		var b strings.Builder
		m.expand(&b, re, m.str(m.use(g)), s, loc)
		groups = append(groups, b.String())
	}
	if groups != nil {
		return groups
	}
	return s[loc[0]:loc[1]]
}

func filterRegexFindall(m *machine, in any, a *arguments) any {
	s := m.str(in)
	re := m.regex(a.str("pattern", ""), a.bool("ignorecase", false), a.bool("multiline", false))
	m.chargeMatch(re, s)
	out := []any{}
	for _, match := range re.FindAllStringSubmatch(s, -1) {
		m.charge(len(match))
		switch len(match) {
		case 1:
			out = append(out, match[0])
		case 2:
			out = append(out, match[1])
		default:
			out = append(out, m.strings(match[1:]))
		}
	}
	return out
}
