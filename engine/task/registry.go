package task

import (
	"maps"
	"slices"
)

// Registry is the closed list of tasks, by name.
type Registry struct{ byName map[string]*Definition }

// NewRegistry holds defs. Two of one name are a programming error and panic.
func NewRegistry(defs ...*Definition) *Registry {
	r := &Registry{byName: make(map[string]*Definition, len(defs))}
	for _, d := range defs {
		if r.byName[d.Name] != nil {
			panic("two tasks named " + d.Name)
		}
		r.byName[d.Name] = d
	}
	return r
}

// Get returns the task, or nil.
func (r *Registry) Get(name string) *Definition { return r.byName[name] }

// Names is sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.byName)) }
