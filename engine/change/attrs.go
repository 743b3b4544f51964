package change

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Attrs)(nil)

// Kind is "attrs".
func (a *Attrs) Kind() string { return "attrs" }

// Summary is one line for people.
func (a *Attrs) Summary() string {
	s := "set " + reader.Printable(a.Path)
	if a.Touch {
		s = "touch " + reader.Printable(a.Path)
	}
	if a.Recursive {
		s += " and all below"
	}
	if w := a.Attr.words(a.Before); w != "" {
		s += " (" + w + ")"
	}
	return s
}

// Diff shows mode and ownership as lines.
func (a *Attrs) Diff() string {
	return unified(reader.Printable(a.Path), attrText(a.Before), attrText(a.Attr.foreseen(a.Before)))
}

// Risk is Safe.
func (a *Attrs) Risk() Risk { return Safe }

// Reversal is Exact for one entry.
func (a *Attrs) Reversal() Reversal {
	if a.Recursive {
		return Reversal{Partial, fmt.Sprintf("of what lies below, at most %d entries get back what they had", maxBelow)}
	}
	if a.Touch {
		return Reversal{Partial, "the old mode and owner are set again, the old times are not"}
	}
	return Reversal{Exact, "the old mode and owner are set again"}
}

// Opaque is false.
func (a *Attrs) Opaque() bool { return false }

func (a *Attrs) observe(ctx context.Context, h Host) (Where, error) {
	now, err := h.lstat(ctx, a.Path)
	if err != nil {
		return Neither, err
	}
	after := a.Attr.Holds(now) && !a.Touch
	if after && a.Recursive && now.Type == reader.Directory {
		if after, err = a.holdsBelow(ctx, h); err != nil {
			return Neither, err
		}
		if !after {
			return Before, nil
		}
	}
	return side(after, a.moved(now) == nil), nil
}

// moved leaves the content out: it does not matter for mode and ownership.
// The owner is set before the mode: what is wanted already is no difference.
func (a *Attrs) moved(now reader.File) error {
	if a.Force && now.Exists {
		return nil
	}
	before := a.Attr.halfway(a.Before, now)
	before.SHA256, before.Size, before.Mtime = "", now.Size, now.Mtime
	return moved(a.Path, before, now)
}

func (a *Attrs) holdsBelow(ctx context.Context, h Host) (bool, error) {
	files, err := h.read().List(ctx, reader.Literal(a.Path))
	if err != nil {
		return false, err
	}
	for _, f := range files {
		want := a.Attr
		if f.Type == reader.Symlink {
			want.Mode = nil
		}
		if !want.holds(f) {
			return false, nil
		}
	}
	return true, nil
}

// attrsScript changes the owner first: that clears setuid bits. Symlinks keep
// their mode, and what they point to is not touched. chown takes capabilities
// away, also from the owner to himself.
const attrsScript = `p=$1 mode=$2 own=$3 grp=$4 r=$5 touch=$6
same() { [ -z "$1" ] || [ "$1" = "$2" ] || [ "$1" = "$3" ]; }
` + accountsExist + `if [ -z "$own$grp" ] || [ -z "$r" ] && same "$own" $(stat -c '%U %u' -- "$p") && same "$grp" $(stat -c '%G %g' -- "$p"); then :
else chown $r -h -- "$own${grp:+:$grp}" "$p" || exit 1; fi
if [ -n "$mode" ]; then
  [ ! -L "$p" ] || exit 114
  chmod $r -- "$mode" "$p" || exit 1
fi
[ -z "$touch" ] || touch -c -- "$p"`

func (a *Attrs) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := cleanPath(a.Path); err != nil {
		return Outcome{}, err
	}
	where, err := a.observe(ctx, h)
	if err != nil || where == After {
		return Outcome{}, err
	}
	if where == Neither {
		now, err := h.lstat(ctx, a.Path)
		if err == nil {
			err = a.moved(now)
		}
		return Outcome{}, err
	}
	recursive, touch := "", ""
	if a.Recursive {
		recursive = "-R"
	}
	if a.Touch {
		touch = "yes"
	}
	res, err := h.scripted(ctx, a.Summary(), attrsScript, a.Attr, a.Path, a.Attr.octal(), a.Attr.Owner, a.Attr.Group, recursive, touch)
	if res.Code == codeInTheWay {
		return Outcome{}, &StepError{Doing: a.Summary(), Output: "a symlink has no mode of its own"}
	}
	return Outcome{Changed: err == nil}, err
}

