package snapshot_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
)

// A database of 500 MB: how long, and how much anonymous memory.
func BenchmarkVerify(b *testing.B) {
	path := database(b, spec{keys: 100_000, changes: 4, deleted: 5, value: 1100})
	require.NoError(b, os.WriteFile(path, sealed(b, path), 0o600))
	fi, err := os.Stat(path)
	require.NoError(b, err)
	b.SetBytes(fi.Size())
	before := anonymous(b)
	most := 0
	for b.Loop() {
		facts, err := snapshot.VerifyFile(b.Context(), path)
		require.NoError(b, err)
		require.EqualValues(b, 99_995, facts.Keys)
		most = max(most, anonymous(b))
	}
	b.ReportMetric(float64(most-before)/1024, "MiB-RssAnon")
}

func anonymous(b *testing.B) int {
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(b, m)
	n, err := strconv.Atoi(string(m[1]))
	require.NoError(b, err)
	return n
}
