package change

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// UnknownError: the answer depends on what an earlier step, which was planned
// and not done, will have made.
type UnknownError struct {
	Step string
	What string // what was asked for
}

func (e *UnknownError) Error() string {
	return reader.Printable(e.What) + " is unknown until " + e.Step + " has run"
}

// OverlayReader reads a host as it would be after the planned changes. It has
// all methods of task.Reader. A symlink at the end of a path is followed
// through the overlay, links further up are not: a file that is planned below
// one of its names is not found by another.
type OverlayReader struct {
	base Looker
	o    *Overlay
}

// Over reads through o, then through r.
func Over(r Looker, o *Overlay) *OverlayReader { return &OverlayReader{r, o} }

// Base is the host as it is.
func (r *OverlayReader) Base() Looker { return r.base }

// unknown is the error for what is not there and may be by then; nil when the
// absence is certain.
func (r *OverlayReader) unknown(what string) error {
	if step := cmp.Or(r.o.Opaque, r.o.Brings); step != "" {
		return &UnknownError{Step: step, What: what}
	}
	return nil
}

// unknownPath is unknown for a path.
func (r *OverlayReader) unknownPath(p string) error {
	if r.o.Opaque == "" && !packaged(p) {
		return nil
	}
	return r.unknown(p)
}

// planned is what the overlay alone says about a path. certain is false where
// the host has to be asked, for at.
func (r *OverlayReader) planned(p string) (f OverlayFile, at string, certain bool) {
	clean := r.through(path.Clean(p))
	if f, ok := r.o.Files[clean]; ok {
		return f, clean, true
	}
	for up := path.Dir(clean); up != "/" && up != "."; up = path.Dir(up) {
		if f, ok := r.o.Files[up]; ok && !f.Unknown && f.File.Type != reader.Directory {
			return OverlayFile{}, clean, true
		}
	}
	if at, ok := r.o.origin(clean); ok {
		return OverlayFile{}, at, false
	}
	return r.made(clean), clean, true
}

// through follows the planned symlinks on the way to p, not one at its end.
func (r *OverlayReader) through(p string) string {
	for range maxLinks {
		link := ""
		for up := path.Dir(p); up != "/" && up != "."; up = path.Dir(up) {
			if f, ok := r.o.Files[up]; ok && f.File.Type == reader.Symlink {
				link = up
			}
		}
		if link == "" {
			break
		}
		p = followed(link, r.o.Files[link].File.Target) + p[len(link):]
	}
	return p
}

// followed is where the symlink at p leads.
func followed(p, target string) string {
	if strings.HasPrefix(target, "/") {
		return path.Clean(target)
	}
	return path.Join(path.Dir(p), target)
}

// made is the folder that must be there because something is planned below it.
func (r *OverlayReader) made(p string) OverlayFile {
	for q, f := range r.o.Files {
		if f.File.Exists && below(q, p) {
			return OverlayFile{File: reader.File{Path: p, Exists: true, Type: reader.Directory, Mode: newDirMode, UID: -1, GID: -1}}
		}
	}
	return OverlayFile{}
}

// Stat is reader.Reader's.
func (r *OverlayReader) Stat(ctx context.Context, paths ...string) ([]reader.File, error) {
	return r.look(ctx, r.base.Stat, paths)
}

// Hash is reader.Reader's.
func (r *OverlayReader) Hash(ctx context.Context, paths ...string) ([]reader.File, error) {
	files, err := r.look(ctx, r.base.Hash, paths)
	if err != nil {
		return nil, err
	}
	// Of a file that is only moved or given another mode the host has the content.
	var asks []string
	var at []int
	for i, f := range files {
		if f.Exists && f.Type == reader.Regular && f.SHA256 == "" {
			if p, _, _ := r.planned(f.Path); p.from != "" {
				asks, at = append(asks, p.from), append(at, i)
			}
		}
	}
	found, err := r.base.Hash(ctx, asks...)
	for j, f := range found {
		files[at[j]].SHA256 = f.SHA256
	}
	return files, err
}

func (r *OverlayReader) look(ctx context.Context, get func(context.Context, ...string) ([]reader.File, error), paths []string) ([]reader.File, error) {
	out := make([]reader.File, len(paths))
	var asks []string
	var at []int
	for i, p := range paths {
		f, from, certain := r.planned(p)
		switch {
		case f.Unknown:
			return nil, &UnknownError{Step: f.Step, What: p}
		case certain:
			if out[i] = f.File; !f.File.Exists {
				out[i] = reader.File{}
			}
		default:
			asks, at = append(asks, from), append(at, i)
		}
		out[i].Path = p
	}
	found, err := get(ctx, asks...)
	if err != nil {
		return nil, err
	}
	for j, f := range found {
		p := paths[at[j]]
		if !f.Exists {
			f = r.made(path.Clean(p)).File
		}
		if !f.Exists {
			if err := r.unknownPath(p); err != nil {
				return nil, err
			}
		}
		f.Path = p
		out[at[j]] = f
	}
	return out, nil
}