// maxBelow is how many entries of a tree are taken back one by one.
const maxBelow = 500

func (a *Attrs) invert(ctx context.Context, h Host, keep Keeper) ([]Change, error) {
	old, err := h.lstat(ctx, a.Path)
	if err != nil || !old.Exists {
		return nil, err
	}
	if err := a.moved(old); err != nil {
		return nil, err
	}
	// chown takes a program's capabilities away: only the file itself has them.
	if old.Type == reader.Regular && old.Mode&0o111 != 0 && old.Links <= 1 && !a.Attr.ownedBy(old) {
		if more, err := h.extended(ctx, old.Path); err != nil || more {
			return a.bringCopy(ctx, h, old, err)
		}
	}
	var inverse []Change
	if a.Recursive && old.Type == reader.Directory {
		if inverse, err = a.invertBelow(ctx, h); err != nil {
			return nil, err
		}
	}
	return append(inverse, a.Attr.back(a.Path, old)...), nil
}

func (a Attr) ownedBy(f reader.File) bool {
	return sameAccount(a.Owner, f.Owner, f.UID) && sameAccount(a.Group, f.Group, f.GID)
}

// back gives an entry that has a's attributes those of old.
func (a Attr) back(path string, old reader.File) []Change {
	if a.holds(old) {
		return nil
	}
	attr, after := attrOf(old), a.foreseen(old)
	after.Path = path
	if sameAccount(a.Owner, old.Owner, old.UID) { // chown takes capabilities away, also from the owner to himself
		attr.Owner = ""
	}
	if sameAccount(a.Group, old.Group, old.GID) {
		attr.Group = ""
	}
	switch {
	case old.Type == reader.Symlink:
		attr.Mode, after.Mode = nil, old.Mode
	case old.Type == reader.Regular && a.Mode == nil: // chown clears these
		after.Mode &^= fs.ModeSetuid
		if after.Mode&0o010 != 0 {
			after.Mode &^= fs.ModeSetgid
		}
	}
	return []Change{&Attrs{Path: path, Before: after, Attr: attr}}
}

func (a *Attrs) invertBelow(ctx context.Context, h Host) ([]Change, error) {
	files, err := h.read().List(ctx, reader.Literal(a.Path))
	if err != nil {
		return nil, err
	}
	var inverse []Change
	for _, f := range files {
		want := a.Attr
		if f.Type == reader.Symlink {
			want.Mode = nil
		}
		if path.Clean(f.Path) != path.Clean(a.Path) {
			inverse = append(inverse, want.back(f.Path, f)...)
		}
		if len(inverse) > maxBelow {
			return nil, nil
		}
	}
	return inverse, nil
}

// bringCopyScript replaces a file by its copy: the file itself is aside already.
const bringCopyScript = `cp -a -T -- "$1" "$2" && mv -fT -- "$2" "$1" || { rm -f -- "$2"; exit 1; }`

// bringCopy keeps the file itself, and lets the change work on a copy.
func (a *Attrs) bringCopy(ctx context.Context, h Host, old reader.File, err error) ([]Change, error) {
	if err != nil {
		return nil, err
	}
	after := a.Attr.foreseen(old)
	inverse, err := h.bring(ctx, old, nil, after, nil)
	if err != nil {
		return nil, err
	}
	at := path.Clean(a.Path)
	_, err = h.scripted(ctx, "copy "+reader.Printable(at), bringCopyScript, Attr{}, at, path.Join(path.Dir(at), tempName()))
	return inverse, err
}

func (a *Attrs) effect(o *Overlay) {
	at := path.Clean(a.Path)
	f, known := o.Files[at]
	if !known {
		f = OverlayFile{File: a.Before}
		f.from, _ = o.origin(at)
	}
	f.File = a.Attr.foreseen(f.File)
	o.put(at, f)
}
