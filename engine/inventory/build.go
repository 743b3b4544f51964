package inventory

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// builder collects what the sources say, one file after the other.
type builder struct {
	inv      *Inventory
	mistakes *source.Mistakes
	warned   map[string]bool // texts of warnings that are given once
	checked  map[string]bool // names of variables that checkVar has seen
	spent    int             // hosts and variables set so far, repetitions included
	full     bool            // a limit was reported; what follows is not read
	edges    map[edge]*strictyaml.Node
	instead  func(path string) ([]byte, bool) // of LoadOver
	onEntry  func(entry)                      // where it is not nil: told of each entry of hosts
}

// entry is one entry of hosts, as a source has it in a group.
type entry struct {
	group string
	text  string // as written: "node[1:3]", "web1:2222"
	names []string
	vars  int
	at    source.Pos
}

// edge is one parent-child relation; builder.edges has the place that made it.
type edge struct{ parent, child *Group }

func newBuilder() *builder {
	b := &builder{
		inv:      &Inventory{hosts: map[string]*Host{}, groups: map[string]*Group{}, members: map[string][]string{}},
		mistakes: &source.Mistakes{},
		warned:   map[string]bool{},
		checked:  map[string]bool{},
		edges:    map[edge]*strictyaml.Node{},
	}
	for _, name := range []string{"all", "ungrouped"} {
		b.newGroup(name).declared = true
	}
	b.link(b.inv.groups["all"], b.inv.groups["ungrouped"])
	return b
}

func (b *builder) newGroup(name string) *Group {
	g := &Group{Name: name, member: map[*Host]bool{}, priority: 1}
	b.inv.groups[name] = g
	b.inv.groupOrder = append(b.inv.groupOrder, g)
	return g
}

func (b *builder) link(parent, child *Group) {
	if !slices.Contains(parent.children, child) {
		parent.children = append(parent.children, child)
		child.parents = append(child.parents, parent)
	}
}

func (b *builder) warn(n *strictyaml.Node, text, hint string) {
	if !b.warned[text] {
		b.warned[text] = true
		b.inv.warnings = append(b.inv.warnings, n.Mistake(text, hint))
	}
}

// group declares a group at the place of n. It returns nil, with a mistake
// recorded, for a name that no pattern could select.
func (b *builder) group(name string, n *strictyaml.Node) *Group {
	if g := b.inv.groups[name]; g != nil {
		return g
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(":,!&*?[]~@/\\", r) }) {
		b.mistakes.Add(n.Mistake(fmt.Sprintf("%q cannot be the name of a group", name), "use letters, digits and _"))
		return nil
	}
	if !isIdentifier(name) {
		b.warn(n, fmt.Sprintf("group name %q has characters that Ansible advises against", name), "use letters, digits and _")
	}
	if len(b.inv.groups) >= MaxGroups {
		b.mistakes.Add(n.Mistake(fmt.Sprintf("the inventory has more than %d groups", MaxGroups), ""))
		return nil
	}
	g := b.newGroup(name)
	g.Pos, g.declared = n.Pos, true
	return g
}

// child makes child a child of parent; finish finds the circles.
func (b *builder) child(parent, child *Group, n *strictyaml.Node) {
	if e := (edge{parent, child}); b.edges[e] == nil {
		if len(b.edges) == MaxChildren {
			b.mistakes.Add(n.Mistake(fmt.Sprintf("the groups have more than %d children together", MaxChildren), ""))
		}
		if len(b.edges) > MaxChildren {
			return
		}
		b.edges[e] = n
		b.link(parent, child)
	}
}

