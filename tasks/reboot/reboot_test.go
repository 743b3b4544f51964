package reboot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
)

// What a reboot does is tested on hosts of the lab: see engine/change and e2e.
func TestPlan(t *testing.T) {
	h := tasktest.Local(t)
	p := decode(t, "{reboot_timeout: 90, pre_reboot_delay: 1, post_reboot_delay: 2, msg: bye, test_command: systemctl is-active ssh}")
	state, err := Define().Check(t.Context(), reader.New(h.Conn, ""), p)
	require.NoError(t, err)
	require.Len(t, state.(State).BootID, 36)
	plan, err := Define().Plan([]task.AnyInput{{Host: "a", Target: "a", Params: p, State: state}}, time.Unix(0, 0))
	require.NoError(t, err)
	require.Equal(t, &change.Reboot{BootID: state.(State).BootID, Limit: 90 * time.Second, Delay: time.Second, Settle: 2 * time.Second, Message: "bye",
		Test: []string{"systemctl", "is-active", "ssh"}}, plan.Changes()[0].Change)
	require.Equal(t, change.Disruptive, Define().MaxRisk(p))
	require.Equal(t, task.Action, Define().Kind(p))
	at := time.Unix(100, 0)
	require.Equal(t, Result{Rebooted: true, Elapsed: 61}, Define().Result(task.AnyInput{Params: p, State: state},
		task.Outcome{Steps: []change.Outcome{{Rebooted: true, Start: at, End: at.Add(61 * time.Second)}}}))
}

func decode(t *testing.T, params string) any {
	t.Helper()
	n, err := strictyaml.Parse("f.yml", []byte(params))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{reboot_timeout: 0}":               "more than 0",
		"{msg: '-r'}":                       "dash",
		"{msg: \"a\\nb\"}":                  "one line",
		"{test_command: [rm, x]}":           "read-only",
		"{reboot_command: shutdown -r now}": "unknown key",
	} {
		n, err := strictyaml.Parse("f.yml", []byte(params))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, params)
	}
}
