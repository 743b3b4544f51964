// Package inventory reads who the hosts are: YAML and INI files in Ansible's
// shape, folders of them, host lists, group_vars and host_vars. It gives the
// hosts in order, the groups, every variable with its place in layers from low
// to high precedence, and resolves patterns such as masters:!node1.
//
// An Inventory is not changed after Load, so it can be shared freely.
package inventory

import (
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

// Limits of one inventory. What is larger is refused, not cut.
const (
	MaxHosts      = 100_000   // hosts of one range, and of all sources together
	MaxEntries    = 2_000_000 // hosts and variables of hosts, counted as often as they are set
	MaxGroups     = 5_000
	MaxChildren   = 50_000 // relations of a group to a child
	MaxGroupDepth = 100    // groups inside groups
)

// StandardGroups always exist and may be empty: the groups of an
// openshift-ansible inventory that the shipped playbooks name.
func StandardGroups() []string { return []string{"masters", "nodes", "etcd", "new_etcd", "lb"} }

// localNames are the names that mean this machine when no source lists them.
func isLocalName(name string) bool {
	return name == "localhost" || name == "127.0.0.1" || name == "::1"
}

// Host is one machine that the sources name.
type Host struct {
	Name string
	Pos  source.Pos // where it was first named

	groups []*Group // those that list it
	vars   varSet
	file   string // the source in which it was first named; "" for a host list
	local  bool   // "localhost" in a host list: reached without SSH unless a variable says otherwise
}

// Group is a named set of hosts and of other groups.
type Group struct {
	Name string
	Pos  source.Pos

	declared bool // a source names it; a standard group may be undeclared
	hosts    []*Host
	member   map[*Host]bool
	children []*Group
	parents  []*Group
	vars     varSet
	depth    int // longest way down from "all"
	priority int // ansible_group_priority; 1 when not set
}

// Inventory is all that the sources say. Its methods are safe for concurrent use.
type Inventory struct {
	hosts      map[string]*Host
	groups     map[string]*Group
	groupOrder []*Group
	all        []*Host             // members of "all", in order
	members    map[string][]string // group name -> hosts with those of its descendants, in order
	invFiles   []varsDir           // group_vars and host_vars beside the sources
	playFiles  []varsDir           // those beside the playbook
	warnings   []*source.Mistake
	files      []string // that were read
	sources    []Source
}

// Source is a file that names hosts.
type Source struct {
	Path string // as it was given
	// Shared: another source names one of its hosts too, so that nobody can tell
	// from this file alone to which groups it belongs.
	Shared bool
}

// Sources lists the files that name hosts, in the order in which they were read.
func (inv *Inventory) Sources() []Source { return slices.Clone(inv.sources) }

// Files lists the files that the inventory was read from, each once, in the
// order in which they were read.
func (inv *Inventory) Files() []string {
	var out []string
	for _, f := range inv.files {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// Hosts lists every host in inventory order: that of Ansible's group all,
// which goes group by group, ungrouped hosts first.
func (inv *Inventory) Hosts() []string { return slices.Clone(inv.members["all"]) }

// Host returns the host of that name, or nil.
func (inv *Inventory) Host(name string) *Host { return inv.hosts[name] }

// Has tells whether name can be asked for its variables: a host of a source,
// or localhost in one of its three spellings.
func (inv *Inventory) Has(name string) bool { return inv.hosts[name] != nil || isLocalName(name) }

// Groups lists the group names: all, ungrouped, then as the sources declare
// them, then the standard groups that no source declares.
func (inv *Inventory) Groups() []string {
	names := make([]string, len(inv.groupOrder))
	for i, g := range inv.groupOrder {
		names[i] = g.Name
	}
	return names
}

// HasGroup tells whether a group of that name exists.
func (inv *Inventory) HasGroup(name string) bool { return inv.groups[name] != nil }

// Members lists the hosts of a group and of all groups below it, in inventory
// order; nil for an unknown group.
func (inv *Inventory) Members(group string) []string { return slices.Clone(inv.members[group]) }

// GroupMap is the value of the variable `groups`: every group with its members.
func (inv *Inventory) GroupMap() map[string][]string {
	m := make(map[string][]string, len(inv.members))
	for name, hosts := range inv.members {
		m[name] = append([]string{}, hosts...)
	}
	return m
}

// GroupsOf is the value of `group_names`: the groups that a host is in,
// directly or through a child group, sorted, without all.
func (inv *Inventory) GroupsOf(host string) []string {
	names := []string{}
	for _, g := range inv.groupsOf(inv.hosts[host]) {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return names
}

// Magic gives the variables that the inventory itself defines for a host:
// inventory_hostname, inventory_hostname_short, group_names, inventory_file
// and inventory_dir.
func (inv *Inventory) Magic(host string) map[string]any {
	short := host
	if !isIP(host) {
		short, _, _ = strings.Cut(host, ".")
	}
	names := []any{}
	for _, g := range inv.GroupsOf(host) {
		names = append(names, g)
	}
	m := map[string]any{"inventory_hostname": host, "inventory_hostname_short": short, "group_names": names}
	if h := inv.hosts[host]; h != nil && h.file != "" {
		m["inventory_file"], m["inventory_dir"] = absPath(h.file), absDir(h.file)
	}
	return m
}

// Warnings lists what is allowed but probably not meant.
func (inv *Inventory) Warnings() []*source.Mistake { return slices.Clone(inv.warnings) }

// groupsOf gives the groups of a host without all, from low to high
// precedence: by depth, then ansible_group_priority, then name.
func (inv *Inventory) groupsOf(h *Host) []*Group {
	if h == nil {
		return nil
	}
	seen := map[*Group]bool{inv.groups["all"]: true}
	var out []*Group
	var up func(gs []*Group)
	up = func(gs []*Group) {
		for _, g := range gs {
			if !seen[g] {
				seen[g] = true
				out = append(out, g)
				up(g.parents)
			}
		}
	}
	up(h.groups)
	slices.SortFunc(out, func(a, b *Group) int {
		switch {
		case a.depth != b.depth:
			return a.depth - b.depth
		case a.priority != b.priority:
			return a.priority - b.priority
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// membersOf walks breadth first, as Ansible does, so that a group's own hosts
// come before those of its children.
func membersOf(g *Group) []*Host {
	var out []*Host
	seen, queued := map[*Host]bool{}, map[*Group]bool{g: true}
	for queue := []*Group{g}; len(queue) > 0; queue = queue[1:] {
		for _, h := range queue[0].hosts {
			if !seen[h] {
				seen[h] = true
				out = append(out, h)
			}
		}
		for _, c := range queue[0].children {
			if !queued[c] {
				queued[c] = true
				queue = append(queue, c)
			}
		}
	}
	return out
}
