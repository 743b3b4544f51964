package etcdrestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
	"github.com/dayops/dayops/tasks/internal/etcd/v2copy"
)

const (
	setKind      = "etcd_backup"
	snapshotName = "snapshot.db"
	v2Name       = "v2.tar.gz"
)

// Source is the snapshot as the control machine has it; Problem says why there is none.
type Source struct {
	Problem, Hint string

	Path      string // of the snapshot's file, absolute
	Set       string // folder of the set; "" of a file alone
	Host      string // whose set
	Taken     time.Time
	Size      int64
	SHA256    string
	Sealed    bool
	Revision  int64
	Keys      int64
	Version   string // of the etcd that gave it; "" where not known
	ClusterID string // hexadecimal; "" where not known
	Data      string
	Degraded  string
	V2        *V2    // the set's v2 data; nil: it has none
	NoV2      string // why it may lack them, as its backup says; "" of a whole set
	Members   []snapshot.Member
	Auth      bool     // authentication is on in it
	Users     []string // of authentication; none where they are too many
}

// verified holds what was found out about files, by path, size and time, so that
// a snapshot is read once and not once for each host.
type verified struct {
	mu    sync.Mutex
	files map[string]Source

	fits sync.Mutex
	made map[fitKey]*files
}

// find gives the source that the parameters name, verified.
func (v *verified) find(ctx context.Context, p Params) (Source, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	from := p.From
	if from == "" {
		newest, err := newest(ctx, p.BackupDir)
		if err != nil || newest == "" {
			s := Source{Problem: "no backup set with a snapshot in " + reader.Printable(p.BackupDir), Hint: "give from: a set's folder or a snapshot's file; backup_dir is relative to " + workingFolder()}
			if err != nil {
				s.Problem += ": " + reader.Printable(err.Error())
			}
			return s, ctx.Err()
		}
		from = newest
	}
	from, err := filepath.Abs(from)
	if err != nil {
		return Source{}, err
	}
	info, err := os.Stat(from)
	if err != nil {
		return Source{Problem: reader.Printable(from) + " cannot be read: " + reason(err), Hint: "from is relative to " + workingFolder()}, nil
	}
	file := from
	if info.IsDir() {
		file = filepath.Join(from, snapshotName)
		if inner, err := os.Stat(file); err == nil {
			info = inner
		}
	}
	key := fmt.Sprintf("%s\x00%d\x00%d", file, info.Size(), info.ModTime().UnixNano())
	if s, ok := v.files[key]; ok {
		return s, nil
	}
	s, err := look(ctx, from, file)
	if err != nil {
		return Source{}, err
	}
	if v.files == nil {
		v.files = map[string]Source{}
	}
	v.files[key] = s
	return s, nil
}

func workingFolder() string {
	dir, err := os.Getwd()
	if err != nil {
		return "the working folder"
	}
	return reader.Printable(dir)
}

func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return reader.Printable(err.Error())
}

// newest is the last set that has a snapshot, of whatever host.
func newest(ctx context.Context, dir string) (string, error) {
	sets, err := store.NewLocal(dir).Kind(ctx, setKind)
	if err != nil {
		return "", err
	}
	for _, s := range slices.Backward(sets) {
		if has(s.Manifest, snapshotName) {
			return s.Path, nil
		}
	}
	return "", nil
}

func has(m store.Manifest, name string) bool {
	return slices.ContainsFunc(m.Artefacts, func(a store.Artefact) bool { return a.Name == name })
}

// look verifies a set, or a file alone.
func look(ctx context.Context, from, file string) (Source, error) {
	s := Source{Path: file}
	if file != from {
		if err := s.fromSet(ctx, from); err != nil || s.Problem != "" {
			return s, err
		}
	}
	facts, err := snapshot.VerifyFile(ctx, file)
	var damaged *snapshot.DamagedError
	switch {
	case errors.As(err, &damaged):
		s.Problem, s.Hint = reader.Printable(file)+" is no good snapshot: "+reader.Printable(damaged.Why), "take another backup: from names a set's folder, or a file that etcdctl snapshot save wrote"
		return s, nil
	case err != nil && ctx.Err() != nil:
		return s, err
	case err != nil:
		s.Problem, s.Hint = reader.Printable(file)+" cannot be read: "+reason(err), "from names a set's folder, or a snapshot's file"
		return s, nil
	}
	s.Size, s.SHA256, s.Sealed, s.Revision, s.Keys, s.Members = facts.Size, facts.SHA256, facts.Sealed, facts.Revision, facts.Keys, facts.Members
	s.Auth, s.Users = facts.Auth, facts.Users
	if s.Version == "" {
		s.Version = facts.Version
	}
	return s, s.v2(ctx)
}

// fromSet checks a whole set against its manifest and takes what that says.
func (s *Source) fromSet(ctx context.Context, dir string) error {
	s.Set = dir
	m, err := store.Verify(ctx, dir)
	var damaged *store.DamagedError
	switch {
	case errors.As(err, &damaged):
		s.Problem, s.Hint = reader.Printable(dir)+" is no whole backup set: "+reader.Printable(damaged.Error()), "take another set; dayops never restores from one that does not verify"
		return nil
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		s.Problem, s.Hint = reader.Printable(dir)+" cannot be read: "+reason(err), "from names a set's folder, or a snapshot's file"
		return nil
	case !has(m, snapshotName):
		s.Problem, s.Hint = fmt.Sprintf("%s (%s of %s) has no %s", reader.Printable(dir), reader.Printable(m.Kind), reader.Printable(m.Host), snapshotName), "of one etcd_backup one member's set has the snapshot, the others have their configuration"
		return nil
	}
	for _, x := range m.Missed {
		if x.Path == v2Name {
			s.NoV2 = reader.Printable(x.Why)
		}
	}
	f := m.Facts
	s.Host, s.Taken = m.Host, m.End
	for _, a := range m.Artefacts {
		if a.Name == v2Name {
			s.V2 = &V2{Path: filepath.Join(dir, v2Name), Size: a.Size, SHA256: a.SHA256, Keys: -1}
			if n, err := strconv.ParseInt(f[v2copy.FactKeys], 10, 64); err == nil && n >= 0 {
				s.V2.Keys = n
			}
		}
	}
	s.Version, s.ClusterID, s.Data, s.Degraded = f["version"], f["cluster_id"], f["data"], f["degraded"]
	if _, err := strconv.ParseUint(s.ClusterID, 16, 64); err != nil {
		s.ClusterID = ""
	}
	return nil
}
