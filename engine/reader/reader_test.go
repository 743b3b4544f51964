package reader_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/stretchr/testify/require"
)

var _ task.Reader = (*reader.Reader)(nil)

// odd are names that break careless scripts.
var odd = []string{"plain", "two words", "-rf", "new\nline", "tab\tname", "quo'te\"s", `back\slash`, "star*", "[a]", "$HOME", "`id`", "bad\xffutf8", "\x1b[31mred", "(", "!"}

func oddTree(t *testing.T) string {
	dir := t.TempDir()
	for _, n := range odd {
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte("content of "+n), 0o640))
	}
	return dir
}

func TestStatAndHash(t *testing.T) {
	dir, ctx := oddTree(t), context.Background()
	var paths []string
	for _, n := range odd {
		paths = append(paths, filepath.Join(dir, n))
	}
	paths = append(paths, filepath.Join(dir, "no such"), filepath.Join(dir, "plain", "below a file"), dir+"/", paths[0])
	got, err := here(t).Hash(ctx, paths...)
	require.NoError(t, err)
	require.Len(t, got, len(paths))
	for i, n := range odd {
		sum := sha256.Sum256([]byte("content of " + n))
		require.Equal(t, paths[i], got[i].Path)
		require.True(t, got[i].Exists, n)
		require.Equal(t, reader.Regular, got[i].Type)
		require.Equal(t, fs.FileMode(0o640), got[i].Mode)
		require.Equal(t, hex.EncodeToString(sum[:]), got[i].SHA256, "%q", n)
		require.Equal(t, int64(len("content of "+n)), got[i].Size)
		require.WithinDuration(t, time.Now(), got[i].Mtime, time.Minute)
	}
	rest := got[len(odd):]
	require.Equal(t, reader.File{Path: paths[len(odd)]}, rest[0])
	require.False(t, rest[1].Exists)
	require.Equal(t, reader.Directory, rest[2].Type)
	require.Equal(t, got[0], rest[3], "the same path asked for twice")
}

func TestStatTypes(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	at := func(n string) string { return filepath.Join(dir, n) }
	require.NoError(t, os.Symlink("away from\nhere", at("link")))
	require.NoError(t, syscall.Mkfifo(at("fifo"), 0o600))
	require.NoError(t, os.Mkdir(at("dir"), 0o755))
	require.NoError(t, os.Chmod(at("dir"), 0o755|fs.ModeSticky|fs.ModeSetgid))
	require.NoError(t, os.WriteFile(at("file"), nil, 0o600))
	require.NoError(t, os.Chmod(at("file"), 0o755|fs.ModeSetuid))
	old := time.Date(1969, 7, 20, 20, 17, 40, 500_000_000, time.UTC)
	require.NoError(t, os.Chtimes(at("file"), old, old))
	require.NoError(t, os.Link(at("file"), at("twin")))
	got, err := here(t).Hash(ctx, at("link"), at("fifo"), at("dir"), at("file"), "/dev/null", "/")
	require.NoError(t, err)
	require.Equal(t, reader.Symlink, got[0].Type)
	require.Equal(t, "away from\nhere", got[0].Target)
	require.Equal(t, reader.Fifo, got[1].Type)
	require.Empty(t, got[1].SHA256)
	require.Equal(t, 0o755|fs.ModeSticky|fs.ModeSetgid, got[2].Mode)
	require.Equal(t, 0o755|fs.ModeSetuid, got[3].Mode)
	require.Equal(t, 2, got[3].Links)
	require.Equal(t, old.Unix(), got[3].Mtime.Unix())
	require.Equal(t, hex.EncodeToString(sha256.New().Sum(nil)), got[3].SHA256)
	require.Equal(t, reader.CharDev, got[4].Type)
	require.Equal(t, reader.Directory, got[5].Type)
}

func TestStatMany(t *testing.T) {
	var paths []string
	for range 700 {
		paths = append(paths, "/etc/passwd", "/no/such/file/"+strings.Repeat("x", len(paths)%50+1))
	}
	got, err := here(t).Stat(context.Background(), paths...)
	require.NoError(t, err)
	require.True(t, got[698].Exists)
	require.False(t, got[699].Exists)
}

