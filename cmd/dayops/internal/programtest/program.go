// Package programtest is what tests of the whole program share: the program as
// it is built, and a terminal to sit at.
package programtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Program is dayops as built for a test binary; the first test builds it.
type Program struct {
	Tags string // build tags: "crash" gives the hook that kills it at a write of the journal

	dir  string
	once sync.Once
	err  error
}

// Main is a TestMain with a folder for the program.
func (p *Program) Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "dayops-program")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// Path is where the program is.
func (p *Program) Path(t testing.TB) string {
	t.Helper()
	p.once.Do(func() {
		cmd := exec.Command("go", "build", "-tags", p.Tags, "-o", filepath.Join(p.dir, "dayops"), "github.com/dayops/dayops/cmd/dayops")
		if out, err := cmd.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("build dayops: %w: %s", err, out)
		}
	})
	require.NoError(t, p.err)
	return filepath.Join(p.dir, "dayops")
}

// Eventually waits until something is so, no longer than limit.
func Eventually(t testing.TB, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s: not %s", limit, what)
		}
	}
}
