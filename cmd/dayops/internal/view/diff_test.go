package view

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// Two real runs: in the second a host is away, two fail, and a file gets other content.
func TestDiff(t *testing.T) {
	d := Compare(replay(t, "first"), replay(t, "failed"))
	var b strings.Builder
	d.WriteText(&b, false)
	golden(t, "diff.txt", b.String())
	golden(t, "diff.json", written(t, d.WriteJSON))
	require.True(t, Compare(replay(t, "first"), replay(t, "first")).Same)
}

func TestDiffKinds(t *testing.T) {
	res := func(s event.Status, changes ...string) *ReportResult {
		r := &ReportResult{Status: s}
		for _, c := range changes {
			r.Changes = append(r.Changes, event.Change{Summary: c})
		}
		return r
	}
	for _, c := range []struct {
		was, is *ReportResult
		want    DiffKind
	}{
		{res(event.OK), res(event.OK), ""},
		{res(event.OK), res(event.Failed), Worse},
		{nil, res(event.Unreached), Worse},
		{res(event.Partial), res(event.Changed), Better},
		{res(event.Unreached), nil, Better},
		{res(event.OK), res(event.Changed), NowChanged},
		{res(event.Skipped), res(event.Changed), NowChanged},
		{res(event.Changed), res(event.Skipped), Settled},
		{res(event.Changed, "a"), res(event.Changed, "a"), ""},
		{res(event.Changed, "a"), res(event.Changed, "b"), OtherWhat},
		{res(event.OK), res(event.Skipped), Other},
		{res(event.OK), nil, NotReached},
		{nil, res(event.OK), NowReached},
		{&ReportResult{Status: event.Failed, Cause: "x"}, &ReportResult{Status: event.Failed, Cause: "y"}, OtherWhat},
	} {
		require.Equal(t, c.want, kindOf(c.was, c.is), "%+v", c)
	}
}

// Texts of hosts stay data, and a text of several lines cannot pass for a difference.
func TestDiffIsHarmless(t *testing.T) {
	a, b := hostile(), hostile()
	b.Hosts[0].Results[1].Status = event.Changed
	b.Hosts[0].Results[1].Changes[0].Summary += "\n+ evil\x1b[2J"
	var text strings.Builder
	d := Compare(a, b)
	d.WriteText(&text, false)
	require.Negative(t, strings.IndexFunc(strings.ReplaceAll(text.String(), "\n", ""), unsafeRune))
	require.NotContains(t, text.String(), "\n      + evil")
	require.NotEmpty(t, d.Results)
}
