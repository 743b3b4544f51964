package inventory

import (
	"fmt"
	"maps"
	"slices"

	"github.com/dayops/dayops/engine/strictyaml"
)

// shape is what the sources themselves say, before the rules of an inventory
// add to it.
type shape struct {
	order  []string
	groups map[string]*groupShape
	hosts  map[string]map[string]*strictyaml.Node
}

type groupShape struct {
	hosts, children []string
	vars            map[string]*strictyaml.Node
	priority        int
}

func shapeOf(inv *Inventory) *shape {
	s := &shape{groups: map[string]*groupShape{}, hosts: map[string]map[string]*strictyaml.Node{}}
	for _, g := range inv.groupOrder {
		s.order = append(s.order, g.Name)
		gs := &groupShape{vars: varsOf(&g.vars), priority: g.priority}
		for _, h := range g.hosts {
			gs.hosts = append(gs.hosts, h.Name)
		}
		for _, c := range g.children {
			gs.children = append(gs.children, c.Name)
		}
		s.groups[g.Name] = gs
	}
	for name, h := range inv.hosts {
		s.hosts[name] = varsOf(&h.vars)
	}
	return s
}

func varsOf(s *varSet) map[string]*strictyaml.Node {
	m := make(map[string]*strictyaml.Node, len(s.pairs))
	for _, p := range s.pairs {
		m[p.Key] = p.Value
	}
	return m
}

// has tells whether a group itself has the host.
func (s *shape) has(group, host string) bool {
	g := s.groups[group]
	return g != nil && slices.Contains(g.hosts, host)
}

// within tells whether a group or one inside it has the host.
func (s *shape) within(group, host string) bool {
	seen := map[string]bool{group: true}
	for queue := []string{group}; len(queue) > 0; queue = queue[1:] {
		if s.has(queue[0], host) {
			return true
		}
		g := s.groups[queue[0]]
		if g == nil {
			continue
		}
		for _, c := range g.children {
			if !seen[c] {
				seen[c] = true
				queue = append(queue, c)
			}
		}
	}
	return false
}

// differs tells what is not as it should be when host was moved; "" when all is.
func (s *shape) differs(after *shape, host, from, to string) string {
	others := func(order []string) []string {
		return slices.DeleteFunc(slices.Clone(order), func(g string) bool { return g == from || g == to })
	}
	if !slices.Equal(others(s.order), others(after.order)) || len(s.order) != len(after.order) {
		return "other groups"
	}
	for name, a := range s.groups {
		b := after.groups[name]
		if b == nil {
			return "no group " + name
		}
		if !slices.Equal(a.children, b.children) || a.priority != b.priority || !sameVars(a.vars, b.vars) {
			return "group " + name
		}
		want, got := a.hosts, b.hosts
		switch name {
		case from:
			want = without(want, host)
		case to:
			if !slices.Contains(got, host) {
				return fmt.Sprintf("%s is not in group %s", host, to)
			}
			want, got = without(want, host), without(got, host)
		}
		if !slices.Equal(want, got) {
			return "hosts of group " + name
		}
	}
	return s.otherHosts(after, host, to)
}

func (s *shape) otherHosts(after *shape, host, to string) string {
	before := maps.Clone(s.hosts)
	if _, there := after.hosts[host]; !there && to == "" {
		delete(before, host)
	}
	if len(before) != len(after.hosts) {
		return "other hosts"
	}
	for name, vars := range before {
		now, there := after.hosts[name]
		if !there {
			return "no host " + name
		}
		if !sameVars(vars, now) {
			return "variables of host " + name
		}
	}
	return ""
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}

func sameVars(a, b map[string]*strictyaml.Node) bool {
	return maps.EqualFunc(a, b, sameValue)
}
