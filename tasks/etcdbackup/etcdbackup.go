// Package etcdbackup is the task that brings an etcd cluster's data and its
// members' configuration home.
package etcdbackup

import (
	"context"
	"errors"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdsave"
)

// Params are the parameters of etcd_backup, State what one host says about its member.
type (
	Params = etcdsave.Params
	State  = etcdsave.State
)

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_backup",
		Doc:  "Brings an etcd cluster's data and its members' configuration home, verified.",
		Long: `Each member's set holds files.tar.gz: its configuration, certificates and keys. The set of one member also has the data: snapshot.db, and v2.tar.gz where the v2 store holds something.
That member is a follower that is healthy and has caught up, or the leader if there is no other; never one that lags (max_lag), is a learner, has raised the alarm CORRUPT or differs from the others by its hash. One with the alarm NOSPACE is taken where none without it can be, for its data are whole: the leader without it comes before a follower with it. All hosts of the group etcd are looked at, whatever the play's hosts and --limit are; data and configuration are taken from the hosts of the play. With the quorum lost the data is that of the member with the highest raft index: it is marked degraded, and the exit code is 3.
The snapshot is made with the host's own etcdctl into a private folder (0700) on a file system with room for twice the database, not the data's own if there is a choice, streamed home and removed. backup_dir must have room for the database, which is looked at before anything is changed. Of a member in a container that folder is below its data folder. Before the set appears in backup_dir, the snapshot is verified: the host's sha256, the SHA-256 at its end, the consistency of its pages, its keys and its revision. One that does not verify is no backup: there is no set, and the task fails.
mode: cold stops the member (a unit), copies its database and v2 store, and starts it; the host itself starts it again should dayops die. The quorum must allow it. The copy has no SHA-256 of etcd's own: etcd_restore takes it with allow_unverified.
The v2 store is copied by etcdctl backup (up to 3.5) without v3, which would hang; it can only begin a new cluster of one. Needs an account that may read the client's key: become: yes.
With authentication on, the certificate's name is that of a user with the role root, or etcd_user and etcd_password are set: see etcd_health.`,
		Example: `- name: Back up the etcd cluster
  etcd_backup:
    backup_dir: /srv/backups
  become: yes
`,
		Kind: func(Params) task.Kind { return task.Action },
		MaxRisk: func(p Params) change.Risk {
			if p.Mode == etcdsave.Cold {
				return change.Disruptive
			}
			return change.Safe
		},
		Facts:  true,
		Reach:  []string{"etcd"},
		Result: Result{},
	}, backup{})
}

type backup struct{}

// Check finds the member, asks it, and looks for room.
func (backup) Check(ctx context.Context, r task.Reader, p Params) (s State, err error) {
	if s.Instance, s.Found, err = etcd.Find(ctx, r, p.Places); err != nil || !s.Found {
		return s, err
	}
	if s.Live, err = etcd.Look(ctx, r, s.Instance); err != nil {
		return s, err
	}
	s.Store, err = etcdsave.Look(ctx, r, s.Instance, s.Live, p.StagingDir, p.BackupDir)
	return s, err
}

// Plan takes the configuration of every member in the play, and the data of one.
func (backup) Plan(in task.ClusterInput[Params, State]) (task.Plan, error) {
	return etcdsave.Plan(in), nil
}

// Verify reads each set again from the disk. What snapshot.db is worth was
// proven before the set appeared; its checksum says that it is still that.
func (backup) Verify(ctx context.Context, _ task.Reader, in task.Input[Params, State], out task.Outcome) ([]task.Finding, error) {
	var found []task.Finding
	for _, s := range out.Steps {
		d, ok := s.Data.(change.SetResult)
		if !ok {
			continue
		}
		_, err := store.Verify(ctx, d.Path)
		var damaged *store.DamagedError
		if errors.As(err, &damaged) {
			found = append(found, task.Finding{Host: in.Target, Status: task.Fail, Text: d.Path + ": " + damaged.Error(), Hint: "the disk of the control machine may be failing; do not rely on this set"})
		} else if err != nil {
			return found, err
		}
	}
	return found, nil
}
