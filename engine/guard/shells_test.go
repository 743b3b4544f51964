package guard_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
	"github.com/stretchr/testify/require"
)

// under runs scripts with another shell than the host's, and with another PATH.
type under struct {
	conn.Conn
	shell []string
	path  string
}

func (u under) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	if c.Argv[0] == "/bin/sh" {
		c.Argv = append(u.shell[:len(u.shell):len(u.shell)], c.Argv[1:]...)
	}
	if u.path != "" {
		c.Env = map[string]string{"PATH": u.path}
	}
	return u.Conn.Run(ctx, c)
}

func TestScriptShells(t *testing.T) {
	t.Parallel()
	for _, shell := range [][]string{{"bash"}, {"bash", "--posix"}, {"busybox", "sh"}} {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(shell[0]); err != nil {
				if shell[0] == "busybox" {
					t.Skip("needs busybox")
				}
				return
			}
			c := under{Conn: here(t), shell: shell}
			opt := guard.Options{Dir: filepath.Join(t.TempDir(), "state"), Expiry: time.Second}
			l := acquire(t, c, "r1", opt)
			_, err := guard.Acquire(t.Context(), c, "", owner("r2"), opt)
			var locked *guard.LockedError
			require.ErrorAs(t, err, &locked)
			require.Equal(t, owner("r1"), locked.Holder.Owner)
			go func() { _, _ = l.Conn(here(t), ids()).Run(t.Context(), sh("echo hello; sleep 2; exit 3")) }()
			time.Sleep(1300 * time.Millisecond)
			require.Equal(t, guard.Running, look(t, c, l, "1").State)
			_, err = guard.Acquire(t.Context(), c, "", owner("r2"), opt)
			require.ErrorAs(t, err, &locked)
			require.Len(t, locked.Holder.Live, 1)
			r := await(t, c, l, "1")
			require.Equal(t, []any{guard.Ended, 3, "hello\n"}, []any{r.State, r.Code, string(r.Stdout)})
			require.NoError(t, l.Refresh(t.Context()))
			require.NoError(t, l.Release(t.Context()))
		})
	}
}

// A host without flock is told so.
func TestNoFlock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, program := range []string{"id", "getent", "cut", "mkdir", "chmod", "grep", "cp", "mv", "cat"} {
		at, err := exec.LookPath(program)
		require.NoError(t, err)
		require.NoError(t, exec.Command("ln", "-s", at, dir).Run())
	}
	c := under{Conn: here(t), shell: []string{"/bin/sh"}, path: dir}
	_, err := guard.Acquire(t.Context(), c, "", owner("r1"), guard.Options{Dir: filepath.Join(t.TempDir(), "state")})
	var missing *guard.FlockError
	require.ErrorAs(t, err, &missing)
}
