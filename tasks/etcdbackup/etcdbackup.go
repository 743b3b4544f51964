// Package etcdbackup is the task that brings an etcd cluster's data and its
// members' configuration home.
package etcdbackup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Kind is that of the sets in a store.
const Kind = "etcd_backup"

// Names of the artefacts beside store.FilesName.
const (
	SnapshotName = "snapshot.db"
	V2Name       = "v2.tar.gz"
)

// Modes.
const (
	live = "live"
	cold = "cold"
)

// Params are the parameters of etcd_backup.
type Params struct {
	etcd.Places `yaml:",inline"`
	BackupDir   string              `yaml:"backup_dir" default:"./backups" doc:"folder of the control machine, relative to the working folder; each member's set lies in HOST/TIME below it"`
	Mode        string              `yaml:"mode" default:"live" enum:"live,cold" doc:"live: a snapshot of a running member; cold: the member is stopped while its data is copied, then started"`
	Member      string              `yaml:"member" doc:"name of the member, or of its host, whose data is taken; chosen by itself when not given"`
	Timeout     strictyaml.Duration `yaml:"timeout" default:"15m" doc:"limit for making the snapshot, and for the v2 store"`
	StagingDir  string              `yaml:"staging_dir" doc:"folder of the host where the snapshot lies until it is home, private and for that time only; found by itself when not given"`
	MaxLag      int                 `yaml:"max_lag" default:"1000" doc:"raft entries that a member may be behind the leader, or behind in applying them, to be chosen"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	switch {
	case p.BackupDir == "" || strings.HasPrefix(p.BackupDir, "~"):
		return fmt.Errorf("backup_dir: %q; write the whole path, ~ means nothing here", p.BackupDir)
	case p.StagingDir != "" && (!path.IsAbs(p.StagingDir) || path.Clean(p.StagingDir) == "/"):
		return fmt.Errorf("staging_dir: %q is no absolute path of a folder", p.StagingDir)
	case p.Timeout < strictyaml.Duration(time.Second):
		return errors.New("timeout: less than a second")
	case p.MaxLag < 0:
		return errors.New("max_lag is below 0")
	}
	return p.Places.Validate()
}

// State is what one host says about its member.
type State struct {
	Found    bool
	Instance etcd.Instance
	Live     etcd.Live `plan:"volatile"`
	View     etcd.View `plan:"volatile"` // of the leader's host alone
	Places   []place   `plan:"volatile"` // where a snapshot may be staged, best first
	DataRoom room      `plan:"volatile"`
	V2Bytes  int64     `plan:"volatile"` // of what a copy of the v2 store reads
	Stale    []string  `plan:"volatile"` // staging folders that runs which died left
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_backup",
		Doc:  "Brings an etcd cluster's data and its members' configuration home, verified.",
		Long: `Each member's set holds files.tar.gz: its configuration, certificates and keys. The set of one member also has the data: snapshot.db, and v2.tar.gz where the v2 store holds something.
That member is a follower that is healthy and has caught up, or the leader if there is no other; never one that lags (max_lag), is a learner, has raised the alarm CORRUPT or differs from the others by its hash. All hosts of the group etcd are looked at, whatever the play's hosts and --limit are; data and configuration are taken from the hosts of the play. With the quorum lost the data is that of the member with the highest raft index: it is marked degraded, and the exit code is 3.
The snapshot is made with the host's own etcdctl into a private folder (0700) on a file system with room for twice the database, not the data's own if there is a choice, streamed home and removed. Of a member in a container that folder is below its data folder. Before the set appears in backup_dir, the snapshot is verified: the host's sha256, the SHA-256 at its end, the consistency of its pages, its keys and its revision. One that does not verify is no backup: there is no set, and the task fails.
mode: cold stops the member (a unit), copies its database and v2 store, and starts it; the host itself starts it again should dayops die. The quorum must allow it. The copy has no SHA-256 of etcd's own: etcd_restore takes it with allow_unverified.
The v2 store is copied by etcdctl backup (up to 3.5) without v3, which would hang; it can only begin a new cluster of one. Needs an account that may read the client's key: become: yes.
With authentication on, the certificate's name must be that of a user with the role root.`,
		Example: `- name: Back up the etcd cluster
  etcd_backup:
    backup_dir: /srv/backups
  become: yes
`,
		Kind: func(Params) task.Kind { return task.Action },
		MaxRisk: func(p Params) change.Risk {
			if p.Mode == cold {
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
	if st := s.Live.Status; st != nil && st.Leader == st.MemberID && st.Leader != 0 {
		version, _ := etcd.ParseVersion(st.Version)
		if s.View, err = etcd.Survey(ctx, r, s.Instance, s.Live, version.HasHashKV() && s.Live.Tool.HasHashKV()); err != nil {
			return s, err
		}
	}
	if s.Live.V2.Data {
		if s.V2Bytes, err = sizeOf(ctx, r, s.Instance); err != nil {
			return s, err
		}
	}
	return s, s.rooms(ctx, r, p)
}

// sizeOf sums what a copy of the v2 store reads: the log and the snapshots.
func sizeOf(ctx context.Context, r task.Reader, in etcd.Instance) (n int64, err error) {
	wal := in.WALDir
	if wal == "" {
		wal = path.Join(in.DataDir, "member", "wal")
	}
	for _, dir := range []string{wal, path.Join(in.DataDir, "member", "snap")} {
		files, err := r.List(ctx, reader.Literal(dir))
		if err != nil {
			return 0, err
		}
		for _, f := range files {
			if f.Type == reader.Regular && path.Base(f.Path) != "db" {
				n += f.Size
			}
		}
	}
	return n, nil
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
