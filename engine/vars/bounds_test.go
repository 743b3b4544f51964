//go:build linux

package vars

import (
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cpuTime runs f and gives the processor time that it took, which, unlike the
// clock, does not depend on what else the machine does.
func cpuTime(t *testing.T, f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const thisThread = 1 // RUSAGE_THREAD
	var before, after syscall.Rusage
	require.NoError(t, syscall.Getrusage(thisThread, &before))
	f()
	require.NoError(t, syscall.Getrusage(thisThread, &after))
	return time.Duration(after.Utime.Nano() - before.Utime.Nano())
}

// Whatever a template does, it is over in 5 s.
func TestBounds(t *testing.T) {
	var e Engine
	big := make([]any, 5000)
	for i := range big {
		big[i] = int64(i)
	}
	s := e.Scope(Context{}, HostData(LevelSetFact, map[string]any{"big": big, "chunk": strings.Repeat("x", 1000)}))
	for name, tpl := range bombs() {
		t.Run(name, func(t *testing.T) {
			c, err := CompileFile("x", tpl)
			require.NoError(t, err)
			took := cpuTime(t, func() { _, err = c.RenderText(s) })
			t.Logf("%s: %v", took, err)
			require.Less(t, took, 5*time.Second)
		})
	}
}

func TestVariablesThatGrow(t *testing.T) {
	var b strings.Builder
	b.WriteString("v0: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
	for i := 1; i < 30; i++ {
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll("vI: [\"{{ vJ }}\", \"{{ vJ }}\"]\n", "I", strconv.Itoa(i)), "J", strconv.Itoa(i-1)))
	}
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, b.String())))
	var limit *LimitError
	for _, tpl := range []string{"{{ v29 }}", "x{{ v29 }}"} {
		require.Less(t, cpuTime(t, func() { require.ErrorAs(t, renderErr(t, s, tpl), &limit) }), 5*time.Second)
	}

	// A long chain of variables is a limit, not a crash.
	b.Reset()
	b.WriteString("w0: 1\n")
	for i := 1; i < 3000; i++ {
		b.WriteString("w" + strconv.Itoa(i) + ": \"{{ w" + strconv.Itoa(i-1) + " }}\"\n")
	}
	s = e.Scope(Context{}, UserVars(LevelPlay, yml(t, b.String())))
	require.ErrorAs(t, renderErr(t, s, "{{ w2999 }}"), &limit)
	require.Equal(t, int64(1), render(t, s, "{{ w50 }}"))
}
