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

// Risk is Safe.
func (m *Move) Risk() Risk { return Safe }

// Reversal is Exact.
func (m *Move) Reversal() Reversal { return Reversal{Exact, "it is moved back"} }

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

func (m *Move) observe(ctx context.Context, h Host) (Where, error) {
	from, to, err := m.look2(ctx, h)
	if err != nil {
		return Neither, err
	}
	after := !from.Exists && to.Exists && moved(m.To, m.Before, to) == nil
	return side(after, !to.Exists && moved(m.From, m.Before, from) == nil), nil
}

// moveScript: mv -n says nothing when it does nothing, so both ends are looked at.
const moveScript = `from=$1 to=$2
if [ -e "$to" ] || [ -L "$to" ]; then echo "$to is there already" >&2; exit 1; fi
mv -nT -- "$from" "$to" || exit 1
if [ -e "$from" ] || [ -L "$from" ]; then echo "$to is there already" >&2; exit 1; fi`

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
	if !from.Exists && to.Exists && moved(m.To, m.Before, to) == nil {
		return Outcome{}, nil
	}
	if err := moved(m.From, m.Before, from); err != nil {
		return Outcome{}, err
	}
	if to.Exists {
		return Outcome{}, &MovedError{Path: m.To, What: "existence", Planned: "absent", Found: presence(to)}
	}
	_, err = h.scripted(ctx, m.Summary(), moveScript, Attr{}, path.Clean(m.From), path.Clean(m.To))
	return Outcome{Changed: err == nil}, err
}

func (m *Move) effect(o *Overlay) { o.move(path.Clean(m.From), path.Clean(m.To), m.Before) }
