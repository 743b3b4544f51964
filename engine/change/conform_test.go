package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// here is this machine as a host; what is moved aside goes to a temporary folder.
func here(t *testing.T) Host {
	t.Helper()
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	return Host{Name: "here", Conn: c, Reader: reader.New(c, ""), Run: "run-1",
		Aside: filepath.Join(t.TempDir(), "aside"), Now: time.Now}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func text(s string) Content { return Content{Size: int64(len(s)), SHA256: sum(s), Bytes: []byte(s)} }

func mode(unix uint32) *fs.FileMode { m := reader.ModeOf(unix); return &m }

func hash(t *testing.T, h Host, path string) reader.File {
	t.Helper()
	f, err := h.look(context.Background(), path)
	require.NoError(t, err)
	return f
}

// scene is one change, made for a folder of its own.
type scene struct {
	name  string
	setup func(dir string) error
	make  func(t *testing.T, h Host, dir string) Change
	paths []string               // compared with what was foreseen
	spoil func(dir string) error // somebody else was here
	aside int
}

func write(name, content string, m fs.FileMode) func(string) error {
	return func(dir string) error {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			return err
		}
		return os.Chmod(p, m)
	}
}

func both(f ...func(string) error) func(string) error {
	return func(dir string) error {
		for _, g := range f {
			if err := g(dir); err != nil {
				return err
			}
		}
		return nil
	}
}

func mkdir(name string) func(string) error {
	return func(dir string) error { return os.Mkdir(filepath.Join(dir, name), 0o755) }
}

func nothing(string) error { return nil }

const odd = "we ird\n-'\"$x"

