package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
	"github.com/dayops/dayops/engine"
)

// TestInterrupt: the first Ctrl-C lets the step end, the second one ends the
// command on the host too.
func TestInterrupt(t *testing.T) {
	l := labtest.Need(t)
	h := l.Nodes()[0]
	d := newDesk(t, l.Inventory())
	long := d.command("exec", h.Name, "--", "sleep", "73.5").begin()
	programtest.Eventually(t, 30*time.Second, "the command runs", func() bool { return sleeping(t, h, "73.5") })
	long.signal()
	time.Sleep(time.Second)
	require.True(t, sleeping(t, h, "73.5"), "the step under way is let end")
	long.signal()
	since := time.Now()
	o := long.wait()
	require.Equal(t, 130, o.code, o.String())
	require.Less(t, time.Since(since), engine.AbortGrace+slack, o.String())
	programtest.Eventually(t, 20*time.Second, "the command is gone", func() bool { return !sleeping(t, h, "73.5") })
}
