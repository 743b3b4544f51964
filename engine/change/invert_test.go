package change

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// blobs is a Keeper in memory.
type blobs map[string][]byte

func (b blobs) Blob(data []byte) (string, error) {
	ref := fmt.Sprintf("blob-%d", len(b))
	b[ref] = append([]byte{}, data...)
	return ref, nil
}

func (b blobs) open(ref string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(b[ref]))), nil
}

// journalled is the changes as they come back from JSON without contents.
func journalled(t *testing.T, b blobs, list []Change) []Change {
	t.Helper()
	var out []Change
	for _, c := range list {
		raw, err := Encode(c, EncodeOptions{})
		require.NoError(t, err)
		back, err := Decode(c.Kind(), raw, DecodeOptions{Open: b.open})
		require.NoError(t, err)
		out = append(out, back)
	}
	return out
}

// tree lists all that an undo must bring back: type, mode, owner, content,
// target, which names are one file, extended attributes.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	first := map[uint64]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		require.NoError(t, err)
		st := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%s %s %d:%d", p, info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			require.NoError(t, err)
			line += " " + sum(string(b))
			if at := first[st.Ino]; at != "" {
				line += " = " + at
			}
			first[st.Ino] = p
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			require.NoError(t, err)
			line += " -> " + to
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			x, err := exec.Command("getfattr", "--absolute-names", "-h", "-d", "-m", "-", "--", p).Output()
			require.NoError(t, err)
			line += " " + string(x)
		}
		out = append(out, line)
		return nil
	}))
	return out
}

// starts are what may be at "x" before a change.
func starts() map[string]string {
	return map[string]string{
		"absent":       "",
		"file":         "echo old >x; chmod 640 x; chown 3:4 x",
		"odd mode":     "echo old >x; chown 3:4 x; chmod 6751 x",
		"empty":        ": >x",
		"large":        "head -c 1500000 /dev/zero >x; chmod 600 x",
		"xattr":        "echo old >x; setfattr -n user.dayops -v 1 x",
		"acl":          "echo old >x; chmod 640 x; setfacl -m u:65534:rw x",
		"capabilities": "cp /bin/true x; chmod 755 x; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 x",
		"symlink":      "echo t >t; ln -s t x; chown -h 3:4 x",
		"dangling":     "ln -s /no/such x",
		"folder":       "mkdir -m 2750 x; chown 3:4 x",
		"full folder":  "mkdir x; echo a >x/a; mkdir x/b; chmod 700 x/b; chown 5 x/a; ln -s a x/l; chown -h 6 x/l",
		"folder acl":   "mkdir x; setfacl -d -m u:65534:rx x; setfacl -m u:65534:rwx x",
		"hard link":    "echo old >x; ln x y; chmod 604 x",
		"fifo":         "mkfifo -m 600 x; chown 3 x",
	}
}

// deeds are the changes of x. nil: this kind is not for what is there.
func deeds() map[string]func(dir string, now reader.File) Change {
	return map[string]func(string, reader.File) Change{
		"write": func(d string, now reader.File) Change {
			if now.Type == reader.Directory {
				return nil
			}
			return &Write{Path: d + "/x", Before: now, After: text("new")}
		},
		"write with attributes": func(d string, now reader.File) Change {
			if now.Type == reader.Directory {
				return nil
			}
			return &Write{Path: d + "/x", Before: now, After: text("new"), Attr: Attr{Mode: mode(0o4711), Owner: "8", Group: "daemon"}, Backup: true}
		},
		"attrs": func(d string, now reader.File) Change {
			if !now.Exists || now.Type == reader.Symlink {
				return nil
			}
			return &Attrs{Path: d + "/x", Before: now, Attr: Attr{Mode: mode(0o705), Owner: "9"}}
		},
		"owner": func(d string, now reader.File) Change {
			if !now.Exists {
				return nil
			}
			return &Attrs{Path: d + "/x", Before: now, Attr: Attr{Owner: "9", Group: "9"}}
		},
		"attrs recursive": func(d string, now reader.File) Change {
			if now.Type != reader.Directory {
				return nil
			}
			return &Attrs{Path: d + "/x", Before: now, Attr: Attr{Mode: mode(0o711), Owner: "9"}, Recursive: true}
		},
		"dir": func(d string, now reader.File) Change {
			if now.Exists && now.Type != reader.Directory {
				return nil
			}
			return &Dir{Path: d + "/x", Before: now, Attr: Attr{Mode: mode(0o1777), Group: "7"}}
		},
		"dirs": func(d string, now reader.File) Change {
			if now.Exists && now.Type != reader.Directory {
				return nil
			}
			return &Dir{Path: d + "/x/y " + odd + "/z", Before: reader.File{Path: d + "/x/y " + odd + "/z"}, Attr: Attr{Owner: "5"}}
		},
		"link": func(d string, now reader.File) Change {
			return &Link{Path: d + "/x", Target: "elsewhere", Before: now}
		},
		"hard link": func(d string, now reader.File) Change {
			return &Link{Path: d + "/x", Target: d + "/other", Hard: true, Before: now}
		},
		"move": func(d string, now reader.File) Change {
			if !now.Exists {
				return nil
			}
			return &Move{From: d + "/x", To: d + "/z", Before: now}
		},
		"move over": func(d string, now reader.File) Change {
			if now.Type == reader.Directory {
				return nil
			}
			from := reader.File{Path: d + "/other", Exists: true, Type: reader.Regular, Mode: 0o644, SHA256: sum("other\n")}
			return &Move{From: d + "/other", To: d + "/x", Before: from, Over: &now}
		},
		"remove": func(d string, now reader.File) Change {
			if !now.Exists {
				return nil
			}
			return &Remove{Path: d + "/x", Before: now}
		},
	}
}

