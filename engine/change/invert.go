package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"github.com/dayops/dayops/engine/reader"
)

// Keeper stores what an inverse needs and no JSON should hold.
type Keeper interface {
	// Blob keeps bytes that may be secret and returns a name for them, for
	// Content.Blob. They are kept for good when it returns.
	Blob([]byte) (ref string, err error)
}

// maxBlob is the size up to which an old file is kept on the control machine.
// A larger one is kept aside on its host.
const maxBlob = 1 << 20

// Invert gives the changes that take c back, in the order in which they are to
// be applied; none where nothing can be done (Reversal says why). It is called
// before Apply, while the host is as c was planned from, and keeps what would
// be lost: in keep, or aside on the host.
//
// An inverse is a change like others: at Before it is applied, at After there
// is nothing to do, and at Neither somebody changed the thing since: Apply
// gives a *MovedError and leaves it alone. Then leave the rest of this list too.
func Invert(ctx context.Context, h Host, c Change, keep Keeper) ([]Change, error) {
	inverse, err := c.invert(ctx, h, keep)
	if err != nil || len(inverse) == 0 {
		return nil, err
	}
	if slices.ContainsFunc(Touches(c), unitFile) {
		inverse = append(inverse, &Unit{DaemonReload: true})
	}
	return inverse, nil
}

// unitFile tells files that systemd reads only when it is told to.
func unitFile(p string) bool {
	for _, dir := range []string{"/etc", "/run", "/lib", "/usr/lib", "/usr/local/lib"} {
		if below(path.Clean(p), dir+"/systemd/system") {
			return true
		}
	}
	return false
}

// Refine completes the inverses of c with what only Apply, or the host
// afterwards, knows: where the old data lies, which packages came along. Of a
// change that changed nothing, nothing is left. After an Apply that failed, or
// whose outcome nobody heard, pass Outcome{Changed: true}: the host is asked.
func Refine(ctx context.Context, h Host, inverse []Change, c Change, out Outcome) ([]Change, error) {
	if !out.Changed || len(inverse) == 0 {
		return nil, nil
	}
	inverse = slices.Clone(inverse)
	for i, v := range inverse {
		switch v := v.(type) {
		case *Move:
			if v.From != "" {
				continue
			}
			at, err := h.lies(ctx, v.To, out.Aside)
			if err != nil {
				return nil, err
			}
			if at == "" { // it did not come to that
				inverse[i] = (*Package)(nil)
				continue
			}
			m := *v
			m.From = at
			inverse[i] = &m
		case *Package:
			p, err := v.refine(ctx, h)
			if err != nil {
				return nil, err
			}
			inverse[i] = p
		}
	}
	if err := h.account(ctx, inverse); err != nil {
		return nil, err
	}
	inverse = slices.DeleteFunc(inverse, func(v Change) bool { p, ok := v.(*Package); return ok && p == nil }) // nothing left
	if w, ok := c.(*Write); ok && w.Backup && len(out.Aside) > 0 {
		kept := w.Before
		kept.Path = out.Aside[0]
		inverse = append(inverse, &Remove{Path: kept.Path, Before: kept})
	}
	if t, ok := c.(*Transfer); ok && !t.between() {
		return t.refine(out), nil
	}
	return inverse, nil
}

// lies is where the old data of path is; "" when it is still there.
func (h Host) lies(ctx context.Context, path string, aside []string) (string, error) {
	if len(aside) > 0 {
		return aside[0], nil
	}
	at, err := h.findAside(ctx, path)
	if err != nil || at != "" {
		return at, err
	}
	now, err := h.lstat(ctx, path)
	if err == nil && !now.Exists {
		err = fmt.Errorf("what was at %s does not lie aside", reader.Printable(path))
	}
	return "", err
}

// findAside is where this run's last old data of path lies; "" where there is none.
func (h Host) findAside(ctx context.Context, p string) (string, error) {
	list, err := ListAside(ctx, h)
	if err != nil {
		return "", err
	}
	args, err := h.asideArgs(p)
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(list) {
		if e.Run != args[1] || path.Clean(e.Path) != path.Clean(p) {
			continue
		}
		if f, err := h.lstat(ctx, e.Data); err != nil || f.Exists {
			return e.Data, err
		}
	}
	return "", nil
}

// Forced is c without its comparison with what was there before; c itself
// where it has none.
func Forced(c Change) Change {
	if forcing(c) == nil {
		return c
	}
	n := twin(c)
	*forcing(n) = true
	if r, ok := n.(*Remove); ok {
		r.OnlyEmpty = false // what is in a folder goes aside with it
	}
	return n
}

