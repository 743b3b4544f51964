// Package etcdremove takes a member out of an etcd cluster.
package etcdremove

import (
	"context"
	"fmt"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
)

// Params are the parameters of etcd_remove.
type Params struct {
	etcd.Places           `yaml:",inline"`
	etcdmember.SaveParams `yaml:",inline"`
	Member                string              `yaml:"member" required:"true" doc:"name of the member, its ID, or its host as the inventory or its URLs have it"`
	Yes                   bool                `yaml:"yes_i_know" default:"false" doc:"also from a cluster of two, which leaves one with nothing to spare"`
	MaxSpread             strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"clocks further apart are refused; 0 is never"`
	Masters               bool                `yaml:"masters" default:"true" doc:"bring etcdClientInfo.urls (or --etcd-servers) of all masters up to date and restart their API servers, one after the other"`
	Flannel               bool                `yaml:"flannel" default:"true" doc:"bring FLANNEL_ETCD_ENDPOINTS up to date on all hosts that have it"`
	Inventory             bool                `yaml:"inventory" default:"true" doc:"take the host out of the group etcd in the inventory's file, the old file is kept"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if p.Member == "" {
		return fmt.Errorf("member is empty")
	}
	if err := p.SaveParams.Validate(); err != nil {
		return err
	}
	return p.Places.Validate()
}

// State is what one host says.
type State = etcdmember.State

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_remove",
		Doc:  "Takes a member out of an etcd cluster, whether its host still runs or not.",
		Long: `The arithmetic comes first: what is refused would leave the cluster without a quorum, "3 voters, 2 healthy; removing etcd-2 leaves 1, 2 are needed". Other members may be down as long as it holds. From a cluster of two it needs yes_i_know.
Then the cluster is backed up as etcd_backup does it, verified in backup_dir; if that fails nothing is changed (backup: no goes without).
The member is found by its name, its host or its ID. If it lives, the leadership is moved away from it first (from 3.3 on; before, an election follows). Then it is removed, its etcd is stopped and kept from starting again, and its data are moved aside beside where they were. A host that cannot be read is left as it is, and told; that it is away does not make the run fail.
Then it is taken out of ETCD_INITIAL_CLUSTER of the others (nothing is restarted for that), of the API servers' lists on all masters, one restart after the other, of flannel's on all hosts, and out of the group etcd in the inventory's file. What cannot be edited with certainty is printed and left.
A removal cannot be undone: etcd never takes an ID back. Add the host again with etcd_scaleup. Needs root: become: yes.`,
		Example: `- name: etcd-2 goes
  etcd_remove:
    member: etcd-2.example.com
  become: yes
`,
		Kind:    func(Params) task.Kind { return task.State },
		MaxRisk: func(Params) change.Risk { return change.Disruptive },
		Facts:   true,
		Reach:   []string{"etcd", "masters", "nodes"},
		Result:  Result{},
	}, remove{})
}

type remove struct{}

// Check reads one host.
func (remove) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	return etcdmember.Look(ctx, r, etcdmember.Looking{Places: p.Places, DataDir: "/var/lib/etcd", CADir: etcdca.Dir, Home: p.BackupDir})
}

// Result is what register sees, for each host.
type Result = etcdmember.Was

// Result tells about one host.
func (remove) Result(in task.Input[Params, State], out task.Outcome) any { return in.State.Was(out) }

// Plan is the way from the cluster as it is to the one without the member.
func (remove) Plan(in task.ClusterInput[Params, State]) (task.Plan, error) {
	all, p := split(in)
	v := etcdmember.Gather(all, in.Now)
	var f etcdmember.Findings
	limits := etcdmember.Limits{Spread: time.Duration(p.MaxSpread), Down: true}
	if len(v.Members) == 0 {
		v.Sound(&f, limits)
		return task.Plan{Findings: f}, nil
	}
	if v.Done(&f, p.Member) {
		return task.Plan{Findings: f}, nil
	}
	l, ok := v.Find(&f, p.Member)
	v.Sound(&f, limits, l.IDs()...)
	if ok {
		v.Weigh(&f, l, v.Members, p.Yes)
	}
	if f.Failed() {
		return task.Plan{Findings: f}, nil
	}
	f.Even(etcd.Count(etcdmember.Without(v.Members, l)))
	k := &etcdmember.Making{View: v, Excused: l.Lost(v)}
	swap := v.Swapping(nil, []etcdmember.Departed{l.Departed})
	if !l.Gone {
		k.Backup(&f, p.SaveParams)
	}
	k.Shrink(&f, l)
	k.Quiet(&f, l)
	k.Initial(&f, swap)
	if p.Masters {
		k.Masters(&f, swap)
	}
	if p.Flannel {
		k.Flannel(&f, swap)
	}
	if p.Inventory {
		k.Inventory(&f, in.Inventory, l.Regroup(v))
	}
	if f.Failed() {
		return task.Plan{Findings: f}, nil
	}
	return k.Plan(f), nil
}

func split(in task.ClusterInput[Params, State]) (all []etcdmember.Host, p Params) {
	for _, h := range in.Hosts {
		x := etcdmember.Host{Name: h.Target, Groups: h.Groups, Reach: h.Reach, Err: h.Err, Facts: h.Facts, State: h.State, Made: h.Made}
		if h.Params.Member != "" && p.Member == "" {
			p = h.Params
		}
		all = append(all, x)
	}
	return all, p
}
