package change

import (
	"context"

	"github.com/dayops/dayops/engine/reader"
)

// Nothing takes these back; their Reversal says why.

func (w *Wait) invert(context.Context, Host, Keeper) ([]Change, error)    { return nil, nil }
func (r *Reboot) invert(context.Context, Host, Keeper) ([]Change, error)  { return nil, nil }
func (b *Bracket) invert(context.Context, Host, Keeper) ([]Change, error) { return nil, nil }

// invert of a copy on the host: Refine knows its name.
func (t *Transfer) invert(ctx context.Context, h Host, keep Keeper) ([]Change, error) {
	if t.between() {
		return t.invertPeer(ctx, h, keep)
	}
	if t.ToDir == "" {
		return nil, nil
	}
	return []Change{&Remove{Path: t.ToDir, Before: copied(t.ToDir)}}, nil
}

func copied(dir string) reader.File {
	return reader.File{Path: dir, Exists: true, Type: reader.Directory, Mode: 0o700, UID: -1, GID: -1}
}

func (t *Transfer) refine(out Outcome) []Change {
	made := out.Outputs["path"]
	if made == "" {
		return nil
	}
	return []Change{&Remove{Path: made, Before: copied(made)}}
}
