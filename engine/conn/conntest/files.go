package conntest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func get(t *testing.T, c conn.Conn) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{"empty": {}, "a b'\"$x\n-é": []byte("text"), "large": pattern(5<<20 + 3), "-n": {0, 1, '\r', '\n', 0xff}} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, content, 0o600))
		var b bytes.Buffer
		n, err := c.Get(t.Context(), "", file, &b)
		require.NoError(t, err, name)
		require.Equal(t, int64(len(content)), n)
		require.True(t, bytes.Equal(content, b.Bytes()), name)
	}
	require.NoError(t, os.Symlink("large", filepath.Join(dir, "link")))
	n, err := c.Get(t.Context(), "", filepath.Join(dir, "link"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, int64(5<<20+3), n)

	var b bytes.Buffer
	_, err = c.Get(t.Context(), "", "/proc/version", &b) // its size is said to be 0
	require.NoError(t, err)
	require.Contains(t, b.String(), "Linux")

	_, err = c.Get(t.Context(), "", filepath.Join(dir, "none"), io.Discard)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Contains(t, err.Error(), filepath.Join(dir, "none"))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for _, odd := range []string{"fifo", "."} {
		_, err = c.Get(t.Context(), "", dir+"/"+odd, io.Discard)
		require.ErrorContains(t, err, "ot a regular file")
	}
	broken := errors.New("the disk is full")
	_, err = c.Get(t.Context(), "", filepath.Join(dir, "large"), failing{broken})
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.Get(ctx, "", filepath.Join(dir, "large"), slow{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = c.Get(t.Context(), "", filepath.Join(dir, "large"), io.Discard)
	require.NoError(t, err, "the connection is still good")
}

type slow struct{}

func (slow) Write(p []byte) (int, error) { time.Sleep(100 * time.Millisecond); return len(p), nil }

func put(t *testing.T, c conn.Conn) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{"empty": {}, "a b'\"$x\n-é": []byte("text\x00\r\n"), "large": pattern(5<<20 + 3), "-n": pattern(64 << 10), "more": pattern(64<<10 + 1)} {
		for _, known := range []bool{true, false} {
			p := conn.Put{Path: filepath.Join(dir, name), Mode: 0o640, Size: -1}
			if known {
				sum := sha256.Sum256(content)
				p.Mode, p.Size, p.SHA256 = 0o604, int64(len(content)), hex.EncodeToString(sum[:])
			}
			require.NoError(t, c.Put(t.Context(), p, bytes.NewReader(content)), name)
			requireFile(t, p.Path, content, p.Mode)
		}
	}
	special := conn.Put{Path: filepath.Join(dir, "suid"), Mode: 0o755 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, Size: -1}
	require.NoError(t, c.Put(t.Context(), special, strings.NewReader("x")))
	requireFile(t, special.Path, []byte("x"), special.Mode)

	// A symlink is replaced, also one to a folder.
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	for link, to := range map[string]string{"l1": "target", "l2": "sub", "l3": "nowhere"} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
		require.NoError(t, c.Put(t.Context(), conn.Put{Path: filepath.Join(dir, link), Mode: 0o600, Size: -1}, strings.NewReader("new")))
		requireFile(t, filepath.Join(dir, link), []byte("new"), 0o600)
	}
	requireFile(t, target, []byte("old"), 0o600)

	if os.Getuid() == 0 {
		file := filepath.Join(dir, "owned")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Chown(file, 12345, 54321))
		for _, step := range []struct {
			owner, group string
			uid, gid     uint32
		}{{"", "", 12345, 54321}, {"0", "", 0, 54321}, {"daemon", "daemon", 1, 1}, {"", "77", 1, 77}} {
			require.NoError(t, c.Put(t.Context(), conn.Put{Path: file, Mode: 0o640, Owner: step.owner, Group: step.group, Size: -1}, strings.NewReader("y")))
			requireOwner(t, file, step.uid, step.gid)
		}
	}
	requireNoLeftovers(t, dir)
}

func requireFile(t *testing.T, file string, content []byte, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(file)
	require.NoError(t, err)
	require.Equal(t, mode.String(), info.Mode().String(), file)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got), file)
}

func requireOwner(t *testing.T, file string, uid, gid uint32) {
	t.Helper()
	info, err := os.Lstat(file)
	require.NoError(t, err)
	st := info.Sys().(*syscall.Stat_t)
	require.Equal(t, []uint32{uid, gid}, []uint32{st.Uid, st.Gid}, file)
}

func requireNoLeftovers(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, ".dayops*"))
		return len(left) == 0
	}, soon, 50*time.Millisecond)
}

