package local_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/conn/shell"
)

// A busy host may need longer to end a command than the caller waits for it.
// The command must end all the same, although it does not care about TERM.
func TestCommandEndsOnASlowHost(t *testing.T) {
	t.Parallel()
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	start := c.Start
	c.Start = func(ctx context.Context, text string, stdout, stderr io.Writer) (shell.Process, error) {
		if strings.Contains(text, "dayops-end") {
			select {
			case <-time.After(5 * time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return start(ctx, text, stdout, stderr)
	}
	pid, said := io.Pipe()
	began := time.Now()
	go func() {
		_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"/bin/sh", "-c", "trap '' TERM; echo $$; setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 300' & sleep 300"},
			Limit: time.Second, Stdout: said})
		_ = said.CloseWithError(err)
	}()
	text, err := io.ReadAll(pid)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 30*time.Second)
	pids := strings.Fields(string(text))
	require.Len(t, pids, 2)
	for _, p := range pids {
		n, err := strconv.Atoi(p)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return errors.Is(syscall.Kill(n, 0), syscall.ESRCH) }, 30*time.Second, 50*time.Millisecond)
	}
}
