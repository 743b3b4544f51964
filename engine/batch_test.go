package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/playbook"
)

func TestBatchSizes(t *testing.T) {
	n := func(n int) playbook.Amount { return playbook.Amount{Count: n} }
	pc := func(p float64) playbook.Amount { return playbook.Amount{Percent: p} }
	for _, c := range []struct {
		name   string
		hosts  int
		serial []playbook.Amount
		want   []int
	}{
		{"no hosts", 0, nil, nil},
		{"no serial is one batch", 7, nil, []int{7}},
		{"the last entry repeats", 7, []playbook.Amount{n(1), n(2)}, []int{1, 2, 2, 2}},
		{"one after the other", 3, []playbook.Amount{n(1)}, []int{1, 1, 1}},
		{"more than there are", 3, []playbook.Amount{n(10)}, []int{3}},
		{"percent of all hosts, rounded down", 10, []playbook.Amount{pc(25)}, []int{2, 2, 2, 2, 2}},
		{"percent is at least one", 3, []playbook.Amount{pc(10)}, []int{1, 1, 1}},
		{"mixed", 10, []playbook.Amount{n(1), pc(50), pc(100)}, []int{1, 5, 4}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, batchSizes(c.hosts, c.serial)) })
	}
}

func TestOverBudget(t *testing.T) {
	p30 := 30.0
	for _, c := range []struct {
		name        string
		play        playbook.Play
		batch, lost int
		want        bool
	}{
		{"nobody lost", playbook.Play{AnyErrorsFatal: true}, 5, 0, false},
		{"all lost", playbook.Play{}, 2, 2, true},
		{"some lost, no budget given", playbook.Play{}, 5, 4, false},
		{"any_errors_fatal", playbook.Play{AnyErrorsFatal: true}, 5, 1, true},
		{"exactly the percentage is allowed", playbook.Play{MaxFailPercent: &p30}, 10, 3, false},
		{"more than the percentage is not", playbook.Play{MaxFailPercent: &p30}, 10, 4, true},
		{"zero percent allows none", playbook.Play{MaxFailPercent: new(float64)}, 10, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, overBudget(&c.play, c.batch, c.lost)) })
	}
}