func TestInvert(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: changes owners")
	}
	for _, tool := range []string{"getfattr", "setfattr", "setfacl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	for start, script := range starts() {
		for name, deed := range deeds() {
			t.Run(name+" over "+start, func(t *testing.T) {
				t.Parallel()
				h, dir := here(t), t.TempDir()
				sh(t, dir, "echo other >other; chmod 644 other; "+script)
				if c := deed(dir, hash(t, h, dir+"/x")); c != nil {
					thereAndBack(t, h, dir, c)
				}
			})
		}
	}
}

func thereAndBack(t *testing.T, h Host, dir string, c Change) {
	ctx, kept := context.Background(), blobs{}
	before := tree(t, dir)
	inverse, err := Invert(ctx, h, c, kept)
	require.NoError(t, err)
	if _, own := c.(*Attrs); !own || len(tree(t, dir)) != len(before) {
		requireTree(t, before, tree(t, dir), "Invert changed the tree")
	}
	inverse = journalled(t, kept, inverse)
	out, err := Apply(ctx, h, c)
	require.NoError(t, err)
	require.True(t, out.Changed)
	requireWhere(t, h, c, After)
	if w, ok := c.(*Write); !ok || !w.Backup {
		out = Outcome{Changed: true} // as when nobody heard the outcome
	}
	inverse, err = Refine(ctx, h, inverse, c, out)
	require.NoError(t, err)
	require.NotEmpty(t, inverse)
	inverse = journalled(t, kept, inverse)

	var redo [][]Change
	changed := tree(t, dir)
	h.Run = "undo-1"
	for _, back := range inverse {
		requireWhere(t, h, back, Before)
		again, err := Invert(ctx, h, back, kept)
		require.NoError(t, err)
		out, err := Apply(ctx, h, back)
		require.NoError(t, err, back.Summary())
		require.True(t, out.Changed, back.Summary())
		requireWhere(t, h, back, After)
		again, err = Refine(ctx, h, again, back, Outcome{Changed: true})
		require.NoError(t, err)
		redo = append([][]Change{again}, redo...)
	}
	requireTree(t, before, tree(t, dir), "undone")
	requireNoLitter(t, dir)

	h.Run = "redo-1"
	for _, list := range redo {
		for _, c := range journalled(t, kept, list) {
			_, err := Apply(ctx, h, c)
			require.NoError(t, err, c.Summary())
		}
	}
	requireTree(t, changed, tree(t, dir), "done again")
}

func requireTree(t *testing.T, want, got []string, what string) {
	t.Helper()
	require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"), what)
}

// TestInvertMoved: what somebody changed since is left alone and named, unless it is forced.
func TestInvertMoved(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: changes owners")
	}
	for name, spoil := range map[string]string{
		"content":    "echo edited >x",
		"mode":       "chmod 611 x",
		"owner":      "chown -h 77 x",
		"gone":       "rm -rf x",
		"a link":     "rm -rf x; ln -s edited x",
		"a folder":   "rm -rf x; mkdir -m 701 x",
		"not empty":  "mkdir -p x; echo >x/f",
		"moved away": "mv z x",
	} {
		for kind, deed := range deeds() {
			for _, start := range []string{"absent", "file", "symlink", "full folder"} {
				t.Run(kind+" over "+start+", then "+name, func(t *testing.T) {
					t.Parallel()
					h, dir := here(t), t.TempDir()
					sh(t, dir, "echo other >other; chmod 644 other; "+starts()[start])
					if c := deed(dir, hash(t, h, dir+"/x")); c != nil {
						meddled(t, h, dir, c, spoil)
					}
				})
			}
		}
	}
}

func meddled(t *testing.T, h Host, dir string, c Change, spoil string) {
	ctx, kept := context.Background(), blobs{}
	inverse, err := Invert(ctx, h, c, kept)
	require.NoError(t, err)
	out, err := Apply(ctx, h, c)
	require.NoError(t, err)
	inverse, err = Refine(ctx, h, inverse, c, out)
	require.NoError(t, err)
	was := tree(t, dir)
	cmd := exec.Command("sh", "-ec", spoil)
	cmd.Dir = dir
	if cmd.Run() != nil || strings.Join(was, "\n") == strings.Join(tree(t, dir), "\n") {
		return // not possible here
	}
	now := tree(t, dir)
	first := inverse[0]
	where, err := Observe(ctx, h, first)
	require.NoError(t, err)
	out, err = Apply(ctx, h, first)
	var moved *MovedError
	switch {
	case where == Neither || err != nil:
		require.ErrorAs(t, err, &moved)
		require.Contains(t, Touches(first), moved.Path)
		requireTree(t, now, tree(t, dir), "a refused undo changed something")
	case where == After:
		require.False(t, out.Changed)
	default: // of a kind that does not concern the change: content, for attributes
		require.True(t, out.Changed)
		return
	}
	if _, err = Apply(ctx, h, Forced(first)); err != nil {
		var step *StepError
		require.True(t, errors.As(err, &step) || errors.As(err, &moved), "%T %v", err, err) // a folder in the way, nothing to move
	}
}
