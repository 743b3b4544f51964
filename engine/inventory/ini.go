package inventory

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

var (
	iniSection = regexp.MustCompile(`^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$`)
	iniGroup   = regexp.MustCompile(`^([^:\]\s]+)\s*(?:#.*)?$`)
	// A host entry may also begin with [: an address with a port, or a range.
	iniBracket = regexp.MustCompile(`^\[[^\]\s]*\][^\s\]]`)
)

// iniFile is an INI source while it is read.
type iniFile struct {
	b    *builder
	file string
	line string // the current line, whole
	no   int    // its number
	col  int    // column of its first character that is no space

	group    *Group // of the current section; nil after a section that is wrong
	state    string // "hosts", "children" or "vars"
	declared map[string]bool
	pending  []reference      // in the order of the file
	waiting  map[string][]int // group name -> those of pending that wait for it
}

// reference is the use of a group that must be declared somewhere.
type reference struct {
	name, text string
	at         *strictyaml.Node
	parent     *Group
}

// ini reads an INI source in Ansible's dialect.
func (b *builder) ini(file string, data []byte) {
	f := &iniFile{b: b, file: file, group: b.inv.groups["ungrouped"], state: "hosts", declared: map[string]bool{}, waiting: map[string][]int{}}
	for _, g := range b.inv.groupOrder {
		f.declared[g.Name] = g.declared
	}
	for _, name := range StandardGroups() {
		f.declared[name] = true
	}
	entries := 0
	for i, text := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		f.no, f.line = i+1, strings.TrimRight(text, "\r")
		trimmed := strings.TrimSpace(text)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		f.col = 1 + utf8.RuneCountInString(text[:strings.Index(text, trimmed)])
		entries++
		f.read(trimmed)
	}
	if entries == 0 {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: file, Line: 1, Col: 1}, Text: "this inventory is empty",
			Hint: "name at least one host"})
	}
	f.settle()
}

// node is a piece of the current line.
func (f *iniFile) node(col int, text string) *strictyaml.Node {
	return &strictyaml.Node{Kind: strictyaml.Scalar, Pos: source.Pos{File: f.file, Line: f.no, Col: col},
		Line: f.line, Value: text, Raw: text}
}

func (f *iniFile) wrong(col int, piece, text, hint string) {
	f.b.mistakes.Add(f.node(col, piece).Mistake(text, hint))
}

func (f *iniFile) read(text string) {
	if m := iniSection.FindStringSubmatch(text); m != nil {
		f.section(m[1], m[2])
		return
	}
	if text[0] == '[' && (strings.HasSuffix(text, "]") || !iniBracket.MatchString(text)) {
		f.group, f.state = nil, "hosts"
		f.wrong(f.col, text, "this is not a section", "write [GROUP], [GROUP:children] or [GROUP:vars], without spaces")
		return
	}
	if f.group == nil {
		return // below a section that was reported
	}
	switch f.state {
	case "hosts":
		f.host(text)
	case "vars":
		f.variable(text)
	case "children":
		f.child(text)
	}
}

func (f *iniFile) section(name, state string) {
	at := f.node(f.col+1, name)
	switch state {
	case "":
		state = "hosts"
	case "hosts", "children", "vars":
	default:
		f.group = nil
		col := f.col + 2 + utf8.RuneCountInString(name)
		f.wrong(col, state, fmt.Sprintf("unknown kind of section %q", state),
			source.DidYouMean(state, []string{"children", "vars", "hosts"}))
		return
	}
	f.state = state
	if state == "vars" && !f.declared[name] {
		f.pending = append(f.pending, reference{name: name, at: at,
			text: fmt.Sprintf("section [%s:vars] is for a group that does not exist", name)})
	}
	f.group = f.b.group(name, at)
	if f.group != nil && state != "vars" {
		f.group.declared, f.declared[name] = true, true
		f.linkPending(f.group)
	}
}

// linkPending makes g the child of the groups that named it before it was
// declared: Ansible's order of children, and so of hosts, depends on it.
func (f *iniFile) linkPending(g *Group) {
	for _, i := range f.waiting[g.Name] {
		f.b.child(f.pending[i].parent, g, f.pending[i].at)
	}
	delete(f.waiting, g.Name)
}

func (f *iniFile) child(text string) {
	m := iniGroup.FindStringSubmatch(text)
	if m == nil {
		f.wrong(f.col, text, "a section [GROUP:children] has one group name in each line", "")
		return
	}
	at := f.node(f.col, m[1])
	r := reference{name: m[1], at: at, parent: f.group, text: fmt.Sprintf("group %q does not exist", m[1])}
	if g := f.b.inv.groups[m[1]]; g != nil {
		f.b.child(f.group, g, at)
	} else {
		f.waiting[r.name] = append(f.waiting[r.name], len(f.pending))
	}
	f.pending = append(f.pending, r)
}