func TestPathsRefused(t *testing.T) {
	for _, p := range []string{"", "etc/passwd", "-x", "/a\x00b"} {
		_, err := here(t).Stat(context.Background(), p)
		require.Error(t, err, "%q", p)
		_, err = here(t).ReadFile(context.Background(), p, 10)
		require.Error(t, err, "%q", p)
		_, err = here(t).List(context.Background(), p)
		require.Error(t, err, "%q", p)
	}
}

func TestReadFile(t *testing.T) {
	dir, ctx := oddTree(t), context.Background()
	for _, n := range odd {
		got, err := here(t).ReadFile(ctx, filepath.Join(dir, n), 100)
		require.NoError(t, err)
		require.Equal(t, "content of "+n, string(got))
	}
	_, err := here(t).ReadFile(ctx, filepath.Join(dir, "plain"), 15)
	var much *reader.TooMuchError
	require.ErrorAs(t, err, &much)
	got, err := here(t).ReadFile(ctx, filepath.Join(dir, "plain"), 16)
	require.NoError(t, err)
	require.Len(t, got, 16)
	_, err = here(t).ReadFile(ctx, filepath.Join(dir, "none"), 15)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = here(t).ReadFile(ctx, dir, 15)
	require.ErrorContains(t, err, "not a regular file")
	_, err = here(t).ReadFile(ctx, "/dev/zero", 15)
	require.ErrorContains(t, err, "not a regular file")
	got, err = here(t).ReadFile(ctx, "/proc/sys/kernel/random/boot_id", 100)
	require.NoError(t, err)
	require.Len(t, got, 37)
}

func TestList(t *testing.T) {
	dir, ctx := oddTree(t), context.Background()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub dir", "deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub dir", "deep", "f.conf"), nil, 0o600))
	files, err := here(t).List(ctx, dir)
	require.NoError(t, err)
	require.Len(t, files, len(odd)+1+3)
	files, err = here(t).List(ctx, dir+"/sub*/deep/*.conf", dir+"/star*", dir+"/none*", dir+"/sub dir")
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimPrefix(f.Path, dir))
	}
	require.Equal(t, []string{"/sub dir/deep/f.conf", "/star*", "/none*", "/sub dir", "/sub dir/deep"}, names)
	require.False(t, files[2].Exists)
}

func TestPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	// As the account nobody, through setpriv in place of sudo.
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.Mkdir(secret, 0o700))
	require.NoError(t, os.WriteFile(secret+"/x", nil, 0o600))
	require.NoError(t, os.WriteFile(dir+"/unreadable", nil, 0o600))
	r, ctx := reader.New(nobodyConn{}, ""), context.Background()
	_, err := r.Stat(ctx, secret+"/x")
	require.ErrorIs(t, err, fs.ErrPermission)
	_, err = r.Hash(ctx, dir+"/unreadable")
	require.ErrorIs(t, err, fs.ErrPermission)
	_, err = r.ReadFile(ctx, dir+"/unreadable", 10)
	require.ErrorIs(t, err, fs.ErrPermission)
	_, err = r.ReadFile(ctx, secret+"/x", 10)
	require.ErrorIs(t, err, fs.ErrPermission)
	files, err := r.List(ctx, dir)
	require.ErrorIs(t, err, fs.ErrPermission)
	require.Len(t, files, 3)
	_, err = r.List(ctx, secret+"/x")
	require.ErrorIs(t, err, fs.ErrPermission)
}

func TestLabel(t *testing.T) {
	f := filepath.Join(t.TempDir(), "labelled")
	require.NoError(t, os.WriteFile(f, nil, 0o600))
	if err := syscall.Setxattr(f, "security.selinux", []byte("system_u:object_r:etc_t:s0\x00"), 0); err != nil {
		t.Skip("needs root")
	}
	got, err := here(t).Stat(context.Background(), f)
	require.NoError(t, err)
	require.Equal(t, "system_u:object_r:etc_t:s0", got[0].Label)
}

