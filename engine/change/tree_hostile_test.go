package change

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/reader"
)

// liar is a host whose tar is not what it should be.
type liar struct {
	conn.Conn
	tar func(ctx context.Context, c conn.Cmd) (conn.Result, error)
	ask func(c conn.Cmd) // sees every other command
}

func (l *liar) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	if c.Argv[0] == "tar" && l.tar != nil {
		return l.tar(ctx, c)
	}
	if l.ask != nil {
		l.ask(c)
	}
	return l.Conn.Run(ctx, c)
}

func lying(t *testing.T, says func(w io.Writer) int) Host {
	h := localHost(t)
	return hostOver(&liar{Conn: h.Conn, tar: func(_ context.Context, c conn.Cmd) (conn.Result, error) {
		return conn.Result{Code: says(c.Stdout)}, nil
	}})
}

func archive(members ...*tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		_, _ = w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
	}
	_ = w.Close()
	return b.Bytes()
}

func TestHostileStreamsLeaveNothing(t *testing.T) {
	file := func(name string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 2, Mode: 0o644}
	}
	good := archive(file("etc/f"))
	for name, says := range map[string]func(io.Writer) int{
		"a name above":      func(w io.Writer) int { _, _ = w.Write(archive(file("../etc/f"))); return 0 },
		"an absolute name":  func(w io.Writer) int { _, _ = w.Write(archive(file("/etc/f"))); return 0 },
		"a roundabout name": func(w io.Writer) int { _, _ = w.Write(archive(file("etc/../etc/f"))); return 0 },
		"not asked for":     func(w io.Writer) int { _, _ = w.Write(archive(file("etc/f"), file("etc/passwd"))); return 0 },
		"one twice":         func(w io.Writer) int { _, _ = w.Write(archive(file("etc/f"), file("etc/f"))); return 0 },
		"dies in a file":    func(w io.Writer) int { _, _ = w.Write(good[:700]); return 0 },
		"dies between":      func(w io.Writer) int { _, _ = w.Write(good[:1024]); return 0 },
		"nothing":           func(io.Writer) int { return 0 },
		"killed":            func(w io.Writer) int { _, _ = w.Write(good); return 137 },
		"something after":   func(w io.Writer) int { _, _ = w.Write(append(good[:len(good):len(good)], "more"...)); return 0 },
		"no tar at all":     func(w io.Writer) int { _, _ = io.WriteString(w, strings.Repeat("hello ", 999)); return 0 },
		"without end": func(w io.Writer) int {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return 2
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, dir := t.TempDir(), t.TempDir()
			sh(t, root, "mkdir etc; printf xx > etc/f")
			_, err := transfer(Tree{Root: root, Items: []TreeItem{{Path: "/etc/f"}}}, dir).applyTree(t.Context(), lying(t, says))
			require.Error(t, err)
			require.Empty(t, setsIn(t, dir))
			require.Len(t, setsIn(t, root), 1)
		})
	}
}

func TestOtherBytesAreNotKept(t *testing.T) {
	root := t.TempDir()
	sh(t, root, "mkdir etc; printf ab > etc/f; touch -d @7 etc/f")
	for name, members := range map[string][]*tar.Header{
		"other content":        {{Name: "etc/f", Typeflag: tar.TypeReg, Size: 2, Mode: 0o644, ModTime: time.Unix(7, 0)}},
		"other type":           {{Name: "etc/f", Typeflag: tar.TypeSymlink, Linkname: "/"}},
		"a device":             {{Name: "etc/f", Typeflag: tar.TypeBlock}},
		"a dangling hard link": {{Name: "etc/f", Typeflag: tar.TypeLink, Linkname: "etc/shadow"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := lying(t, func(w io.Writer) int { _, _ = w.Write(archive(members...)); return 0 })
			out, err := transfer(Tree{Root: root, Items: []TreeItem{{Path: "/etc/?"}}}, t.TempDir()).applyTree(t.Context(), h)
			require.NoError(t, err)
			require.Contains(t, out.Missed, Missed{"/etc/f", "changed while read, 3 tries"})
		})
	}
}

