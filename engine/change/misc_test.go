package change

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

func TestDiffs(t *testing.T) {
	old := reader.File{Exists: true, Type: reader.Regular, Size: 10, Mode: 0o644, Owner: "root", Group: "root", SHA256: sum("a")}
	for _, tt := range []struct {
		c    Change
		want string
	}{
		{&Write{Path: "/f", Before: old, Was: []byte("one\ntwo\n"), After: text("one\n2\n")}, "--- before: /f\n+++ after: /f\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"},
		{&Write{Path: "/f", Before: old, Was: []byte("one"), After: text("one\n")}, "--- before: /f\n+++ after: /f\n@@ -1 +1 @@\n-one\n\\ No newline at end of file\n+one\n"},
		{&Write{Path: "/f", After: text("new")}, "--- before: /f\n+++ after: /f\n@@ -0,0 +1 @@\n+new\n\\ No newline at end of file\n"},
		{&Write{Path: "/f", Before: old, Was: []byte("a\x00b"), After: text("text")}, "binary, 10 bytes -> 4 bytes\n"},
		{&Write{Path: "/f", After: text("\xff")}, "binary, 1 bytes\n"},
		{&Write{Path: "/f", Before: old, After: text("text")}, "large, 10 bytes -> 4 bytes\n"},
		{&Write{Path: "/f", Before: old, Was: []byte("x"), After: text("text"), Hide: true}, ""},
		{&Attrs{Path: "/f", Before: old, Attr: Attr{Mode: mode(0o600)}}, "--- before: /f\n+++ after: /f\n@@ -1,3 +1,3 @@\n-mode: 0644\n+mode: 0600\n owner: root\n group: root\n"},
		{&Dir{Path: "/d", Attr: Attr{Owner: "etcd"}}, "--- before: /d\n+++ after: /d\n@@ -0,0 +1,2 @@\n+mode: 0755\n+owner: etcd\n"},
		{&Link{Path: "/l", Target: "/t"}, "--- before: /l\n+++ after: /l\n@@ -0,0 +1 @@\n+target: /t\n"},
	} {
		require.Equal(t, tt.want, tt.c.Diff(), tt.c.Summary())
	}
}

func TestSummaries(t *testing.T) {
	evil := "/x\n\x1b[2Jy"
	file := reader.File{Exists: true, Type: reader.Regular, Size: 3, Mode: 0o644, Owner: "root", Group: "root"}
	on := true
	for want, c := range map[string]Change{
		`write /x\n\x1b[2Jy (new, 5 bytes, mode 0600)`:                              &Write{Path: evil, After: text("12345"), Attr: Attr{Mode: mode(0o600)}},
		`write /f (3 -> 5 bytes, owner root -> etcd)`:                               &Write{Path: "/f", Before: file, After: text("12345"), Attr: Attr{Owner: "etcd", Group: "root"}},
		`set /f and all below (mode 0644 -> 0600)`:                                  &Attrs{Path: "/f", Before: file, Attr: Attr{Mode: mode(0o600)}, Recursive: true},
		`make the folder /x\n\x1b[2Jy (mode 0700)`:                                  &Dir{Path: evil, Attr: Attr{Mode: mode(0o700)}},
		`link /l to /x\n\x1b[2Jy`:                                                   &Link{Path: "/l", Target: evil},
		`move /x\n\x1b[2Jy to /y`:                                                   &Move{From: evil, To: "/y"},
		`remove /x\n\x1b[2Jy (a file, moved aside)`:                                 &Remove{Path: evil, Before: file},
		`enable, start etcd`:                                                        &Unit{Name: "etcd", Active: &on, Enabled: &on},
		`daemon-reload`:                                                             &Unit{DaemonReload: true},
		`start etcd, unless there is /d/restored`:                                   &Unit{Name: "etcd", Active: &on, Unless: "/d/restored"},
		`restart etcd`:                                                              &Unit{Name: "etcd", Restart: true},
		`install chrony, remove ntp (apt)`:                                          &Package{Manager: "apt", Install: []string{"chrony"}, Remove: []string{"ntp"}},
		`run sh -c 'rm it; echo \x1b[2J'`:                                           &Exec{Argv: []string{"sh", "-c", "rm it; echo \x1b[2J"}},
		`wait for port 22 to match ^SSH, at most 2s`:                                &Wait{Port: 22, Match: "^SSH", Limit: 2 * time.Second},
		`bring /f to /tmp/x\n\x1b[2Jy`:                                              &Transfer{FromFile: &reader.File{Path: "/f"}, ToLocal: "/tmp" + evil},
		`write /f (in place of a symlink, 5 bytes, the old file is kept beside it)`: &Write{Path: "/f", Before: reader.File{Exists: true, Type: reader.Symlink}, After: text("12345"), Backup: true},
	} {
		require.Equal(t, want, c.Summary())
		require.NotEmpty(t, c.Reversal().Why)
		require.NotEmpty(t, c.Kind())
	}
}

