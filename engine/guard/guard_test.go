package guard_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/guard"
	"github.com/stretchr/testify/require"
)

// dialers give connections to this machine, each in its own way.
func dialers(t *testing.T) map[string]func(t *testing.T) conn.Conn {
	t.Helper()
	over := func(target conn.Target) func(t *testing.T) conn.Conn {
		d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none"})
		t.Cleanup(func() { d.Close() })
		return func(t *testing.T) conn.Conn {
			c, err := d.Dial(t.Context(), target)
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
			return c
		}
	}
	return map[string]func(t *testing.T) conn.Conn{
		"local":      here,
		"sshd":       over(sshtest.Start(t, sshtest.Options{}).Target("sshd")),
		"in process": over(sshtest.StartInProcess(t, sshtest.Behaviour{}).Target("in process")),
	}
}

func here(t *testing.T) conn.Conn {
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	return c
}

func owner(run string) guard.Owner {
	return guard.Owner{Run: run, User: "ann", Host: "bastion", PID: os.Getpid(), Start: time.Unix(1700000000, 0).UTC()}
}

func acquire(t *testing.T, c conn.Conn, run string, o guard.Options) *guard.Lock {
	t.Helper()
	l, err := guard.Acquire(t.Context(), c, "", owner(run), o)
	require.NoError(t, err)
	return l
}

func sh(script string, args ...string) conn.Cmd {
	return conn.Cmd{Argv: append([]string{"/bin/sh", "-c", script, "test"}, args...)}
}

func ids() func() string {
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return strconv.Itoa(n)
	}
}

func look(t *testing.T, c conn.Conn, l *guard.Lock, id string) guard.Record {
	t.Helper()
	r, err := guard.Look(t.Context(), c, "", l.Dir, l.Run, id)
	require.NoError(t, err)
	return r
}

func await(t *testing.T, c conn.Conn, l *guard.Lock, id string) guard.Record {
	t.Helper()
	r, err := guard.Await(t.Context(), c, "", l.Dir, l.Run, id, 20*time.Second)
	require.NoError(t, err)
	return r
}

func TestLock(t *testing.T) {
	t.Parallel()
	for name, dial := range dialers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			opt := guard.Options{Dir: filepath.Join(t.TempDir(), "a b'c", "state"), Expiry: 5 * time.Second}
			holders, err := guard.Holders(t.Context(), c, "", opt.Dir)
			require.NoError(t, err)
			require.Empty(t, holders)

			l := acquire(t, c, "r1", opt)
			require.Equal(t, opt.Dir, l.Dir)
			require.Equal(t, os.Getuid() != 0, l.PerUser)
			info, err := os.Stat(l.Dir)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

			var locked *guard.LockedError
			_, err = guard.Acquire(t.Context(), c, "", owner("r2"), opt)
			require.ErrorAs(t, err, &locked)
			require.Equal(t, owner("r1"), locked.Holder.Owner)
			require.InDelta(t, 5, locked.Holder.Expires.Seconds(), 2)
			require.Contains(t, err.Error(), "locked by run r1 of ann@bastion (pid")
			_, err = guard.Acquire(t.Context(), c, "", owner("r1"), opt)
			require.ErrorAs(t, err, &locked, "its own run, but not as a resumed one")
			require.NoError(t, l.Refresh(t.Context()))

			g := l.Conn(c, ids())
			res, err := g.Run(t.Context(), sh("echo hello; exit 3"))
			require.NoError(t, err)
			require.Equal(t, 3, res.Code)
			require.NoError(t, g.Put(t.Context(), conn.Put{Path: filepath.Join(t.TempDir(), "f"), Mode: 0o600, Size: -1}, strings.NewReader("x")))
			r := look(t, c, l, "1")
			require.Equal(t, guard.Ended, r.State)
			require.Equal(t, 3, r.Code)
			require.Equal(t, "hello\n", string(r.Stdout))
			require.Empty(t, r.Stderr)
			require.False(t, r.Rebooted)
			require.Less(t, r.Began, time.Minute)
			require.Equal(t, guard.Ended, look(t, c, l, "2").State)
			require.Equal(t, guard.Absent, look(t, c, l, "3").State)

			require.NoError(t, l.Release(t.Context()))
			var lost *conn.LockLostError
			require.ErrorAs(t, l.Release(t.Context()), &lost)
			require.ErrorAs(t, l.Refresh(t.Context()), &lost)
			_, err = g.Run(t.Context(), sh("echo hello"))
			require.ErrorAs(t, err, &lost)
			left, err := os.ReadDir(l.Dir)
			require.NoError(t, err)
			for _, f := range left {
				require.Equal(t, ".flock", f.Name())
			}
		})
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	c := here(t)
	opt := guard.Options{Dir: filepath.Join(t.TempDir(), "state")}
	l := acquire(t, c, "r1", opt)
	holders, err := guard.Holders(t.Context(), c, "", opt.Dir)
	require.NoError(t, err)
	require.Len(t, holders, 1)
	require.Equal(t, "r1", holders[0].Run)
	require.NoError(t, guard.Remove(t.Context(), c, "", holders[0]))
	var lost *conn.LockLostError
	require.ErrorAs(t, guard.Remove(t.Context(), c, "", holders[0]), &lost)
	_, err = l.Conn(c, ids()).Run(t.Context(), sh("true"))
	require.ErrorAs(t, err, &lost)
	l2 := acquire(t, c, "r2", opt)
	require.ErrorAs(t, guard.Remove(t.Context(), c, "", holders[0]), &lost, "another's by now")
	require.NoError(t, l2.Release(t.Context()))
}

