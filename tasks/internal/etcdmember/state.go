// Package etcdmember is what growing, shrinking and mending an etcd cluster
// share: what each host says, the cluster seen as a whole, the preconditions, and
// the stages of a plan. It reads hosts through a task.Reader and changes nothing.
package etcdmember

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdsave"
)

// Where openshift-ansible keeps a member's settings and certificates.
const (
	ConfDir  = "/etc/etcd"
	ConfFile = ConfDir + "/etcd.conf"
	unitName = "etcd.service"
	dropDir  = "/etc/systemd/system/etcd.service.d"
	dropFile = dropDir + "/10-dayops.conf"
)

// State is what one host says. What a host has no part in is zero.
type State struct {
	Found        bool
	Instance     etcd.Instance
	Certificates []etcdca.File
	Live         etcd.Live        `plan:"volatile"`
	Conf         File             // the file that the member's settings are in, where it is one of variables
	Data         []reader.File    // what goes when the member goes: its folder of data, and the WAL's where that is another
	Trusted      etcdca.File      // by which the member judges its peers
	Authority    etcdca.Authority // where there is one
	Room         Room             // of a host without a member that answers
	Rest         Rest
	Store        etcdsave.Store `plan:"volatile"` // what a backup of a member that answers needs to know
}

// Looking says what a Check looks for.
type Looking struct {
	Places  etcd.Places
	Room    bool   // also what a new member would find
	DataDir string // of a member that is to be
	WALDir  string // "" for none
	CADir   string
	Given   etcdca.Given // instead of CADir
	Home    string       // backup_dir
}

// Look reads one host.
func Look(ctx context.Context, r task.Reader, l Looking) (s State, err error) {
	if s.Instance, s.Found, err = etcd.Find(ctx, r, l.Places); err != nil {
		return s, err
	}
	if s.Found {
		if s.Certificates, err = etcdca.ReadMember(ctx, r, s.Instance); err != nil {
			return s, err
		}
		if s.Live, err = etcd.Look(ctx, r, s.Instance); err != nil {
			return s, err
		}
	}
	if err = s.own(ctx, r); err != nil {
		return s, err
	}
	if ca := cmp.Or(s.Instance.PeerCA, s.Instance.CA); ca != "" {
		if s.Trusted, err = etcdca.Read(ctx, r, ca); err != nil {
			return s, err
		}
	}
	if s.Authority, err = etcdca.Find(ctx, r, l.CADir, l.Given); err != nil {
		return s, err
	}
	if s.Live.Status == nil && l.Room {
		if s.Room, err = look(ctx, r, l.DataDir, l.WALDir); err != nil {
			return s, err
		}
	}
	if s.Live.Status != nil {
		if s.Store, err = etcdsave.Look(ctx, r, s.Instance, s.Live, "", l.Home); err != nil {
			return s, err
		}
	}
	s.Rest, err = lookRest(ctx, r)
	return s, err
}

// own reads what a member's settings point to.
func (s *State) own(ctx context.Context, r task.Reader) (err error) {
	if s.Conf, err = s.settings(ctx, r); err != nil {
		return err
	}
	var paths []string
	if in := s.Instance; strings.HasPrefix(in.DataDir, "/") {
		paths = append(paths, in.DataDir+"/member")
	}
	if in := s.Instance; strings.HasPrefix(in.WALDir, "/") && !strings.HasPrefix(in.WALDir, in.DataDir+"/member/") {
		paths = append(paths, in.WALDir)
	}
	if len(paths) > 0 {
		s.Data, err = r.Stat(ctx, paths...)
	}
	return err
}

// settings is the member's file that tells it the cluster.
func (s State) settings(ctx context.Context, r task.Reader) (File, error) {
	for _, path := range s.Instance.Sources {
		if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, ".yaml") {
			continue
		}
		f, err := text(ctx, r, path)
		if err != nil {
			return File{}, err
		}
		if vars, err := etcd.ParseEnvironmentFile(string(f.Text)); err == nil && vars["ETCD_INITIAL_CLUSTER"] != "" {
			return f, nil
		}
	}
	return File{}, nil
}

// Runs tells a host whose member answers.
func (s State) Runs() bool { return s.Live.Status != nil }

const maxFile = 1 << 20

// text is a file's content; "" and false where there is none.
func text(ctx context.Context, r task.Reader, path string) (File, error) {
	data, err := r.ReadFile(ctx, path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return File{File: reader.File{Path: path}}, nil
	}
	if err != nil {
		return File{}, err
	}
	files, err := r.Hash(ctx, path)
	if err != nil {
		return File{}, err
	}
	return File{File: files[0], Text: data}, nil
}

// File is a file with its content.
type File struct {
	reader.File
	Text []byte
}

// Was is what register sees of a host whose member goes, or may go.
type Was struct {
	Msg    string `yaml:"msg" doc:"one line"`
	Name   string `yaml:"name" doc:"name of the member that the host had before the step"`
	Backup string `yaml:"backup" doc:"folder of the backup set that was made of it; empty where none was"`
}

// Was tells which member the host had.
func (s State) Was(out task.Outcome) Was {
	w := Was{Name: s.Instance.Name, Backup: Saved(out)}
	if s.Runs() {
		w.Msg = fmt.Sprintf("member %s, etcd %s", w.Name, s.Live.Status.Version) + SavedIn(w.Backup)
	}
	return w
}
