package inventory

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// MaxPattern is the longest pattern in bytes.
const MaxPattern = 64 << 10

// Pattern selects hosts as Ansible's patterns do: terms with a comma or a
// colon between them. A term is a host, a group, a glob (web*), a regular
// expression (~web\d+), any but the last with a subscript (masters[0],
// nodes[1:3], nodes[-1], nodes[2:]); !TERM takes hosts away, &TERM keeps only
// those in TERM. First come the plain terms, then the &, then the !.
type Pattern struct {
	text  string
	terms []term
}

type term struct {
	op   rune // 0, '!' or '&'
	text string
	at   source.Pos
	line string

	name     string         // without op and subscript
	match    *regexp.Regexp // of a glob or regular expression; nil for a plain name
	regex    bool
	index    bool // a subscript [n] or [from:to]
	single   bool
	from, to int
	toEnd    bool
}

// String gives the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// ParsePattern reads a pattern that was given on the command line; where names
// it in mistakes: "--limit", "PATTERN". The error is a source.List.
func ParsePattern(where, text string) (*Pattern, error) {
	return parsePattern(text, source.Pos{File: where, Line: 0, Col: 1}, text)
}

// PatternAt reads the pattern in a playbook: a text, or a list of texts.
func PatternAt(n *strictyaml.Node) (*Pattern, error) {
	ms, items := &source.Mistakes{}, []*strictyaml.Node{n}
	if n.Kind == strictyaml.Seq {
		items = n.Items
	}
	p := &Pattern{}
	for i, it := range items {
		text, ok := it.Value.(string)
		if it.Kind != strictyaml.Scalar || !ok {
			ms.Add(it.Mistake("a pattern of hosts is a text", "for example: masters, or all:!etcd"))
			continue
		}
		if i > 0 {
			p.text += ","
		}
		p.text += text
		at := it.Pos
		at.Col += quoteWidth(it)
		for _, piece := range pieces(text, at, it.Line, ms) {
			p.add(piece, ms)
		}
	}
	return p.checked(n.Pos, n.Line, ms)
}

// ParseLimit reads the value of --limit: a pattern in which a term @FILE
// stands for the patterns in the lines of that file. read bounds its size.
func ParseLimit(where, text string, read func(string) ([]byte, error)) (*Pattern, error) {
	p, ms := &Pattern{text: text}, &source.Mistakes{}
	for _, piece := range pieces(text, source.Pos{File: where, Col: 1}, text, ms) {
		if !strings.HasPrefix(piece.text, "@") {
			p.add(piece, ms)
			continue
		}
		file := piece.text[1:]
		data, err := read(file)
		if err != nil {
			ms.Add(piece.mistake("cannot read the file of patterns: "+source.Reason(err), ""))
			continue
		}
		no := 0
		for line := range strings.Lines(string(data)) {
			no++
			line = strings.TrimRight(line, "\r\n")
			if t := strings.TrimSpace(line); t == "" || t[0] == '#' {
				continue
			}
			for _, it := range pieces(line, source.Pos{File: file, Line: no, Col: 1}, line, ms) {
				p.add(it, ms)
			}
		}
	}
	return p.checked(source.Pos{File: where, Col: 1}, text, ms)
}

func parsePattern(text string, at source.Pos, line string) (*Pattern, error) {
	p, ms := &Pattern{text: text}, &source.Mistakes{}
	for _, piece := range pieces(text, at, line, ms) {
		p.add(piece, ms)
	}
	return p.checked(at, line, ms)
}

func (p *Pattern) checked(at source.Pos, line string, ms *source.Mistakes) (*Pattern, error) {
	if len(p.terms) == 0 && ms.Len() == 0 {
		ms.Add(&source.Mistake{Pos: at, Line: line, Text: "this pattern is empty", Hint: `"all" selects every host`})
	}
	return p, ms.Err()
}

func (t *term) mistake(text, hint string) *source.Mistake {
	return &source.Mistake{Pos: t.at, Line: t.line, Len: utf8.RuneCountInString(t.text), Text: text, Hint: hint}
}

