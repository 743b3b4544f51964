package etcdrestore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/tasktest"
)

// Old data that somebody has deleted meanwhile are not back: what was restored
// stays in its place, and the undo fails.
func TestPlaceIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		code  int
		want  string // what the member's data are in the end
	}{
		"as it should be": {func(*testing.T, string) {}, 0, "old"},
		"half way":        {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir+"/member")) }, 0, "old"},
		"etcd began anew": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(dir+"/member", dir+"/lost"))
			require.NoError(t, os.Mkdir(dir+"/member", 0o700))
			require.NoError(t, os.WriteFile(dir+"/member/data", []byte("empty"), 0o600))
		}, 1, "empty"},
		"old data are no more": {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir+"/member.before-restore-T")) }, 1, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			h := tasktest.Local(t)
			dir := t.TempDir()
			put := func(path, text string) {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600))
			}
			put("member/data", "old")
			put("stage/data/member/data", "new")
			put("stage/data/member/restored-T", "")
			m := &member{in: etcd.Instance{DataDir: dir}, staging: dir + "/stage"}
			m.State.Places.Member = reader.File{Exists: true}
			e := m.place(&planner{tag: "T"})
			host := change.Host{Name: "here", Conn: h.Conn, Run: "r", Now: time.Now}
			apply := func(e *change.Exec, code int) {
				out, err := change.Apply(t.Context(), host, e)
				require.NoError(t, err)
				require.NotNil(t, out.Exec, "it is done")
				require.Equal(t, code, out.Exec.Code, out.Exec.Stderr.String())
			}
			apply(e, 0)
			c.spoil(t, dir)
			apply(e.Undo[0], c.code)
			text, err := os.ReadFile(filepath.Join(dir, "member/data"))
			require.NoError(t, err)
			require.Equal(t, c.want, string(text))
		})
	}
}
