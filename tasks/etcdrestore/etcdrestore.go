// Package etcdrestore puts an etcd cluster back to a backup: a v3 snapshot, or v2
// data with one.
package etcdrestore

import (
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Params are the parameters of etcd_restore.
type Params struct {
	etcd.Places     `yaml:",inline"`
	From            string              `yaml:"from" doc:"folder of a backup set, or file of a v3 snapshot (v3 data alone), on the control machine, relative to the working folder; the newest set of backup_dir with a snapshot when not given"`
	BackupDir       string              `yaml:"backup_dir" default:"./backups" doc:"where from is looked for when it is not given: folder of the control machine, relative to the working folder"`
	AllowUnverified bool                `yaml:"allow_unverified" default:"false" doc:"also take a database without a checksum, copied from a data folder (member/snap/db): nothing then proves that its values are those that etcd wrote"`
	OtherCluster    bool                `yaml:"other_cluster" default:"false" doc:"it is meant that the snapshot is of another cluster, or of this one before it was made anew"`
	BumpRevision    int64               `yaml:"bump_revision" default:"1000000000" doc:"how far the revision goes up, where the tool can (3.4.27, 3.5.10, 3.6), so that watchers notice; 0 is not at all"`
	HealthyWithin   strictyaml.Duration `yaml:"healthy_within" default:"5m" doc:"members that are not healthy by then bring the old data back"`
	MaxSpread       strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"members' clocks further apart are refused; 0 is never"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	for name, v := range map[string]string{"from": p.From, "backup_dir": p.BackupDir} {
		if strings.HasPrefix(v, "~") {
			return fmt.Errorf("%s: %q; write the whole path, ~ means nothing here", name, v)
		}
	}
	const most = 1 << 50
	switch {
	case p.From == "" && p.BackupDir == "":
		return fmt.Errorf(`give "from" or "backup_dir"`)
	case p.BumpRevision < 0 || p.BumpRevision > most:
		return fmt.Errorf("bump_revision is a number from 0 to %d", int64(most))
	case p.HealthyWithin <= 0:
		return fmt.Errorf("healthy_within is a time above 0")
	case p.MaxSpread < 0:
		return fmt.Errorf("max_spread is not below 0")
	}
	return p.Places.Validate()
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_restore",
		Doc:  "Puts an etcd cluster back to a backup, v3 data or v2 and v3: verified and rehearsed first, rolled back when it does not come up.",
		Long: `All members of the group etcd are restored together, from the same file, as a new cluster with the members that their settings name. The cluster stops meanwhile, and everything written since the snapshot is given up (the old data stay on each member, beside the new).
First the set is verified on the control machine: sha256 of every file, the checksum that etcd put at the snapshot's end, every page of the database, its keys. Then all hosts are looked at: versions, tools, room (three times the snapshot), names, peer URLs, owners, certificates (there, of the right authority, not expired), clocks, and whether the users of the snapshot are those that we ask as; every reason against it is told before anything is done.
The snapshot goes to a staging folder (0700) in each member's data folder, and is restored there while the cluster still runs: that is the rehearsal, and what is put in place afterwards. Then: API servers and controllers are stopped where there are any (units and static pods; the group masters), all members are stopped, member is renamed to member.before-restore-TIME (a WAL folder of its own likewise), the restored one takes its place with the old owner, mode and SELinux label, all members are started, every one must be healthy and list exactly the members of the plan, API servers are started. If that is not reached within healthy_within, the old data go back and the cluster is as before. A run that was killed or interrupted between putting data in place and starting them leaves those members stopped, whose cluster the others would not know, and says so; it is taken up by dayops resume, or taken back by dayops undo. What was found to speak against a restore is a warning then, as the old data are out of the way already.
etcdctl restores before 3.5, etcdutl from 3.5 on where it is there, etcdutl alone from 3.6 on; the tool in the container where it is only there, which must run then. Where the tool cannot raise the revision (3.2, 3.3, before 3.4.27 and 3.5.10) programs that watch keys other than through the API servers must be restarted afterwards, and nodes' kubelets may lag until they list anew.
A set that also has v2 data (v2.tar.gz; etcd up to 3.5 with enable-v2) is restored with both, as units alone. A copy of the v2 store can only begin a new cluster of one, so the first member of the group begins alone: on the control machine a database is made of the snapshot (in TMPDIR, as large as the snapshot) whose raft index is the copy's, since etcd leaves out what it takes for done already; both are put together in the staging folder, and etcd is started there on a copy of them, behind a socket that nobody else reaches. After everything was stopped, that member starts with --force-new-cluster (a drop-in in etcd.service.d with ETCD_FORCE_NEW_CLUSTER, gone again before its next start), puts its log into a snapshot of raft's, without which those that join it would have no v3 keys, is started again as usual and gets its peer URL; the others are added one at a time with empty data, as learners from 3.4 on, told by a drop-in to join (ETCD_INITIAL_CLUSTER_STATE=existing), and must have the revision before the next one. From: .../snapshot.db restores the v3 data of such a set alone; etcd 3.6 can do no more.
The etcd.conf files stay as they are: a member that has data ignores ETCD_INITIAL_*. Old pods come back with the old objects and attach their volumes again: never restore a copy beside a cluster that still runs.
To go back later: stop all members, rename member.before-restore-TIME to member, start them; or dayops undo RUN. To free the room, remove those folders.`,
		Example: `- name: Back to the backup of this morning
  etcd_restore:
    from: backups/m0/2026-11-22T031207Z
  become: yes
`,
		Kind:    func(Params) task.Kind { return task.Action },
		MaxRisk: func(Params) change.Risk { return change.Destructive },
		Facts:   true,
		Reach:   []string{"etcd", "masters"},
		Result:  Result{},
	}, &restore{known: &verified{}})
}

// restore remembers what it has verified: every host's Check asks for it.
type restore struct{ known *verified }
