package template

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks/tasktest"
)

func TestTemplate(t *testing.T) {
	source := func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Local+"/ntp.conf.j2", "server a\n", 0o644) }
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{
			Name: "new", Params: "{src: ntp.conf.j2, dest: DIR/ntp.conf, mode: \"0600\"}", Prepare: source, Changes: "write", Diff: "+server a",
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				require.Equal(t, "server a\n", tasktest.Read(t, h.Dir+"/ntp.conf"))
				require.Equal(t, h.Dir+"/ntp.conf", res["dest"])
				require.Len(t, res["checksum"], 64)
			},
		},
		tasktest.Case{
			Name: "into a folder", Params: "{src: ntp.conf.j2, dest: DIR}", Prepare: source, Changes: "write",
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) { tasktest.Read(t, h.Dir+"/ntp.conf.j2") },
		},
		tasktest.Case{
			Name: "as it is", Params: "{src: ntp.conf.j2, dest: DIR/x}",
			Prepare: func(t *testing.T, h *tasktest.Host) { source(t, h); tasktest.Write(t, h.Dir+"/x", "server a\n", 0o600) },
		},
		tasktest.Case{
			Name: "replaces, mode by letters", Params: "{src: ntp.conf.j2, dest: DIR/x, mode: g+r, backup: true}", Changes: "write", Diff: "-old",
			Prepare: func(t *testing.T, h *tasktest.Host) { source(t, h); tasktest.Write(t, h.Dir+"/x", "old\n", 0o600) },
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				info, err := os.Stat(h.Dir + "/x")
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o640), info.Mode())
			},
		},
		tasktest.Case{
			Name: "force false", Params: "{src: ntp.conf.j2, dest: DIR/x, force: false}",
			Prepare: func(t *testing.T, h *tasktest.Host) { source(t, h); tasktest.Write(t, h.Dir+"/x", "old\n", 0o600) },
		},
		tasktest.Case{Name: "no folder", Params: "{src: ntp.conf.j2, dest: DIR/no/x}", Prepare: source, Error: "there is no folder", Missing: true},
	)
}