func TestRisk(t *testing.T) {
	on, off := true, false
	running := reader.Unit{LoadState: "loaded", ActiveState: "active"}
	stopped := reader.Unit{LoadState: "loaded", ActiveState: "inactive"}
	for _, tt := range []struct {
		u    Unit
		want Risk
	}{
		{Unit{Name: "etcd", Restart: true, Before: running}, Disruptive},
		{Unit{Name: "etcd.service", Restart: true}, Disruptive},
		{Unit{Name: "etcd", Restart: true, Before: stopped}, Safe},
		{Unit{Name: "etcd", Active: &on, Before: stopped}, Safe},
		{Unit{Name: "etcd", Active: &off, Before: running}, Disruptive},
		{Unit{Name: "etcd", Active: &off, Before: stopped}, Safe},
		{Unit{Name: "etcd", Enabled: &off, Before: running}, Safe},
		{Unit{Name: "etcd2.service", Active: &off, Before: running}, Disruptive}, // an alias
		{Unit{Name: "etcd@m1", Restart: true, Before: running}, Disruptive},
		{Unit{Name: "etcd-backup.timer", Active: &off, Before: running}, Safe},
		{Unit{Name: "haproxy", Reload: true, Before: running}, Safe},
		{Unit{Name: "atomic-openshift-master-api", Restart: true, Before: running}, Disruptive},
		{Unit{Name: "chronyd", Restart: true, Before: running}, Safe},
		{Unit{Name: "ssh.socket", Active: &off, Before: running}, Disruptive},
	} {
		require.Equal(t, tt.want.String(), tt.u.Risk().String(), "%+v", tt.u)
	}
	ssh := reader.Package{Name: "openssh-server", Version: "1"}
	require.Equal(t, Disruptive, (&Package{Manager: "apt", Install: []string{"openssh-server"}, Latest: true, Before: []reader.Package{ssh}}).Risk())
	require.Equal(t, Safe, (&Package{Manager: "apt", Install: []string{"etcd"}}).Risk())
	require.Equal(t, Disruptive, (&Exec{Class: Disruptive}).Risk())
}

func TestAside(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	list, err := ListAside(ctx, h)
	require.NoError(t, err)
	require.Empty(t, list)
	for i, name := range []string{odd, "second"} {
		require.NoError(t, write(name, "data", 0o640)(dir))
		p := filepath.Join(dir, name)
		out, err := Apply(ctx, h, &Remove{Path: p, Before: hash(t, h, p)})
		require.NoError(t, err)
		require.Equal(t, []string{filepath.Join(h.Aside, "run-1", []string{"1", "2"}[i], "data")}, out.Aside)
	}
	info, err := os.Stat(h.Aside)
	require.NoError(t, err)
	require.Equal(t, "drwx------", info.Mode().String())
	list, err = ListAside(ctx, h)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, filepath.Join(dir, odd), list[0].Path)
	require.WithinDuration(t, time.Now(), list[0].Time, time.Minute)
	require.Positive(t, list[0].Size)
	got, err := os.ReadFile(list[0].Data)
	require.NoError(t, err)
	require.Equal(t, "data", string(got))
	require.Error(t, PurgeAside(ctx, h, ".."))
	require.Error(t, PurgeAside(ctx, h, "other-run"))
	require.NoError(t, PurgeAside(ctx, h, "run-1"))
	list, err = ListAside(ctx, h)
	require.NoError(t, err)
	require.Empty(t, list)
}

