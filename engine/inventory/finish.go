package inventory

import (
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/strictyaml"
)

// finish makes the rules of an inventory hold: every group is below all,
// ungrouped has exactly the hosts without another group, the standard groups
// exist. Then it computes what the accessors serve.
func (b *builder) finish() *Inventory {
	inv := b.inv
	all, ungrouped := inv.groups["all"], inv.groups["ungrouped"]
	b.cutCircles()
	for _, g := range inv.groupOrder {
		if g != all && len(g.parents) == 0 {
			b.link(all, g)
		}
	}
	b.settleUngrouped(all, ungrouped)
	for _, name := range StandardGroups() {
		if inv.groups[name] == nil {
			b.newGroup(name)
		}
	}
	if !b.depths(all) {
		return inv // has no members: whoever asks has a mistake to report first
	}
	for _, g := range inv.groupOrder {
		hosts := membersOf(g)
		names := make([]string, len(hosts))
		for i, h := range hosts {
			names[i] = h.Name
		}
		inv.members[g.Name] = names
		if h := inv.hosts[g.Name]; h != nil && g.declared {
			n := &strictyaml.Node{Pos: h.Pos}
			b.warn(n, fmt.Sprintf("%q is the name of a host and of a group", g.Name), "a pattern with this name means the host")
		}
	}
	inv.all = membersOf(all)
	return inv
}

// cutCircles reports every relation that makes a group its own descendant and
// removes it, so that what follows can walk the groups.
func (b *builder) cutCircles() {
	const onWay, done = 1, 2
	state := map[*Group]int{}
	var way []*Group
	var walk func(g *Group)
	walk = func(g *Group) {
		state[g], way = onWay, append(way, g)
		for _, c := range slices.Clone(g.children) {
			switch state[c] {
			case onWay:
				b.circle(way[slices.Index(way, c):], g, c)
			case 0:
				walk(c)
			}
		}
		state[g], way = done, way[:len(way)-1]
	}
	for _, g := range b.inv.groupOrder {
		if state[g] == 0 {
			walk(g)
		}
	}
}

func (b *builder) circle(way []*Group, parent, child *Group) {
	text := fmt.Sprintf("group %q cannot be its own child", child.Name)
	if parent != child {
		text = "the groups form a circle: "
		for _, g := range way {
			text += g.Name + " > "
		}
		text += child.Name
	}
	b.mistakes.Add(b.edges[edge{parent, child}].Mistake(text, "take one of them out of the other's children"))
	parent.children = slices.DeleteFunc(parent.children, func(g *Group) bool { return g == child })
	child.parents = slices.DeleteFunc(child.parents, func(g *Group) bool { return g == parent })
}

// settleUngrouped goes over the hosts in the order of the groups, so that the
// order of ungrouped does not depend on a map.
func (b *builder) settleUngrouped(all, ungrouped *Group) {
	ungrouped.hosts = slices.DeleteFunc(ungrouped.hosts, func(h *Host) bool {
		for _, g := range h.groups {
			if g != all && g != ungrouped {
				delete(ungrouped.member, h)
				h.groups = slices.DeleteFunc(h.groups, func(g *Group) bool { return g == ungrouped })
				return true
			}
		}
		return false
	})
	for _, h := range all.hosts {
		if len(h.groups) == 1 {
			ungrouped.member[h] = true
			ungrouped.hosts = append(ungrouped.hosts, h)
			h.groups = append(h.groups, ungrouped)
		}
	}
}

// depths sets each group's depth to its longest way down from all, and tells
// whether all of them are within MaxGroupDepth.
func (b *builder) depths(all *Group) bool {
	waiting := map[*Group]int{}
	for _, g := range b.inv.groupOrder {
		waiting[g] = len(g.parents)
	}
	for queue := []*Group{all}; len(queue) > 0; queue = queue[1:] {
		for _, c := range queue[0].children {
			c.depth = max(c.depth, queue[0].depth+1)
			if c.depth == MaxGroupDepth+1 {
				n := b.edges[edge{queue[0], c}]
				b.mistakes.Add(n.Mistake(fmt.Sprintf("groups are nested more than %d deep", MaxGroupDepth), ""))
				return false
			}
			if waiting[c]--; waiting[c] == 0 {
				queue = append(queue, c)
			}
		}
	}
	return true
}
