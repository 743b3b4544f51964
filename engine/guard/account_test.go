package guard_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
	"github.com/stretchr/testify/require"
)

// Through sudo all of it belongs to the other account, and a command outlives
// the link all the same.
func TestOtherAccount(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		t.Skip("needs sudo")
	}
	const as = "nobody"
	u, err := user.Lookup(as)
	require.NoError(t, err)
	uid, _ := strconv.Atoi(u.Uid)
	for name, dial := range dialers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			home, err := os.MkdirTemp("", "guard") // t.TempDir is root's alone
			require.NoError(t, err)
			defer os.RemoveAll(home)
			require.NoError(t, os.Chown(home, uid, -1))
			l, err := guard.Acquire(t.Context(), c, as, owner("r1"), guard.Options{Dir: filepath.Join(home, "state")})
			require.NoError(t, err)
			require.True(t, l.PerUser)
			g := l.Conn(c, ids())
			res, err := g.Run(t.Context(), conn.Cmd{Argv: []string{"id", "-un"}, As: as})
			require.NoError(t, err)
			require.Equal(t, conn.Result{Stdout: conn.Capture{Head: []byte(as + "\n")}}, res)
			r, err := guard.Look(t.Context(), c, as, l.Dir, "r1", "1")
			require.NoError(t, err)
			require.Equal(t, guard.Ended, r.State)

			if name != "local" { // that one cannot break
				lost := make(chan error, 1)
				go func() {
					cmd := sh(`for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.1; done; exit 6`)
					cmd.As = as
					_, err := g.Run(t.Context(), cmd)
					lost <- err
				}()
				time.Sleep(400 * time.Millisecond)
				require.NoError(t, c.Close())
				var broken *conn.LostError
				require.ErrorAs(t, <-lost, &broken)
				c = dial(t)
				r, err = guard.Await(t.Context(), c, as, l.Dir, "r1", "2", 20*time.Second)
				require.NoError(t, err)
				require.Equal(t, []any{guard.Ended, 6, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"}, []any{r.State, r.Code, string(r.Stdout)})
			}
			var gone *conn.LockLostError
			require.NoError(t, l.Share(c, as).Release(t.Context()))
			_, err = l.Conn(c, ids()).Run(t.Context(), conn.Cmd{Argv: []string{"id", "-un"}, As: as})
			require.ErrorAs(t, err, &gone)
		})
	}
}
