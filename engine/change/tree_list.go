package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Lister looks at a host's files: a *reader.Reader, or what a task's Check gets.
type Lister interface {
	Stat(ctx context.Context, paths ...string) ([]reader.File, error)
	List(ctx context.Context, roots ...string) ([]reader.File, error)
}

// Listing is what a Tree is on a host at this moment.
type Listing struct {
	Files   []reader.File // files, folders and symlinks to take, parents first; paths with Root
	Special []reader.File // sockets, fifos and devices: told, never opened
	Absent  []string      // optional items that are not there, without Root
	Missed  []Missed      // what cannot be looked at or is too large
	Bytes   int64         // of the regular files, holes included
}

const maxLinks = 40 // symlinks on the way to one item, as in the kernel

// ListTree looks at a tree, in two round trips where no symlink is in the way.
// Symlinks are not followed, with one exception: where an item itself or a
// folder above it is a symlink, the link is taken and so is the folder that it
// points to. All of it stays below Root, which an absolute target is relative to.
func ListTree(ctx context.Context, l Lister, t Tree) (Listing, error) {
	w := &treeWalk{l: l, tree: t, root: treeRoot(t.Root), seen: map[string]reader.File{}}
	if err := w.tree.check(); err != nil {
		return Listing{}, err
	}
	if err := w.resolve(ctx); err != nil {
		return Listing{}, err
	}
	if err := w.list(ctx); err != nil {
		return Listing{}, err
	}
	slices.SortStableFunc(w.out.Missed, func(a, b Missed) int { return strings.Compare(a.Path, b.Path) })
	return w.out, nil
}

func treeRoot(root string) string {
	if root == "" || path.Clean(root) == "/" {
		return ""
	}
	return path.Clean(root)
}

func (t Tree) check() error {
	if t.Root != "" && !path.IsAbs(t.Root) {
		return fmt.Errorf("root %q is not absolute", t.Root)
	}
	for _, i := range t.Items {
		if !path.IsAbs(i.Path) || strings.ContainsRune(i.Path, 0) {
			return fmt.Errorf("item %q is not an absolute path", i.Path)
		}
	}
	for _, x := range t.Exclude {
		if _, err := path.Match(x, "x"); err != nil {
			return fmt.Errorf("exclude %q: %w", x, err)
		}
	}
	return nil
}

// wanted is one item on its way to a place without symlinks above it.
type wanted struct {
	item    TreeItem
	path    string // with root, clean
	hops    int
	derived bool // the target of an item that is a symlink: taken if it is a folder
	done    bool
}

type treeWalk struct {
	l      Lister
	tree   Tree
	root   string // "" or clean, no slash at the end
	seen   map[string]reader.File
	denied map[string]bool
	want   []*wanted
	out    Listing
}

// resolve finds each item's place, all items at once for each round trip.
func (w *treeWalk) resolve(ctx context.Context) error {
	for _, i := range w.tree.Items {
		w.want = append(w.want, &wanted{item: i, path: w.root + path.Clean(i.Path)})
	}
	for round := 0; round <= maxLinks; round++ {
		var ask []string
		for _, i := range w.want {
			if !i.done {
				ask = append(ask, w.fixed(i.path)...)
			}
		}
		if round == 0 && w.root != "" {
			ask = append(ask, w.root)
		}
		if err := w.look(ctx, ask); err != nil {
			return err
		}
		if w.root != "" && w.seen[w.root].Type != reader.Directory {
			return fmt.Errorf("root %s is not a folder on the host", reader.Printable(w.root))
		}
		settled := true
		for _, i := range slices.Clone(w.want) {
			if !i.done {
				settled = w.step(i) && settled
			}
		}
		if settled {
			return nil
		}
	}
	for _, i := range w.want {
		if !i.done {
			w.miss(i.item.Path, "too many symlinks")
			i.path = ""
		}
	}
	return nil
}