// settle reports groups that are named but have no section of their own. The
// standard groups need none.
func (f *iniFile) settle() {
	var names []string
	for _, g := range f.b.inv.groupOrder {
		if f.declared[g.Name] {
			names = append(names, g.Name)
		}
	}
	for _, r := range f.pending {
		if !f.declared[r.name] {
			hint := source.DidYouMean(r.name, names)
			if hint == "" {
				hint = fmt.Sprintf("add a section [%s], it may be empty", r.name)
			}
			f.b.mistakes.Add(r.at.Mistake(r.text, hint))
		} else if f.waiting[r.name] != nil {
			g := f.b.group(r.name, r.at)
			g.declared = true
			f.linkPending(g)
		}
	}
}

func (f *iniFile) variable(text string) {
	key, value, found := strings.Cut(text, "=")
	name := strings.TrimSpace(key)
	if !found || name == "" {
		f.wrong(f.col, text, "a section [GROUP:vars] has one NAME=VALUE in each line", "")
		return
	}
	at := f.node(f.col, name)
	trimmed := strings.TrimSpace(value)
	start := f.col + utf8.RuneCountInString(key) + 1 + utf8.RuneCountInString(value[:strings.Index(value, trimmed)])
	runes := []rune(trimmed)
	cols := make([]int, len(runes))
	for i := range cols {
		cols[i] = start + i
	}
	v := iniValue(runes, cols, f.node(start, "").Pos, f.line)
	if !v.Quote && strings.Contains(v.Raw, " #") {
		f.b.warn(v, fmt.Sprintf("the text behind # belongs to the value of %q, as in Ansible", name), "put the comment on a line of its own")
	}
	f.b.groupVar(f.group, strictyaml.Pair{Key: name, KeyAt: at, Value: v}, f.file)
}

func (f *iniFile) host(text string) {
	words, err := splitWords([]rune(text), f.col, true)
	if err != nil {
		e := err.(*wordError)
		f.wrong(e.col, "", e.text, "")
		return
	}
	if len(words) == 0 {
		return
	}
	name := f.node(words[0].cols0(f.col), words[0].String())
	var vars varSet
	for i, w := range words {
		if w.cut > 0 {
			f.b.warn(f.node(w.cut, "#"), fmt.Sprintf("the # in %q begins a comment, as in Ansible", w.String()+"#"), "quote the value if # belongs to it")
		}
		if i == 0 {
			continue
		}
		p := f.assignment(w, words[i:])
		if p == nil {
			return
		}
		f.lineVar(&vars, *p, name.Raw)
	}
	f.b.entry(f.group, name.Raw, name, vars.pairs, f.file)
}

// lineVar adds a variable unless the line already gave it another value.
func (f *iniFile) lineVar(vars *varSet, p strictyaml.Pair, host string) {
	if old, _ := vars.get(p.Key); old != nil && !sameValue(old.Value, p.Value) {
		f.b.mistakes.Add(p.KeyAt.Mistake(fmt.Sprintf("variable %q of host %q has two values in this line", p.Key, host), ""))
		return
	}
	vars.set(p, f.file)
}

// assignment reads NAME=VALUE; rest is the line from w on.
func (f *iniFile) assignment(w word, rest []word) *strictyaml.Pair {
	key, _, found := strings.Cut(w.String(), "=")
	col := w.cols0(f.col)
	if !found || key == "" {
		hint := "write one host in each line"
		if !found && len(rest) > 1 && strings.HasPrefix(rest[1].String(), "=") {
			hint = "write it without spaces around ="
		} else if name, ok := strings.CutSuffix(w.String(), ":"); ok {
			hint = "write " + name + "=VALUE"
		}
		f.wrong(col, w.String(), "NAME=VALUE is expected behind a host name", hint)
		return nil
	}
	n := utf8.RuneCountInString(key)
	value, cols := w.text[n+1:], w.cols[n+1:]
	at := f.node(w.cols[n]+1, "").Pos
	return &strictyaml.Pair{Key: key, KeyAt: f.node(col, key), Value: iniValue(value, cols, at, f.line)}
}

// cols0 is the column of the word's first character; an empty word has none.
func (w word) cols0(otherwise int) int {
	if len(w.cols) == 0 {
		return otherwise
	}
	return w.cols[0]
}
