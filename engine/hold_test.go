package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How long a lock is waited for is set only by who has the hold's turn: its
// reader is the one that asks for the lock meanwhile.
func TestPatienceTakesTurns(t *testing.T) {
	hs, k := newHolds(), holdKey{"localhost", ""}
	h := hs.at(k)
	h.turn <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, hs.patient(ctx, k, time.Minute), context.DeadlineExceeded)
	require.Zero(t, h.waits)
	done := make(chan error, 1)
	go func() { done <- hs.patient(t.Context(), k, time.Minute) }()
	<-h.turn
	require.NoError(t, <-done)
	h.turn <- struct{}{}
	require.Equal(t, time.Minute, h.waits)
}
