package view

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

func TestForAll(t *testing.T) {
	hosts := []string{"m0", "m1"}
	require.Equal(t, "dayops trust m0,m1   (shows)", forAll("dayops trust m0   (shows)", hosts))
	require.Equal(t, "check m0 yourself", forAll("check m0 yourself", hosts))
}

// A command without the inventory of the run would not find the host.
func TestWithInventory(t *testing.T) {
	inv := inventoryOptions(event.Event{Data: map[string]any{"inventory": "hosts.yml, a b"}})
	require.Equal(t, " -i hosts.yml -i 'a b'", inv)
	for hint, want := range map[string]string{
		"dayops unlock m0   (shows)":             "dayops unlock m0 -i hosts.yml -i 'a b'   (shows)",
		"is it up? then: dayops ping m0":         "is it up? then: dayops ping m0 -i hosts.yml -i 'a b'",
		"dayops ping m0 -i other":                "dayops ping m0 -i other",
		"dayops resume 7f3c   (when m0 is back)": "dayops resume 7f3c   (when m0 is back)",
		"look at m0":                             "look at m0",
	} {
		require.Equal(t, want, withInventory(hint, inv))
	}
	require.Equal(t, "dayops ping m0", withInventory("dayops ping m0", ""))
}

// What did not end well names the command that goes on with it.
func TestEndNamesTheNextCommand(t *testing.T) {
	for name, c := range map[string]struct {
		code   int
		failed int
		data   map[string]any
		want   string
	}{
		"interrupted": {130, 0, map[string]any{"resume": true}, "next: dayops resume 7f3c    goes"},
		"failed":      {2, 1, map[string]any{"resume": true}, "next: dayops resume 7f3c --retry-failed"},
		"locked":      {11, 1, map[string]any{"resume": true}, "LOCKED"},
		"stale":       {8, 1, map[string]any{"resume": true}, ""},
		"dry":         {2, 1, map[string]any{"resume": false, "check": true}, ""},
	} {
		var b strings.Builder
		v := NewText(&b, TextOptions{})
		v.Emit(event.Event{Kind: event.RunStart, Run: "7f3c", Data: c.data})
		v.Emit(event.Event{Kind: event.Recap, Host: "h", Counts: &event.Counts{Failed: c.failed}})
		v.Emit(event.Event{Kind: event.RunEnd, Run: "7f3c", Code: &c.code})
		if c.want == "" {
			require.NotContains(t, b.String(), "dayops resume", name)
			continue
		}
		require.Contains(t, b.String(), c.want, name)
	}
}
