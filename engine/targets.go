package engine

import (
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/secret"
)

// Targets says how hosts would be reached outside any play: by their
// inventory variables, then the command line.
func Targets(inv *inventory.Inventory, hosts []string, login Login) ([]conn.Target, error) {
	r := &run{
		opt: Options{Inventory: inv, Login: login, Redactor: &secret.Redactor{},
			Playbook: &playbook.Bound{Playbook: &playbook.Playbook{}}},
		hosts: map[string]*host{},
		play:  &playbook.BoundPlay{Play: &playbook.Play{Name: "-"}},
	}
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
