package change

import (
	"context"
	"errors"
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
	if d.Staging {
		s = "make the staging folder " + reader.Printable(d.Path)
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
	if d.Staging {
		return Reversal{Exact, stagingGoes}
	}
	if d.Before.Exists {
		return Reversal{Exact, "the old mode and owner are set again"}
	}
	return Reversal{Exact, "the folders that were made are removed where they are still empty"}
}

// Opaque is false.
func (d *Dir) Opaque() bool { return false }

func (d *Dir) isAfter(now reader.File) bool {
	return now.Type == reader.Directory && d.Attr.Holds(now)
}

func (d *Dir) observe(ctx context.Context, h Host) (Where, error) {
	now, err := h.lstat(ctx, d.Path)
	if err == nil {
		err = d.ours(ctx, h, now)
	}
	var moved *MovedError
	if errors.As(err, &moved) {
		return Neither, nil
	}
	if err != nil {
		return Neither, err
	}
	return side(d.isAfter(now), d.moved(now) == nil), nil
}

func (d *Dir) moved(now reader.File) error {
	if d.Force && (!now.Exists || now.Type == reader.Directory) {
		return nil
	}
	return moved(d.Path, d.Attr.halfway(d.Before, now), now)
}

// dirScript makes the missing folders. As with Ansible, those that it makes all
// get the mode and the owner; those that were there are left, except the last.
// New ones are made under a hidden name and appear in one step, as they should
// be; ended before, that hidden folder, empty and closed, may stay.
const dirScript = `p=$1 mode=$2 own=$3 grp=$4 temp=$5
` + accountsExist + `d=$p below=
while [ ! -d "$d" ]; do
  if [ -e "$d" ] || [ -L "$d" ]; then printf '%s is in the way\n' "$d" >&2; exit 1; fi
  below=/${d##*/}$below
  d=${d%/*}
  [ -n "$d" ] || d=/
done
set_all() {
  if [ -n "$own$grp" ]; then find "$1" -depth -exec chown -- "$own${grp:+:$grp}" {} + || return 1; fi
  [ -z "$mode" ] || find "$1" -depth -exec chmod -- "$mode" {} +
}
if [ -z "$below" ]; then
  if [ -n "$own$grp" ]; then chown -- "$own${grp:+:$grp}" "$p" || exit 1; fi
  if [ -n "$mode" ]; then chmod -- "$mode" "$p" || exit 1; fi
  exit 0
fi
first=${below#/}
first=${first%%/*}
new=${d%/}/$temp to=${d%/}/$first
trap 'rm -rf -- "$new"' EXIT
trap 'exit 1' HUP INT TERM PIPE
umask 077
mkdir -p -- "$new${below#/"$first"}" || exit 1
[ -n "$mode" ] || mode=00755
set_all "$new" || exit 1
mv -nT -- "$new" "$to" || exit 1
[ ! -e "$new" ] || exit 115`

func (d *Dir) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := cleanPath(d.Path); err != nil {
		return Outcome{}, err
	}
	if err := stagingPath(d.Path); d.Staging && err != nil {
		return Outcome{}, err
	}
	now, err := h.lstat(ctx, d.Path)
	if err == nil {
		err = d.ours(ctx, h, now)
	}
	if err != nil || d.isAfter(now) {
		return Outcome{}, err
	}
	if err := d.moved(now); err != nil {
		return Outcome{}, err
	}
	if now.Exists && now.Type != reader.Directory {
		return Outcome{}, &StepError{Doing: d.Summary(), Output: presence(now) + " is there"}
	}
	res, err := h.scripted(ctx, d.Summary(), dirScript, d.Attr, path.Clean(d.Path), d.Attr.octal(), d.Attr.Owner, d.Attr.Group, tempName())
	if res.Code == codeMoved {
		err = &MovedError{Path: d.Path, What: "existence", Planned: "absent", Found: "made by somebody else at the same time"}
	}
	return Outcome{Changed: err == nil}, err
}

// invert removes what apply will make, each folder by itself, deepest first.
func (d *Dir) invert(ctx context.Context, h Host, _ Keeper) ([]Change, error) {
	var paths []string
	for p := path.Clean(d.Path); p != "/"; p = path.Dir(p) {
		paths = append(paths, p)
	}
	files, err := h.read().Stat(ctx, paths...)
	if err != nil {
		return nil, err
	}
	if files[0].Exists {
		if err := d.moved(files[0]); err != nil {
			return nil, err
		}
		return d.Attr.back(d.Path, files[0]), nil
	}
	var inverse []Change
	for _, f := range files {
		if f.Exists {
			break
		}
		made := (&Dir{Path: f.Path, Attr: d.Attr}).foreseen()
		own := d.Staging && len(inverse) == 0
		inverse = append(inverse, &Remove{Path: f.Path, Before: made, OnlyEmpty: !own, Staging: own})
	}
	return inverse, nil
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
