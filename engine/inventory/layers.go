package inventory

import (
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Level is where a layer of variables stands in the order of precedence. A
// higher level wins over a lower one; the order is Ansible's.
type Level int

const (
	LevelDefault       Level = iota // ansible_connection: local for -i localhost,
	LevelAll                        // vars of the group all in the sources
	LevelGroup                      // vars of other groups in the sources
	LevelAllFile                    // group_vars/all beside the inventory
	LevelAllFilePlay                // group_vars/all beside the playbook
	LevelGroupFile                  // group_vars/GROUP beside the inventory
	LevelGroupFilePlay              // group_vars/GROUP beside the playbook
	LevelHost                       // variables of the host in the sources
	LevelHostFile                   // host_vars/HOST beside the inventory
	LevelHostFilePlay               // host_vars/HOST beside the playbook
)

// String describes the level for documentation and `inventory --host`.
func (l Level) String() string {
	return [...]string{
		"default of a host list", "inventory, group all", "inventory, group", "inventory group_vars/all",
		"playbook group_vars/all", "inventory group_vars", "playbook group_vars", "inventory, host",
		"inventory host_vars", "playbook host_vars",
	}[l]
}

// Layer is a set of variables from one place. Vars is a Map and never empty.
type Layer struct {
	Level Level
	Name  string // "group masters", "host web1", or the path of a file
	Vars  *strictyaml.Node
}

// Layers gives the variables of a host from low to high precedence. Within a
// level groups are ordered by depth, then ansible_group_priority, then name,
// so that a child wins over its parent. A host that no source names has layers
// only when it is localhost, and then those of the group all and a local
// connection; for any other name the answer is nil.
func (inv *Inventory) Layers(host string) []Layer {
	h := inv.hosts[host]
	if h == nil && !isLocalName(host) {
		return nil
	}
	l := layers{}
	if h != nil && h.local {
		l.add(LevelDefault, "local connection of -i localhost,", localVars(h.Pos))
	}
	all, groups := inv.groups["all"], inv.groupsOf(h)
	l.add(LevelAll, "group all", all.vars.node())
	for _, g := range groups {
		l.add(LevelGroup, "group "+g.Name, g.vars.node())
	}
	l.groupFiles(LevelAllFile, inv.invFiles, []*Group{all})
	l.groupFiles(LevelAllFilePlay, inv.playFiles, []*Group{all})
	l.groupFiles(LevelGroupFile, inv.invFiles, groups)
	l.groupFiles(LevelGroupFilePlay, inv.playFiles, groups)
	if h == nil {
		l.add(LevelHost, "implicit localhost", localVars(source.Pos{}))
	} else {
		l.add(LevelHost, "host "+host, h.vars.node())
	}
	l.hostFiles(LevelHostFile, inv.invFiles, host)
	l.hostFiles(LevelHostFilePlay, inv.playFiles, host)
	return l
}

type layers []Layer

func (l *layers) add(level Level, name string, vars *strictyaml.Node) {
	if vars != nil {
		*l = append(*l, Layer{Level: level, Name: name, Vars: vars})
	}
}

func (l *layers) groupFiles(level Level, dirs []varsDir, groups []*Group) {
	for _, d := range dirs {
		for _, g := range groups {
			for _, f := range d.groups[g.Name] {
				l.add(level, f.path, f.vars)
			}
		}
	}
}

func (l *layers) hostFiles(level Level, dirs []varsDir, host string) {
	for _, d := range dirs {
		for _, f := range d.hosts[host] {
			l.add(level, f.path, f.vars)
		}
	}
}

func localVars(pos source.Pos) *strictyaml.Node {
	return strictyaml.FromAny(map[string]any{"ansible_connection": "local"}, pos)
}

// Vars merges the layers of a host as they are written: templates are not
// rendered. Order: as first set.
func (inv *Inventory) Vars(host string) *strictyaml.Node {
	var s varSet
	for _, l := range inv.Layers(host) {
		for _, p := range l.Vars.Pairs {
			s.set(p, "")
		}
	}
	n := s.node()
	if n == nil {
		n = &strictyaml.Node{Kind: strictyaml.Map}
	}
	return n
}

// Origin tells which layer a host's variable comes from and gives its value's
// node; ok is false when no layer sets it.
func (inv *Inventory) Origin(host, name string) (layer Layer, value *strictyaml.Node, ok bool) {
	for _, l := range inv.Layers(host) {
		if v := l.Vars.Get(name); v != nil {
			layer, value, ok = l, v, true
		}
	}
	return layer, value, ok
}
