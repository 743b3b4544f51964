// Package setfact is the task "set_fact": variables of a host that the
// playbook sets while it runs.
package setfact

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/task"
)

// Params are the variables themselves.
type Params struct {
	Facts map[string]any `yaml:",inline"`
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isReserved tells the names that the engine sets itself or that say how to
// connect: what a host answered must never get into them.
func isReserved(name string) bool {
	switch name {
	case "hostvars", "groups", "group_names", "inventory_hostname", "inventory_hostname_short", "item", "play_hosts", "playbook_dir", "omit", "environment":
		return true
	}
	return false
}

// Validate checks the names.
func (p *Params) Validate() error {
	if len(p.Facts) == 0 {
		return errors.New("set_fact names no variable")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Facts)) {
		switch {
		case name == "cacheable":
			return errors.New(`"cacheable" is not done: a fact lives as long as the run`)
		case !identifier.MatchString(name):
			return fmt.Errorf("%q is no name of a variable: letters, digits and _, not starting with a digit", name)
		case strings.HasPrefix(name, "ansible_"):
			return fmt.Errorf("%q may say how to connect; set it in the inventory or in vars", name)
		case isReserved(name):
			return fmt.Errorf("%q is set by dayops itself", name)
		}
	}
	return nil
}

// Result is what register sees.
type Result struct {
	AnsibleFacts map[string]any `yaml:"ansible_facts" doc:"the variables"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "set_fact",
		Doc:  "Sets variables of the host for the rest of the run.",
		Long: "Every key is a variable, every value may hold templates. Needs no connection and never counts as changed. " +
			"The values are data: a {{ }} that came from a host stays text. Names that say how to connect (ansible_...) are refused.",
		Example: `- set_fact:
    etcd_count: "{{ groups['etcd'] | length }}"
    backup_tag: nightly
`,
		Control: true,
		Result:  Result{},
	}, setter{})
}

// State is empty: there is nothing to look at.
type State struct{}

type setter struct{}

func (setter) Check(context.Context, task.Reader, Params) (State, error) { return State{}, nil }

func (setter) Plan(in task.Input[Params, State]) (task.Plan, error) {
	return task.Plan{Facts: map[string]map[string]any{in.Host: maps.Clone(in.Params.Facts)}}, nil
}

func (setter) Result(in task.Input[Params, State], _ task.Outcome) any {
	return Result{AnsibleFacts: in.Params.Facts}
}