func scenes() []scene {
	at := filepath.Join
	return []scene{
		{"write new", nothing, func(t *testing.T, h Host, d string) Change {
			return &Write{Path: at(d, odd), Before: hash(t, h, at(d, odd)), After: text("hello\n"), Attr: Attr{Mode: mode(0o4750)}}
		}, []string{odd}, write(odd, "other", 0o600), 0},
		{"write empty", nothing, func(t *testing.T, h Host, d string) Change {
			return &Write{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), After: text("")}
		}, []string{"f"}, write("f", "other", 0o600), 0},
		{"write over", write("f", "old\n", 0o604), func(t *testing.T, h Host, d string) Change {
			return &Write{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), Was: []byte("old\n"), After: text("new"), Backup: true, Attr: Attr{Owner: "0", Group: "root"}}
		}, []string{"f"}, write("f", "other\n", 0o604), 1},
		{"write mode moved", write("f", "old\n", 0o604), func(t *testing.T, h Host, d string) Change {
			return &Write{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), After: text("new")}
		}, []string{"f"}, write("f", "old\n", 0o600), 0},
		{"write large", write("f", "old\n", 0o604), func(t *testing.T, h Host, d string) Change {
			big := string(make([]byte, 300_000))
			src := at(t.TempDir(), "big")
			require.NoError(t, os.WriteFile(src, []byte(big), 0o600))
			return &Write{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), After: Content{Size: int64(len(big)), SHA256: sum(big), Open: opener(src)}}
		}, []string{"f"}, write("f", "x", 0o604), 0},
		{"attrs", write("f", "x", 0o600), func(t *testing.T, h Host, d string) Change {
			return &Attrs{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), Attr: Attr{Mode: mode(0o2755), Owner: "65534", Group: "65534"}}
		}, []string{"f"}, func(d string) error { return os.Chmod(at(d, "f"), 0o666) }, 0},
		{"attrs of a folder", mkdir("f"), func(t *testing.T, h Host, d string) Change {
			return &Attrs{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), Attr: Attr{Mode: mode(0o1777)}}
		}, []string{"f"}, func(d string) error { return os.Chmod(at(d, "f"), 0o700) }, 0},
		{"attrs recursive", both(mkdir("f"), write("f/x", "x", 0o600)), func(t *testing.T, h Host, d string) Change {
			return &Attrs{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), Attr: Attr{Mode: mode(0o750)}, Recursive: true}
		}, []string{"f"}, func(d string) error { return os.Chmod(at(d, "f"), 0o700) }, 0},
		{"dir", nothing, func(t *testing.T, h Host, d string) Change {
			return &Dir{Path: at(d, "a", odd, "c"), Before: hash(t, h, at(d, "a", odd, "c")), Attr: Attr{Mode: mode(0o750)}}
		}, []string{"a/" + odd + "/c"}, func(d string) error { return os.MkdirAll(at(d, "a", odd, "c"), 0o700) }, 0},
		{"dir default", nothing, func(t *testing.T, h Host, d string) Change {
			return &Dir{Path: at(d, "a"), Before: hash(t, h, at(d, "a"))}
		}, []string{"a"}, write("a", "", 0o600), 0},
		{"dir there", mkdir("f"), func(t *testing.T, h Host, d string) Change {
			return &Dir{Path: at(d, "f"), Before: hash(t, h, at(d, "f")), Attr: Attr{Mode: mode(0o700)}}
		}, []string{"f"}, func(d string) error { return os.Chmod(at(d, "f"), 0o711) }, 0},
		{"link", nothing, func(t *testing.T, h Host, d string) Change {
			return &Link{Path: at(d, odd), Target: "-nowhere", Before: hash(t, h, at(d, odd))}
		}, []string{odd}, write(odd, "x", 0o600), 0},
		{"link again", func(d string) error { return os.Symlink("old", at(d, "l")) }, func(t *testing.T, h Host, d string) Change {
			return &Link{Path: at(d, "l"), Target: "/new", Before: hash(t, h, at(d, "l"))}
		}, []string{"l"}, func(d string) error { os.Remove(at(d, "l")); return os.Symlink("other", at(d, "l")) }, 0},
		{"link over a file", write("l", "data", 0o600), func(t *testing.T, h Host, d string) Change {
			return &Link{Path: at(d, "l"), Target: "/new", Before: hash(t, h, at(d, "l"))}
		}, []string{"l"}, write("l", "other", 0o600), 1},
		{"hard link", write("f", "data", 0o600), func(t *testing.T, h Host, d string) Change {
			return &Link{Path: at(d, "l"), Target: at(d, "f"), Hard: true, Before: hash(t, h, at(d, "l"))}
		}, nil, write("l", "other", 0o600), 0},
		{"move", write("-f", "data", 0o640), func(t *testing.T, h Host, d string) Change {
			return &Move{From: at(d, "-f"), To: at(d, odd), Before: hash(t, h, at(d, "-f"))}
		}, []string{"-f", odd}, write("-f", "other", 0o640), 0},
		{"move onto", write("f", "data", 0o640), func(t *testing.T, h Host, d string) Change {
			return &Move{From: at(d, "f"), To: at(d, "g"), Before: hash(t, h, at(d, "f"))}
		}, []string{"f", "g"}, write("g", "x", 0o640), 0},
		{"move a folder", both(mkdir("f"), write("f/x", "x", 0o600)), func(t *testing.T, h Host, d string) Change {
			return &Move{From: at(d, "f"), To: at(d, "g"), Before: hash(t, h, at(d, "f"))}
		}, []string{"f", "g", "f/x", "g/x"}, func(d string) error { return os.Chmod(at(d, "f"), 0o700) }, 0},
		{"remove", write(odd, "data", 0o640), func(t *testing.T, h Host, d string) Change {
			return &Remove{Path: at(d, odd), Before: hash(t, h, at(d, odd))}
		}, []string{odd}, write(odd, "other", 0o640), 1},
		{"remove a folder", both(mkdir("f"), write("f/x", "x", 0o600)), func(t *testing.T, h Host, d string) Change {
			return &Remove{Path: at(d, "f"), Before: hash(t, h, at(d, "f"))}
		}, []string{"f", "f/x"}, func(d string) error { return os.Chmod(at(d, "f"), 0o700) }, 1},
		{"exec with a probe", nothing, func(t *testing.T, h Host, d string) Change {
			return &Exec{Argv: []string{"touch", at(d, "f")}, Done: &Probe{Path: at(d, "f")}}
		}, nil, nil, 0},
		{"exec that removes", write("f", "", 0o600), func(t *testing.T, h Host, d string) Change {
			return &Exec{Argv: []string{"rm", at(d, "f")}, Done: &Probe{Path: at(d, "f"), Absent: true}}
		}, []string{"f"}, nil, 0},
	}
}

