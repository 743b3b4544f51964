package inventory_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each file of testdata/bad has beside it, in NAME.want, all that is wrong
// with it: place, line, caret, hint.
func TestMistakes(t *testing.T) {
	entries, err := os.ReadDir("testdata/bad")
	require.NoError(t, err)
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, ".want") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata/bad", name)
			if name == "program.sh" { // git keeps the mode, an archive may not
				require.NoError(t, os.Chmod(path, 0o755))
			}
			_, err := inventory.Load([]string{path})
			list, ok := err.(source.List)
			require.True(t, ok, "no list of mistakes but %v", err)
			got := strings.ReplaceAll(list.Excerpts(), "testdata/bad/", "")
			golden(t, path+".want", got)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