// fixed are the paths from root down to p that hold no glob, p last.
func (w *treeWalk) fixed(p string) []string {
	var out []string
	at := w.root
	for part := range strings.SplitSeq(strings.TrimPrefix(p[len(w.root):], "/"), "/") {
		if strings.ContainsAny(part, "*?[") || part == "" {
			break
		}
		at += "/" + part
		out = append(out, at)
	}
	return out
}

// step takes one symlink out of i's path, or settles it.
func (w *treeWalk) step(i *wanted) (settled bool) {
	for _, p := range w.fixed(i.path) {
		f := w.seen[p]
		if f.Type != reader.Symlink {
			continue
		}
		target := f.Target
		if !path.IsAbs(target) {
			target = path.Dir(p[len(w.root):]) + "/" + target
		}
		// Clean of an absolute path cannot climb above it: the root is the end.
		target = w.root + path.Clean("/"+target)
		if p != i.path {
			w.add(&wanted{item: TreeItem{Path: p[len(w.root):], Optional: true, Quiet: true}, path: p, done: true})
			i.path = path.Clean(target + i.path[len(p):])
			i.hops++
			return false
		}
		if i.hops < maxLinks {
			w.add(&wanted{item: TreeItem{Path: p[len(w.root):], Optional: true, Quiet: true}, path: target, hops: i.hops + 1, derived: true})
		}
		i.done = true
		return false
	}
	i.done = true
	if i.derived && w.seen[i.path].Type != reader.Directory {
		i.path = "" // the link alone is the item
	}
	return true
}

func (w *treeWalk) add(i *wanted) {
	for _, other := range w.want {
		if other.path == i.path && (other.done || other.derived == i.derived) {
			return
		}
	}
	w.want = append(w.want, i)
}

// look fills seen. A folder that may not be entered hides what is below it;
// such paths are found out one by one.
func (w *treeWalk) look(ctx context.Context, paths []string) error {
	var ask []string
	for _, p := range paths {
		if _, ok := w.seen[p]; !ok && !w.denied[p] && !slices.Contains(ask, p) {
			ask = append(ask, p)
		}
	}
	for len(ask) > 0 {
		files, err := w.l.Stat(ctx, ask...)
		var refused *fs.PathError
		if errors.Is(err, fs.ErrPermission) && errors.As(err, &refused) && slices.Contains(ask, refused.Path) {
			if w.denied == nil {
				w.denied = map[string]bool{}
			}
			below := func(p string) bool { return p == refused.Path || strings.HasPrefix(p, refused.Path+"/") }
			for _, p := range ask {
				if below(p) {
					w.denied[p] = true
				}
			}
			ask = slices.DeleteFunc(ask, below)
			continue
		}
		if err != nil {
			return err
		}
		if len(files) != len(ask) {
			return fmt.Errorf("%d answers about %d files", len(files), len(ask))
		}
		for i, f := range files {
			w.seen[ask[i]] = f
		}
		return nil
	}
	return nil
}

func (w *treeWalk) list(ctx context.Context) error {
	var roots []string
	for _, i := range w.want {
		if i.path != "" && !slices.Contains(roots, i.path) {
			roots = append(roots, i.path)
		}
	}
	files, err := w.l.List(ctx, roots...)
	var partial *reader.IncompleteError
	if errors.As(err, &partial) {
		w.incomplete(partial)
	} else if err != nil {
		return err
	}
	byPath := make(map[string]reader.File, len(files))
	var found []reader.File
	for _, f := range files {
		if !f.Exists {
			w.absent(f.Path)
			continue
		}
		if err := w.inside(f.Path); err != nil {
			return err
		}
		if f.Path == w.root || f.Path == "/" || w.excluded(f.Path[len(w.root):]) {
			continue
		}
		byPath[f.Path] = f
		found = append(found, f)
	}
	if found, err = w.honest(ctx, found, byPath); err != nil {
		return err
	}
	for _, f := range found {
		w.take(f)
	}
	if w.tree.MaxTotal > 0 && w.out.Bytes > w.tree.MaxTotal {
		return fmt.Errorf("the files have %d bytes, more than max_total, %d", w.out.Bytes, w.tree.MaxTotal)
	}
	return nil
}

