package file

import (
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// A tree whose entries differ is changed entry by entry, which shows and undoes
// each, up to oneByOne of them; beyond, by one change for the whole tree where
// all of it gets the same. maxAttrs bounds a plan with a symbolic mode, which
// gives each entry its own.
const (
	oneByOne = 50
	maxAttrs = 5000
)

// wanted is the state that is asked for, worked out where it was not given.
func wanted(p Params, at reader.File) string {
	switch {
	case p.State != "":
		return p.State
	case p.Recurse || at.Type == reader.Directory:
		return "directory"
	}
	return "file"
}

func (filer) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, s := in.Params, in.State
	var changes []change.Change
	var err error
	switch wanted(p, s.At) {
	case "absent":
		if s.At.Exists {
			changes = []change.Change{&change.Remove{Path: s.At.Path, Before: s.At}}
		}
	case "directory":
		changes, err = directory(p, s)
	case "link":
		changes, err = symlink(p, s)
	case "hard":
		changes, err = hardlink(p, s)
	case "touch":
		changes, err = touch(p, s)
	default:
		changes, err = existing(p, s)
	}
	if err != nil {
		return task.Plan{}, err
	}
	return task.Do(changes...), nil
}

// existing sets owner and permissions of what is there.
func existing(p Params, s State) ([]change.Change, error) {
	switch {
	case !s.At.Exists:
		return nil, &task.MissingError{What: "file", Name: s.At.Path, Hint: "state: touch makes an empty one, `copy` one with content"}
	case s.At.Type == reader.Symlink && p.Set():
		return nil, fmt.Errorf("%s is a symlink; leave \"follow\" at true to set what it points to", s.At.Path)
	case p.State == "file" && s.At.Type == reader.Directory:
		return nil, fmt.Errorf("%s is a folder, not a file", s.At.Path)
	}
	return attrs(p, s.At), nil
}

func attrs(p Params, f reader.File) []change.Change {
	at := p.For(f)
	if !hostfile.Differs(f, at) {
		return nil
	}
	return []change.Change{&change.Attrs{Path: f.Path, Before: f, Attr: at}}
}

func directory(p Params, s State) ([]change.Change, error) {
	switch {
	case s.InWay.Path != "":
		return nil, fmt.Errorf("%s is in the way: it is not a folder", s.InWay.Path)
	case !s.At.Exists:
		return []change.Change{&change.Dir{Path: s.At.Path, Before: s.At, Attr: p.ForNew(hostfile.NewDirMode, true)}}, nil
	case s.At.Type != reader.Directory:
		return nil, fmt.Errorf("%s is %s, not a folder", s.At.Path, hostfile.TypeName(s.At.Type))
	case !p.Recurse:
		return attrs(p, s.At), nil
	}
	return recurse(p, s)
}

func recurse(p Params, s State) ([]change.Change, error) {
	out := attrs(p, s.At)
	for _, f := range s.Tree {
		out = append(out, attrs(p, f)...)
	}
	if len(out) <= oneByOne {
		return out, nil
	}
	if strings.Trim(string(p.Mode), "01234567") == "" {
		return []change.Change{&change.Attrs{Path: s.At.Path, Before: s.At, Attr: p.For(s.At), Recursive: true}}, nil
	}
	if len(out) > maxAttrs {
		return nil, fmt.Errorf("%d entries below %s need a change of their own because the mode is symbolic; at most %d are done in one step", len(out), s.At.Path, maxAttrs)
	}
	return out, nil
}

func symlink(p Params, s State) ([]change.Change, error) {
	if !s.Src.Exists && !p.Force {
		return nil, &task.MissingError{What: "file", Name: s.Src.Path, Hint: "force: true makes the link all the same"}
	}
	var out []change.Change
	if s.At.Type != reader.Symlink || s.At.Target != p.Src {
		made, err := place(p, s, s.At.Type == reader.Symlink, &change.Link{Path: s.At.Path, Target: p.Src})
		if err != nil {
			return nil, err
		}
		out = made
	}
	if s.Src.Exists {
		out = append(out, attrs(p, s.Src)...)
	}
	return out, nil
}

func hardlink(p Params, s State) ([]change.Change, error) {
	switch {
	case !s.Src.Exists:
		return nil, &task.MissingError{What: "file", Name: s.Src.Path, Hint: "a hard link needs its file"}
	case s.Src.Type == reader.Directory:
		return nil, fmt.Errorf("%s is a folder; folders have no hard links", s.Src.Path)
	case s.At.Exists && s.At.Inode == s.Src.Inode && s.At.Dev == s.Src.Dev:
		return attrs(p, s.At), nil
	}
	out, err := place(p, s, false, &change.Link{Path: s.At.Path, Target: s.Src.Path, Hard: true})
	if err != nil {
		return nil, err
	}
	return append(out, attrs(p, s.Src)...), nil
}

// place makes a link where nothing is, over a symlink, or, when forced, where
// something else is, which the change moves aside.
func place(p Params, s State, over bool, l *change.Link) ([]change.Change, error) {
	l.Before = s.At
	switch {
	case !s.At.Exists && s.Parent.Type != reader.Directory:
		return nil, noFolder(s)
	case !s.At.Exists || over:
		return []change.Change{l}, nil
	case !p.Force:
		return nil, fmt.Errorf("%s is %s already; force: true moves it aside", s.At.Path, hostfile.TypeName(s.At.Type))
	case s.At.Type == reader.Directory && !s.Empty:
		return nil, fmt.Errorf("the folder %s is not empty; move it away first", s.At.Path)
	}
	return []change.Change{l}, nil
}

func noFolder(s State) error {
	if s.Parent.Exists {
		return fmt.Errorf("%s is not a folder", s.Parent.Path)
	}
	return &task.MissingError{What: "folder", Name: s.Parent.Path, Hint: "make it with state: directory"}
}

func touch(p Params, s State) ([]change.Change, error) {
	if !s.At.Exists {
		if s.Parent.Type != reader.Directory {
			return nil, noFolder(s)
		}
		return []change.Change{&change.Write{Path: s.At.Path, Before: s.At, After: hostfile.Content(nil), Attr: p.ForNew(hostfile.NewMode, false)}}, nil
	}
	if p.touches() {
		return []change.Change{&change.Attrs{Path: s.At.Path, Before: s.At, Attr: p.For(s.At), Touch: true}}, nil
	}
	return attrs(p, s.At), nil
}

func (filer) Result(in task.Input[Params, State], _ task.Outcome) any {
	p, at := in.Params, in.State.At
	res := Result{Path: at.Path, Dest: at.Path, State: wanted(p, at), Src: p.Src}
	if res.State == "touch" {
		res.State = "file"
		if at.Type == reader.Directory {
			res.State = "directory"
		}
	}
	return res
}
