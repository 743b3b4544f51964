package change

import (
	"context"
	"path"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Link)(nil)

// Kind is "link".
func (l *Link) Kind() string { return "link" }

// Summary is one line for people.
func (l *Link) Summary() string {
	s := "link " + reader.Printable(l.Path) + " to " + reader.Printable(l.Target)
	if l.Hard {
		s = "hard-" + s
	}
	switch {
	case l.Before.Type == reader.Symlink:
		s += " (was " + reader.Printable(l.Before.Target) + ")"
	case l.Before.Exists:
		s += " (" + presence(l.Before) + " there is moved aside)"
	}
	return s
}

// Diff shows the target as a line.
func (l *Link) Diff() string {
	was := ""
	if l.Before.Type == reader.Symlink {
		was = "target: " + reader.Printable(l.Before.Target) + "\n"
	}
	return unified(reader.Printable(l.Path), was, "target: "+reader.Printable(l.Target)+"\n")
}

// Risk is Safe but for manifests of static pods.
func (l *Link) Risk() Risk { return PathRisk(l.Path) }

// Reversal is Exact.
func (l *Link) Reversal() Reversal { return Reversal{Exact, "what was there is put back"} }

// Opaque is false.
func (l *Link) Opaque() bool { return false }

// look2 is the link, and for a hard one the file that it should be.
func (l *Link) look2(ctx context.Context, h Host) (now reader.File, after bool, err error) {
	paths := []string{l.Path}
	if l.Hard {
		paths = append(paths, l.Target)
	}
	get := h.read().Stat
	if l.Before.SHA256 != "" {
		get = h.read().Hash
	}
	files, err := get(ctx, paths...)
	if err != nil {
		return now, false, err
	}
	now = files[0]
	if l.Hard {
		return now, now.Exists && now.Dev == files[1].Dev && now.Inode == files[1].Inode, nil
	}
	return now, now.Type == reader.Symlink && now.Target == l.Target && l.Attr.holds(now), nil
}

// moved lets pass an owner that is as wanted, and a folder that an apply that
// was cut short has moved aside already.
func (l *Link) moved(ctx context.Context, h Host, now reader.File) error {
	if l.Force {
		return nil
	}
	err := moved(l.Path, l.Attr.halfway(l.Before, now), now)
	if err == nil || now.Exists || l.Before.Type != reader.Directory || h.Conn == nil {
		return err
	}
	if at, found := h.findAside(ctx, l.Path); found == nil && at != "" {
		return nil
	}
	return err
}

func (l *Link) observe(ctx context.Context, h Host) (Where, error) {
	now, after, err := l.look2(ctx, h)
	if err != nil {
		return Neither, err
	}
	return side(after, l.moved(ctx, h, now) == nil), nil
}

// linkScript makes the link under another name and renames it over the old one.
// A file is kept aside and stays until then; a folder must go before. Ended
// between the two, nothing is at Path: see moved.
const linkScript = asideFunctions + `target=$1 path=$2 temp=$3 s=$4 own=$5 grp=$6; shift 6
` + accountsExist + `ln $s -- "$target" "$temp" || exit 1
trap 'rm -f -- "$temp"' EXIT
if [ -n "$own$grp" ]; then chown -h -- "$own${grp:+:$grp}" "$temp" || exit 1; fi
if [ -d "$path" ] && [ ! -L "$path" ]; then aside "$path" "$@" || exit 1
elif [ -e "$path" ] && [ ! -L "$path" ]; then keep "$path" "$@" || exit 1; fi
mv -fT -- "$temp" "$path" || exit 1
[ "$s" = -s ] || rm -f -- "$temp"`

func (l *Link) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := cleanPath(l.Path); err != nil {
		return Outcome{}, err
	}
	now, after, err := l.look2(ctx, h)
	if err != nil || after {
		return Outcome{}, err
	}
	if err := l.moved(ctx, h, now); err != nil {
		return Outcome{}, err
	}
	if l.Hard || l.Attr.Mode != nil {
		l = &Link{Path: l.Path, Target: l.Target, Hard: l.Hard} // a hard link has its file's attributes
	}
	at, symbolic := path.Clean(l.Path), "-s"
	if l.Hard {
		symbolic = "-P"
	}
	args, err := h.asideArgs(at)
	if err != nil {
		return Outcome{}, err
	}
	args = append([]string{l.Target, at, path.Join(path.Dir(at), tempName()), symbolic, l.Attr.Owner, l.Attr.Group}, args...)
	res, err := h.scripted(ctx, l.Summary(), linkScript, l.Attr, args...)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Changed: true, Aside: asidePath(res.Stdout.String())}, nil
}

// made is the link as apply leaves it.
func (l *Link) made(ctx context.Context, h Host) (reader.File, error) {
	if l.Hard {
		f, err := h.look(ctx, l.Target)
		f.Path = l.Path
		return f, err
	}
	return l.Attr.foreseen(reader.File{Path: l.Path, Exists: true, Type: reader.Symlink, Mode: 0o777, UID: -1, GID: -1, Target: l.Target}), nil
}

func (l *Link) invert(ctx context.Context, h Host, _ Keeper) ([]Change, error) {
	old, err := h.whole(ctx, l.Path, l.Before, l.Force)
	if err != nil {
		return nil, err
	}
	made, err := l.made(ctx, h)
	switch {
	case err != nil:
		return nil, err
	case !old.Exists:
		return []Change{&Remove{Path: l.Path, Before: made}}, nil
	case old.Type == reader.Symlink:
		attr := attrOf(old)
		attr.Mode = nil
		return []Change{&Link{Path: l.Path, Target: old.Target, Before: made, Attr: attr}}, nil
	}
	return []Change{&Move{To: l.Path, Before: old, Over: &made, Kept: true}}, nil
}

func (l *Link) effect(o *Overlay) {
	at := path.Clean(l.Path)
	f := reader.File{Path: l.Path, Exists: true, Type: reader.Symlink, Mode: 0o777, UID: -1, GID: -1, Target: l.Target, Size: int64(len(l.Target))}
	if l.Hard {
		o.put(at, OverlayFile{Unknown: true})
		if t, ok := o.Files[path.Clean(l.Target)]; ok {
			t.File.Path = l.Path
			o.put(at, t)
		}
		return
	}
	o.remove(at)
	o.put(at, OverlayFile{File: f})
}
