package file

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

func put(name, text string, mode os.FileMode) func(*testing.T, *tasktest.Host) {
	return func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, filepath.Join(h.Dir, name), text, mode) }
}

func link(target, name string) func(*testing.T, *tasktest.Host) {
	return func(t *testing.T, h *tasktest.Host) {
		require.NoError(t, os.Symlink(target, filepath.Join(h.Dir, name)))
	}
}

func both(fs ...func(*testing.T, *tasktest.Host)) func(*testing.T, *tasktest.Host) {
	return func(t *testing.T, h *tasktest.Host) {
		for _, f := range fs {
			f(t, h)
		}
	}
}

func hasMode(name string, want os.FileMode) func(*testing.T, *tasktest.Host, map[string]any) {
	return func(t *testing.T, h *tasktest.Host, _ map[string]any) {
		info, err := os.Lstat(filepath.Join(h.Dir, name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode()&^os.ModeDir)
	}
}

func pointsTo(name, want string) func(*testing.T, *tasktest.Host, map[string]any) {
	return func(t *testing.T, h *tasktest.Host, _ map[string]any) {
		got, err := os.Readlink(filepath.Join(h.Dir, name))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestFile(t *testing.T) {
	remote.Run(t, Define(),
		tasktest.Case{Name: "file: nothing asked", Params: "{path: DIR/x}", Prepare: put("x", "a", 0o600)},
		tasktest.Case{Name: "file: mode", Params: "{path: DIR/x, mode: \"0640\"}", Prepare: put("x", "a", 0o600), Changes: "attrs", After: hasMode("x", 0o640)},
		tasktest.Case{Name: "file: setuid", Wire: true, Params: "{path: DIR/x, mode: \"4755\"}", Prepare: put("x", "a", 0o600), Changes: "attrs", After: hasMode("x", 0o755|os.ModeSetuid)},
		tasktest.Case{Name: "file: owner by number", Params: "{path: DIR/x, owner: 0, group: 0}", Prepare: put("x", "a", 0o600)},
		tasktest.Case{Name: "file: through a symlink", Params: "{path: DIR/l, mode: \"0640\"}", Prepare: both(put("x", "a", 0o600), link("x", "l")), Changes: "attrs", After: hasMode("x", 0o640)},
		tasktest.Case{Name: "file: a symlink itself", Params: "{path: DIR/l, mode: \"0640\", follow: false}", Prepare: both(put("x", "a", 0o600), link("x", "l")), Error: "is a symlink"},
		tasktest.Case{Name: "file: not there", Params: "{path: DIR/x, mode: \"0640\"}", Error: "there is no file", Missing: true},
		tasktest.Case{Name: "file: a folder", Params: "{path: DIR, state: file}", Error: "is a folder"},
		tasktest.Case{Name: "no state, a folder", Params: "{path: DIR, mode: \"0711\"}", Changes: "attrs", After: hasMode("", 0o711)},

		tasktest.Case{Name: "directory: new, with parents", Wire: true, Params: "{path: DIR/a/b/, state: directory, mode: \"2750\"}", Changes: "dir", After: hasMode("a/b", 0o750|os.ModeSetgid)},
		tasktest.Case{Name: "directory: there", Params: "{path: DIR, state: directory}"},
		tasktest.Case{Name: "directory: mode", Params: "{path: DIR, state: directory, mode: \"0755\"}", Changes: "attrs"},
		tasktest.Case{Name: "directory: symlink to one", Params: "{path: DIR/l, state: directory}", Prepare: link(".", "l")},
		tasktest.Case{Name: "directory: a file", Params: "{path: DIR/x, state: directory}", Prepare: put("x", "a", 0o600), Error: "is a file, not a folder"},
		tasktest.Case{Name: "recurse: one mode", Params: "{path: DIR/d, recurse: true, mode: \"0750\"}", Prepare: both(put("d/x", "a", 0o600), put("d/e/y", "a", 0o640), link("/etc/passwd", "d/l")), Changes: "attrs attrs attrs attrs", After: hasMode("d/e/y", 0o750)},
		tasktest.Case{Name: "recurse: as it is", Params: "{path: DIR/d, recurse: true, mode: \"0755\"}", Prepare: both(put("d/x", "a", 0o755), link("/etc/passwd", "d/l"))},
		tasktest.Case{Name: "recurse: by letters", Wire: true, Params: "{path: DIR/d, recurse: true, mode: \"u=rwX,go=rX\"}", Prepare: both(put("d/x", "a", 0o600), put("d/e/y", "a", 0o700)), Changes: "attrs attrs", After: hasMode("d/e/y", 0o755)},

		tasktest.Case{
			Name: "recurse: a large tree at once", Params: "{path: DIR/d, recurse: true, mode: \"0700\"}", Changes: "attrs",
			Prepare: func(t *testing.T, h *tasktest.Host) {
				for i := range oneByOne + 1 {
					put(fmt.Sprintf("d/%d", i), "a", 0o600)(t, h)
				}
			},
			After: hasMode("d/7", 0o700), Unforeseen: "the overlay does not know the entries",
		},

		tasktest.Case{Name: "directory: a file among its parents", Params: "{path: DIR/f/a/b, state: directory}", Prepare: put("f", "a", 0o600), Error: "f is in the way"},
		tasktest.Case{Name: "directory: a link to nowhere among its parents", Params: "{path: DIR/l/a, state: directory}", Prepare: link("none", "l"), Error: "none is in the way"},
		tasktest.Case{Name: "link: new", Wire: true, Params: "{path: DIR/l, src: x, state: link}", Prepare: put("x", "a", 0o600), Changes: "link", After: pointsTo("l", "x")},
		tasktest.Case{Name: "link: as it is", Params: "{path: DIR/l, src: x, state: link}", Prepare: both(put("x", "a", 0o600), link("x", "l"))},
		tasktest.Case{Name: "link: another target", Params: "{path: DIR/l, src: DIR/x, state: link}", Prepare: both(put("x", "a", 0o600), link("y", "l")), Changes: "link"},
		tasktest.Case{Name: "link: mode of the target", Params: "{path: DIR/l, src: x, state: link, mode: \"0640\"}", Prepare: put("x", "a", 0o600), Changes: "link attrs", After: hasMode("x", 0o640)},
		tasktest.Case{Name: "link: no target", Params: "{path: DIR/l, src: x, state: link}", Error: "there is no file", Missing: true},
		tasktest.Case{Name: "link: no target, forced", Params: "{path: DIR/l, src: x, state: link, force: true}", Changes: "link", After: pointsTo("l", "x")},
		tasktest.Case{Name: "link: a file in the way", Params: "{path: DIR/l, src: x, state: link}", Prepare: both(put("x", "a", 0o600), put("l", "a", 0o600)), Error: "force: true moves it aside"},
		tasktest.Case{Name: "link: over a file", Params: "{path: DIR/l, src: x, state: link, force: true}", Prepare: both(put("x", "a", 0o600), put("l", "a", 0o600)), Changes: "link", After: pointsTo("l", "x")},
		tasktest.Case{Name: "link: over a full folder", Params: "{path: DIR/l, src: x, state: link, force: true}", Prepare: both(put("x", "a", 0o600), put("l/f", "a", 0o600)), Error: "not empty"},
		tasktest.Case{Name: "link: no folder", Params: "{path: DIR/no/l, src: DIR/x, state: link}", Prepare: put("x", "a", 0o600), Error: "there is no folder", Missing: true},

		tasktest.Case{Name: "hard: new", Params: "{path: DIR/h, src: DIR/x, state: hard}", Prepare: put("x", "a", 0o600), Changes: "link", After: hasMode("h", 0o600), Unforeseen: "an inode that is not there yet has no number"},
		tasktest.Case{Name: "hard: in the way", Params: "{path: DIR/h, src: DIR/x, state: hard}", Prepare: both(put("x", "a", 0o600), put("h", "b", 0o600)), Error: "force: true"},
		tasktest.Case{Name: "hard: no file", Params: "{path: DIR/h, src: DIR/x, state: hard}", Error: "there is no file", Missing: true},

		tasktest.Case{Name: "absent: nothing there", Params: "{path: DIR/x, state: absent}"},
		tasktest.Case{Name: "absent: file", Params: "{path: DIR/x, state: absent}", Prepare: put("x", "a", 0o600), Changes: "remove", After: gone("x")},
		tasktest.Case{Name: "absent: folder", Wire: true, Params: "{path: DIR/d, state: absent}", Prepare: put("d/x", "a", 0o600), Changes: "remove", After: gone("d")},
		tasktest.Case{Name: "absent: the link, not its target", Params: "{path: DIR/l, state: absent}", Prepare: both(put("x", "a", 0o600), link("x", "l")), Changes: "remove", After: hasMode("x", 0o600)},

		tasktest.Case{Name: "touch: new", Params: "{path: DIR/x, state: touch, mode: \"0600\", modification_time: preserve, access_time: preserve}", Changes: "write", After: hasMode("x", 0o600)},
		tasktest.Case{Name: "touch: there, times kept", Params: "{path: DIR/x, state: touch, modification_time: preserve, access_time: preserve}", Prepare: put("x", "a", 0o600)},
		tasktest.Case{
			Name: "touch: there", Params: "{path: DIR/x, state: touch}", Changes: "attrs",
			Prepare: func(t *testing.T, h *tasktest.Host) {
				put("x", "a", 0o600)(t, h)
				require.NoError(t, os.Chtimes(h.Dir+"/x", time.Unix(1, 0), time.Unix(1, 0)))
			},
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				info, err := os.Stat(h.Dir + "/x")
				require.NoError(t, err)
				require.Less(t, time.Since(info.ModTime()), time.Minute)
				require.Equal(t, "file", res["state"])
			},
		},
	)
}

func gone(name string) func(*testing.T, *tasktest.Host, map[string]any) {
	return func(t *testing.T, h *tasktest.Host, res map[string]any) {
		_, err := os.Lstat(filepath.Join(h.Dir, name))
		require.ErrorIs(t, err, os.ErrNotExist)
		require.Equal(t, "absent", res["state"])
	}
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{}":                       `missing "path"`,
		"{path: x}":                "absolute",
		"{path: /, state: absent}": "root folder",
		"{path: /etc/.., recurse: true, mode: 0700, state: link}":     `"recurse" needs "state: directory"`,
		"{path: /x, recurse: true}":                                   `needs "mode"`,
		"{path: /x, src: y}":                                          `needs "state: link"`,
		"{path: /x, state: link}":                                     `needs "src"`,
		"{path: /x, state: hard, src: y}":                             "absolute",
		"{path: /x, state: link, src: y, follow: false, owner: root}": "of a symlink itself",
		"{path: /x, access_time: now}":                                `need "state: touch"`,
		"{path: /x, state: touch, access_time: now}":                  "must be the same",
		"{path: /x, state: directori}":                                `did you mean "directory"?`,
		"{path: /x, mode: 644}":                                       "decimal",
	} {
		t.Run(params, func(t *testing.T) {
			n, err := strictyaml.Parse("f.yml", []byte(params))
			require.NoError(t, err)
			_, err = Define().Decode(n, nil)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestKind(t *testing.T) {
	require.Equal(t, task.Action, Define().Kind(Params{State: "touch"}))
	require.Equal(t, task.State, Define().Kind(Params{State: "touch", ModificationTime: "preserve"}))
	require.Equal(t, task.State, Define().Kind(Params{State: "absent"}))
}