// take sorts one entry in.
func (w *treeWalk) take(f reader.File) {
	switch f.Type {
	case reader.Regular:
		if w.tree.MaxFile > 0 && f.Size > w.tree.MaxFile {
			w.miss(f.Path[len(w.root):], fmt.Sprintf("%d bytes, more than max_file", f.Size))
			return
		}
		w.out.Bytes += f.Size
		fallthrough
	case reader.Directory, reader.Symlink:
		w.out.Files = append(w.out.Files, f)
	default:
		w.out.Special = append(w.out.Special, f)
	}
}

// inside refuses names that find would never print for what was asked.
func (w *treeWalk) inside(p string) error {
	if path.Clean(p) == p && (p == w.root || strings.HasPrefix(p, w.root+"/")) {
		return nil
	}
	return fmt.Errorf("the host lists %q, which nobody asked for", reader.Printable(p))
}

// honest drops what lies behind a symlink that a glob matched in the middle of
// an item, and refuses a listing in which a file has files below it.
func (w *treeWalk) honest(ctx context.Context, found []reader.File, byPath map[string]reader.File) ([]reader.File, error) {
	var ask []string
	parents := map[string]bool{}
	for _, f := range found {
		for p := path.Dir(f.Path); p != w.root && p != "/" && !parents[p]; p = path.Dir(p) {
			parents[p] = true
			if _, listed := byPath[p]; !listed {
				ask = append(ask, p)
			}
		}
	}
	if err := w.look(ctx, ask); err != nil {
		return nil, err
	}
	links := map[string]bool{}
	for p := range parents {
		f, listed := byPath[p]
		if !listed {
			f = w.seen[p]
		}
		if f.Type == reader.Symlink && !listed {
			links[p] = true
		} else if f.Exists && f.Type != reader.Directory {
			return nil, fmt.Errorf("the host lists entries below %s, which is no folder", reader.Printable(p))
		}
	}
	for p := range links {
		w.miss(p[len(w.root):], "a folder of the item is a symlink: name its target instead")
	}
	return slices.DeleteFunc(found, func(f reader.File) bool {
		for p := path.Dir(f.Path); p != w.root && p != "/"; p = path.Dir(p) {
			if links[p] {
				return true
			}
		}
		return false
	}), nil
}

// absent tells about a root that matched nothing.
func (w *treeWalk) absent(p string) {
	for _, i := range w.want {
		if i.path != p || i.derived || w.excluded(i.item.Path) {
			continue
		}
		switch {
		case !i.item.Optional:
			w.miss(i.item.Path, "not there")
		case !i.item.Quiet && !slices.Contains(w.out.Absent, i.item.Path):
			w.out.Absent = append(w.out.Absent, i.item.Path)
		}
	}
}

func (w *treeWalk) incomplete(e *reader.IncompleteError) {
	for _, p := range e.Denied {
		w.miss(strings.TrimPrefix(p, w.root), "permission denied")
	}
	for _, line := range e.Lines {
		// find: '/etc/x': Permission denied
		p, why, ok := strings.Cut(strings.TrimPrefix(line, "find: "), ": ")
		if !ok {
			w.miss(line, "could not be listed")
			continue
		}
		p = strings.Trim(p, "'`‘’\"")
		w.miss(strings.TrimPrefix(p, w.root), strings.ToLower(why[:1])+why[1:])
	}
}

func (w *treeWalk) miss(p, why string) {
	m := Missed{Path: reader.Printable(p), Why: reader.Printable(why)}
	if !slices.Contains(w.out.Missed, m) {
		w.out.Missed = append(w.out.Missed, m)
	}
}

// excluded: a pattern with a slash matches a path and all that is below it, one
// without matches a name at any depth.
func (w *treeWalk) excluded(p string) bool {
	for ; p != "/" && p != "." && p != ""; p = path.Dir(p) {
		for _, x := range w.tree.Exclude {
			subject := p
			if !strings.Contains(x, "/") {
				subject = path.Base(p)
			}
			if ok, _ := path.Match(x, subject); ok {
				return true
			}
		}
	}
	return false
}
