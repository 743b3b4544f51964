package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Transfer)(nil)

// Kind is "transfer".
func (t *Transfer) Kind() string { return "transfer" }

// Summary is one line for people.
func (t *Transfer) Summary() string {
	what, to := "nothing", "nowhere"
	switch {
	case t.FromFile != nil:
		what = reader.Printable(t.FromFile.Path)
	case t.FromPeer != "":
		what = reader.Printable(t.FromPath) + " of " + reader.Printable(t.FromPeer)
	case t.FromTree != nil:
		what = fmt.Sprintf("%d paths of the host", len(t.FromTree.Items))
		if t.Note != "" {
			what = reader.Printable(t.Note)
		}
	}
	switch {
	case t.ToLocal != "":
		to = reader.Printable(t.ToLocal)
	case t.ToSet != nil:
		to = "a new backup set in " + reader.Printable(filepath.Join(t.ToSet.Dir, t.ToSet.Host))
	case t.ToDir != "":
		to = reader.Printable(t.ToDir) + " on the host"
	case t.ToFile != "":
		to = reader.Printable(t.ToFile)
		if a := t.Attr.words(t.Before); a != "" {
			to += " (" + a + ")"
		}
	}
	return "bring " + what + " to " + to
}

// Diff is "".
func (t *Transfer) Diff() string { return "" }

// Risk is Safe but for manifests of static pods.
func (t *Transfer) Risk() Risk {
	if t.ToFile == "" {
		return Safe
	}
	return PathRisk(t.ToFile)
}

// Reversal is about the host; the control machine keeps what it got.
func (t *Transfer) Reversal() Reversal {
	switch {
	case t.between():
		return t.write(reader.File{}).Reversal()
	case t.ToDir != "":
		return Reversal{Exact, "the copy on the host is moved aside"}
	case t.ToSet != nil:
		return Reversal{Exact, "the host is not changed; the backup set stays"}
	}
	return Reversal{Partial, "the host is not changed; the file that was brought stays"}
}

// Opaque is false.
func (t *Transfer) Opaque() bool { return false }

func (t *Transfer) observe(ctx context.Context, h Host) (Where, error) {
	switch {
	case t.between():
		return t.observePeer(ctx, h)
	case t.FromTree != nil:
		return t.observeTree(ctx, h)
	}
	if err := t.checkFile(); err != nil {
		return Neither, err
	}
	now, err := h.look(ctx, t.FromFile.Path)
	if err != nil {
		return Neither, err
	}
	have, err := localSum(t.ToLocal)
	if err != nil {
		return Neither, err
	}
	return side(have != "" && have == now.SHA256, moved(t.FromFile.Path, *t.FromFile, now) == nil), nil
}

func (t *Transfer) apply(ctx context.Context, h Host) (Outcome, error) {
	switch {
	case t.between():
		return t.applyPeer(ctx, h)
	case t.FromTree != nil:
		return t.applyTree(ctx, h)
	}
	if err := t.checkFile(); err != nil {
		return Outcome{}, err
	}
	return t.applyFile(ctx, h)
}

var errTransfer = errors.New("a transfer needs a regular file of the host and an absolute path of the control machine, or a tree")

func (t *Transfer) checkFile() error {
	if t.FromFile == nil || t.FromFile.Type != reader.Regular || !filepath.IsAbs(t.ToLocal) || t.ToSet != nil || t.ToDir != "" {
		return errTransfer
	}
	return cleanPath(t.FromFile.Path)
}

// applyFile compares what arrives with the checksum that the host computes
// from the file itself.
func (t *Transfer) applyFile(ctx context.Context, h Host) (Outcome, error) {
	from := *t.FromFile
	now, err := h.look(ctx, from.Path)
	if err != nil {
		return Outcome{}, err
	}
	have, err := localSum(t.ToLocal)
	if err != nil || (have != "" && have == now.SHA256) {
		return Outcome{}, err
	}
	if err := moved(from.Path, from, now); err != nil {
		return Outcome{}, err
	}
	if err := os.MkdirAll(filepath.Dir(t.ToLocal), 0o700); err != nil {
		return Outcome{}, err
	}
	f, err := os.CreateTemp(filepath.Dir(t.ToLocal), ".dayops-")
	if err != nil {
		return Outcome{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	w := &counted{to: io.MultiWriter(f, sum), total: now.Size, tell: h.Progress}
	if _, err := h.Conn.Get(ctx, h.As, from.Path, w); err != nil {
		return Outcome{}, err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != now.SHA256 {
		return Outcome{}, &MovedError{Path: from.Path, What: "content", Planned: "sha256 " + now.SHA256, Found: "sha256 " + got + " when it was read"}
	}
	return Outcome{Changed: true}, settle(f, t.ToLocal)
}

// settle gives a temporary file its name, for good.
func settle(f *os.File, to string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// localSum is the checksum of a file of the control machine; "" when it is absent.
func localSum(name string) (string, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) || (err == nil && info.Mode()&os.ModeSymlink != 0) {
		return "", nil // a symlink is replaced
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return "", err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// counted tells how much has passed.
type counted struct {
	to          io.Writer
	done, total int64
	tell        func(done, total int64)
}

// Write refuses what goes beyond the size that the host named.
func (c *counted) Write(p []byte) (int, error) {
	if c.done+int64(len(p)) > c.total {
		return 0, fmt.Errorf("the host sends more than the %d bytes of the file", c.total)
	}
	n, err := c.to.Write(p)
	c.done += int64(n)
	if c.tell != nil {
		c.tell(c.done, c.total)
	}
	return n, err
}

func (t *Transfer) effect(o *Overlay) {
	switch {
	case t.between():
		t.effectPeer(o)
	case t.ToDir != "":
		o.put(path.Clean(t.ToDir), OverlayFile{Unknown: true})
	}
}
