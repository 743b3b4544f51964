package reader_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExtended(t *testing.T) {
	ctx, r, dir := context.Background(), here(t), t.TempDir()
	for name, spoil := range map[string][]string{"plain": nil, "xattr\nuser.x": {"setfattr", "-n", "user.x", "-v", "1"}, "-acl": {"setfacl", "-m", "u:65534:r"}} {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, []byte("SCHILX.xattr"), 0o600))
		if spoil != nil {
			if out, err := exec.Command(spoil[0], append(spoil[1:], p)...).CombinedOutput(); err != nil {
				t.Skipf("needs attr and acl: %s", out)
			}
		}
		got, err := r.Extended(ctx, p)
		require.NoError(t, err)
		require.Equal(t, spoil != nil, got, name)
	}
	require.NoError(t, os.Link(dir+"/plain", dir+"/other"))
	got, err := r.Extended(ctx, dir+"/other")
	require.NoError(t, err)
	require.True(t, got, "a second name")
	_, err = r.Extended(ctx, dir+"/none")
	require.Error(t, err)
	_, err = r.Extended(ctx, "relative")
	require.Error(t, err)
}
