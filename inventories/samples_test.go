package inventories_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/inventories"
)

func load(t *testing.T, name string) *inventory.Inventory {
	t.Helper()
	data, err := fs.ReadFile(inventories.FS, name)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	inv, err := inventory.Load([]string{path})
	require.NoError(t, err)
	require.Empty(t, inv.Warnings())
	return inv
}

// Every file in this folder is here: a new one has to be added.
func TestEverySampleLoads(t *testing.T) {
	hosts := map[string]int{"ocp3.yml": 8, "ocp3.ini": 8, "small.yml": 2}
	names, err := fs.Glob(inventories.FS, "*")
	require.NoError(t, err)
	require.Len(t, names, len(hosts))
	for _, name := range names {
		inv := load(t, name)
		require.Len(t, inv.Hosts(), hosts[name], name)
		for _, h := range inv.Hosts() {
			vars, _ := inv.Vars(h).Any().(map[string]any)
			c, err := inv.Connection(h, vars)
			require.NoError(t, err)
			require.NotEmpty(t, c.User)
			require.True(t, *c.Become)
		}
	}
}

func TestSampleClusterIsTheSameInBothFormats(t *testing.T) {
	yml, ini := load(t, "ocp3.yml"), load(t, "ocp3.ini")
	require.Equal(t, string(yml.ListJSON()), string(ini.ListJSON()))
	require.Equal(t, yml.Hosts(), ini.Hosts())
	require.Len(t, yml.Members("masters"), 3)
	require.Empty(t, yml.Members("new_etcd"))
}