// Moving aside to another file system copies, and keeps what a copy can lose.
func TestAsideOtherFileSystem(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	shm, err := os.MkdirTemp("/dev/shm", "dayops-")
	if err != nil {
		t.Skip("needs /dev/shm")
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	h.Aside = shm + "/aside"
	require.NoError(t, both(mkdir("d"), write("d/x", "data", 0o640))(dir))
	require.NoError(t, os.Symlink("x", dir+"/d/l"))
	require.NoError(t, os.Link(dir+"/d/x", dir+"/d/y"))
	out, err := Apply(ctx, h, &Remove{Path: dir + "/d", Before: hash(t, h, dir+"/d")})
	require.NoError(t, err)
	files, err := h.Reader.List(ctx, out.Aside[0])
	require.NoError(t, err)
	require.Len(t, files, 4)
	require.NoFileExists(t, dir+"/d")
	require.Equal(t, 2, hash(t, h, out.Aside[0]+"/x").Links)
}

func TestTransferFile(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	require.NoError(t, write(odd, "data", 0o640)(dir))
	from := hash(t, h, filepath.Join(dir, odd))
	var done, total int64
	h.Progress = func(d, n int64) { done, total = d, n }
	c := &Transfer{FromFile: &from, ToLocal: filepath.Join(dir, "sub", "copy")}
	requireWhere(t, h, c, Before)
	out, err := Apply(ctx, h, c)
	require.NoError(t, err)
	require.True(t, out.Changed)
	require.Equal(t, []int64{4, 4}, []int64{done, total})
	info, err := os.Stat(c.ToLocal)
	require.NoError(t, err)
	require.Equal(t, "-rw-------", info.Mode().String())
	requireWhere(t, h, c, After)
	out, err = Apply(ctx, h, c)
	require.NoError(t, err)
	require.False(t, out.Changed)

	require.NoError(t, write(odd, "other", 0o640)(dir))
	requireWhere(t, h, c, Neither)
	_, err = Apply(ctx, h, c)
	var m *MovedError
	require.ErrorAs(t, err, &m)
	require.Equal(t, "content", m.What)
	for _, bad := range []*Transfer{{}, {FromFile: &from}, {FromFile: &from, ToLocal: "relative"}, {FromFile: &reader.File{Path: "/x", Type: reader.Fifo}, ToLocal: "/y"}} {
		_, err := Apply(ctx, h, bad)
		require.ErrorIs(t, err, errTransfer)
	}
}

// forger sends other bytes than the host's checksum promised.
type forger struct {
	conn.Conn
	text string
}

func (l forger) Get(_ context.Context, _, _ string, w io.Writer) (int64, error) {
	n, err := io.Copy(w, strings.NewReader(l.text))
	return n, err
}

func TestTransferLies(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	require.NoError(t, write("f", "data", 0o640)(dir))
	from := hash(t, h, dir+"/f")
	for text, want := range map[string]string{"Data": "content was", "data and more": "more than the 4 bytes", "": "content was"} {
		h.Conn = forger{h.Conn, text}
		_, err := Apply(ctx, h, &Transfer{FromFile: &from, ToLocal: dir + "/out/copy"})
		require.ErrorContains(t, err, want)
		left, err := os.ReadDir(dir + "/out")
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestWait(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("HELLO there\n"))
			c.Close()
		}
	}()
	quick := func(w Wait) *Wait { w.Limit, w.Every = 30*time.Second, 20*time.Millisecond; return &w }
	for _, w := range []*Wait{quick(Wait{Port: port}), quick(Wait{Port: port, Match: "^HELLO"}), quick(Wait{Path: dir, Delay: time.Millisecond}), quick(Wait{Path: dir + "/none", Gone: true})} {
		_, err = Apply(ctx, h, w)
		require.NoError(t, err, w.Summary())
	}
	listener.Close()
	_, err = Apply(ctx, h, quick(Wait{Port: port, Gone: true}))
	require.NoError(t, err)
	time.AfterFunc(150*time.Millisecond, func() { os.WriteFile(dir+"/ready", []byte("a\nready now\n"), 0o600) })
	_, err = Apply(ctx, h, quick(Wait{Path: dir + "/ready", Match: "^ready"}))
	require.NoError(t, err)

	short := &Wait{Port: port, Limit: 300 * time.Millisecond, Every: 50 * time.Millisecond}
	start := time.Now()
	_, err = Apply(ctx, h, short)
	var we *WaitError
	require.ErrorAs(t, err, &we)
	require.Equal(t, "nothing accepts connections", we.Last)
	require.Less(t, time.Since(start), 20*time.Second)
	_, err = Apply(ctx, h, &Wait{Path: dir})
	require.ErrorIs(t, err, errNoLimit)
	stopped, cancel := context.WithCancel(ctx)
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err = Apply(stopped, h, &Wait{Path: dir + "/none", Limit: time.Minute})
	require.ErrorIs(t, err, context.Canceled)
}

