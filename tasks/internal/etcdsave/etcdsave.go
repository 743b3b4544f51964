// Package etcdsave plans the backup of an etcd cluster: which member's data is
// taken, where it is staged on its host, and how it comes home, verified. The task
// etcd_backup is that plan; tasks that change the membership begin with it.
package etcdsave

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

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
	Live = "live"
	Cold = "cold"
)

// Params are the parameters of etcd_backup.
type Params struct {
	etcd.Places `yaml:",inline"`
	BackupDir   string              `yaml:"backup_dir" default:"./backups" doc:"folder of the control machine, relative to the working folder; each member's set lies in HOST/TIME below it"`
	Mode        string              `yaml:"mode" default:"live" enum:"live,cold" doc:"live: a snapshot of a running member; cold: the member is stopped while its data is copied, then started"`
	Member      string              `yaml:"member" doc:"name of the member, or of its host, whose data is taken; chosen by itself when not given"`
	Timeout     strictyaml.Duration `yaml:"timeout" default:"15m" doc:"limit for making the snapshot, and for the v2 store"`
	StagingDir  string              `yaml:"staging_dir" doc:"folder of the host where the snapshot lies until it is home, private and for that time only; found by itself when not given"`
	Steady      bool                `yaml:"-"` // of members that may be taken the first one in the inventory, and not who is nearest at the time: the same plan each time
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
	Store    Store     `plan:"volatile"`
}

// Store is what a backup needs to know beside the member itself.
type Store struct {
	View     etcd.View // of the leader's host alone
	Places   []Place   // where a snapshot may be staged, best first
	DataRoom etcd.Room
	V2Bytes  int64    // of what a copy of the v2 store reads
	Home     *int64   // bytes free for the sets, on the control machine; nil where that is not known
	Stale    []string // staging folders that runs which died left
}

// Look asks the leader's host about all members, and each for room. staging is
// the folder asked for; "" looks where there is room. home is where the sets go.
func Look(ctx context.Context, r task.Reader, in etcd.Instance, live etcd.Live, staging, home string) (s Store, err error) {
	if free := store.NewLocal(home).Free(); free >= 0 {
		s.Home = &free
	}
	if st := live.Status; st != nil && st.Leader == st.MemberID && st.Leader != 0 {
		version, _ := etcd.ParseVersion(st.Version)
		if s.View, err = etcd.Survey(ctx, r, in, live, version.HasHashKV() && live.Tool.HasHashKV()); err != nil {
			return s, err
		}
	}
	if live.V2.Data {
		if s.V2Bytes, err = sizeOf(ctx, r, in); err != nil {
			return s, err
		}
	}
	return s, s.rooms(ctx, r, in, staging)
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
