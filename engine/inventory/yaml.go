package inventory

import (
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

func groupKeys() []string { return []string{"hosts", "children", "vars"} }

// yaml reads the tree of a YAML source: a map of groups.
func (b *builder) yaml(file string, root *strictyaml.Node) {
	switch {
	case root.Kind == strictyaml.Null || root.Kind == strictyaml.Map && len(root.Pairs) == 0:
		m := root.Mistake("this inventory is empty", "name at least one host, for example under all: hosts:")
		m.Pos = source.Pos{File: file, Line: max(1, m.Pos.Line), Col: max(1, m.Pos.Col)}
		b.mistakes.Add(m)
	case root.Kind != strictyaml.Map:
		b.mistakes.Add(root.Mistake("an inventory is a map of groups", "begin with all:, and below it hosts: and children:"))
	case root.Get("plugin") != nil:
		b.mistakes.Add(root.Get("plugin").Mistake("inventory plugins are not supported yet",
			"write the hosts down, for example with: ansible-inventory --list --yaml"))
	default:
		for _, p := range root.Pairs {
			if p.Key == "hosts" || p.Key == "children" || p.Key == "vars" {
				b.mistakes.Add(p.KeyAt.Mistake(fmt.Sprintf("%q stands outside a group", p.Key), "put it under all:"))
				continue
			}
			b.yamlGroup(p, file)
		}
	}
}

func (b *builder) yamlGroup(p strictyaml.Pair, file string) *Group {
	g := b.group(p.Key, p.KeyAt)
	if g == nil {
		return nil
	}
	g.declared = true
	if p.Value.Kind != strictyaml.Map && p.Value.Kind != strictyaml.Null {
		b.mistakes.Add(p.Value.Mistake(fmt.Sprintf("group %q must be a map with hosts, children or vars", p.Key), ""))
		return g
	}
	for _, part := range p.Value.Pairs {
		switch part.Key {
		case "hosts":
			b.yamlHosts(g, part.Value, file)
		case "children":
			b.yamlChildren(g, part.Value, file)
		case "vars":
			b.yamlVars(g, part.Value, file)
		default:
			b.mistakes.Add(part.KeyAt.Mistake(fmt.Sprintf("unknown key %q in group %q", part.Key, p.Key), groupKeyHint(part)))
		}
	}
	return g
}

func groupKeyHint(p strictyaml.Pair) string {
	if hint := source.DidYouMean(p.Key, groupKeys()); hint != "" {
		return hint
	}
	for _, k := range p.Value.Keys() {
		if slices.Contains(groupKeys(), k) {
			return "a group inside a group stands under children:"
		}
	}
	if p.Value.Kind == strictyaml.Scalar {
		return "a variable of the group stands under vars:"
	}
	return "a group has hosts, children and vars"
}

// entries gives the pairs of a hosts or children map. A lone name is taken as
// a map with that key, as Ansible does.
func (b *builder) entries(what string, n *strictyaml.Node) []strictyaml.Pair {
	switch {
	case n.Kind == strictyaml.Map:
		return n.Pairs
	case n.Kind == strictyaml.Null:
		return nil
	case n.Kind == strictyaml.Scalar:
		if name, ok := n.Value.(string); ok {
			return []strictyaml.Pair{{Key: name, KeyAt: n, Value: &strictyaml.Node{Pos: n.Pos, Line: n.Line}}}
		}
	}
	hint := `write "NAME:" in each line`
	if n.Kind == strictyaml.Seq {
		hint += ", without the dash"
	}
	b.mistakes.Add(n.Mistake(what+" must be a map", hint))
	return nil
}

func (b *builder) yamlHosts(g *Group, n *strictyaml.Node, file string) {
	for _, p := range b.entries("hosts", n) {
		switch p.Value.Kind {
		case strictyaml.Map, strictyaml.Null:
			b.entry(g, p.Key, p.KeyAt, p.Value.Pairs, file)
		default:
			b.mistakes.Add(p.Value.Mistake(fmt.Sprintf("the variables of host %q must be a map", p.Key), "for example: {ansible_host: 192.0.2.1}"))
		}
	}
}

func (b *builder) yamlChildren(g *Group, n *strictyaml.Node, file string) {
	for _, p := range b.entries("children", n) {
		if c := b.yamlGroup(p, file); c != nil {
			b.child(g, c, p.KeyAt)
		}
	}
}

func (b *builder) yamlVars(g *Group, n *strictyaml.Node, file string) {
	switch n.Kind {
	case strictyaml.Null:
	case strictyaml.Map:
		for _, p := range n.Pairs {
			b.groupVar(g, p, file)
		}
	default:
		b.mistakes.Add(n.Mistake("vars must be a map", "for example: {ansible_user: root}"))
	}
}