// ReadFile is reader.Reader's.
func (r *OverlayReader) ReadFile(ctx context.Context, name string, max int64) ([]byte, error) {
	p := name
	for range maxLinks {
		f, at, certain := r.planned(p)
		switch {
		case f.Unknown:
			return nil, &UnknownError{Step: f.Step, What: name}
		case !certain:
			data, err := r.base.ReadFile(ctx, at, max)
			if errors.Is(err, fs.ErrNotExist) {
				if unknown := r.unknownPath(name); unknown != nil {
					return nil, unknown
				}
			}
			return data, err
		case !f.File.Exists:
			return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
		case f.File.Type == reader.Symlink:
			p = followed(at, f.File.Target)
		case f.File.Type != reader.Regular:
			return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
		case max >= 0 && f.File.Size > max:
			return nil, &reader.TooMuchError{Path: name, Limit: max, Unit: "bytes"}
		default:
			return r.content(ctx, name, f, max)
		}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
}

// content is that of a planned file: at hand, still on the host, or a large one
// of the control machine.
func (r *OverlayReader) content(ctx context.Context, name string, f OverlayFile, max int64) ([]byte, error) {
	switch {
	case f.Content != nil:
		return slices.Clone(f.Content), nil
	case f.from != "":
		return r.base.ReadFile(ctx, f.from, max)
	case f.open == nil:
		return nil, &UnknownError{Step: f.Step, What: name}
	}
	c, err := f.open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return io.ReadAll(io.LimitReader(c, f.File.Size))
}

// List is reader.Reader's.
func (r *OverlayReader) List(ctx context.Context, roots ...string) ([]reader.File, error) {
	asks := slices.Clone(roots)
	for _, m := range r.o.moves {
		if m.to != "" {
			asks = append(asks, m.from)
		}
	}
	found, err := r.base.List(ctx, asks...)
	if err != nil {
		return nil, err
	}
	all := map[string]reader.File{}
	for _, f := range found {
		if now, ok := r.o.present(path.Clean(f.Path)); ok && f.Exists {
			if _, planned := r.o.Files[now]; !planned {
				f.Path = now
				all[now] = f
			}
		}
	}
	for p, f := range r.o.Files {
		switch {
		case f.Unknown && reached(p, roots):
			return nil, &UnknownError{Step: f.Step, What: p}
		case f.File.Exists:
			f.File.Path = p
			all[p] = f.File
		}
	}
	return r.arrange(all, roots)
}

// arrange keeps what the roots reach, and says which roots reach nothing.
func (r *OverlayReader) arrange(all map[string]reader.File, roots []string) ([]reader.File, error) {
	var out []reader.File
	for p, f := range all {
		if reached(p, roots) && !r.hidden(p) {
			out = append(out, f)
		}
	}
	for _, root := range roots {
		if !slices.ContainsFunc(out, func(f reader.File) bool { return reached(f.Path, []string{root}) }) {
			if err := r.unknownPath(root); err != nil {
				return nil, err
			}
			out = append(out, reader.File{Path: root})
		}
	}
	slices.SortFunc(out, func(a, b reader.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// hidden tells what lies below something that would be gone, or no folder.
func (r *OverlayReader) hidden(p string) bool {
	if _, ok := r.o.Files[p]; ok {
		return false
	}
	f, _, certain := r.planned(p)
	return certain && !f.File.Exists
}

// reached tells whether p is one of roots, or matches one, or lies below.
func reached(p string, roots []string) bool {
	for _, root := range roots {
		root = path.Clean(root)
		for q := p; ; q = path.Dir(q) {
			if ok, _ := path.Match(root, q); ok || q == root {
				return true
			}
			if q == "/" || q == "." {
				break
			}
		}
	}
	return false
}

// Packages is reader.Reader's. A package that is planned has the version that it
// is asked for in, or none yet.
func (r *OverlayReader) Packages(ctx context.Context, names ...string) ([]reader.Package, error) {
	found, err := r.base.Packages(ctx, names...)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(p reader.Package) bool { _, planned := r.o.Packages[p.Name]; return planned })
	for name, p := range r.o.Packages {
		if p != nil && (len(names) == 0 || slices.Contains(names, name)) {
			found = append(found, *p)
		}
	}
	for _, n := range names {
		_, planned := r.o.Packages[n]
		if !planned && !slices.ContainsFunc(found, func(p reader.Package) bool { return p.Name == n }) {
			if err := r.unknown("package " + n); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// Probe is reader.Reader's. A program that is asked about something planned,
// or that fails after a step with unknown effects, says nothing about then.
func (r *OverlayReader) Probe(ctx context.Context, argv ...string) (conn.Result, error) {
	if err := reader.CheckProbe(argv); err != nil {
		return conn.Result{}, err
	}
	for _, a := range argv {
		if step := r.o.touched(a); step != "" {
			return conn.Result{}, &UnknownError{Step: step, What: strings.Join(argv, " ")}
		}
	}
	if step := r.plannedUnit(ctx, argv); step != "" {
		return conn.Result{}, &UnknownError{Step: step, What: strings.Join(argv, " ")}
	}
	res, err := r.base.Probe(ctx, argv...)
	if err == nil && res.Code != 0 {
		if err := r.unknown(strings.Join(argv, " ")); err != nil {
			return conn.Result{}, err
		}
	}
	return res, err
}

// User is reader.Reader's.
func (r *OverlayReader) User(service string) (string, error) { return User(r.base, service) }