// What is kept for a resume stays when the lock is given back; a run that was
// overtaken takes its own records away, and no others.
func TestRecordsWithoutALock(t *testing.T) {
	t.Parallel()
	c := here(t)
	opt := guard.Options{Dir: filepath.Join(t.TempDir(), "state")}
	run := func(l *guard.Lock) {
		_, err := l.Conn(c, ids()).Run(t.Context(), sh("true"))
		require.NoError(t, err)
	}
	l1 := acquire(t, c, "r1", opt)
	run(l1)
	require.NoError(t, l1.Leave(t.Context()))
	l2 := acquire(t, c, "r2", opt)
	run(l2)
	require.Equal(t, guard.Ended, look(t, c, l1, "1").State)
	var lost *conn.LockLostError
	require.ErrorAs(t, l1.Leave(t.Context()), &lost)
	require.Equal(t, guard.Ended, look(t, c, l1, "1").State)
	require.ErrorAs(t, l1.Release(t.Context()), &lost)
	require.Equal(t, guard.Absent, look(t, c, l1, "1").State)
	require.Equal(t, guard.Ended, look(t, c, l2, "1").State)
	require.NoError(t, l2.Release(t.Context()))
	require.NoDirExists(t, filepath.Join(opt.Dir, "runs"))
}

// A broken connection leaves the command to its natural end, once.
func TestBrokenLink(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none"})
	defer d.Close()
	dial := func() conn.Conn {
		c, err := d.Dial(t.Context(), s.Target("sshd"))
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	for name, noise := range map[string]string{"lines": "echo out; echo err >&2", "nothing at first": ":", "much": "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2"} {
		t.Run(name, func(t *testing.T) {
			c := dial()
			l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state")})
			marker := filepath.Join(t.TempDir(), "marker")
			var lost *conn.LostError
			failed := make(chan error, 1)
			go func() {
				_, err := l.Conn(c, ids()).Run(t.Context(), sh(`i=0; while [ $i -lt 20 ]; do `+noise+`; sleep 0.1; i=$((i+1)); done; echo done >>"$1"; echo last; exit 9`, marker))
				failed <- err
			}()
			time.Sleep(300 * time.Millisecond)
			other := dial() // before the link breaks, so that its session is not taken for it
			cut(t, l, other, s.Pid())
			require.ErrorAs(t, <-failed, &lost)

			again := dial()
			require.Equal(t, guard.Running, look(t, again, l, "1").State)
			require.NoFileExists(t, marker)
			r := await(t, again, l, "1")
			require.Equal(t, guard.Ended, r.State)
			require.Equal(t, 9, r.Code)
			if name != "much" {
				require.True(t, strings.HasSuffix(string(r.Stdout), "last\n"), "%q", r.Stdout)
			}
			if name == "lines" {
				require.Equal(t, 20, strings.Count(string(r.Stdout), "out\n"))
				require.Equal(t, 20, strings.Count(string(r.Stderr), "err\n"))
			}
			require.LessOrEqual(t, len(r.Stdout), conn.GuardOutput)
			made, err := os.ReadFile(marker)
			require.NoError(t, err)
			require.Equal(t, "done\n", string(made))
			require.NoError(t, l.Share(again, "").Release(t.Context()))
		})
	}
}

// cut kills the sshd process that command 1 came by.
func cut(t *testing.T, l *guard.Lock, c conn.Conn, daemon int) {
	t.Helper()
	pid := look(t, c, l, "1").PID
	require.NotZero(t, pid)
	parent := func(pid int) int {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(b), ") ")
		n, err := strconv.Atoi(strings.Fields(rest)[1])
		require.NoError(t, err)
		return n
	}
	session := parent(pid)
	require.NotEqual(t, daemon, session)
	require.Greater(t, session, 1)
	require.NoError(t, syscall.Kill(session, syscall.SIGKILL))
}

// A client that is killed leaves its command to its natural end.
func TestKilledClient(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("DAYOPS_TEST_GUARD_CLIENT"); dir != "" {
		c := here(t)
		l := acquire(t, c, "r1", guard.Options{Dir: dir})
		_, _ = l.Conn(c, ids()).Run(context.Background(), sh(`for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo $i; echo $i >&2; sleep 0.1; done; echo done >>"$1"; exit 5`, filepath.Join(dir, "marker")))
		return
	}
	dir := filepath.Join(t.TempDir(), "state")
	client := exec.Command(os.Args[0], "-test.run", "^TestKilledClient$")
	client.Env = append(os.Environ(), "DAYOPS_TEST_GUARD_CLIENT="+dir)
	require.NoError(t, client.Start())
	c := here(t)
	l := &guard.Lock{Dir: dir, Run: "r1"}
	for look(t, c, l, "1").State == guard.Absent {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	require.NoError(t, client.Process.Kill())
	require.Error(t, client.Wait())
	require.Equal(t, guard.Running, look(t, c, l, "1").State)
	r := await(t, c, l, "1")
	require.Equal(t, guard.Ended, r.State)
	require.Equal(t, 5, r.Code)
	require.True(t, strings.HasSuffix(string(r.Stdout), "14\n15\n"), "%q", r.Stdout)
	made, err := os.ReadFile(filepath.Join(dir, "marker"))
	require.NoError(t, err)
	require.Equal(t, "done\n", string(made))
}
