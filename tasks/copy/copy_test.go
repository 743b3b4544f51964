package copy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

func TestCopy(t *testing.T) {
	write := tasktest.Write
	cases := []tasktest.Case{
		{
			Name: "new file from text", Wire: true, Params: "{content: \"a\\nb\\n\", dest: DIR/x}", Changes: "write", Diff: "+a\n+b\n",
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				require.Equal(t, "a\nb\n", tasktest.Read(t, h.Dir+"/x"))
				mode(t, h.Dir+"/x", 0o644)
				require.Equal(t, h.Dir+"/x", res["dest"])
				require.EqualValues(t, 4, res["size"])
			},
		},
		{Name: "empty text", Params: "{content: \"\", dest: DIR/x}", Changes: "write"},
		{
			Name: "same already", Params: "{content: a, dest: DIR/x}",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Dir+"/x", "a", 0o600) },
		},
		{
			Name: "keeps the mode of an existing file", Params: "{content: b, dest: DIR/x}", Changes: "write", Diff: "-a",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Dir+"/x", "a", 0o640) },
			After:   func(t *testing.T, h *tasktest.Host, _ map[string]any) { mode(t, h.Dir+"/x", 0o640) },
		},
		{
			Name: "only the mode differs", Params: "{content: a, dest: DIR/x, mode: \"0600\"}", Changes: "attrs",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Dir+"/x", "a", 0o644) },
			After:   func(t *testing.T, h *tasktest.Host, _ map[string]any) { mode(t, h.Dir+"/x", 0o600) },
		},
		{
			Name: "symbolic mode of a new file", Params: "{content: a, dest: DIR/x, mode: \"u+x,go=\"}", Changes: "write",
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) { mode(t, h.Dir+"/x", 0o700) },
		},
		{
			Name: "backup", Wire: true, Params: "{content: b, dest: DIR/x, backup: true}", Changes: "write",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Dir+"/x", "a", 0o640) },
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				all, err := filepath.Glob(h.Dir + "/x.*")
				require.NoError(t, err)
				require.Len(t, all, 1)
				require.Equal(t, "a", tasktest.Read(t, all[0]))
			},
		},
		{
			Name: "force false leaves a file", Params: "{content: b, dest: DIR/x, force: false}",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Dir+"/x", "a", 0o640) },
		},
		{Name: "force false writes a new file", Params: "{content: b, dest: DIR/x, force: false}", Changes: "write"},
		{
			Name: "from a file, into a folder", Params: "{src: sub/motd, dest: DIR, mode: preserve}", Changes: "write", Diff: "+hello",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Local+"/sub/motd", "hello\n", 0o750) },
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				require.Equal(t, "hello\n", tasktest.Read(t, h.Dir+"/motd"))
				mode(t, h.Dir+"/motd", 0o750)
				require.Equal(t, h.Local+"/sub/motd", res["src"])
			},
		},
		{
			Name: "into a folder that is made", Params: "{src: motd, dest: DIR/new/, directory_mode: \"0700\"}", Changes: "dir write",
			Prepare: func(t *testing.T, h *tasktest.Host) { write(t, h.Local+"/motd", "hello\n", 0o644) },
			After:   func(t *testing.T, h *tasktest.Host, _ map[string]any) { mode(t, h.Dir+"/new", 0o700) },
		},
		{
			Name: "large and binary", Params: "{src: big, dest: DIR/big}", Changes: "write",
			Prepare: func(t *testing.T, h *tasktest.Host) {
				write(t, h.Local+"/big", strings.Repeat("\x00\xff0123456", 1<<18), 0o644)
				write(t, h.Dir+"/big", strings.Repeat("z", 1<<21), 0o644)
			},
		},
		{
			Name: "odd names", Wire: true, Params: "{content: a, dest: \"DIR/a b'c\\n$(x): é\"}", Changes: "write",
		},
		{
			Name: "a symlink is replaced", Params: "{content: b, dest: DIR/l}", Changes: "write",
			Prepare: func(t *testing.T, h *tasktest.Host) {
				write(t, h.Dir+"/x", "a", 0o600)
				require.NoError(t, os.Symlink("x", h.Dir+"/l"))
			},
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				require.Equal(t, "a", tasktest.Read(t, h.Dir+"/x"))
				mode(t, h.Dir+"/l", 0o644)
			},
		},
		{
			Name: "a symlink is followed", Params: "{content: b, dest: DIR/l, follow: true}", Changes: "write",
			Prepare: func(t *testing.T, h *tasktest.Host) {
				write(t, h.Dir+"/d/x", "a", 0o600)
				require.NoError(t, os.Symlink("d/../d/x", h.Dir+"/l"))
			},
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				require.Equal(t, "b", tasktest.Read(t, h.Dir+"/d/x"))
				_, err := os.Readlink(h.Dir + "/l")
				require.NoError(t, err)
			},
		},
		{
			Name: "a folder", Wire: true, Params: "{src: tree, dest: DIR, mode: \"0600\"}", Changes: "dir dir write write",
			Prepare: tree,
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				require.Equal(t, "two", tasktest.Read(t, h.Dir+"/tree/sub/b"))
				mode(t, h.Dir+"/tree/sub/b", 0o600)
				mode(t, h.Dir+"/tree/sub", 0o755)
				require.Equal(t, h.Dir+"/tree", res["dest"])
			},
		},
		{
			Name: "what is in a folder", Params: "{src: tree/, dest: DIR}", Changes: "dir write write",
			Prepare: tree,
			After: func(t *testing.T, h *tasktest.Host, _ map[string]any) {
				require.Equal(t, "two", tasktest.Read(t, h.Dir+"/sub/b"))
			},
		},
		{Name: "no folder to lie in", Params: "{content: a, dest: DIR/no/x}", Error: "there is no folder", Missing: true},
		{Name: "text onto a folder", Params: "{content: a, dest: DIR}", Error: "is a folder: name the file"},
		{
			Name: "onto a fifo", Params: "{content: a, dest: DIR/f}", Error: "is a fifo",
			Prepare: func(t *testing.T, h *tasktest.Host) { fifo(t, h.Dir+"/f") },
		},
		{
			Name: "a folder onto a file", Params: "{src: tree, dest: DIR}", Error: "is a file, not a folder",
			Prepare: func(t *testing.T, h *tasktest.Host) { tree(t, h); write(t, h.Dir+"/tree", "a", 0o600) },
		},
		{
			Name: "a ring of symlinks", Params: "{content: a, dest: DIR/l}", Error: "symlinks in a row",
			Prepare: func(t *testing.T, h *tasktest.Host) { require.NoError(t, os.Symlink("l", h.Dir+"/l")) },
		},
	}
	remote.Run(t, Define(), cases...)
}

func tree(t *testing.T, h *tasktest.Host) {
	tasktest.Write(t, h.Local+"/tree/a", "one", 0o644)
	tasktest.Write(t, h.Local+"/tree/sub/b", "two", 0o755)
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, want, info.Mode().Perm())
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{dest: /x}":                              `give "src" or "content"`,
		"{src: a, content: b, dest: /x}":          "exclude each other",
		"{content: a}":                            `missing "dest"`,
		"{content: a, dest: x}":                   "absolute path",
		"{content: a, dest: ~/x}":                 "starts with ~",
		"{content: a, dest: /x/}":                 "names a file",
		"{content: a, dest: /x, mode: 644}":       "decimal",
		"{content: a, dest: /x, mode: preserve}":  `needs "src"`,
		"{content: a, dest: /x, remote_src: yes}": `unknown key "remote_src"`,
		"{content: {a: b}, dest: /x}":             "content",
		"src=a dest=b":                            "map",
	} {
		t.Run(params, func(t *testing.T) {
			n, err := strictyaml.Parse("f.yml", []byte(params))
			require.NoError(t, err)
			_, err = Define().Decode(n, nil)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestDefinition(t *testing.T) {
	require.Equal(t, task.State, Define().Kind(Params{}))
}
