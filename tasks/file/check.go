package file

import (
	"context"
	"path"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// State is what is at the path.
type State struct {
	At     reader.File   // the path itself, or what it links to where that is followed
	Parent reader.File   // its folder, for what is made new
	InWay  reader.File   // what is no folder where one of a new folder's parents has to be
	Src    reader.File   // what a link would point to
	Empty  bool          // At is a folder with nothing in it
	Tree   []reader.File // with recurse: everything below, without symlinks
}

type filer struct{}

func (filer) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	var s State
	var err error
	at := hostfile.Clean(p.Path)
	// A link and what is to go are the symlink itself; all else is what it stands for.
	if p.Follow && p.State != "link" && p.State != "hard" && p.State != "absent" {
		s.At, err = hostfile.Follow(ctx, r, at)
	} else {
		s.At, err = hostfile.Stat(ctx, r, at)
	}
	if err != nil {
		return s, err
	}
	if !s.At.Exists && p.State != "absent" && p.State != "directory" {
		if s.Parent, err = hostfile.Follow(ctx, r, path.Dir(s.At.Path)); err != nil {
			return s, err
		}
	}
	if !s.At.Exists && p.State == "directory" {
		return s, checkParents(ctx, r, &s)
	}
	if p.Src != "" {
		return s, checkSrc(ctx, r, p, &s)
	}
	if p.Recurse && s.At.Type == reader.Directory {
		return s, checkTree(ctx, r, &s)
	}
	return s, nil
}

// checkParents looks for what is in the way of a new folder's parents, as the
// change that makes them would find it.
func checkParents(ctx context.Context, r task.Reader, s *State) error {
	for p := path.Dir(s.At.Path); p != "/"; p = path.Dir(p) {
		at, err := hostfile.Follow(ctx, r, p)
		switch {
		case err != nil:
			return err
		case !at.Exists && at.Path == p:
			continue
		case at.Type != reader.Directory:
			s.InWay = at
		}
		return nil
	}
	return nil
}

func checkSrc(ctx context.Context, r task.Reader, p Params, s *State) error {
	src := p.Src
	if p.State == "link" {
		src = hostfile.Target(reader.File{Path: hostfile.Clean(p.Path), Target: p.Src})
	}
	var err error
	if s.Src, err = hostfile.Follow(ctx, r, src); err != nil {
		return err
	}
	if p.Force && s.At.Type == reader.Directory {
		below, err := r.List(ctx, reader.Literal(s.At.Path))
		if err != nil {
			return err
		}
		s.Empty = len(below) == 1
	}
	return nil
}

func checkTree(ctx context.Context, r task.Reader, s *State) error {
	all, err := r.List(ctx, reader.Literal(s.At.Path))
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.Type != reader.Symlink && f.Path != s.At.Path {
			s.Tree = append(s.Tree, f)
		}
	}
	return nil
}
