package change

import (
	"context"
	"path"
	"slices"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Remove)(nil)

// Kind is "remove".
func (r *Remove) Kind() string { return "remove" }

// Summary is one line for people.
func (r *Remove) Summary() string {
	if r.Staging {
		return "remove the staging folder " + reader.Printable(r.Path)
	}
	if r.OnlyEmpty {
		return "remove the folder " + reader.Printable(r.Path) + " if it is empty"
	}
	return "remove " + reader.Printable(r.Path) + " (" + presence(r.Before) + ", moved aside)"
}

// Diff shows mode and ownership as lines.
func (r *Remove) Diff() string {
	if r.Staging {
		return ""
	}
	return unified(reader.Printable(r.Path), attrText(r.Before), "")
}

// Risk is Safe, the data stays on the host, but for manifests of static pods.
func (r *Remove) Risk() Risk {
	if r.OnlyEmpty || r.Staging {
		return Safe
	}
	return PathRisk(r.Path)
}

// Reversal is Exact.
func (r *Remove) Reversal() Reversal {
	if r.Staging {
		return Reversal{Exact, stagingGoes}
	}
	return Reversal{Exact, "it is moved back"}
}

// Opaque is false.
func (r *Remove) Opaque() bool { return false }

func (r *Remove) observe(ctx context.Context, h Host) (Where, error) {
	if r.Staging {
		return r.observeStaging(ctx, h)
	}
	now, err := h.lookAs(ctx, r.Path, r.Before)
	if err != nil {
		return Neither, err
	}
	if r.OnlyEmpty && now.Type == reader.Directory {
		all, err := h.read().List(ctx, reader.Literal(r.Path))
		if err != nil || slices.ContainsFunc(all, func(f reader.File) bool { return f.Exists && path.Clean(f.Path) != path.Clean(r.Path) }) {
			return Neither, err
		}
	}
	return side(!now.Exists, r.Force || moved(r.Path, r.Before, now) == nil), nil
}

// lookAs reads checksums only where the plan has one to compare with.
func (h Host) lookAs(ctx context.Context, path string, before reader.File) (reader.File, error) {
	if before.SHA256 != "" {
		return h.look(ctx, path)
	}
	return h.lstat(ctx, path)
}

const removeScript = asideFunctions + `aside "$@"`

// emptyScript leaves a folder that holds anything.
const emptyScript = `rmdir -- "$1" && exit 0
[ -z "$(ls -A -- "$1")" ] || exit 115
exit 1`

func (r *Remove) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := cleanPath(r.Path); err != nil {
		return Outcome{}, err
	}
	if r.Staging {
		return r.applyStaging(ctx, h)
	}
	now, err := h.lookAs(ctx, r.Path, r.Before)
	if err != nil || !now.Exists {
		return Outcome{}, err
	}
	if err := moved(r.Path, r.Before, now); err != nil && !r.Force {
		return Outcome{}, err
	}
	if r.OnlyEmpty {
		res, err := h.scripted(ctx, r.Summary(), emptyScript, Attr{}, path.Clean(r.Path))
		if res.Code == codeMoved {
			return Outcome{}, &MovedError{Path: r.Path, What: "content", Planned: "an empty folder", Found: "not empty"}
		}
		return Outcome{Changed: err == nil}, err
	}
	args, err := h.asideArgs(r.Path)
	if err != nil {
		return Outcome{}, err
	}
	res, err := h.scripted(ctx, r.Summary(), removeScript, Attr{}, append([]string{path.Clean(r.Path)}, args...)...)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Changed: true, Aside: asidePath(res.Stdout.String())}, nil
}

func (r *Remove) invert(ctx context.Context, h Host, _ Keeper) ([]Change, error) {
	if r.Staging {
		return nil, nil // what was in it is nobody's
	}
	old, err := h.whole(ctx, r.Path, r.Before, r.Force)
	switch {
	case err != nil || !old.Exists:
		return nil, err
	case r.OnlyEmpty:
		return []Change{&Dir{Path: r.Path, Before: reader.File{Path: r.Path}, Attr: attrOf(old)}}, nil
	}
	return []Change{&Move{To: r.Path, Before: old, Kept: true}}, nil
}

func (r *Remove) effect(o *Overlay) { o.remove(path.Clean(r.Path)) }
