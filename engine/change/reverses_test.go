package change

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/reader"
)

func TestReverses(t *testing.T) {
	yes, no := true, false
	require.True(t, Reverses(&Move{From: "/b", To: "/a"}, &Move{From: "/a", To: "/b"}))
	require.False(t, Reverses(&Move{From: "/b", To: "/c"}, &Move{From: "/a", To: "/b"}))
	require.True(t, Reverses(&Unit{Name: "x.service", Active: &yes}, &Unit{Name: "x", Active: &no}))
	require.False(t, Reverses(&Unit{Name: "x", Active: &no}, &Unit{Name: "x", Active: &no}))
	require.True(t, Reverses(&Remove{Path: "/a"}, &Write{Path: "/a"}))
	require.True(t, Reverses(&Write{Path: "/a"}, &Remove{Path: "/a"}))
	require.False(t, Reverses(&Remove{Path: "/b"}, &Write{Path: "/a"}))
	require.False(t, Reverses(&Write{Path: "/a"}, &Write{Path: "/a"}))
	require.True(t, Voids(&Remove{Path: "/d/.dayops-staging-20261122T031207Z-1", Staging: true}, &Write{Path: "/d/.dayops-staging-20261122T031207Z-1/f"}))
}

// TestStopOfWhatStarts: a unit that is only starting is not stopped yet, and is
// started again when the stop is taken back.
func TestStopOfWhatStarts(t *testing.T) {
	no := false
	u := &Unit{Name: "etcd.service", Active: &no}
	for state, runs := range map[string]bool{"active": true, "reloading": true, "activating": true, "deactivating": true, "inactive": false, "failed": false} {
		now := reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: state}
		require.Equal(t, !runs, u.wants(now), state)
		todo := *u
		todo.Before = now
		require.Equal(t, runs, len(todo.verbs()) == 1, state)
	}
}
