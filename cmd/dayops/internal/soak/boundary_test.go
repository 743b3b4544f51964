package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/journal"
)

// boundary is a record that ends a write of the journal, the nth of its mark.
type boundary struct {
	mark string // as DAYOPS_CRASH takes it
	nth  int
}

// boundaries are those of a run's journal, in order. A plan's announcement is in
// the write of the record behind it.
func (d *desk) boundaries(run string) []boundary {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.state(), "runs", run, "journal.jsonl"))
	require.NoError(d.t, err)
	seen := map[string]int{}
	var out []boundary
	for line := range bytes.Lines(text) {
		var r journal.Record
		_, text, _ := bytes.Cut(line, []byte(" "))
		if json.Unmarshal(text, &r) != nil || r.Kind == journal.Planned { // torn by a kill
			continue
		}
		mark := fmt.Sprintf("%s %s %s %d %d", r.Kind, r.At.Step, r.At.Host, r.At.Item, r.At.Try)
		seen[mark]++
		out = append(out, boundary{mark, seen[mark]})
	}
	return out
}

// atBoundaries kills a controller before, amid and after the write of every
// record that an undisturbed run writes: the next controller takes the run up
// and is killed at the next record that is not there yet.
func (b *bench) atBoundaries() {
	start, known := time.Now(), b.runs()
	_, on := b.began(nil, let)
	require.False(b.t, on)
	all := b.boundaries(b.newRun(known))
	chains, kills := 0, b.kills
	for _, when := range []string{"before", "half", "after"} {
		left, tried := all, map[boundary]int{}
		for ; len(left) > 0; chains++ {
			before := len(left)
			left = b.alongBoundaries(when, left)
			for _, x := range left {
				tried[x]++
				require.Less(b.t, tried[x], 6, "no controller came to %s %v", when, x)
			}
			b.t.Logf("%s: %d of %d, %s", when, before-len(left), before, time.Since(start).Round(time.Second))
		}
	}
	require.GreaterOrEqual(b.t, b.kills-kills, 3*len(all))
	b.t.Logf("every one of %d boundaries, before, amid and after: %d kills in %d chains, %s", len(all), b.kills-kills, chains, time.Since(start).Round(time.Second))
}

// alongBoundaries makes one run by controllers each of which is killed at one of
// the boundaries; it gives back those that other hosts had passed by then.
func (b *bench) alongBoundaries(when string, targets []boundary) (left []boundary) {
	s, on := b.began(at(when+":"+targets[0].mark), let)
	if !on { // killed before there was a run
		return targets[1:]
	}
	for ; on; targets = targets[1:] {
		there := map[boundary]bool{}
		for _, x := range b.boundaries(s.run) {
			there[x] = true
		}
		for len(targets) > 1 && there[targets[1]] {
			left = append(left, targets[1])
			targets = append(targets[:1:1], targets[2:]...)
		}
		if len(targets) == 1 {
			require.True(b.t, s.resume(nil, let), &s.log)
			return left
		}
		if on = !s.resume(at(when+":"+targets[1].mark), let); !on {
			left = append(left, targets[1:]...) // it came to none of them
		}
	}
	return left
}