func TestExec(t *testing.T) {
	ctx, h := context.Background(), here(t)
	out, err := Apply(ctx, h, &Exec{Argv: []string{"sh", "-c", "cat; echo $X; exit 7"}, Stdin: []byte("in "), Env: map[string]string{"X": "env"}})
	require.NoError(t, err)
	require.Equal(t, 7, out.Exec.Code)
	require.Equal(t, "in env\n", out.Exec.Stdout.String())
	_, err = Apply(ctx, h, &Exec{Argv: []string{"sleep", "20"}, Limit: 50 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	out, err = Apply(ctx, h, &Exec{Argv: []string{"false"}, Done: &Probe{Argv: []string{"test", "-e", "/"}}})
	require.NoError(t, err)
	require.False(t, out.Changed)
}

func TestRefusedPaths(t *testing.T) {
	h := here(t)
	for _, p := range []string{"", "/", "//", "relative", "/a\x00b"} {
		for _, c := range []Change{&Write{Path: p}, &Attrs{Path: p}, &Dir{Path: p}, &Link{Path: p}, &Move{From: p, To: "/x"}, &Move{From: "/x", To: p}, &Remove{Path: p}} {
			_, err := Apply(context.Background(), h, c)
			require.Error(t, err, "%s %q", c.Kind(), p)
		}
	}
	bad := Attr{Owner: "-R"}
	_, err := Apply(context.Background(), h, &Dir{Path: filepath.Join(t.TempDir(), "x"), Attr: bad})
	require.ErrorContains(t, err, "no name of an account")
	m := os.FileMode(0o4755)
	_, err = Apply(context.Background(), h, &Write{Path: filepath.Join(t.TempDir(), "x"), Attr: Attr{Mode: &m}})
	require.ErrorContains(t, err, "no mode")
}

func TestDirParents(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o711))
	_, err := Apply(ctx, h, &Dir{Path: dir + "/a/b/c", Attr: Attr{Mode: mode(0o750)}})
	require.NoError(t, err)
	for p, want := range map[string]string{"": "0711", "/a": "0750", "/a/b": "0750", "/a/b/c": "0750"} {
		require.Equal(t, want, reader.Octal(hash(t, h, dir+p).Mode), p)
	}
	_, err = Apply(ctx, h, &Dir{Path: dir + "/f/x"})
	require.NoError(t, err)
	require.NoError(t, write("file", "", 0o600)(dir))
	_, err = Apply(ctx, h, &Dir{Path: dir + "/file/x"})
	require.ErrorContains(t, err, "/file is in the way")
}

func FuzzAside(f *testing.F) {
	f.Add("/base\x00run/1\x004\x00time: 2026-11-22T02:33:07Z\npath: /a%20b\x00")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseAside(s)
		for _, e := range list {
			if err == nil && !strings.HasPrefix(e.Data, "/") {
				t.Fatal(e)
			}
		}
	})
}

// A manager that was ended half way has done some of it: the rest is still to do.
func TestPackageHalfway(t *testing.T) {
	a, b, c := reader.Package{Name: "a", Version: "1"}, reader.Package{Name: "b", Version: "1"}, reader.Package{Name: "c", Version: "1"}
	newer := reader.Package{Name: "a", Version: "2"}
	p := &Package{Manager: "apt", Install: []string{"a=2", "n"}, Remove: []string{"b", "c"}, Before: []reader.Package{a, b, c}}
	for _, tt := range []struct {
		now   []reader.Package
		moved string
	}{
		{[]reader.Package{a, b, c}, ""},
		{[]reader.Package{newer, b, c}, ""},
		{[]reader.Package{newer, c}, ""},
		{[]reader.Package{newer, {Name: "n", Version: "7"}, b, c}, ""},
		{[]reader.Package{{Name: "a", Version: "3"}, b, c}, "a"},
		{[]reader.Package{a, b, {Name: "c", Version: "2"}}, "c"},
		{[]reader.Package{b, c}, "a"},
	} {
		err := p.moved(tt.now)
		if tt.moved == "" {
			require.NoError(t, err)
			continue
		}
		var m *MovedError
		require.ErrorAs(t, err, &m)
		require.Equal(t, tt.moved, m.Path)
	}
}