func TestBusyboxIsRefused(t *testing.T) {
	root, dir, bin := t.TempDir(), t.TempDir(), t.TempDir()
	sh(t, root, "echo x > f")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "tar"), []byte("#!/bin/sh\necho 'tar (busybox) 1.36.1'\n"), 0o755))
	h := localHost(t)
	h.Conn = &envConn{h.Conn, bin}
	_, err := transfer(Tree{Root: root, Items: []TreeItem{{Path: "/f"}}}, dir).applyTree(t.Context(), h)
	require.ErrorContains(t, err, `the host's tar is "tar (busybox) 1.36.1", which cannot keep ACLs and attributes: install GNU tar`)
	require.Empty(t, setsIn(t, dir))
}

// envConn puts a folder in front of PATH.
type envConn struct {
	conn.Conn
	dir string
}

func (e *envConn) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	c.Env = map[string]string{"PATH": e.dir + ":" + os.Getenv("PATH"), "LC_ALL": "C"}
	return e.Conn.Run(ctx, c)
}

func TestAListingThatContradictsItselfIsRefused(t *testing.T) {
	f := func(p string, typ reader.FileType) reader.File {
		return reader.File{Path: p, Exists: true, Type: typ, Target: map[reader.FileType]string{reader.Symlink: "/etc"}[typ]}
	}
	for name, l := range map[string]*fakeLister{
		"below a symlink": {list: []reader.File{f("/r/a", reader.Symlink), f("/r/a/b", reader.Regular)}},
		"below a file":    {list: []reader.File{f("/r/a", reader.Regular), f("/r/a/b", reader.Regular)}},
		"outside":         {list: []reader.File{f("/etc/shadow", reader.Regular)}},
		"dots":            {list: []reader.File{f("/r/a/../../etc/shadow", reader.Regular)}},
	} {
		_, err := ListTree(t.Context(), l, Tree{Root: "/r", Items: []TreeItem{{Path: "/a"}}})
		require.Error(t, err, name)
	}
}

type fakeLister struct{ list []reader.File }

func (l *fakeLister) Stat(_ context.Context, paths ...string) (out []reader.File, _ error) {
	for _, p := range paths {
		out = append(out, reader.File{Path: p, Exists: true, Type: reader.Directory})
	}
	return out, nil
}

func (l *fakeLister) List(context.Context, ...string) ([]reader.File, error) { return l.list, nil }

func TestAFullStoreLeavesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir, root := t.TempDir(), t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skip("needs the right to mount: " + err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	sh(t, root, "head -c 2000000 /dev/urandom > f")
	_, err := transfer(Tree{Root: root, Items: []TreeItem{{Path: "/f"}}}, dir).applyTree(t.Context(), localHost(t))
	require.ErrorContains(t, err, "no space left in "+dir)
	require.Empty(t, setsIn(t, dir))
}

func TestCancelledLeavesNothing(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	sh(t, root, "echo x > f")
	ctx, cancel := context.WithCancel(t.Context())
	h := localHost(t)
	h = hostOver(&liar{Conn: h.Conn, tar: func(ctx context.Context, _ conn.Cmd) (conn.Result, error) {
		cancel()
		<-ctx.Done()
		return conn.Result{}, ctx.Err()
	}})
	_, err := transfer(Tree{Root: root, Items: []TreeItem{{Path: "/f"}}}, dir).applyTree(ctx, h)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, setsIn(t, dir))
}

func sshHost(t *testing.T, s *sshtest.Server) Host {
	t.Helper()
	d := ssh.New(ssh.Options{Home: t.TempDir(), ConfigFile: s.ConfigFile, Agent: "none"})
	t.Cleanup(func() { _ = d.Close() })
	c, err := d.Dial(t.Context(), s.Target("here"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return hostOver(c)
}

func TestTreeOverSSH(t *testing.T) {
	h := sshHost(t, sshtest.Start(t, sshtest.Options{}))
	root := dressed(t)
	trips := 0
	h.Conn = &liar{Conn: h.Conn, ask: func(conn.Cmd) { trips++ }}
	h.Reader = reader.New(h.Conn, "")
	res := backUp(t, h, Tree{Root: root, Items: []TreeItem{{Path: "/etc/origin"}, {Path: "/etc/sysconfig/*"}}})
	require.Empty(t, res.Manifest.Missed)
	require.Equal(t, 5, trips, "items, list, what tar can do, tar, hash")
	got := unpack(t, res.Path)
	sh(t, root, "touch -d @1 etc/origin/node; touch -d @1 "+got+"/etc/origin/node")
	require.Equal(t, describe(t, root, "etc/origin etc/sysconfig/*"), describe(t, got, "etc/origin etc/sysconfig/*"))
}
