package ssh

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

// Another program that keeps known_hosts locked does not hold us for ever.
func TestTrustDoesNotWaitForEver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	held := flock.New(file)
	require.NoError(t, held.Lock())
	defer held.Close()
	d := New(Options{})
	defer d.Close()
	d.limits.dial = 30 * time.Millisecond
	require.ErrorIs(t, d.Trust(HostKey{Host: "h", File: file, addr: "h:22"}), context.DeadlineExceeded)
}
