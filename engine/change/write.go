package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// A Write is one rename: ended at any point, Path is at Before or at After. What
// may stay is a hidden ".dayops-..." beside it, and a backup without its Write.
//
// It replaces what is at Path itself: where a symlink should be followed,
// as Ansible does by default, the task resolves it in Check (readlink -f) and
// plans the Write for the real file.
var _ Change = (*Write)(nil)

// Kind is "write".
func (w *Write) Kind() string { return "write" }

// Summary is one line for people.
func (w *Write) Summary() string {
	s := "write " + reader.Printable(w.Path)
	var notes []string
	switch {
	case !w.Before.Exists:
		notes = append(notes, fmt.Sprintf("new, %d bytes", w.After.Size))
	case w.Before.Type != reader.Regular:
		notes = append(notes, fmt.Sprintf("in place of %s, %d bytes", presence(w.Before), w.After.Size))
	case w.Before.SHA256 == w.After.SHA256:
		notes = append(notes, "content as it is")
	default:
		notes = append(notes, fmt.Sprintf("%d -> %d bytes", w.Before.Size, w.After.Size))
	}
	if a := w.Attr.words(w.Before); a != "" {
		notes = append(notes, a)
	}
	if w.Backup && w.Before.Exists {
		notes = append(notes, "the old file is kept beside it")
	}
	return s + " (" + strings.Join(notes, ", ") + ")"
}

// Diff is a unified diff; sizes alone for what is not text; "" when hidden.
func (w *Write) Diff() string {
	if w.Hide || (w.Before.Exists && w.Before.SHA256 == w.After.SHA256) {
		return ""
	}
	atHand := w.After.Bytes != nil || w.After.Size == 0
	wasAtHand := !w.Before.Exists || w.Was != nil || w.Before.Size == 0
	if !atHand || !wasAtHand || len(w.Was) > maxDiff || len(w.After.Bytes) > maxDiff {
		return sizes("large", w.Before.Exists, w.Before.Size, w.After.Size)
	}
	if !isText(w.Was) || !isText(w.After.Bytes) {
		return sizes("binary", w.Before.Exists, w.Before.Size, w.After.Size)
	}
	return unified(reader.Printable(w.Path), string(w.Was), string(w.After.Bytes))
}

// Risk is Safe but for manifests of static pods.
func (w *Write) Risk() Risk { return PathRisk(w.Path) }

// Reversal is Exact but for hard links.
func (w *Write) Reversal() Reversal {
	switch {
	case IsStaging(path.Dir(w.Path)):
		return Reversal{Exact, stagingGoes}
	case !w.Before.Exists:
		return Reversal{Exact, "the file is moved aside again"}
	case w.Before.Type == reader.Regular && w.Before.Links > 1:
		return Reversal{Partial, "it comes back, but is a file of its own if its other names lie on another file system than what is kept"}
	case w.Before.Type == reader.Regular:
		return Reversal{Exact, "the old content, mode and owner are written back"}
	}
	return Reversal{Exact, presence(w.Before) + " is made again"}
}

// Opaque is false.
func (w *Write) Opaque() bool { return false }

func (w *Write) isAfter(now reader.File) bool {
	return now.Exists && now.Type == reader.Regular && now.SHA256 == w.After.SHA256 && w.Attr.holds(now)
}

func (w *Write) observe(ctx context.Context, h Host) (Where, error) {
	now, err := h.look(ctx, w.Path)
	if err != nil {
		return Neither, err
	}
	return side(w.isAfter(now), w.Force || moved(w.Path, w.Before, now) == nil), nil
}

// side puts the two questions together; a change without effect is After.
func side(after, before bool) Where {
	switch {
	case after:
		return After
	case before:
		return Before
	}
	return Neither
}

// prepareWrite checks the accounts and keeps the old file beside the new one.
// A file that changed since it was compared is refused.
const prepareWrite = `own=$1 grp=$2 p=$3 sum=$4
` + accountsExist + `[ -n "$sum" ] || exit 0
[ "$(sha256sum <"$p")" = "$sum  -" ] || exit 115
b=$p.$$.$(date '+%Y-%m-%d@%H:%M:%S')~
cp -a -- "$p" "$b" || exit 1
printf %s "$b"`

