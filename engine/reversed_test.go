package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
)

// TestReversedIsMadeAgain: what a plan stopped, and its Finally started for a
// controller that died, is stopped once more by the plan that is taken up.
func TestReversedIsMadeAgain(t *testing.T) {
	yes, no := true, false
	stop, start := &change.Unit{Name: "etcd", Active: &no, NoBlock: true}, &change.Unit{Name: "etcd.service", Active: &yes}
	stop.Before.ActiveState, start.Before.ActiveState = "active", "inactive"
	at := journal.Place{Step: "1.1"}
	kept := func(c change.Change) *journal.Step {
		raw, err := change.Encode(c, change.EncodeOptions{})
		require.NoError(t, err)
		return &journal.Step{At: at, State: journal.Done, Change: journal.Change{Host: "h", Kind: c.Kind(), Data: raw}}
	}
	for _, c := range []struct {
		made []change.Change
		want bool
	}{
		{nil, false}, {[]change.Change{stop}, false}, {[]change.Change{stop, start}, true}, {[]change.Change{stop, start, stop}, false},
	} {
		r := &run{opt: Options{RunID: "r", Memory: &journal.Memory{}}}
		for _, m := range c.made {
			r.opt.Memory.Steps = append(r.opt.Memory.Steps, kept(m))
		}
		require.Equal(t, c.want, ledger{r: r, at: at, action: true}.reversed("h", stop))
	}
}
