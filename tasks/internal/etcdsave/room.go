package etcdsave

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Place is a folder where a snapshot may be staged.
type Place struct {
	Dir  string
	Room etcd.Room
	Made bool // the folder is there; else dayops makes it
}

// stagingPlaces are looked at in this order. The first is dayops's own.
func stagingPlaces() []string { return []string{"/var/lib/dayops", "/var/tmp", "/root", "/tmp"} }

// rooms finds where a snapshot may be staged and how much room there is.
func (s *Store) rooms(ctx context.Context, r task.Reader, in etcd.Instance, staging string) error {
	dirs := stagingPlaces()
	if inside := in.Inside(); inside != "" {
		dirs = []string{inside}
	}
	if staging != "" {
		dirs = []string{path.Clean(staging)}
	}
	ask := slices.Clone(dirs)
	if path.IsAbs(in.DataDir) && !slices.Contains(ask, in.DataDir) {
		ask = append(ask, in.DataDir)
	}
	at, err := existing(ctx, r, ask)
	if err != nil {
		return err
	}
	for _, dir := range ask {
		f, ok := at[dir]
		if !ok {
			continue
		}
		room, err := etcd.RoomOf(ctx, r, f)
		if err != nil {
			return err
		}
		if dir == in.DataDir {
			s.DataRoom = room
		}
		// What lies in memory is no place for a database.
		if slices.Contains(dirs, dir) && (staging != "" || room.Type != "tmpfs" && room.Type != "ramfs") {
			s.Places = append(s.Places, Place{Dir: dir, Room: room, Made: f == dir})
		}
	}
	elsewhere := func(x Place) bool { return x.Room.Mount != s.DataRoom.Mount }
	slices.SortStableFunc(s.Places, func(a, b Place) int {
		switch {
		case elsewhere(a) == elsewhere(b):
			return 0
		case elsewhere(a):
			return -1
		}
		return 1
	})
	return s.stale(ctx, r, dirs)
}

// existing gives for each folder the nearest one above it that is there, itself
// first; a symlink or a file on the way leaves it out.
func existing(ctx context.Context, r task.Reader, dirs []string) (map[string]string, error) {
	var ask []string
	for _, d := range dirs {
		for ; d != "/"; d = path.Dir(d) {
			ask = append(ask, d)
		}
	}
	files, err := r.Stat(ctx, ask...)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	kind := map[string]reader.File{}
	for i, f := range files {
		kind[ask[i]] = f
	}
	out := map[string]string{}
	for _, d := range dirs {
		at := d
		for at != "/" && !kind[at].Exists {
			at = path.Dir(at)
		}
		if at == "/" || kind[at].Type == reader.Directory {
			out[d] = at
		}
	}
	return out, nil
}

// stale lists staging folders that dead runs left. One of a run that lives is
// gone, or is not in this list, when this run has the host's lock.
func (s *Store) stale(ctx context.Context, r task.Reader, dirs []string) error {
	var globs []string
	for _, d := range dirs {
		globs = append(globs, reader.Literal(d)+"/"+change.StagingGlob)
	}
	files, err := r.List(ctx, globs...)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	for _, f := range files {
		if f.Exists && f.Type == reader.Directory && change.IsStaging(f.Path) {
			s.Stale = append(s.Stale, f.Path)
		}
	}
	slices.SortFunc(s.Stale, strings.Compare)
	return nil
}
