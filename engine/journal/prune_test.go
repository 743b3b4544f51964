package journal

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var day0 = time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)

// history of one run a day; ended ones have a last line.
func newHistory(t *testing.T, ended ...bool) *History {
	h := Open(t.TempDir())
	for i, end := range ended {
		run := fmt.Sprintf("r%d", i)
		w, err := h.Begin(run)
		require.NoError(t, err)
		at := day0.AddDate(0, 0, i).Format(time.RFC3339)
		fmt.Fprintf(w, `{"v":1,"seq":1,"time":%q,"run":%q,"kind":"run_start","text":"a.yml"}`+"\n", at, run)
		if end {
			fmt.Fprintf(w, `{"v":1,"seq":2,"time":%q,"run":%q,"kind":"run_end","code":0}`+"\n", at, run)
		}
		require.NoError(t, w.Close())
	}
	return h
}

func ids(cs []Candidate) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Run)
	}
	return strings.Join(out, " ")
}

func TestPolicy(t *testing.T) {
	h := newHistory(t, true, true, true, true)
	for want, p := range map[string]Policy{
		"r0 r1":    {Keep: 2},
		"r0 r1 r2": {Before: day0.AddDate(0, 0, 3)},
		"r0":       {Keep: 2, Before: day0.AddDate(0, 0, 1)}, // both must let it go
		"":         {Keep: 9},
	} {
		cs, err := h.Candidates(p)
		require.NoError(t, err)
		require.Equal(t, want, ids(cs), "%+v", p)
		for _, c := range cs {
			require.Positive(t, c.Bytes)
		}
	}
	_, err := h.Candidates(Policy{Force: true})
	require.ErrorIs(t, err, ErrEmptyPolicy)
	_, err = Open(t.TempDir()).Candidates(Policy{Keep: 1})
	require.NoError(t, err)
}

func TestRemove(t *testing.T) {
	h := newHistory(t, true, false, true)
	require.NoError(t, os.MkdirAll(filepath.Join(h.dir, "r0", "blobs"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(h.dir, "odd"), 0o700)) // no record at all; the newest by its time
	underWay, err := h.Create("r2")
	require.NoError(t, err)
	cs, err := h.Candidates(Policy{Before: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, []string{"", "did not end: it could be resumed", "is under way", "has a record that cannot be read"},
		[]string{cs[0].Stays(false), cs[1].Stays(false), cs[2].Stays(false), cs[3].Stays(false)})
	require.Equal(t, []string{"", "", "is under way", ""},
		[]string{cs[0].Stays(true), cs[1].Stays(true), cs[2].Stays(true), cs[3].Stays(true)})

	var stays *StaysError
	require.NoError(t, h.Remove(cs[0], false))
	require.ErrorAs(t, h.Remove(cs[1], false), &stays)
	require.ErrorIs(t, h.Remove(cs[2], true), ErrHeld)
	require.NoError(t, h.Remove(cs[1], true))
	require.NoError(t, underWay.Close())
	require.ErrorIs(t, h.Remove(cs[0], true), fs.ErrNotExist)
	left, unreadable, err := h.List()
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, 1, unreadable)
	require.NoDirExists(t, filepath.Join(h.dir, "r0"))
}

// A removal that was cut off half way is no run any more, and the next prune ends it.
func TestSweep(t *testing.T) {
	h := newHistory(t, true)
	require.NoError(t, os.Rename(filepath.Join(h.dir, "r0"), filepath.Join(h.dir, prunedPrefix+"r0")))
	left, unreadable, err := h.List()
	require.NoError(t, err)
	require.Empty(t, left)
	require.Zero(t, unreadable)
	_, err = h.Find(".pruned")
	require.Error(t, err)
	require.NoError(t, h.Sweep())
	require.NoDirExists(t, filepath.Join(h.dir, prunedPrefix+"r0"))
	require.NoError(t, Open(filepath.Join(t.TempDir(), "none")).Sweep())
}
