// Package etcdscaleup adds members to an etcd cluster.
package etcdscaleup

import (
	"context"
	"fmt"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
)

// Params are the parameters of etcd_scaleup.
type Params struct {
	etcdmember.GrowParams `yaml:",inline"`
}

// State is what one host says.
type State = etcdmember.State

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_scaleup",
		Doc:  "Adds the hosts of the group new_etcd to an etcd cluster, one after the other.",
		Long: `First everything is looked at, on all hosts, and nothing is done if anything speaks against it: the cluster is healthy with every member, of one version, without alarms; clocks agree; certificates last; the new host is empty (also of an old WAL), has room, no other etcd, free ports, and a package of the cluster's version in its repositories' lists; the authority of openshift-ansible can sign what the members will accept. Then, before any change, the new host reaches all members' ports, and the cluster is backed up as etcd_backup does it: the data of one member, the configuration of each, verified in backup_dir. A backup that fails ends it there: nothing has been changed. backup: no goes without.
Peer URLs that say localhost are corrected. For each new host: certificates are signed on the authority's host (IP and DNS names), by openshift-ansible's authority or by a given one (ca_cert and ca_key on a host, as kubeadm has them in /etc/kubernetes/pki/etcd, or local_ca_cert and local_ca_key on the control machine; the key stays where it lies), the package is installed and not started, certificates, etcd.conf (the settings of a present member, with the new addresses) and the packet filter follow; the member is added as a learner, started, promoted when etcd takes it, and must be healthy before the next. Before 3.4 there are no learners: every member then shakes hands with openssl on the new peer port, with the new certificates, before the member is added. From 3.4 on only the way from the new host to the members is proven before: that members and masters reach its ports can be seen when the learner was added and started, and it is taken back where they do not.
Then the API servers' lists on all masters, one restart after the other, flannel's on all hosts, and the inventory's file. ETCD_INITIAL_CLUSTER of the present members is left as it is, as the guide leaves it: etcd reads it only when a member begins. What cannot be edited with certainty is printed and left.
If anything fails, all of it is taken back: the member is removed, its etcd stopped, its files and data moved aside, the package removed. The authority keeps the serial numbers; the folder on its host that the keys were made in is removed when all is done.
The host must be in the group new_etcd; other groups are read beyond --limit. A run that was interrupted is finished by dayops resume. Needs root: become: yes.`,
		Example: `- name: Grow the etcd cluster
  etcd_scaleup:
    address: "{{ openshift_ip | default('') }}"
    promote_limit: 10m
  become: yes
`,
		Kind:    func(Params) task.Kind { return task.State },
		MaxRisk: func(Params) change.Risk { return change.Disruptive },
		Facts:   true,
		Reach:   []string{"etcd", "new_etcd", "masters", "nodes"},
		Result:  Result{},
	}, scaleup{})
}

type scaleup struct{}

// Check reads one host.
func (scaleup) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	return etcdmember.Look(ctx, r, p.Looking())
}

// Result is what register sees, for each host.
type Result struct {
	Msg    string `yaml:"msg" doc:"one line"`
	Member bool   `yaml:"member" doc:"whether the host had a member of the cluster before the step"`
	Name   string `yaml:"name" doc:"name of that member"`
	Backup string `yaml:"backup" doc:"folder of the backup set that was made of it; empty where none was"`
}

// Result tells about one host.
func (scaleup) Result(in task.Input[Params, State], out task.Outcome) any {
	s := in.State
	r := Result{Member: s.Runs(), Backup: etcdmember.Saved(out)}
	switch {
	case s.Runs():
		r.Name = s.Instance.Name
		r.Msg = fmt.Sprintf("member %s, etcd %s", s.Instance.Name, s.Live.Status.Version) + etcdmember.SavedIn(r.Backup)
	case out.Changed && in.Params.Candidate:
		r.Msg = "joined"
	case s.Found:
		r.Msg = "etcd does not answer"
	}
	return r
}