// Touches names what c changes on the host: paths, as they are written in it,
// a unit with its suffix, packages. Empty for what nobody knows.
func Touches(c Change) []string {
	switch c := c.(type) {
	case *Write:
		return []string{c.Path}
	case *Attrs:
		return []string{c.Path}
	case *Dir:
		return []string{c.Path}
	case *Link:
		return []string{c.Path}
	case *Move:
		if c.Kept {
			return []string{c.To}
		}
		return []string{c.From, c.To}
	case *Remove:
		return []string{c.Path}
	case *Transfer:
		if c.ToFile != "" {
			return []string{c.ToFile}
		}
	case *Unit:
		if name, err := reader.UnitName(c.Name); err == nil {
			return []string{name}
		}
	case *Package:
		return append(slices.Clone(c.Install), c.Remove...)
	case *Bracket:
		var all []string
		for _, m := range slices.Concat(c.Do, c.Then) {
			all = append(all, Touches(m)...)
		}
		return all
	}
	return nil
}

// attrOf is f's mode and ownership, by numbers.
func attrOf(f reader.File) Attr {
	mode := f.Mode
	a := Attr{Mode: &mode}
	if f.UID >= 0 {
		a.Owner = strconv.Itoa(f.UID)
	}
	if f.GID >= 0 {
		a.Group = strconv.Itoa(f.GID)
	}
	return a
}

// extended tells whether a rewrite of the file would lose what Put does not carry.
func (h Host) extended(ctx context.Context, path string) (bool, error) {
	if r, ok := h.read().(interface {
		Extended(context.Context, string) (bool, error)
	}); ok {
		return r.Extended(ctx, path)
	}
	return reader.New(h.Conn, h.As).Extended(ctx, path)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

const keepScript = asideFunctions + `keep "$@"`

var errFolderThere = errors.New("a folder is there")

// whole is what a change was planned from, or what is there now where that says
// too little to bring it back, or does not matter.
func (h Host) whole(ctx context.Context, path string, before reader.File, force bool) (reader.File, error) {
	before.Path = path
	if !force && (!before.Exists || before.UID >= 0 && before.GID >= 0) {
		return before, nil
	}
	now, err := h.look(ctx, path)
	if err == nil && !force {
		err = moved(path, before, now)
	}
	return now, err
}

// bring gives what brings old back once after is at its path. was is old's
// content where it is at hand. Called while old is there.
func (h Host) bring(ctx context.Context, old reader.File, was []byte, after reader.File, keep Keeper) ([]Change, error) {
	if after.Type == reader.Directory && old.Exists { // nothing replaces a folder
		inverse, err := h.bring(ctx, old, was, reader.File{Path: after.Path}, keep)
		return append([]Change{&Remove{Path: after.Path, Before: after}}, unOver(inverse)...), err
	}
	switch {
	case !old.Exists:
		return []Change{&Remove{Path: after.Path, Before: after}}, nil
	case old.Type == reader.Directory:
		return nil, fmt.Errorf("%s: %w", reader.Printable(old.Path), errFolderThere)
	case old.Type == reader.Symlink:
		attr := attrOf(old)
		attr.Mode = nil
		return []Change{&Link{Path: old.Path, Target: old.Target, Before: after, Attr: attr}}, nil
	}
	if old.Type == reader.Regular && old.Size <= maxBlob && old.Links <= 1 && keep != nil {
		more, err := h.extended(ctx, old.Path)
		if err != nil {
			return nil, err
		}
		if !more {
			return h.bringBlob(ctx, old, was, after, keep)
		}
	}
	args, err := h.asideArgs(old.Path)
	if err != nil {
		return nil, err
	}
	res, err := h.scripted(ctx, "keep "+reader.Printable(old.Path)+" aside", keepScript, Attr{}, append([]string{path.Clean(old.Path)}, args...)...)
	if err != nil {
		return nil, err
	}
	lies := asidePath(res.Stdout.String())
	if len(lies) == 0 {
		return nil, stepFailed("keep "+reader.Printable(old.Path)+" aside", res)
	}
	return []Change{&Move{From: lies[0], To: after.Path, Before: old, Over: &after, Kept: true}}, nil
}

func (h Host) bringBlob(ctx context.Context, old reader.File, was []byte, after reader.File, keep Keeper) ([]Change, error) {
	if old.SHA256 == "" || hexSum(was) != old.SHA256 {
		var err error
		if was, err = h.read().ReadFile(ctx, old.Path, maxBlob); err != nil {
			return nil, err
		}
	}
	sum := hexSum(was)
	if old.SHA256 != "" && sum != old.SHA256 {
		return nil, &MovedError{Path: old.Path, What: "content", Planned: "sha256 " + old.SHA256, Found: "sha256 " + sum}
	}
	ref, err := keep.Blob(was)
	if err != nil {
		return nil, fmt.Errorf("keep the old content of %s: %w", reader.Printable(old.Path), err)
	}
	content := Content{Size: int64(len(was)), SHA256: sum, Bytes: slices.Clone(was), Blob: ref}
	return []Change{&Write{Path: after.Path, Before: after, After: content, Attr: attrOf(old)}}, nil
}
