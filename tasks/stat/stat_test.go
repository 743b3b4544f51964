package stat

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks/tasktest"
)

func TestStat(t *testing.T) {
	prepare := func(t *testing.T, h *tasktest.Host) {
		tasktest.Write(t, h.Dir+"/x", "hello", 0o644)
		require.NoError(t, os.Symlink("x", h.Dir+"/l"))
	}
	stat := func(check func(t *testing.T, h *tasktest.Host, s map[string]any)) func(*testing.T, *tasktest.Host, map[string]any) {
		return func(t *testing.T, h *tasktest.Host, res map[string]any) { check(t, h, res["stat"].(map[string]any)) }
	}
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{
			Name: "file", Params: "{path: DIR/x}", Prepare: prepare,
			After: stat(func(t *testing.T, h *tasktest.Host, s map[string]any) {
				require.Equal(t, true, s["exists"])
				require.Equal(t, true, s["isreg"])
				require.Equal(t, false, s["isdir"])
				require.Equal(t, "0644", s["mode"])
				require.EqualValues(t, 5, s["size"])
				require.EqualValues(t, os.Getuid(), s["uid"])
				require.Equal(t, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", s["checksum"])
				require.Equal(t, true, s["wusr"])
				require.Equal(t, false, s["woth"])
				require.NotContains(t, s, "lnk_target")
			}),
		},
		tasktest.Case{
			Name: "symlink", Params: "{path: DIR/l}", Prepare: prepare,
			After: stat(func(t *testing.T, h *tasktest.Host, s map[string]any) {
				require.Equal(t, true, s["islnk"])
				require.Equal(t, "x", s["lnk_target"])
				require.Equal(t, h.Dir+"/x", s["lnk_source"])
				require.NotContains(t, s, "checksum")
			}),
		},
		tasktest.Case{
			Name: "symlink followed", Params: "{path: DIR/l, follow: yes, get_checksum: no}", Prepare: prepare,
			After: stat(func(t *testing.T, h *tasktest.Host, s map[string]any) {
				require.Equal(t, true, s["isreg"])
				require.Equal(t, h.Dir+"/l", s["path"])
				require.NotContains(t, s, "checksum")
			}),
		},
		tasktest.Case{
			Name: "folder", Params: "{path: DIR}",
			After: stat(func(t *testing.T, h *tasktest.Host, s map[string]any) { require.Equal(t, true, s["isdir"]) }),
		},
		tasktest.Case{
			Name: "nothing", Params: "{path: DIR/no}",
			After: stat(func(t *testing.T, h *tasktest.Host, s map[string]any) {
				require.Equal(t, map[string]any{"exists": false}, s)
			}),
		},
	)
}
