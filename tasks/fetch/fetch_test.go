package fetch

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

// elsewhere: a dry run foresees hosts, not the control machine.
const elsewhere = "the file is written on the control machine"

func TestFetch(t *testing.T) {
	file := func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Dir+"/x", "hello", 0o644) }
	remote.Run(t, Define(),
		tasktest.Case{
			Name: "by host", Wire: true, Params: "{src: DIR/x, dest: got}", Prepare: file, Changes: "transfer", Unforeseen: elsewhere,
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				at := h.Local + "/got/here" + h.Dir + "/x"
				require.Equal(t, "hello", tasktest.Read(t, at))
				info, err := os.Stat(at)
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o600), info.Mode())
				require.Equal(t, at, res["dest"])
				require.Equal(t, true, res["exists"])
			},
		},
		tasktest.Case{
			Name: "flat, into a folder", Params: "{src: DIR/x, dest: got/, flat: true}", Prepare: file, Changes: "transfer", Unforeseen: elsewhere,
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				require.Equal(t, "hello", tasktest.Read(t, h.Local+"/got/x"))
			},
		},
		tasktest.Case{
			Name: "flat, a name", Params: "{src: DIR/x, dest: \"{{y}}\", flat: true}", Prepare: file, Changes: "transfer", Unforeseen: elsewhere,
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) { tasktest.Read(t, h.Local+"/{{y}}") },
		},
		tasktest.Case{
			Name: "here already", Params: "{src: DIR/x, dest: y, flat: true}",
			Prepare: func(t *testing.T, h *tasktest.Host) { file(t, h); tasktest.Write(t, h.Local+"/y", "hello", 0o600) },
		},
		tasktest.Case{
			Name: "another one here", Params: "{src: DIR/x, dest: y, flat: true}", Changes: "transfer", Unforeseen: elsewhere,
			Prepare: func(t *testing.T, h *tasktest.Host) { file(t, h); tasktest.Write(t, h.Local+"/y", "old", 0o600) },
		},
		tasktest.Case{
			Name: "through a symlink", Params: "{src: DIR/l, dest: y, flat: true}", Changes: "transfer", Unforeseen: elsewhere,
			Prepare: func(t *testing.T, h *tasktest.Host) { file(t, h); require.NoError(t, os.Symlink("x", h.Dir+"/l")) },
		},
		tasktest.Case{Name: "missing", Params: "{src: DIR/no, dest: got}", Error: "there is no file", Missing: true},
		tasktest.Case{Name: "missing is well", Params: "{src: DIR/no, dest: got, fail_on_missing: false}"},
		tasktest.Case{Name: "a folder", Params: "{src: DIR, dest: got}", Error: "only files"},
		tasktest.Case{Name: "onto a folder here", Params: "{src: DIR/x, dest: LOCAL, flat: true}", Prepare: file, Error: "is a folder here"},
	)
}

func TestLocalName(t *testing.T) {
	for _, c := range []struct {
		p          Params
		host, want string
	}{
		{Params{Src: "/etc/x", Dest: dest("d")}, "h1", "d/h1/etc/x"},
		{Params{Src: "/etc/x", Dest: dest("/d/")}, "h1", "/d/h1/etc/x"},
		{Params{Src: "/../../etc/x", Dest: dest("d")}, "h1", "d/h1/etc/x"},
		{Params{Src: "/x", Dest: dest("d")}, "../..", "d/.._../x"},
		{Params{Src: "/x", Dest: dest("d")}, "..", "d/_../x"},
		{Params{Src: "/a/../x", Dest: dest("d/"), Flat: true}, "h", "d/x"},
		{Params{Src: "/x", Dest: dest("d"), Flat: true}, "h", "d"},
	} {
		require.Equal(t, c.want, c.p.LocalName(c.host))
	}
}

func dest(name string) task.LocalDest { return task.LocalDest{Name: name} }
