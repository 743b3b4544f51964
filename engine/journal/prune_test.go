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

// endedRun writes the record and the journal of a run that has ended.
func endedRun(t *testing.T, h *History, id string, day, code int, hosts string, begun, doubt bool) {
	w, err := h.Begin(id)
	require.NoError(t, err)
	at := day0.AddDate(0, 0, day).Format(time.RFC3339)
	fmt.Fprintf(w, `{"v":1,"seq":1,"time":%q,"run":%q,"kind":"run_start","text":"a.yml","hosts":[%s]}`+"\n", at, id, hosts)
	fmt.Fprintf(w, `{"v":1,"seq":2,"time":%q,"run":%q,"kind":"run_end","code":%d}`+"\n", at, id, code)
	require.NoError(t, w.Close())
	j, err := h.Create(id)
	require.NoError(t, err)
	require.NoError(t, j.Append(Record{Kind: Began, Run: &Run{ID: id}}))
	if begun {
		require.NoError(t, j.Append(Record{Kind: Intent, ID: 1, Change: &Change{Kind: "write"}}))
	}
	if begun && !doubt {
		require.NoError(t, j.Append(Record{Kind: Done, ID: 1}))
	}
	require.NoError(t, j.Append(Record{Kind: Ended, Code: code}))
	require.NoError(t, j.Close())
}

// What a resume takes up stays, whatever its exit code; but not for ever.
func TestPruneSparesWhatGoesOn(t *testing.T) {
	const one, both = `"a"`, `"a","b"`
	h := Open(t.TempDir())
	var want []string
	for day, r := range []struct {
		code         int
		hosts        string
		begun, doubt bool
		stays        string
	}{
		{4, both, true, false, ""}, // as old as can be
		{4, one, true, false, ""},  // a later run was for the same host
		{2, both, true, true, "left a change in doubt: it could be resumed"},
		{4, both, true, false, "ended with exit 4: it could be resumed"}, // later ones were for one host only
		{6, one, false, false, ""},
		{130, one, true, false, "was interrupted: it could be resumed"},
		{11, `"c"`, true, false, "ended with exit 11: it could be resumed"},
		{0, one, true, false, ""},
		{2, one, true, false, ""},
		{4, `"c"`, false, false, ""}, // began nothing: it is no end of what was cut off before
	} {
		id, at := fmt.Sprintf("r%d", day), day
		if day == 0 {
			at = -100
		}
		endedRun(t, h, id, at, r.code, r.hosts, r.begun, r.doubt)
		want = append(want, r.stays)
		m, err := h.Read(id)
		require.NoError(t, err)
		require.Equal(t, r.doubt || r.code != 0 && r.code != 2, m.GoesOn(), id)
	}
	cs, err := h.Candidates(Policy{Before: day0.AddDate(1, 0, 0), Now: day0.AddDate(0, 0, 20)})
	require.NoError(t, err)
	require.Len(t, cs, len(want))
	for i, c := range cs {
		require.Equal(t, want[i], c.Stays(false), c.Run)
		require.Empty(t, c.Stays(true))
		if err := h.Remove(c, false); want[i] == "" {
			require.NoError(t, err, c.Run)
		} else {
			require.ErrorContains(t, err, want[i])
		}
	}
}
