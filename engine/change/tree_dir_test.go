package change

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACopyStaysOnTheHost(t *testing.T) {
	root, host := dressed(t), t.TempDir()
	dir := filepath.Join(host, "backup", "master-0", "20261122")
	tree := Tree{Root: root, Items: []TreeItem{{Path: "/etc/origin"}}, Exclude: []string{"tmp"}}
	tr := &Transfer{FromTree: &tree, ToDir: dir}
	for _, want := range []string{dir, dir + "-2"} {
		out, err := tr.applyTree(t.Context(), localHost(t))
		require.NoError(t, err)
		require.Empty(t, out.Missed)
		require.Equal(t, want, out.Data.(CopyResult).Path)
		for _, d := range []string{want, filepath.Dir(want), filepath.Dir(filepath.Dir(want))} {
			fi, err := os.Stat(d)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o700), fi.Mode().Perm(), d)
		}
	}
	require.NoError(t, os.RemoveAll(filepath.Join(root, "etc/origin/node/tmp")))
	sh(t, root, "touch -d @1 etc/origin/node; touch -d @1 "+dir+"/etc/origin/node")
	require.Equal(t, describe(t, root, "etc/origin"), describe(t, dir, "etc/origin"))
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, left, 2)
}

func TestACopyThatHasNoRoomIsNotBegun(t *testing.T) {
	root := t.TempDir()
	sh(t, root, "truncate -s 8000000000000 f")
	dir := filepath.Join(t.TempDir(), "b")
	tr := &Transfer{FromTree: &Tree{Root: root, Items: []TreeItem{{Path: "/f"}}}, ToDir: dir}
	_, err := tr.applyTree(t.Context(), localHost(t))
	require.ErrorContains(t, err, "needs 8000000000000 bytes below "+dir)
	require.NoDirExists(t, dir)
}
