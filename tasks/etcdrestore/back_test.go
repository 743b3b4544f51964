package etcdrestore

import (
	"os"
	"os/exec"
	"os/user"
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
			put("wal/0.wal", "old")
			m := &member{in: etcd.Instance{DataDir: dir, WALDir: dir + "/wal/"}, staging: dir + "/stage"}
			dress(t, m)
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
			require.Equal(t, []string{"new", "new", "old"}, []string{textOf(t, dir, "member/data"), textOf(t, dir, "wal/0.wal"), textOf(t, dir, "wal.before-restore-T/0.wal")})
			c.spoil(t, dir)
			apply(e.Undo[0], c.code)
			require.Equal(t, c.want, textOf(t, dir, "member/data"))
			if c.code == 0 {
				require.Equal(t, "old", textOf(t, dir, "wal/0.wal"))
				require.NoDirExists(t, dir+"/wal.before-restore-T")
			}
		})
	}
}

func textOf(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(text)
}

// dress restores data that a tool has made, its WAL within, as a rehearsal does.
func dress(t *testing.T, m *member) {
	t.Helper()
	me, err := user.Current()
	require.NoError(t, err)
	m.attr = attr{owner: me.Uid, group: me.Gid, mode: "0700"}
	tool := []string{"/bin/sh", "-c", `mkdir -p "$1/member/snap" "$1/member/wal" && echo db >"$1/member/snap/db" && printf new >"$1/member/data" && printf new >"$1/member/wal/0.wal"`, "sh", m.staging + "/part"}
	require.NoError(t, os.Mkdir(m.staging, 0o700))
	argv := shell(restoreScript, append(m.dressed(&planner{tag: "T"}), tool...)...)
	said, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, string(said))
	require.FileExists(t, m.staging+"/data/wal/0.wal")
}
