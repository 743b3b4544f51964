// Package etcdreplace puts a new host in the place of an etcd member.
package etcdreplace

import (
	"context"
	"errors"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
)

// Params are the parameters of etcd_replace.
type Params struct {
	Member                string `yaml:"member" required:"true" doc:"the member that goes: its name, its ID, or its host as the inventory or its URLs have it"`
	etcdmember.GrowParams `yaml:",inline"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if p.Member == "" {
		return errors.New("member is empty")
	}
	return p.GrowParams.Validate()
}

// State is what one host says.
type State = etcdmember.State

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_replace",
		Doc:  "Puts the host of the group new_etcd in the place of an etcd member, dead or alive.",
		Long: `A member that lives is replaced by adding the new one first; it is removed when the new one is healthy. A dead one is removed first: adding while one is down costs a small cluster its quorum. A majority of the others must be up all the time, and the arithmetic is told before. As with etcd_scaleup a backup comes before the first change, or nothing is changed.
The new host is judged and added as etcd_scaleup does it, the old one is removed as etcd_remove does it: see there. The API servers' and flannel's lists and the inventory's file change once, for both.
If the new member does not come up, it and its host are taken back: a living member stays then; a dead one stays removed, for a removal cannot be undone. Once the new member is healthy, nothing is taken back any more; what fails then is finished by dayops resume --retry-failed.
Exactly one host is in the group new_etcd, or --limit leaves one of it. Needs root: become: yes.`,
		Example: `- name: A new host for the one whose disk died
  etcd_replace:
    member: etcd-2.example.com
  become: yes
`,
		Kind:    func(Params) task.Kind { return task.State },
		MaxRisk: func(Params) change.Risk { return change.Disruptive },
		Facts:   true,
		Reach:   []string{"etcd", "new_etcd", "masters", "nodes"},
		Result:  Result{},
	}, replace{})
}

type replace struct{}

// Check reads one host.
func (replace) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	return etcdmember.Look(ctx, r, p.Looking())
}

// Result is what register sees, for each host.
type Result = etcdmember.Was

// Result tells about one host.
func (replace) Result(in task.Input[Params, State], out task.Outcome) any { return in.State.Was(out) }
