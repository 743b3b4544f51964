package localfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/task"
)

type named struct {
	Dest task.LocalDest
}

func (n named) LocalName(host string) string { return n.Dest.Name + host + "/file" }

func TestLocalNameDecidesWhereAHostsFileGoes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "got/h1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "got/h1/file"), []byte("hello"), 0o600))
	for host, exists := range map[string]bool{"h1": true, "h2": false} {
		r := &Resolver{Dir: dir, Host: host, Sums: NewSums()}
		p, err := r.Params(named{Dest: task.LocalDest{Name: "got/"}})
		require.NoError(t, err)
		got := p.(named).Dest
		require.Equal(t, filepath.Join(dir, "got", host, "file"), got.Path)
		require.Equal(t, exists, got.Exists)
		require.Equal(t, exists, got.SHA256 != "")
		require.True(t, got.Slash)

		require.NoError(t, os.MkdirAll(filepath.Dir(got.Path), 0o700))
		require.NoError(t, os.WriteFile(got.Path, []byte("new"), 0o600))
		p, err = r.Again(p)
		require.NoError(t, err)
		require.True(t, p.(named).Dest.Exists)
		require.NotEqual(t, got.SHA256, p.(named).Dest.SHA256)
	}
}
