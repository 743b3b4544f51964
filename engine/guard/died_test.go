package guard_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
	"github.com/stretchr/testify/require"
)

// A command whose shell was killed is Running while it lives, and then Died:
// nobody knows its exit code.
func TestDied(t *testing.T) {
	t.Parallel()
	for name, dial := range dialers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Second})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = l.Conn(c, ids()).Run(t.Context(), sh("echo start; sleep 2"))
			}()
			var r guard.Record
			for r.PID == 0 || len(r.Stdout) == 0 {
				r = look(t, c, l, "1")
			}
			require.NoError(t, syscall.Kill(r.PID, syscall.SIGKILL))
			require.Equal(t, guard.Running, look(t, c, l, "1").State, "the command itself lives")
			r = await(t, c, l, "1")
			require.Equal(t, guard.Died, r.State)
			require.Equal(t, "start\n", string(r.Stdout))
			<-done
			require.NoError(t, l.Release(t.Context()))
		})
	}
}

// A process with the number of the dead one is another; so is one of before a boot.
func TestNumberReused(t *testing.T) {
	t.Parallel()
	c := here(t)
	l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Second})
	run := filepath.Join(l.Dir, "runs", "r1")
	for id, begin := range map[string]string{"1": fmt.Sprintf("0123456789abcdef0123456789abcdef %d\n", os.Getpid()), "2": "0123456789abcdef0123456789abcdef 4194303\n", "3": "", "4": "x"} {
		require.NoError(t, os.WriteFile(filepath.Join(run, id+".begin"), []byte(begin), 0o600))
		require.Equal(t, guard.Died, look(t, c, l, id).State, id)
	}
	require.False(t, look(t, c, l, "1").Rebooted)
	require.NoError(t, os.WriteFile(filepath.Join(run, ".boot"), []byte("11111111-2222-3333-4444-555555555555\n"), 0o600))
	r := look(t, c, l, "1")
	require.Equal(t, guard.Died, r.State)
	require.True(t, r.Rebooted)
	require.True(t, look(t, c, l, "9").Rebooted, "absent, but of before the boot")
	time.Sleep(1200 * time.Millisecond)
	next := acquire(t, c, "r2", guard.Options{Dir: l.Dir}) // the dead do not hold a lock
	require.Equal(t, guard.Ended, func() guard.State {
		_, err := next.Conn(c, ids()).Run(t.Context(), sh("true"))
		require.NoError(t, err)
		return look(t, c, next, "1").State
	}())
	require.Equal(t, guard.Died, look(t, c, l, "1").State, "records of a run that was replaced stay for its resume")
	require.NoError(t, next.Release(t.Context()))
}

// After a boot of the host its uptime begins anew; the lock expires by that, and
// its owner can go on with it before.
func TestBootExpiry(t *testing.T) {
	t.Parallel()
	c := here(t)
	l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Hour})
	file := filepath.Join(l.Dir, "lock")
	reboot := func(expiry string) {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := strings.Split(string(b), "\n")
		lines[7], lines[8], lines[9] = expiry, "99999999999", "11111111-2222-3333-4444-555555555555"
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600))
	}
	reboot("99999999999")
	require.NoError(t, l.Refresh(t.Context()))
	_, err := guard.Acquire(t.Context(), c, "", owner("r2"), guard.Options{Dir: l.Dir})
	var locked *guard.LockedError
	require.ErrorAs(t, err, &locked)
	reboot("100") // a second, and this machine has been up for longer
	next := acquire(t, c, "r2", guard.Options{Dir: l.Dir})
	require.NoError(t, next.Release(t.Context()))
}

// Who cancels ends the command, and its record says how.
func TestAbort(t *testing.T) {
	t.Parallel()
	for name, dial := range dialers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state")})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := l.Conn(c, ids()).Run(ctx, sh("echo start; sleep 300; echo no"))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			r := await(t, c, l, "1")
			require.Equal(t, guard.Ended, r.State)
			require.Equal(t, 143, r.Code)
			require.Equal(t, "start\n", string(r.Stdout))
			require.NoError(t, l.Release(t.Context()))
		})
	}
}

// A process that the command leaves behind with its outputs does not keep the
// record open, nor the lock.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	c := here(t)
	l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state")})
	go func() {
		_, _ = l.Conn(c, ids()).Run(t.Context(), sh("sleep 5 & exit 4"))
	}()
	for look(t, c, l, "1").State == guard.Absent {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	r := look(t, c, l, "1")
	require.Equal(t, guard.Ended, r.State)
	require.Equal(t, 4, r.Code)
	require.NoError(t, l.Release(t.Context()))
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	c := here(t)
	dir := filepath.Join(t.TempDir(), "state")
	l := acquire(t, c, "r1", guard.Options{Dir: dir})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), []byte("x\ny\n"), 0o600))
	_, err := guard.Acquire(t.Context(), c, "", owner("r2"), guard.Options{Dir: dir})
	require.ErrorContains(t, err, "lock is damaged")
	require.Error(t, l.Refresh(t.Context()))
	_, err = l.Conn(c, ids()).Run(t.Context(), sh("true"))
	var lost *conn.LockLostError
	require.ErrorAs(t, err, &lost)
	require.NoError(t, os.Remove(filepath.Join(dir, "lock")))

	// A folder of somebody else's is not used.
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	_, err = guard.Acquire(t.Context(), c, "", owner("r2"), guard.Options{Dir: link})
	require.ErrorContains(t, err, "is not a folder of this account")
	_, err = guard.Acquire(t.Context(), c, "", owner("../r2"), guard.Options{Dir: dir})
	require.Error(t, err)
}

// An upload that came whole, and whose controller died before it was put in its
// place, goes when the lock changes hands.
func TestForgottenUpload(t *testing.T) {
	t.Parallel()
	c := here(t)
	l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Second})
	p := conn.Put{Path: filepath.Join(t.TempDir(), "it's large"), Mode: 0o600, Size: 100_000, SHA256: strings.Repeat("0", 64)}
	require.ErrorContains(t, l.Conn(c, ids()).Put(t.Context(), p, strings.NewReader(strings.Repeat("x", 100_000))), "sha256")
	note, err := os.ReadFile(filepath.Join(l.Dir, "runs", "r1", "1.up.temp"))
	require.NoError(t, err)
	temp := strings.TrimSuffix(string(note), "\n")
	require.Equal(t, filepath.Dir(p.Path), filepath.Dir(temp))
	require.NoFileExists(t, temp, "a Put that fails takes it back itself")
	require.NoError(t, os.WriteFile(temp, nil, 0o600))
	time.Sleep(1200 * time.Millisecond)
	next := acquire(t, c, "r2", guard.Options{Dir: l.Dir})
	require.NoFileExists(t, temp)
	require.NoError(t, next.Release(t.Context()))
}
