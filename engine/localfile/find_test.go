package localfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The binder and the run look in the same places.
func TestFind(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "files"), 0o700))
	for _, f := range []string{home + "/a", dir + "/files/b", dir + "/b", dir + "/c"} {
		require.NoError(t, os.WriteFile(f, nil, 0o600))
	}
	for name, want := range map[string]string{"~/a": home + "/a", "b": dir + "/files/b", "c": dir + "/c", home + "/a": home + "/a"} {
		got, _, err := Find(dir, "files", name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, _, err := Find(dir, "files", "nowhere")
	require.ErrorIs(t, err, os.ErrNotExist)
}
