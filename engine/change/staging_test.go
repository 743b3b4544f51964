package change

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A staging folder that somebody else has made, with the right name and mode, is
// not taken for ours: what is led by a symlink in it would be written elsewhere.
func TestStagingFolderOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a folder of another account")
	}
	h := here(t)
	dir := filepath.Join(t.TempDir(), StagingName(time.Unix(0, 0), 1))
	mk := &Dir{Path: dir, Attr: Attr{Mode: mode(0o700)}, Staging: true}
	_, err := Apply(t.Context(), h, mk)
	require.NoError(t, err)
	where, err := Observe(t.Context(), h, mk)
	require.NoError(t, err)
	require.Equal(t, After, where)

	const nobody = 65534
	require.NoError(t, os.Chown(dir, nobody, nobody))
	where, err = Observe(t.Context(), h, mk)
	require.NoError(t, err)
	require.Equal(t, Neither, where)
	_, err = Apply(t.Context(), h, mk)
	var moved *MovedError
	require.ErrorAs(t, err, &moved)
	require.Equal(t, "owner", moved.What)
}