// putRefused checks that what goes wrong changes nothing and leaves nothing.
func putRefused(t *testing.T, c conn.Conn) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o604))
	wrong := strings.Repeat("0", 64)
	broken := errors.New("no more")
	large := pattern(1 << 20)
	for name, try := range map[string]struct {
		p  conn.Put
		r  io.Reader
		is error
	}{
		"short":        {conn.Put{Size: 10}, strings.NewReader("x"), nil},
		"long":         {conn.Put{Size: 10}, bytes.NewReader(large), nil},
		"sum":          {conn.Put{Size: -1, SHA256: wrong}, strings.NewReader("x"), nil},
		"large sum":    {conn.Put{Size: -1, SHA256: wrong}, bytes.NewReader(large), nil},
		"reader":       {conn.Put{Size: -1}, failing{broken}, broken},
		"late reader":  {conn.Put{Size: -1}, io.MultiReader(bytes.NewReader(large), failing{broken}), broken},
		"owner":        {conn.Put{Size: -1, Owner: "no-such-account"}, strings.NewReader("x"), nil},
		"owner option": {conn.Put{Size: -1, Owner: "--reference=/etc"}, strings.NewReader("x"), nil},
		"NUL":          {conn.Put{Size: -1, Path: "a\x00b"}, strings.NewReader("x"), nil},
		"folder":       {conn.Put{Size: -1, Path: dir}, strings.NewReader("x"), syscall.EISDIR},
		"slash":        {conn.Put{Size: -1, Path: file + "/"}, strings.NewReader("x"), nil},
		"no folder":    {conn.Put{Size: -1, Path: dir + "/none/f"}, strings.NewReader("x"), fs.ErrNotExist},
		"large, none":  {conn.Put{Size: -1, Path: dir + "/none/f"}, bytes.NewReader(large), fs.ErrNotExist},
	} {
		try.p.Mode = 0o600
		if try.p.Path == "" {
			try.p.Path = file
		}
		err := c.Put(t.Context(), try.p, try.r)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), ".dayops-", name)
		if try.is != nil {
			require.ErrorIs(t, err, try.is, name)
		}
		requireFile(t, file, []byte("old"), 0o604)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	endless, w := io.Pipe()
	go w.Write(large)
	start := time.Now()
	err := c.Put(ctx, conn.Put{Path: file, Mode: 0o600, Size: -1}, endless)
	w.Close()
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), soon)
	requireFile(t, file, []byte("old"), 0o604)
	requireNoLeftovers(t, dir)
	full(t, c)
}

// full fills a small file system.
func full(t *testing.T, c conn.Conn) {
	if os.Getuid() != 0 {
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Logf("no full file system here: %v", err)
		return
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	require.NoError(t, os.WriteFile(dir+"/f", []byte("old"), 0o600))
	err := c.Put(t.Context(), conn.Put{Path: dir + "/f", Mode: 0o600, Size: -1}, bytes.NewReader(pattern(1<<20)))
	require.ErrorIs(t, err, syscall.ENOSPC)
	requireNoLeftovers(t, dir)
	require.NoError(t, os.WriteFile(dir+"/fill", pattern(252<<10), 0o600))
	err = c.Put(t.Context(), conn.Put{Path: dir + "/f", Mode: 0o600, Size: -1}, bytes.NewReader(pattern(60<<10)))
	require.ErrorIs(t, err, syscall.ENOSPC)
	requireFile(t, dir+"/f", []byte("old"), 0o600)
	requireNoLeftovers(t, dir)
}

// As checks commands and files of another account than the one that logs in.
func As(t *testing.T, c conn.Conn, account string) {
	t.Helper()
	other, err := user.Lookup(account)
	require.NoError(t, err)
	r := run(t, c, conn.Cmd{Argv: sh("id -un; pwd; cat; echo err >&2"), As: account, Stdin: strings.NewReader("in\n")})
	want := account + "\n" + other.HomeDir + "\nin\n"
	if _, err := os.Stat(other.HomeDir); err != nil {
		want = account + "\n/\nin\n"
	}
	require.Equal(t, want, r.Stdout.String())
	require.Equal(t, "err\n", r.Stderr.String())
	require.Equal(t, 143, run(t, c, conn.Cmd{Argv: sh("kill $$"), As: account}).Code)

	dir, err := os.MkdirTemp("", "conntest-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o777))
	for name, content := range map[string][]byte{"small": []byte("x"), "large": pattern(1 << 20)} {
		file := filepath.Join(dir, name)
		require.NoError(t, c.Put(t.Context(), conn.Put{Path: file, As: account, Mode: 0o600, Size: -1}, bytes.NewReader(content)))
		uid, _ := strconv.Atoi(other.Uid)
		gid, _ := strconv.Atoi(other.Gid)
		requireOwner(t, file, uint32(uid), uint32(gid))
		var b bytes.Buffer
		_, err = c.Get(t.Context(), account, file, &b)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, b.Bytes()))
	}
	if other.Uid != "0" {
		_, err = c.Get(t.Context(), account, "/etc/shadow", io.Discard)
		require.ErrorIs(t, err, fs.ErrPermission)
		for _, n := range []int{1, 1 << 20} {
			err = c.Put(t.Context(), conn.Put{Path: "/etc/dayops-conntest", As: account, Mode: 0o600, Size: -1}, bytes.NewReader(pattern(n)))
			require.ErrorIs(t, err, fs.ErrPermission)
		}
	}
	start := time.Now()
	number := strconv.FormatInt(50000000+start.UnixNano()%1e7, 10)
	_, err = c.Run(t.Context(), conn.Cmd{Argv: []string{"sleep", number}, As: account, Limit: 300 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireGone(t, c, number, start)
	_, err = c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}, As: "no-such-account"})
	var refused *conn.BecomeError
	require.ErrorAs(t, err, &refused)
}
