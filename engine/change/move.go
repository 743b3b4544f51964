package change

import (
	"context"
	"path"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Move)(nil)

// Kind is "move".
func (m *Move) Kind() string { return "move" }

// Summary is one line for people.
func (m *Move) Summary() string {
	return "move " + reader.Printable(m.From) + " to " + reader.Printable(m.To)
}

// Diff is "": the content stays.
func (m *Move) Diff() string { return "" }

// Risk is Safe but for manifests of static pods.
func (m *Move) Risk() Risk { return PathRisk(m.From, m.To) }

// Reversal is Exact.
func (m *Move) Reversal() Reversal {
	if m.Over != nil {
		return Reversal{Exact, "it is moved back, and what was there is put back"}
	}
	return Reversal{Exact, "it is moved back"}
}

// Opaque is false.
func (m *Move) Opaque() bool { return false }

// look2 is what is at both ends.
func (m *Move) look2(ctx context.Context, h Host) (from, to reader.File, err error) {
	get := h.read().Stat
	if m.Before.SHA256 != "" {
		get = h.read().Hash
	}
	files, err := get(ctx, m.From, m.To)
	if err != nil {
		return from, to, err
	}
	return files[0], files[1], nil
}

// place judges both ends. Both may be there after an apply that was cut short
// between copying to another file system and removing: then To is a whole copy.
// Of files that is certain by the checksum; folders are left to people.
func (m *Move) place(from, to reader.File) (Where, error) {
	if !from.Exists && to.Exists && moved(m.To, m.Before, to) == nil {
		return After, nil
	}
	err := moved(m.From, m.Before, from)
	switch {
	case err != nil:
		return Neither, err
	case !to.Exists, m.Force, m.finish(to), m.Over != nil && m.overMoved(to) == nil:
		return Before, nil
	case m.Over != nil:
		return Neither, m.overMoved(to)
	}
	return Neither, &MovedError{Path: m.To, What: "existence", Planned: "absent", Found: presence(to)}
}

func (m *Move) overMoved(to reader.File) error { return moved(m.To, *m.Over, to) }

func (m *Move) finish(to reader.File) bool {
	return m.Before.Type == reader.Regular && m.Before.SHA256 != "" && to.SHA256 == m.Before.SHA256 && moved(m.To, m.Before, to) == nil
}

func (m *Move) observe(ctx context.Context, h Host) (Where, error) {
	from, to, err := m.look2(ctx, h)
	if err != nil {
		return Neither, err
	}
	where, _ := m.place(from, to)
	return where, nil
}

// moveScript renames, or copies to another file system and renames there: To
// appears in one step, and then From goes in one step. $3 over: To is replaced.
// A folder cannot be renamed over a link, which goes before: ended between,
// nothing is at To, which is as before. mv -n says nothing when it does nothing.
const moveScript = deviceOf + `from=$1 to=$2 over=$3 kept=$4 temp=$5 gone=$6
if [ -d "$to" ] && [ ! -L "$to" ]; then echo "a folder is at $to" >&2; exit 1; fi
there() { [ -e "$to" ] || [ -L "$to" ]; }
if [ -z "$over" ] && there; then echo "$to is there already" >&2; exit 1; fi
how=-nT
[ -z "$over" ] || how=-fT
clear() { if [ -n "$over" ] && there && [ -d "$from" ] && [ ! -L "$from" ]; then rm -f -- "$to"; fi; }
if [ "$(device "$from")" = "$(stat -c %d -- "${to%/*}/")" ]; then
  clear || exit 1
  if [ "$from" -ef "$to" ] && [ ! -L "$to" ]; then rm -f -- "$from" || exit 1
  else mv $how -- "$from" "$to" || exit 1; fi
else
  cp -a -T -- "$from" "$temp" && sync -f "$temp" 2>/dev/null || sync
  [ -e "$temp" ] || [ -L "$temp" ] || exit 1
  clear && mv $how -- "$temp" "$to" || { rm -rf -- "$temp"; exit 1; }
  if [ -e "$temp" ] || [ -L "$temp" ]; then rm -rf -- "$temp"; else mv -nT -- "$from" "$gone" && rm -rf -- "$gone" || exit 1; fi
fi
if [ -e "$from" ] || [ -L "$from" ]; then echo "$to is there already" >&2; exit 1; fi
[ -z "$kept" ] || { rm -f -- "${from%/*}/record"; rmdir -- "${from%/*}" "${from%/*/*}" 2>/dev/null; }
exit 0`

func (m *Move) apply(ctx context.Context, h Host) (Outcome, error) {
	for _, p := range []string{m.From, m.To} {
		if err := cleanPath(p); err != nil {
			return Outcome{}, err
		}
	}
	from, to, err := m.look2(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	where, err := m.place(from, to)
	if err != nil || where == After {
		return Outcome{}, err
	}
	a, b := path.Clean(m.From), path.Clean(m.To)
	over := flag(m.Over != nil || m.Force || m.finish(to))
	_, err = h.scripted(ctx, m.Summary(), moveScript, Attr{}, a, b, over, flag(m.Kept), path.Join(path.Dir(b), tempName()), path.Join(path.Dir(a), tempName()))
	return Outcome{Changed: err == nil}, err
}

func (m *Move) invert(ctx context.Context, h Host, keep Keeper) ([]Change, error) {
	after := m.Before
	after.Path = m.To
	if m.Over != nil || m.Force {
		old, err := h.look(ctx, m.To)
		if err != nil {
			return nil, err
		}
		if old.Exists {
			inverse, err := h.bring(ctx, old, nil, after, keep)
			if err != nil || m.Kept {
				return inverse, err
			}
			back := &Move{From: m.To, To: m.From, Before: after}
			return append([]Change{back}, unOver(inverse)...), nil
		}
	}
	if m.Kept {
		return []Change{&Remove{Path: m.To, Before: after}}, nil
	}
	return []Change{&Move{From: m.To, To: m.From, Before: after}}, nil
}

// unOver makes changes that replace a path fit for one where nothing is by then.
func unOver(list []Change) []Change {
	for _, c := range list {
		switch c := c.(type) {
		case *Write:
			c.Before = reader.File{Path: c.Path}
		case *Link:
			c.Before = reader.File{Path: c.Path}
		case *Move:
			c.Over = nil
		}
	}
	return list
}

func (m *Move) effect(o *Overlay) { o.move(path.Clean(m.From), path.Clean(m.To), m.Before) }
