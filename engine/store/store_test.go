package store_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/engine/store/storetest"
)

var at = time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC)

func TestLocal(t *testing.T) {
	storetest.Run(t, storetest.Subject{
		New:  func(t *testing.T) store.Store { return store.NewLocal(filepath.Join(t.TempDir(), "a", "backups")) },
		Open: func(_ *testing.T, where string) fs.FS { return os.DirFS(where) },
	})
}

func commit(t *testing.T, l *store.Local, host string) string {
	t.Helper()
	set, err := l.Begin(t.Context(), host, at)
	require.NoError(t, err)
	w, err := set.Create("a.txt")
	require.NoError(t, err)
	_, err = io.WriteString(w, "some text\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	where, err := set.Commit(store.Manifest{Kind: "test", Host: host})
	require.NoError(t, err)
	return where
}

func TestSumsOpenWithSha256sum(t *testing.T) {
	where := commit(t, store.NewLocal(t.TempDir()), "h")
	require.Equal(t, "2026-11-22T031207Z", filepath.Base(where))
	cmd := exec.Command("sha256sum", "-c", "--strict", "SHA256SUMS")
	cmd.Dir = where
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// The umask is the process's: a child of its own has each.
func TestModesWhateverTheUmask(t *testing.T) {
	if dir := os.Getenv("STORE_UMASK_DIR"); dir != "" {
		if os.Getenv("STORE_UMASK") == "0" {
			syscall.Umask(0)
		} else {
			syscall.Umask(0o277)
		}
		commit(t, store.NewLocal(filepath.Join(dir, "deep", "store")), "h")
		return
	}
	for _, mask := range []string{"0", "277"} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestModesWhateverTheUmask$")
		cmd.Env = append(os.Environ(), "STORE_UMASK_DIR="+dir, "STORE_UMASK="+mask)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		n := 0
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, "deep"), func(p string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			fi, err := d.Info()
			require.NoError(t, err)
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			}
			require.Equal(t, want, fi.Mode().Perm(), p)
			n++
			return nil
		}))
		require.Equal(t, 8, n, "deep, store, h, .lock, the set and its three files")
	}
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "h")))
	l := store.NewLocal(dir)
	_, err := l.Begin(t.Context(), "h", at)
	require.Error(t, err)
	_, err = l.Sets(t.Context(), "h")
	require.Error(t, err)
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestDeadRunsAreSweptAndNamed(t *testing.T) {
	dir := t.TempDir()
	l := store.NewLocal(dir)
	dead := filepath.Join(dir, "h", ".2026-11-21T000000Z-2.partial")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dead, ".lock"), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "h", ".mine"), 0o700))
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "h", ".2026-11-21T000001Z.partial")))

	living, err := l.Begin(t.Context(), "h", at)
	require.NoError(t, err)
	require.Equal(t, []string{dead}, living.Abandoned())
	second, err := l.Begin(t.Context(), "h", at)
	require.NoError(t, err)
	require.Empty(t, second.Abandoned())
	require.NoError(t, second.Abort())
	_, err = living.Commit(store.Manifest{})
	require.NoError(t, err)
	_, err = os.Lstat(filepath.Join(dir, "h", ".mine"))
	require.NoError(t, err)
}

func TestVerifyFindsDamage(t *testing.T) {
	for name, damage := range map[string]func(where string) error{
		"a flipped byte": func(w string) error { return os.WriteFile(filepath.Join(w, "a.txt"), []byte("some texT\n"), 0o600) },
		"a cut file":     func(w string) error { return os.Truncate(filepath.Join(w, "a.txt"), 3) },
		"a lost file":    func(w string) error { return os.Remove(filepath.Join(w, "a.txt")) },
		"no manifest":    func(w string) error { return os.Remove(filepath.Join(w, "manifest.json")) },
		"a cut manifest": func(w string) error { return os.Truncate(filepath.Join(w, "manifest.json"), 60) },
		"no sums":        func(w string) error { return os.Remove(filepath.Join(w, "SHA256SUMS")) },
		"other sums":     func(w string) error { return os.WriteFile(filepath.Join(w, "SHA256SUMS"), []byte("x  a.txt\n"), 0o600) },
		"a stranger":     func(w string) error { return os.WriteFile(filepath.Join(w, "b.txt"), nil, 0o600) },
		"a symlink": func(w string) error {
			return errors.Join(os.Rename(filepath.Join(w, "a.txt"), filepath.Join(w, "..", "a.txt")), os.Symlink("../a.txt", filepath.Join(w, "a.txt")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			where := commit(t, store.NewLocal(t.TempDir()), "h")
			_, err := store.Verify(t.Context(), where)
			require.NoError(t, err)
			require.NoError(t, damage(where))
			_, err = store.Verify(t.Context(), where)
			require.Error(t, err)
			if name != "a symlink" {
				var bad *store.DamagedError
				require.ErrorAs(t, err, &bad)
			}
		})
	}
}

func TestFullDiskLeavesNoTrace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("needs the right to mount: " + err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	set, err := store.NewLocal(dir).Begin(t.Context(), "h", at)
	require.NoError(t, err)
	w, err := set.Create("big")
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 1<<20))
	var full *store.FullError
	require.ErrorAs(t, err, &full)
	require.Contains(t, err.Error(), "no space left in "+dir)
	require.Error(t, w.Close())
	_, err = set.Commit(store.Manifest{})
	require.Error(t, err)
	require.NoError(t, set.Abort())
	left, err := os.ReadDir(filepath.Join(dir, "h"))
	require.NoError(t, err)
	require.Len(t, left, 1, "the lock file alone")
}

func TestFree(t *testing.T) {
	dir := t.TempDir()
	require.Positive(t, store.NewLocal(dir).Free())
	require.Positive(t, store.NewLocal(filepath.Join(dir, "still", "to", "be", "made")).Free())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.EqualValues(t, -1, store.NewLocal(filepath.Join(dir, "file", "below")).Free())
}

func TestBeginHonoursContext(t *testing.T) {
	dir := t.TempDir()
	l := store.NewLocal(dir)
	commit(t, l, "h")
	f, err := os.OpenFile(filepath.Join(dir, "h", ".lock"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	_, err = l.Begin(ctx, "h", at)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func FuzzPaths(f *testing.F) {
	f.Add("/etc/a", "")
	f.Add("/etc/\xff%41 b", "%41")
	f.Fuzz(func(t *testing.T, p, target string) {
		text, link, enc := store.EncodePaths(p, target)
		for in, out := range map[string]string{p: text, target: link} {
			back, err := store.DecodePath(out, enc)
			require.NoError(t, err)
			require.Equal(t, in, back)
		}
	})
}