func TestPackages(t *testing.T) {
	ctx := context.Background()
	got, err := here(t).Packages(ctx, "coreutils", "no-such-package", "bash")
	if err == reader.ErrNoPackages {
		t.Skip("needs dpkg or rpm")
	}
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.NotEmpty(t, got[0].Version)
	all, err := here(t).Packages(ctx)
	require.NoError(t, err)
	require.Greater(t, len(all), 50)
	for _, bad := range []string{"", "-x", "a b", "li*", "../x"} {
		_, err := here(t).Packages(ctx, bad)
		require.Error(t, err, bad)
	}
}

func TestProbe(t *testing.T) {
	ctx := context.Background()
	res, err := here(t).Probe(ctx, "cat", "/proc/sys/kernel/random/entropy_avail")
	require.NoError(t, err)
	require.Zero(t, res.Code)
	res, err = here(t).Probe(ctx, "command", "-v", "sh")
	require.NoError(t, err)
	require.Contains(t, res.Stdout.String(), "/sh")
	res, err = here(t).Probe(ctx, "sestatus")
	require.NoError(t, err)
	require.Contains(t, []int{0, 127}, res.Code)
}

func TestProbeTable(t *testing.T) {
	yes := []string{"timedatectl show", "systemctl show a b.timer", "systemctl is-active etcd", "test -e /a", "df -P /a /b",
		"busctl get-property org.freedesktop.timedate1 /org/freedesktop/timedate1 org.freedesktop.timedate1 NTP NTPSynchronized",
		"vgs --noheadings --units b -o vg_name,vg_size", "cat /proc/sys/kernel/random/poolsize", "id root"}
	no := []string{"", "rm -rf /", "systemctl stop etcd", "systemctl show", "systemctl is-active -x", "systemctl is-active *", "test -e a",
		"cat /proc/sys/kernel/random/../../../../etc/shadow", "cat /proc/sys/kernel/random/", "cat /etc/shadow", "timedatectl set-ntp true",
		"sysctl -n kernel.x=1", "vgs --noheadings --units b -o --config", "cat /proc/kmsg", "id -u root x", "command -v /bin/sh"}
	for _, s := range yes {
		require.NoError(t, reader.CheckProbe(strings.Fields(s)), s)
	}
	for _, s := range no {
		var refused *reader.RefusedError
		require.ErrorAs(t, reader.CheckProbe(strings.Fields(s)), &refused, s)
	}
	seen := map[string]bool{}
	for _, p := range reader.Probes() {
		require.NotEmpty(t, p.Why, p.Argv)
		require.False(t, seen[p.Argv], p.Argv)
		seen[p.Argv] = true
	}
	_, err := here(t).Probe(context.Background(), "rm", "-rf", "\x1b[2J")
	require.ErrorContains(t, err, `\\x1b`)
}

// This machine may be run by systemd, or not: a container, a rescue system.
func TestUnitsHere(t *testing.T) {
	units, err := here(t).Units(context.Background(), "no-such-unit")
	if _, none := os.Stat("/run/systemd/system"); none != nil {
		require.ErrorIs(t, err, reader.ErrNoSystemd)
		return
	}
	require.NoError(t, err)
	require.Len(t, units, 1)
	require.Equal(t, "no-such-unit.service", units[0].Name)
	require.Equal(t, "not-found", units[0].LoadState)
}

func TestUnitNames(t *testing.T) {
	for in, want := range map[string]string{"etcd": "etcd.service", "a.timer": "a.timer", "getty@tty1": "getty@tty1.service", "a.b": "a.b.service", `dev-x\x2d.mount`: `dev-x\x2d.mount`} {
		got, err := reader.UnitName(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "-x", "a b", "a*", "getty@", "getty@.service", "a/b", "a\nb"} {
		_, err := reader.UnitName(bad)
		require.Error(t, err, bad)
	}
}