// pieces splits at commas and colons outside brackets. An IPv6 address is one
// piece.
func pieces(text string, at source.Pos, line string, ms *source.Mistakes) []term {
	if len(text) > MaxPattern {
		ms.Add(&source.Mistake{Pos: at, Text: fmt.Sprintf("a pattern has at most %d bytes", MaxPattern)})
		return nil
	}
	var out []term
	runes := []rune(text)
	start, open := 0, -1
	cut := func(end int) {
		s := string(runes[start:end])
		if t := strings.TrimSpace(s); t != "" {
			pos := at
			pos.Col += start + utf8.RuneCountInString(s[:strings.Index(s, t)])
			out = append(out, term{text: t, at: pos, line: line})
		}
		start = end + 1
	}
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && i+1 < len(runes):
			i++
		case r == '[' && open < 0:
			open = i
		case r == ']':
			open = -1
		case r == ',' && open < 0:
			cut(i)
		case r == ':' && open < 0:
			if end := ipv6End(runes, start); end > i {
				i = end - 1
				continue
			}
			cut(i)
		}
	}
	if open >= 0 {
		pos := at
		pos.Col += open
		ms.Add(&source.Mistake{Pos: pos, Line: line, Text: "this [ is never closed", Hint: "a subscript is written masters[0] or nodes[1:3]"})
		return nil
	}
	cut(len(runes))
	return out
}

// ipv6End returns the end of the IPv6 address that begins at start (behind !
// or &), or 0.
func ipv6End(runes []rune, start int) int {
	for start < len(runes) && strings.ContainsRune(" !&", runes[start]) {
		start++
	}
	end := start
	for end < len(runes) && strings.ContainsRune("0123456789abcdefABCDEF:.", runes[end]) && end-start < 46 {
		end++
	}
	if s := string(runes[start:end]); strings.Count(s, ":") >= 2 && isIP(s) {
		return end
	}
	return 0
}

var subscript = regexp.MustCompile(`^(.+)\[(?:(-?[0-9]{1,9})|([0-9]{1,9})[:-]([0-9]{0,9}))\]$`)

// add reads one term.
func (p *Pattern) add(t term, ms *source.Mistakes) {
	body := t.text
	if body[0] == '!' || body[0] == '&' {
		t.op = rune(body[0])
		body = strings.TrimSpace(body[1:])
	}
	if body == "" {
		ms.Add(t.mistake(fmt.Sprintf("a name is missing behind %c", t.op), ""))
		return
	}
	if t.regex = body[0] == '~'; t.regex {
		re, err := regexp.Compile("^(?:" + body[1:] + ")")
		if err != nil {
			ms.Add(t.mistake("this regular expression cannot be read: "+regexpReason(err), "the syntax is RE2: no look-around and no back-references"))
			return
		}
		t.name, t.match = body, re
		p.terms = append(p.terms, t)
		return
	}
	if i := strings.IndexFunc(body, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		ms.Add(t.mistake("a space cannot stand inside a pattern", `put a comma between names: "web1,web2"`))
		return
	}
	t.name = body
	if m := subscript.FindStringSubmatch(body); m != nil {
		t.name, t.index, t.single, t.toEnd = m[1], true, m[2] != "", m[2] == "" && m[4] == ""
		t.from, _ = strconv.Atoi(m[2] + m[3])
		t.to, _ = strconv.Atoi(m[4])
	}
	if strings.ContainsAny(t.name, "*?[") {
		if t.match = globRegexp(t.name); t.match == nil {
			ms.Add(t.mistake("this pattern cannot be read", "a subscript is written masters[0] or nodes[1:3]"))
			return
		}
	} else if i := strings.IndexAny(t.name, "]!&"); i >= 0 {
		ms.Add(t.mistake(fmt.Sprintf("%q cannot stand here", t.name[i]), "put : or , between names: all:!etcd"))
		return
	}
	p.terms = append(p.terms, t)
}

func regexpReason(err error) string {
	_, text, _ := strings.Cut(err.Error(), "error parsing regexp: ")
	return text
}

// globRegexp turns a shell glob (* ? [seq] [!seq]) into a regular expression;
// nil when its brackets are wrong.
func globRegexp(glob string) *regexp.Regexp {
	if strings.Contains(glob, `\`) { // no name has one, and filepath.Match would take it as an escape
		return nil
	}
	if _, err := filepath.Match(strings.ReplaceAll(glob, "[!", "[^"), ""); err != nil {
		return nil
	}
	var b strings.Builder
	b.WriteString("^(?s:")
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			end := strings.IndexByte(glob[i+1:], ']')
			if end < 0 {
				return nil
			}
			set := glob[i+1 : i+1+end]
			b.WriteByte('[')
			if strings.HasPrefix(set, "!") {
				b.WriteByte('^')
				set = set[1:]
			}
			b.WriteString(strings.NewReplacer(`\`, `\\`, `^`, `\^`, `[`, `\[`).Replace(set) + "]")
			i += end + 1
		default:
			if c < utf8.RuneSelf {
				b.WriteString(regexp.QuoteMeta(string(c)))
			} else {
				b.WriteByte(c)
			}
		}
	}
	b.WriteString(")$")
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil
	}
	return re
}
