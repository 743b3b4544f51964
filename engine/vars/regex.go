package vars

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// pattern is a compiled regular expression with the size of its program.
type pattern struct {
	*regexp.Regexp
	size int
}

// regex compiles a pattern written for Python. Go's engine runs in time linear
// in the text times the program, and has no lookaround and no backreference.
func (m *machine) regex(text string, ignoreCase, multiline bool) pattern {
	if len(text) > 10_000 {
		panic(m.limit("a pattern is longer than 10,000 bytes"))
	}
	flags := ""
	if ignoreCase {
		flags += "i"
	}
	if multiline {
		flags += "m"
	}
	p := strings.ReplaceAll(text, `\Z`, `\z`)
	if flags != "" {
		p = "(?" + flags + ")" + p
	}
	if re, ok := m.patterns[p]; ok {
		return re
	}
	m.charge(patternCost(p))
	parsed, err := syntax.Parse(p, syntax.Perl)
	if err != nil {
		panic(patternError(text, err))
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		panic(patternError(text, err))
	}
	m.charge(len(prog.Inst))
	re, err := regexp.Compile(p)
	if err != nil {
		panic(patternError(text, err))
	}
	if m.patterns == nil {
		m.patterns = map[string]pattern{}
	}
	m.patterns[p] = pattern{re, len(prog.Inst)}
	return m.patterns[p]
}

// patternCost is the work of reading a pattern: a Unicode class is hundreds of
// ranges, and where case is ignored a range is folded letter by letter.
func patternCost(p string) int {
	cost := 100 + len(p) + 500*(strings.Count(p, `\p`)+strings.Count(p, `\P`))
	if ignoresCase.MatchString(p) {
		cost += 2000 * strings.Count(p, "-")
	}
	return cost
}

var ignoresCase = regexp.MustCompile(`\(\?[A-Za-z]*i`)

func patternError(text string, err error) error {
	for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(text, look) {
			return fmt.Errorf("the pattern uses lookaround %q...), which is not supported", look)
		}
	}
	return fmt.Errorf("the pattern is wrong: %w", err)
}

// chargeMatch charges a search before it is made: sixteen instructions on one
// byte are a step.
func (m *machine) chargeMatch(re pattern, s string) {
	if _, whole := re.LiteralPrefix(); whole {
		m.charge(1 + len(s)/bytesPerStep)
		return
	}
	m.charge(1 + re.size*(1+len(s))/16)
}

// matchLimit is how many matches may be asked for, at three steps each.
func (m *machine) matchLimit() int { return (maxSteps-m.steps)/3 + 1 }

func filterRegexReplace(m *machine, in any, a *arguments) any {
	s := m.str(in)
	text, with := a.str("pattern", ""), a.str("replacement", "")
	re := m.regex(text, a.bool("ignorecase", false), a.bool("multiline", false))
	limit := a.int("count", 0)
	m.chargeMatch(re, s)
	var b strings.Builder
	last := 0
	for n, loc := range re.FindAllStringSubmatchIndex(s, m.matchLimit()) {
		if limit > 0 && int64(n) >= limit {
			break
		}
		m.charge(3 + len(with)/bytesPerStep)
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
func (m *machine) expand(b *strings.Builder, re pattern, with, s string, loc []int) {
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

func groupNumber(re pattern, name string) int {
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
	text := a.str("pattern", "")
	re := m.regex(text, isTrue(a.kw["ignorecase"]), isTrue(a.kw["multiline"]))
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
	for _, match := range re.FindAllStringSubmatch(s, m.matchLimit()) {
		m.charge(2 + len(match))
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
