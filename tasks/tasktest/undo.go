package tasktest

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
)

// blobs keeps what inverses need, as a journal does.
type blobs map[string]string

// Blob is change.Keeper's.
func (b blobs) Blob(data []byte) (string, error) {
	ref := fmt.Sprint(len(b))
	b[ref] = string(data)
	return ref, nil
}

func (b blobs) open(ref string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(b[ref])), nil
}

// undo takes everything back, from changes that went through JSON. Where each
// said that it can be taken back exactly, all is as it was.
func (r *run) undo(plan task.Plan) {
	exact := r.h.Files
	for _, s := range plan.Changes() {
		exact = exact && s.Change.Reversal().Class == change.Exact
	}
	host := r.host()
	for i, list := range slices.Backward(r.back) {
		promised := plan.Changes()[i].Change.Reversal().Class == change.Exact
		for _, c := range list {
			raw, err := change.Encode(c, change.EncodeOptions{})
			require.NoError(r.t, err)
			c, err = change.Decode(c.Kind(), raw, change.DecodeOptions{Open: r.blobs.open})
			require.NoError(r.t, err)
			out, err := change.Apply(r.ctx, host, c)
			if err != nil && !promised {
				break // no repository has the package
			}
			require.NoError(r.t, err, "undo: %s", c.Summary())
			r.sweep(host.Run, out.Aside)
		}
	}
	if exact && len(plan.Changes()) > 0 {
		require.Equal(r.t, r.before, r.h.undoable(r.t), "after an undo")
	}
}

// undoable lists all but times and what follows from them.
func (h *Host) undoable(t *testing.T) []string {
	if !h.Files {
		return nil
	}
	var out []string
	err := filepath.WalkDir(h.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%s %s %d:%d", path, info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			var b []byte
			b, err = os.ReadFile(path)
			line += " " + string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			var to string
			to, err = os.Readlink(path)
			line += " -> " + to
		}
		out = append(out, line)
		return err
	})
	require.NoError(t, err)
	return out
}
