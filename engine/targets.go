package engine

import (
	"errors"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// Targets says how hosts would be reached outside any play: by their
// inventory variables, then the command line.
func Targets(inv *inventory.Inventory, hosts []string, login Login) ([]conn.Target, error) {
	r := outside(inv, login)
	out := make([]conn.Target, 0, len(hosts))
	for _, name := range hosts {
		t, err := r.target(name)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// Account says as whom work on a host is done outside any play; "" is the login account.
func Account(inv *inventory.Inventory, name string, login Login) (string, error) {
	r := outside(inv, login)
	h := r.host(name)
	return r.scope(h, &playbook.BoundStep{Step: &playbook.Step{}}).account(h)
}

// outside is a run without a playbook, to read connection variables with.
func outside(inv *inventory.Inventory, login Login) *run {
	return &run{
		opt: Options{Inventory: inv, Login: login, Redactor: &secret.Redactor{},
			Playbook: &playbook.Bound{Playbook: &playbook.Playbook{}}},
		hosts: map[string]*host{},
		play:  &playbook.BoundPlay{Play: &playbook.Play{Name: "-"}},
	}
}

// CheckTargets finds connection variables with values that cannot be. One
// that reads what only a play defines is left to the run. args tells what is
// wrong with a target's CommonArgs. The error is a source.List.
func CheckTargets(inv *inventory.Inventory, hosts []string, args func(words []string) error) error {
	r := outside(inv, Login{})
	var ms source.Mistakes
	for _, name := range hosts {
		t, err := r.target(name)
		var list source.List
		if errors.As(err, &list) {
			ms.AddErr(list)
		}
		if err == nil {
			ms.AddErr(inv.CheckArgs(name, t.CommonArgs, args))
		}
	}
	return ms.Err()
}

// CheckVars finds connection variables of plays, tasks and -e with values that
// cannot be. One that is a template is left to the run. The error is a source.List.
func CheckVars(inv *inventory.Inventory, b *playbook.Bound, extra *strictyaml.Node) error {
	var ms source.Mistakes
	check := func(n *strictyaml.Node) {
		if n == nil {
			return
		}
		for _, p := range n.Pairs {
			if vars.IsTemplate(p.Value) {
				continue
			}
			_, err := inv.Connection("", map[string]any{p.Key: p.Value.Any()})
			var list source.List
			if errors.As(err, &list) {
				ms.Add(p.Value.Mistake(strings.Replace(list[0].Text, ` of host ""`, "", 1), list[0].Hint))
			}
		}
	}
	check(extra)
	for _, p := range b.Plays {
		check(p.Vars)
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			check(s.Vars)
		}
	}
	return ms.Err()
}
