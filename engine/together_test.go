package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
)

func TestTogether(t *testing.T) {
	require.NoError(t, together(nil, nil))
	one := errors.New("one")
	require.Same(t, one, together(nil, one))
	lost := &conn.LostError{Host: "h", Doing: "x", Err: context.Canceled}
	both := together(one, together(lost, errors.New("three")))
	require.Equal(t, "one; then: connection lost during x: context canceled; then: three", both.Error())
	require.True(t, isLost(both))
	require.ErrorIs(t, both, one)
}
