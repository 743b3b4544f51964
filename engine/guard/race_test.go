package guard_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
	"github.com/stretchr/testify/require"
)

// Eight want the lock at once: one gets it, and nobody is inside with another.
func TestRaces(t *testing.T) {
	t.Parallel()
	dial := dialers(t)
	for round := range 5 {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(round))
		inside := filepath.Join(t.TempDir(), "inside")
		var all sync.WaitGroup
		var won, turned atomic.Int32
		kinds := []string{"local", "sshd", "in process"}
		for i := range 8 {
			c := dial[kinds[i%len(kinds)]](t)
			all.Go(func() {
				for try := 0; try < 100; try++ {
					l, err := guard.Acquire(t.Context(), c, "", owner(fmt.Sprintf("r%d", i)), guard.Options{Dir: dir, Expiry: 5 * time.Second})
					var locked *guard.LockedError
					if errors.As(err, &locked) {
						turned.Add(1)
						time.Sleep(50 * time.Millisecond)
						continue
					}
					if err != nil {
						t.Errorf("%d: %v", i, err)
						return
					}
					won.Add(1)
					// mkdir fails when somebody else is inside.
					res, err := l.Conn(c, ids()).Run(t.Context(), sh(`mkdir "$1" && sleep 0.05 && rmdir "$1"`, inside))
					if err != nil || res.Code != 0 {
						t.Errorf("%d: %v %+v", i, err, res)
					}
					if err := l.Release(t.Context()); err != nil {
						t.Errorf("%d: %v", i, err)
					}
					return
				}
				t.Errorf("%d: never its turn", i)
			})
		}
		all.Wait()
		require.Equal(t, int32(8), won.Load())
		require.Positive(t, turned.Load())
	}
}

// A controller that is stopped loses its lock when it expires; when it goes on,
// its next command does nothing.
func TestStoppedController(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("DAYOPS_TEST_GUARD_CLIENT"); dir != "" {
		c := here(t)
		l := acquire(t, c, "r1", guard.Options{Dir: dir, Expiry: time.Second})
		id := ids()
		for {
			_, err := l.Conn(c, id).Run(context.Background(), sh(`echo old >>"$1"`, filepath.Join(dir, "marks")))
			if err = errors.Join(err, l.Refresh(context.Background())); err != nil {
				var lost *conn.LockLostError
				if errors.As(err, &lost) {
					os.WriteFile(filepath.Join(dir, "lost"), nil, 0o600)
				}
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	dir := filepath.Join(t.TempDir(), "state")
	client := exec.Command(os.Args[0], "-test.run", "^TestStoppedController$")
	client.Env = append(os.Environ(), "DAYOPS_TEST_GUARD_CLIENT="+dir)
	require.NoError(t, client.Start())
	defer func() { client.Process.Kill() }()
	c := here(t)
	l := &guard.Lock{Dir: dir, Run: "r1"}
	for look(t, c, l, "3").State == guard.Absent {
		time.Sleep(20 * time.Millisecond)
	}
	require.NoError(t, client.Process.Signal(syscall.SIGSTOP))
	stopped := time.Now()
	var next *guard.Lock
	for {
		var err error
		if next, err = guard.Acquire(t.Context(), c, "", owner("r2"), guard.Options{Dir: dir, Expiry: time.Minute}); err == nil {
			break
		}
		var locked *guard.LockedError
		require.ErrorAs(t, err, &locked)
		require.Less(t, time.Since(stopped), 15*time.Second)
		time.Sleep(50 * time.Millisecond)
	}
	require.Greater(t, time.Since(stopped), 500*time.Millisecond)
	_, err := next.Conn(c, ids()).Run(t.Context(), sh(`echo new >>"$1"`, filepath.Join(dir, "marks")))
	require.NoError(t, err)
	require.NoError(t, client.Process.Signal(syscall.SIGCONT))
	require.NoError(t, client.Wait())
	require.FileExists(t, filepath.Join(dir, "lost"))
	marks, err := os.ReadFile(filepath.Join(dir, "marks"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(marks), "old\nnew\n"), "the old one did nothing after the new one")
	require.NoError(t, next.Release(t.Context()))
}

// While a command of the old holder runs, the lock is not replaced, expired or not.
func TestLiveHolder(t *testing.T) {
	t.Parallel()
	for name, dial := range dialers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Second}
			c := dial(t)
			l := acquire(t, c, "r1", opt)
			ended := make(chan error, 1)
			go func() {
				_, err := l.Conn(c, ids()).Run(t.Context(), sh("sleep 3"))
				ended <- err
			}()
			time.Sleep(1500 * time.Millisecond)
			_, err := guard.Acquire(t.Context(), c, "", owner("r2"), opt)
			var locked *guard.LockedError
			require.ErrorAs(t, err, &locked)
			require.Negative(t, locked.Holder.Expires)
			require.Len(t, locked.Holder.Live, 1)
			require.Contains(t, err.Error(), "it has expired, but its command 1 still runs (pid ")
			var running *guard.RunningError
			require.ErrorAs(t, l.Release(t.Context()), &running)

			_, err = guard.Acquire(t.Context(), c, "", owner("r1"), guard.Options{Dir: opt.Dir, Resume: true, Patience: 300 * time.Millisecond})
			require.ErrorAs(t, err, &running, "its own run, and impatient")
			resumed := acquire(t, c, "r1", guard.Options{Dir: opt.Dir, Resume: true})
			require.Equal(t, guard.Ended, look(t, c, resumed, "1").State, "records outlive a resume")
			require.NoError(t, <-ended)
			var lost *conn.LockLostError
			_, err = l.Conn(c, func() string { return "2" }).Run(t.Context(), sh("true"))
			require.ErrorAs(t, err, &lost)
			require.NoError(t, resumed.Release(t.Context()))
		})
	}
}

// A dead holder of the same run is replaced at once.
func TestResumeAtOnce(t *testing.T) {
	t.Parallel()
	c := here(t)
	opt := guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Hour, Resume: true}
	l := acquire(t, c, "r1", opt)
	start := time.Now()
	resumed := acquire(t, c, "r1", opt)
	require.Less(t, time.Since(start), 5*time.Second)
	require.NotEqual(t, l.Token, resumed.Token)
	var locked *guard.LockedError
	_, err := guard.Acquire(t.Context(), c, "", owner("r2"), opt)
	require.ErrorAs(t, err, &locked, "resume is of the own run only")
	require.NoError(t, resumed.Release(t.Context()))
}
