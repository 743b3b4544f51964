package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const passed = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":1.5}
{"Action":"skip","Package":"empty","Elapsed":0}
`

func TestReport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in     string
		noSkip bool
		code   int
		want   []string
		not    []string
	}{
		"passed":      {in: passed, want: []string{"ok   p", "1 passed, 0 failed, 0 skipped\n"}, not: []string{"noise", "empty"}},
		"nothing":     {in: "", code: 1, want: []string{"no test has passed"}},
		"failed":      {in: passed + `{"Action":"output","Package":"q","Test":"TestB","Output":"b.go:1: why\n"}` + "\n" + `{"Action":"fail","Package":"q","Test":"TestB"}` + "\n" + `{"Action":"fail","Package":"q"}`, code: 1, want: []string{"b.go:1: why\n", "1 passed, 1 failed, 0 skipped"}},
		"build error": {in: passed + `{"ImportPath":"q","Action":"build-output","Output":"q.go:1:1: syntax error\n"}` + "\n" + `{"Action":"fail","Package":"q"}`, code: 1, want: []string{"q.go:1:1: syntax error", "1 passed, 1 failed"}},
		"time-out":    {in: passed + `{"Action":"output","Package":"q","Test":"TestHang","Output":"panic: test timed out\n"}` + "\n" + `{"Action":"fail","Package":"q"}`, code: 1, want: []string{"panic: test timed out", "1 failed"}},
		"skipped": {in: passed + `{"Action":"output","Package":"q","Test":"TestC","Output":"    c.go:1: needs root\n"}` + "\n" + `{"Action":"skip","Package":"q","Test":"TestC"}` + "\n" + `{"Action":"pass","Package":"q"}`,
			want: []string{"skipped: q TestC: c.go:1: needs root", "1 passed, 0 failed, 1 skipped"}},
		"skipping forbidden": {in: passed + `{"Action":"skip","Package":"q","Test":"TestC"}`, noSkip: true, code: 1, want: []string{"skipping is forbidden"}},
		"not json":           {in: "go: no such module\n", code: 1, want: []string{"go: no such module\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			require.Equal(t, c.code, report(strings.NewReader(c.in), &out, "", c.noSkip), out.String())
			for _, w := range c.want {
				require.Contains(t, out.String(), w)
			}
			for _, n := range c.not {
				require.NotContains(t, out.String(), n)
			}
		})
	}
}

func TestTotalsAddUp(t *testing.T) {
	t.Parallel()
	total := filepath.Join(t.TempDir(), "total")
	for range 2 {
		require.Equal(t, 0, report(strings.NewReader(passed), &strings.Builder{}, total, true))
	}
	text, err := os.ReadFile(total)
	require.NoError(t, err)
	require.Equal(t, "2 passed, 0 failed, 0 skipped\n", string(text))
	require.NoError(t, os.WriteFile(total, []byte("other\n"), 0o600))
	require.Equal(t, 1, report(strings.NewReader(passed), &strings.Builder{}, total, true))
}
