package copy

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// State is what is at the places to be written, in the order of sources().
type State struct {
	Dest  string        // the file, or the folder that a folder becomes
	Dirs  []reader.File // of a folder: it and those below it
	Files []Pair
}

// Pair is a file of the host and, for the diff, the text it would get.
type Pair struct {
	Have hostfile.Have
	New  []byte // nil: not read, because it is the same or too large
}

// maxShown bounds what is read of a local file for the diff.
const maxShown = 1 << 20

type copier struct{}

func (copier) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	if p.Src.IsDir {
		return checkTree(ctx, r, p)
	}
	dest, err := hostfile.Dest(ctx, r, p.Dest, p.base(), p.Follow)
	if err != nil {
		return State{}, err
	}
	s := State{Dest: dest}
	if s.Files, err = look(ctx, r, p, []string{dest}); err != nil {
		return s, err
	}
	// A dest with a slash names a folder that is made when it is not there.
	if strings.HasSuffix(p.Dest, "/") {
		dir, err := hostfile.Follow(ctx, r, path.Dir(dest))
		s.Dirs = []reader.File{dir}
		return s, err
	}
	return s, hostfile.Parent(ctx, r, s.Files[0].Have.File)
}

func checkTree(ctx context.Context, r task.Reader, p Params) (State, error) {
	s := State{Dest: p.root()}
	dirs, files := []string{s.Dest}, []string(nil)
	for _, f := range p.Src.Tree {
		at := s.Dest + "/" + f.Name
		if f.IsDir {
			dirs = append(dirs, at)
		} else {
			files = append(files, at)
		}
	}
	for _, d := range dirs {
		f, err := hostfile.Follow(ctx, r, d)
		if err != nil {
			return s, err
		}
		if f.Exists && f.Type != reader.Directory {
			return s, fmt.Errorf("%s is %s, not a folder", d, hostfile.TypeName(f.Type))
		}
		s.Dirs = append(s.Dirs, f)
	}
	var err error
	s.Files, err = look(ctx, r, p, files)
	return s, err
}

// look compares the files at paths with the sources.
func look(ctx context.Context, r task.Reader, p Params, paths []string) ([]Pair, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	src := p.sources()
	sums := make([]string, len(paths))
	for i := range sums {
		sums[i] = p.content(src[i], nil).SHA256
	}
	have, err := hostfile.Look(ctx, r, paths, sums)
	if err != nil {
		return nil, err
	}
	out := make([]Pair, len(have))
	room := int64(8 * maxShown)
	for i, h := range have {
		out[i].Have = h
		if p.Content != nil || h.File.SHA256 == sums[i] || src[i].Size > maxShown || src[i].Size > room || src[i].Open == nil {
			continue
		}
		room -= src[i].Size
		if out[i].New, err = read(src[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func read(f task.LocalFile) ([]byte, error) {
	rc, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	b, err := io.ReadAll(io.LimitReader(rc, maxShown+1))
	if err == nil && int64(len(b)) != f.Size {
		err = fmt.Errorf("%s changed while it was read", f.Path)
	}
	return b, err
}

// content is what one source gives; text is its bytes where they are at hand.
func (p *Params) content(f task.LocalFile, text []byte) change.Content {
	if p.Content != nil {
		return hostfile.Content([]byte(*p.Content))
	}
	if text != nil {
		if c := hostfile.Content(text); c.SHA256 == f.SHA256 {
			return c
		}
	}
	return change.Content{Size: f.Size, SHA256: f.SHA256, Open: f.Open}
}

func (copier) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, s := in.Params, in.State
	var changes []change.Change
	for _, d := range s.Dirs {
		if !d.Exists {
			a := hostfile.Attrs{Mode: p.DirectoryMode, Owner: p.Owner}
			changes = append(changes, &change.Dir{Path: d.Path, Before: d, Attr: a.ForNew(hostfile.NewDirMode, true)})
		}
	}
	for i, src := range p.sources() {
		if i >= len(s.Files) {
			break
		}
		pair := s.Files[i]
		c, err := hostfile.Change(pair.Have, hostfile.Want{
			Path: pair.Have.File.Path, Content: p.content(src, pair.New), Attrs: p.attrs(src), Backup: p.Backup, Keep: !p.Force,
		})
		if err != nil {
			return task.Plan{}, err
		}
		if c != nil {
			changes = append(changes, c)
		}
	}
	return task.Do(changes...), nil
}

func (copier) Result(in task.Input[Params, State], _ task.Outcome) any {
	p := in.Params
	res := Result{Dest: in.State.Dest, Src: p.Src.Path}
	for _, f := range p.sources() {
		res.Size += p.content(f, nil).Size
	}
	if !p.Src.IsDir {
		res.Checksum = p.content(p.Src, nil).SHA256
	}
	return res
}
