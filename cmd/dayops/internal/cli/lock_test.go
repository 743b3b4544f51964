package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// All names of one inventory meet at one lock; other inventories have others.
func TestInventoryKey(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("a.yml", nil, 0o600))
	require.NoError(t, os.WriteFile("b.yml", nil, 0o600))
	require.NoError(t, os.Mkdir("d", 0o700))
	require.NoError(t, os.Symlink("a.yml", "link.yml"))
	require.NoError(t, os.Symlink(dir, "folder"))
	key := func(sources ...string) string {
		k, err := inventoryKey(sources)
		require.NoError(t, err)
		return k
	}
	for _, name := range []string{"./a.yml", "d/../a.yml", filepath.Join(dir, "a.yml"), "link.yml", "folder/a.yml", "folder/link.yml"} {
		require.Equal(t, key("a.yml"), key(name), name)
	}
	require.Equal(t, key("a.yml", "b.yml"), key("b.yml", "link.yml", "a.yml"))
	different := []string{key("a.yml"), key("b.yml"), key("a.yml", "b.yml"), key("h1,"), key("h2,"), key("d")}
	for i, k := range different {
		require.NotContains(t, different[i+1:], k)
	}
}