// entry adds the hosts of one entry to g with their variables. key is the
// entry as written; off is how far into key's text the name begins.
func (b *builder) entry(g *Group, text string, key *strictyaml.Node, vars []strictyaml.Pair, file string) {
	if b.full {
		return
	}
	names, port, err := expandHosts(text)
	if err != nil {
		m := key.Mistake(err.text, err.hint)
		m.Pos.Col += err.off + quoteWidth(key)
		m.Len = err.len
		b.mistakes.Add(m)
		return
	}
	if port != 0 {
		v := *key
		v.Kind, v.Value, v.Raw = strictyaml.Scalar, int64(port), strconv.Itoa(port)
		vars = append(vars[:len(vars):len(vars)], strictyaml.Pair{Key: "ansible_port", KeyAt: key, Value: &v})
	}
	for _, p := range vars {
		b.checkVar(p, "host "+text)
	}
	if b.spent += len(names) * (1 + len(vars)); b.spent > MaxEntries {
		b.full = true
		b.mistakes.Add(key.Mistake(fmt.Sprintf("the hosts have more than %d variables together", MaxEntries), "variables that many hosts share belong to a group"))
		return
	}
	if b.onEntry != nil {
		b.onEntry(entry{g.Name, text, names, len(vars), key.Pos})
	}
	conflicts := map[string]bool{}
	for _, name := range names {
		h := b.inv.hosts[name]
		if h == nil {
			if len(b.inv.hosts) >= MaxHosts {
				b.full = true
				b.mistakes.Add(key.Mistake(fmt.Sprintf("the inventory has more than %d hosts", MaxHosts), ""))
				return
			}
			h = &Host{Name: name, Pos: key.Pos, file: file}
			b.inv.hosts[name] = h
		}
		if h.file != file {
			b.share(h.file, file)
		}
		if !g.member[h] {
			g.member[h] = true
			g.hosts = append(g.hosts, h)
			h.groups = append(h.groups, g)
		}
		for _, p := range vars {
			if !conflicts[p.Key] && !b.set(&h.vars, p, file, "host", name) {
				conflicts[p.Key] = true // once for all hosts of a range
			}
		}
	}
}

// share marks sources that name one host.
func (b *builder) share(files ...string) {
	for i := range b.inv.sources {
		if s := &b.inv.sources[i]; slices.Contains(files, s.Path) {
			s.Shared = true
		}
	}
}

// quoteWidth is 1 when the node's place in the line is a quote, so that an
// offset into its value can be turned into a column.
func quoteWidth(n *strictyaml.Node) int {
	line := []rune(n.Line)
	if i := n.Pos.Col - 1; i >= 0 && i < len(line) && (line[i] == '"' || line[i] == '\'') {
		return 1
	}
	return 0
}

// groupVar sets a variable of a group.
func (b *builder) groupVar(g *Group, p strictyaml.Pair, file string) {
	if p.Key == "ansible_group_priority" {
		v, ok := p.Value.Value.(int64)
		if s, isText := p.Value.Value.(string); isText {
			n, err := strconv.ParseInt(s, 10, 32)
			v, ok = n, err == nil
		}
		if !ok {
			b.mistakes.Add(p.Value.Mistake("ansible_group_priority must be a whole number", ""))
			return
		}
		g.priority = int(v)
		return
	}
	b.checkVar(p, "group "+g.Name)
	b.set(&g.vars, p, file, "group", g.Name)
}

// set refuses a second, different value from the same file: which of the two
// was meant cannot be known. A later file may replace an earlier one's value.
func (b *builder) set(s *varSet, p strictyaml.Pair, file, what, name string) bool {
	if old, from := s.get(p.Key); old != nil && from == file && !sameValue(old.Value, p.Value) {
		text := fmt.Sprintf("variable %q of %s %q has two values in this file", p.Key, what, name)
		b.mistakes.Add(p.KeyAt.Mistake(text, fmt.Sprintf("the other one is in line %d", old.KeyAt.Pos.Line)))
		return false
	}
	s.set(p, file)
	return true
}

var identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_]*$`)

func isIdentifier(name string) bool { return identifier.MatchString(name) }

// checkVar looks at a variable's name, once for each name.
func (b *builder) checkVar(p strictyaml.Pair, of string) {
	if b.checked[p.Key] {
		return
	}
	b.checked[p.Key] = true
	switch {
	case !isIdentifier(p.Key):
		b.warn(p.KeyAt, fmt.Sprintf("%q cannot be used as a variable in templates", p.Key), "use letters, digits and _")
	default:
		if hint := Misspelt(p.Key); hint != "" {
			b.warn(p.KeyAt, fmt.Sprintf("variable %q of %s has no meaning to dayops", p.Key, of), hint)
		}
	}
}
