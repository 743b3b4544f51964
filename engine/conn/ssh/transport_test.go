package ssh

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The socket's own end of time may come before the context's.
func TestTookTooLong(t *testing.T) {
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	require.True(t, tookTooLong(over, errors.New("any")))
	require.True(t, tookTooLong(t.Context(), &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}))
	require.False(t, tookTooLong(t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}))
}