func (w *Write) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := errors.Join(cleanPath(w.Path), w.Attr.check()); err != nil {
		return Outcome{}, err
	}
	now, err := h.look(ctx, w.Path)
	if err != nil {
		return Outcome{}, err
	}
	if w.isAfter(now) {
		return Outcome{}, nil
	}
	if err := moved(w.Path, w.Before, now); err != nil && !w.Force {
		return Outcome{}, err
	}
	if now.Type == reader.Directory {
		return Outcome{}, &StepError{Doing: w.Summary(), Output: "a folder is there"}
	}
	out := Outcome{Changed: true}
	sum := ""
	if w.Backup && now.Type == reader.Regular {
		sum = now.SHA256
	}
	if sum != "" || w.Attr.Owner != "" || w.Attr.Group != "" {
		res, err := h.scripted(ctx, "prepare "+reader.Printable(w.Path), prepareWrite, w.Attr, w.Attr.Owner, w.Attr.Group, w.Path, sum)
		if res.Code == codeMoved {
			return Outcome{}, &MovedError{Path: w.Path, What: "content", Planned: "sha256 " + sum, Found: "another"}
		}
		if err != nil {
			return Outcome{}, err
		}
		if sum != "" {
			out.Aside = []string{res.Stdout.String()}
		}
	}
	return out, w.put(ctx, h, now)
}

func (w *Write) put(ctx context.Context, h Host, now reader.File) error {
	content, err := w.After.open()
	if err != nil {
		return fmt.Errorf("read the new content of %s: %w", reader.Printable(w.Path), err)
	}
	defer content.Close()
	mode := newFileMode
	if now.Type == reader.Regular {
		mode = now.Mode
	}
	if w.Attr.Mode != nil {
		mode = *w.Attr.Mode
	}
	return h.Conn.Put(ctx, conn.Put{
		Path: w.Path, As: h.As, Mode: mode, Owner: w.Attr.Owner, Group: w.Attr.Group,
		Size: w.After.Size, SHA256: w.After.SHA256,
	}, content)
}

// made is the file as apply leaves it.
func (w *Write) made(old reader.File) reader.File {
	f := reader.File{Mode: newFileMode, UID: -1, GID: -1}
	if old.Type == reader.Regular {
		f = old
	}
	f.Path, f.Exists, f.Type, f.Links = w.Path, true, reader.Regular, 1
	f.Size, f.SHA256, f.Target = w.After.Size, w.After.SHA256, ""
	return w.Attr.foreseen(f)
}

func (w *Write) invert(ctx context.Context, h Host, keep Keeper) ([]Change, error) {
	if IsStaging(path.Dir(w.Path)) {
		return nil, nil // it goes with the folder
	}
	old, err := h.whole(ctx, w.Path, w.Before, w.Force || w.Before.Exists && w.Before.SHA256 == "")
	if err != nil {
		return nil, err
	}
	inverse, err := h.bring(ctx, old, w.Was, w.made(old), keep)
	for _, c := range inverse {
		if back, ok := c.(*Write); ok {
			back.Hide, back.Was = w.Hide, w.After.Bytes
		}
	}
	return inverse, err
}

var errNoContent = errors.New("a large content without a way to open it")

func (c Content) open() (io.ReadCloser, error) {
	if c.Bytes != nil || c.Size == 0 {
		return io.NopCloser(bytes.NewReader(c.Bytes)), nil
	}
	if c.Open == nil {
		return nil, errNoContent
	}
	return c.Open()
}

func (w *Write) effect(o *Overlay) {
	content := w.After.Bytes
	if w.After.Size == 0 {
		content = []byte{}
	}
	o.put(path.Clean(w.Path), OverlayFile{File: w.made(w.Before), Content: content, open: w.After.Open})
}
