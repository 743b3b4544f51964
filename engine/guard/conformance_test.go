package guard_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/conntest"
	"github.com/dayops/dayops/engine/guard"
	"github.com/stretchr/testify/require"
)

// A connection under a lock is a connection as any other.
func TestConformance(t *testing.T) {
	t.Parallel()
	l := acquire(t, here(t), "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state")})
	id := ids()
	conntest.Run(t, func(t *testing.T) conn.Conn { return l.Conn(here(t), id) }, conntest.Caps{Local: true, Guarded: true})
	require.NoError(t, l.Release(t.Context()))
}

// What stays on a host is bounded.
func TestBounds(t *testing.T) {
	t.Parallel()
	c := here(t)
	l := acquire(t, c, "r1", guard.Options{Dir: filepath.Join(t.TempDir(), "state")})
	run := filepath.Join(l.Dir, "runs", "r1")
	write := func(name string, size int) {
		require.NoError(t, os.WriteFile(filepath.Join(run, name), make([]byte, size), 0o600))
	}
	write("1.begin", 1)
	write("1.end", 1)
	write("1.out", 70<<20)
	write("2.begin", 1)
	write("2.out", 1)
	require.NoError(t, l.Refresh(t.Context()))
	require.NoFileExists(t, filepath.Join(run, "1.out"))
	require.FileExists(t, filepath.Join(run, "2.out"), "it has not ended")
	require.FileExists(t, filepath.Join(run, "1.end"))

	for name, days := range map[string]int{"old": 40, "new": 10} {
		dir := filepath.Join(l.Dir, "runs", name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		then := time.Now().AddDate(0, 0, -days)
		require.NoError(t, os.Chtimes(dir, then, then))
	}
	acquire(t, c, "r1", guard.Options{Dir: l.Dir, Resume: true})
	require.NoDirExists(t, filepath.Join(l.Dir, "runs", "old"))
	require.DirExists(t, filepath.Join(l.Dir, "runs", "new"))
}
