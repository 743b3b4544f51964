package change

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A command that says that it is too early is given again, for a while; one that
// fails with something else is not.
func TestExecAgain(t *testing.T) {
	h := localHost(t)
	at := filepath.Join(t.TempDir(), "said")
	run := func(script string, most time.Duration) (Outcome, int) {
		e := &Exec{Argv: []string{"/bin/sh", "-c", "echo x >>" + at + "; n=$(wc -l <" + at + "); " + script}, Again: "too early", AgainFor: most}
		out, err := Apply(t.Context(), h, e)
		require.NoError(t, err)
		text := read(at)
		return out, strings.Count(text, "x")
	}
	out, n := run(`[ "$n" -gt 1 ] || { echo too early >&2; exit 1; }`, time.Minute)
	require.Zero(t, out.Exec.Code)
	require.Equal(t, 2, n)
	out, n = run("echo never >&2; exit 3", time.Minute)
	require.Equal(t, 3, out.Exec.Code)
	require.Equal(t, 3, n)
	out, n = run("echo too early; exit 3", 0)
	require.Equal(t, 3, out.Exec.Code)
	require.Equal(t, 4, n)
}
