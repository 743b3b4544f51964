package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// ownEdits are the files of this machine that a run itself has written, as they
// were before it, by path: it is taken up with the inventory that it began with.
// One that somebody has changed since is not among them.
func ownEdits(h *journal.History, m *journal.Memory) (map[string][]byte, error) {
	was := map[string][]byte{}
	fits := map[string]map[string]bool{} // checksums that the run gave a file, or found
	for _, s := range m.Steps {
		if s.Change.Host != task.ControlMachine || s.Change.Kind != "write" {
			continue
		}
		c, err := change.Decode(s.Change.Kind, s.Change.Data, change.DecodeOptions{})
		if err != nil {
			return nil, err
		}
		w := c.(*change.Write)
		if fits[w.Path] == nil {
			fits[w.Path] = map[string]bool{w.Before.SHA256: true}
			if was[w.Path], err = before(h, m.Run.ID, s); err != nil {
				return nil, err
			}
		}
		fits[w.Path][w.After.SHA256] = true
	}
	for path := range was {
		now, err := source.ReadFile(path, strictyaml.MaxBytes)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if was[path] == nil || err != nil || !fits[path][hexSum(now)] {
			delete(was, path)
		}
	}
	return was, nil
}

// before is the content that a change replaced; nil where there was none, or none is kept.
func before(h *journal.History, run string, s *journal.Step) ([]byte, error) {
	for _, kept := range s.Inverse {
		if kept.Kind != "write" {
			continue
		}
		c, err := change.Decode(kept.Kind, kept.Data, change.DecodeOptions{Open: func(ref string) (io.ReadCloser, error) { return h.OpenBlob(run, ref) }})
		if err != nil {
			return nil, err
		}
		w := c.(*change.Write)
		if w.After.Open == nil {
			continue
		}
		f, err := w.After.Open()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes))
	}
	return nil, nil
}

// instead looks a file up among those that are read otherwise than they are.
func instead(texts map[string][]byte) func(path string) ([]byte, bool) {
	return func(path string) ([]byte, bool) {
		abs, err := filepath.Abs(path)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, false
		}
		text, ok := texts[abs]
		return text, ok
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
