package lineinfile

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

func TestLineInFile(t *testing.T) {
	conf := func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Dir+"/conf", "# head\nmode=a\n", 0o640) }
	remote.Run(t, Define(),
		tasktest.Case{
			Name: "replace", Wire: true, Params: "{path: DIR/conf, regexp: ^mode=, line: mode=b, backup: true}", Prepare: conf, Changes: "write", Diff: "-mode=a\n+mode=b\n",
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				require.Equal(t, "# head\nmode=b\n", tasktest.Read(t, h.Dir+"/conf"))
				require.Equal(t, "line replaced", res["msg"])
				info, err := os.Stat(h.Dir + "/conf")
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o640), info.Mode())
			},
		},
		tasktest.Case{Name: "as it is", Params: "{path: DIR/conf, regexp: ^mode=, line: mode=a}", Prepare: conf},
		tasktest.Case{Name: "only the mode", Params: "{path: DIR/conf, line: mode=a, mode: \"0600\"}", Prepare: conf, Changes: "attrs"},
		tasktest.Case{Name: "absent", Params: "{path: DIR/conf, regexp: ^#, state: absent}", Prepare: conf, Changes: "write", Diff: "-# head"},
		tasktest.Case{Name: "absent, no file", Params: "{path: DIR/no, regexp: ^#, state: absent}"},
		tasktest.Case{Name: "no file", Params: "{path: DIR/no, line: a}", Error: "there is no file", Missing: true},
		tasktest.Case{Name: "create", Params: "{path: DIR/a/b/new, line: a, create: true, mode: \"0600\"}", Changes: "dir write"},
		tasktest.Case{Name: "empty file", Params: "{path: DIR/e, line: a}", Prepare: func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Dir+"/e", "", 0o600) }, Changes: "write"},
		tasktest.Case{
			Name: "through a symlink", Params: "{path: DIR/l, line: z}", Changes: "write",
			Prepare: func(t *testing.T, h *tasktest.Host) { conf(t, h); require.NoError(t, os.Symlink("conf", h.Dir+"/l")) },
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				require.Equal(t, "# head\nmode=a\nz\n", tasktest.Read(t, h.Dir+"/conf"))
			},
		},
		tasktest.Case{Name: "a folder", Params: "{path: DIR, line: z}", Error: "is a folder"},
	)
}
