package change

import (
	"context"
	"path"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Dir)(nil)

// Kind is "dir".
func (d *Dir) Kind() string { return "dir" }

// Summary is one line for people.
func (d *Dir) Summary() string {
	s := "make the folder " + reader.Printable(d.Path)
	if d.Before.Exists {
		s = "set the folder " + reader.Printable(d.Path)
	}
	if w := d.Attr.words(d.Before); w != "" {
		s += " (" + w + ")"
	}
	return s
}

// Diff shows mode and ownership as lines.
func (d *Dir) Diff() string {
	return unified(reader.Printable(d.Path), attrText(d.Before), attrText(d.foreseen()))
}

// Risk is Safe.
func (d *Dir) Risk() Risk { return Safe }

// Reversal is Exact.
func (d *Dir) Reversal() Reversal {
	if d.Before.Exists {
		return Reversal{Exact, "the old mode and owner are set again"}
	}
	return Reversal{Partial, "the folders that were made are removed where they are still empty"}
}

// Opaque is false.
func (d *Dir) Opaque() bool { return false }

func (d *Dir) isAfter(now reader.File) bool {
	return now.Type == reader.Directory && d.Attr.Holds(now)
}

func (d *Dir) observe(ctx context.Context, h Host) (Where, error) {
	now, err := h.lstat(ctx, d.Path)
	if err != nil {
		return Neither, err
	}
	return side(d.isAfter(now), d.moved(now) == nil), nil
}

func (d *Dir) moved(now reader.File) error {
	return moved(d.Path, d.Before, now)
}

// dirScript makes the missing folders from the top. As with Ansible, those that
// it makes all get the mode and the owner; those that were there are left,
// except the last. A folder is closed to others until it is as it should be.
const dirScript = `p=$1 mode=$2 own=$3 grp=$4
` + accountsExist + `set --
d=$p
while [ ! -d "$d" ]; do
  if [ -e "$d" ] || [ -L "$d" ]; then printf '%s is in the way\n' "$d" >&2; exit 1; fi
  set -- "$d" "$@"
  d=${d%/*}
  while [ "${d%/}" != "$d" ]; do d=${d%/}; done
  [ -n "$d" ] || d=/
done
for d do mkdir -m 0700 -- "$d" || [ -d "$d" ] || exit 1; done
if [ $# -eq 0 ]; then set -- "$p"; else [ -n "$mode" ] || mode=00755; fi
if [ -n "$own$grp" ]; then chown -- "$own${grp:+:$grp}" "$@" || exit 1; fi
[ -z "$mode" ] || chmod -- "$mode" "$@"`

func (d *Dir) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := cleanPath(d.Path); err != nil {
		return Outcome{}, err
	}
	now, err := h.lstat(ctx, d.Path)
	if err != nil || d.isAfter(now) {
		return Outcome{}, err
	}
	if err := d.moved(now); err != nil {
		return Outcome{}, err
	}
	if now.Exists && now.Type != reader.Directory {
		return Outcome{}, &StepError{Doing: d.Summary(), Output: presence(now) + " is there"}
	}
	_, err = h.scripted(ctx, d.Summary(), dirScript, d.Attr, path.Clean(d.Path), d.Attr.octal(), d.Attr.Owner, d.Attr.Group)
	return Outcome{Changed: err == nil}, err
}

func (d *Dir) foreseen() reader.File {
	f := d.Before
	if !f.Exists {
		f = reader.File{Path: d.Path, Exists: true, Type: reader.Directory, Mode: newDirMode, UID: -1, GID: -1}
	}
	return d.Attr.foreseen(f)
}

func (d *Dir) effect(o *Overlay) {
	o.put(path.Clean(d.Path), OverlayFile{File: d.foreseen()})
}