func opener(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(name) }
}

// TestConformance: from Before, apply gives After; a second apply does nothing;
// what was foreseen is what is there; where somebody else was, observe says
// Neither and apply refuses.
func TestConformance(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			if os.Getuid() != 0 {
				t.Skip("needs root: changes owners")
			}
			ctx, h, dir := context.Background(), here(t), t.TempDir()
			require.NoError(t, s.setup(dir))
			c := s.make(t, h, dir)
			require.NotContains(t, c.Summary(), "\n")
			require.Equal(t, c.Diff(), c.Diff())
			requireWhere(t, h, c, Before)

			var o Overlay
			Foresee(&o, c)
			over := Over(h.Reader, &o)
			var foreseen []reader.File
			for _, p := range s.paths {
				f, err := over.Hash(ctx, filepath.Join(dir, p))
				require.NoError(t, err)
				foreseen = append(foreseen, f...)
			}
			requireWhere(t, h, c, Before)

			out, err := Apply(ctx, h, c)
			require.NoError(t, err)
			require.True(t, out.Changed)
			require.Len(t, out.Aside, s.aside)
			require.False(t, out.End.Before(out.Start))
			for _, p := range out.Aside {
				require.True(t, hash(t, h, p).Exists, p)
			}
			requireWhere(t, h, c, After)
			for i, p := range s.paths {
				requireForeseen(t, foreseen[i], hash(t, h, filepath.Join(dir, p)))
			}
			again, err := Apply(ctx, h, c)
			require.NoError(t, err)
			require.False(t, again.Changed)
			requireNoLitter(t, dir)
		})
	}
}

func TestConformanceMoved(t *testing.T) {
	for _, s := range scenes() {
		if s.spoil == nil {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if os.Getuid() != 0 {
				t.Skip("needs root: changes owners")
			}
			h, dir := here(t), t.TempDir()
			require.NoError(t, s.setup(dir))
			c := s.make(t, h, dir)
			require.NoError(t, s.spoil(dir))
			requireWhere(t, h, c, Neither)
			before, err := h.Reader.List(context.Background(), dir)
			require.NoError(t, err)
			_, err = Apply(context.Background(), h, c)
			var m *MovedError
			require.ErrorAs(t, err, &m)
			after, err := h.Reader.List(context.Background(), dir)
			require.NoError(t, err)
			require.Equal(t, before, after, "a refused change changed something")
		})
	}
}

func requireWhere(t *testing.T, h Host, c Change, want Where) {
	t.Helper()
	got, err := Observe(context.Background(), h, c)
	require.NoError(t, err)
	require.Equal(t, want.String(), got.String())
}

// requireForeseen compares all that can be known beforehand.
func requireForeseen(t *testing.T, want, got reader.File) {
	t.Helper()
	require.Equal(t, want.Exists, got.Exists, want.Path)
	require.Equal(t, want.Type, got.Type)
	require.Equal(t, want.Target, got.Target)
	require.Equal(t, want.Mode.String(), got.Mode.String())
	require.Equal(t, want.SHA256, got.SHA256)
	if want.Type == reader.Regular {
		require.Equal(t, want.Size, got.Size)
	}
	if want.UID >= 0 {
		require.Equal(t, want.UID, got.UID)
	}
	if want.GID >= 0 {
		require.Equal(t, want.GID, got.GID)
	}
}

func requireNoLitter(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, ".dayops*"))
	require.NoError(t, err)
	require.Empty(t, found)
}
