package source

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadFileIsBounded(t *testing.T) {
	f := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(f, make([]byte, 1<<20), 0o600))
	data, err := ReadFile(f, 1<<20)
	require.NoError(t, err)
	require.Len(t, data, 1<<20)
	for path, want := range map[string]string{
		"/dev/zero": "it is larger than 1 MiB", filepath.Dir(f): "it is a folder", f + "x": "no such file or directory",
	} {
		_, err := ReadFile(path, 1<<20)
		require.Error(t, err, path)
		require.Equal(t, want, Reason(err), path)
	}
}
