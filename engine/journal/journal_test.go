package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func begin(t *testing.T) (*History, *Journal) {
	t.Helper()
	h := Open(t.TempDir())
	w, err := h.Begin("r1")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	j, err := h.Create("r1")
	require.NoError(t, err)
	require.NoError(t, j.Append(Record{Kind: Began, Run: &Run{ID: "r1", Playbook: "p.yml"}}))
	return h, j
}

func TestJournalIsReadBack(t *testing.T) {
	h, j := begin(t)
	at := Place{Step: "1.1", Host: "a"}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			id := j.NextID()
			require.NoError(t, j.Append(Record{Kind: Intent, At: at, ID: id, Change: &Change{Host: "a", Kind: "write", Data: json.RawMessage(`"s3cret"`)}}))
			if id%2 == 0 {
				require.NoError(t, j.Append(Record{Kind: Done, ID: id, Outcome: json.RawMessage(`{"x":1}`), Inverse: []Change{{Kind: "remove"}}}))
			}
		})
	}
	wg.Wait()
	require.NoError(t, j.Note(Record{Kind: Finished, At: at, Result: json.RawMessage(`{}`)}))
	_, _, err := h.Resume("r1")
	require.ErrorIs(t, err, ErrHeld)
	require.True(t, h.Held("r1"))
	require.NoError(t, j.Close())
	require.False(t, h.Held("r1"))

	j, m, err := h.Resume("r1")
	require.NoError(t, err)
	require.Len(t, m.Steps, 20)
	require.Len(t, m.InDoubt(), 10)
	require.Contains(t, m.Results, at)
	require.JSONEq(t, `"s3cret"`, string(m.Steps[0].Change.Data))
	text, err := os.ReadFile(filepath.Join(h.dir, "r1", journalFile))
	require.NoError(t, err)
	require.NotContains(t, string(text), "s3cret")
	require.Equal(t, int64(21), j.NextID())
	require.NoError(t, j.Close())
}

// What is announced is on disk no sooner and no later than what comes after it.
func TestAnnounced(t *testing.T) {
	h, j := begin(t)
	file := filepath.Join(h.dir, "r1", journalFile)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, j.Announce(Record{Kind: Planned, At: Place{Step: "1.1"}}))
	now, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, now)
	require.NoError(t, j.Append(Record{Kind: Intent, At: Place{Step: "1.1"}, ID: 1, Change: &Change{Kind: "write"}}))
	now, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(now), `"kind":"planned"`)
	require.Contains(t, string(now), `"kind":"intent"`)
	require.NoError(t, j.Close())
}

// Whatever a crash leaves of the end, what is whole before it counts.
func TestJournalCutAnywhere(t *testing.T) {
	h, j := begin(t)
	require.NoError(t, j.Append(Record{Kind: Intent, ID: 1, Change: &Change{Kind: "write"}}))
	require.NoError(t, j.Append(Record{Kind: Done, ID: 1}))
	require.NoError(t, j.Close())
	file := filepath.Join(h.dir, "r1", journalFile)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	first := bytes.IndexByte(text, '\n') + 1
	for n := range len(text) {
		require.NoError(t, os.WriteFile(file, text[:n], 0o600))
		j, m, err := h.Resume("r1")
		if n < first {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, n)
		require.NoError(t, j.Append(Record{Kind: Ended, Code: 7}))
		require.NoError(t, j.Close())
		again, err := h.Read("r1")
		require.NoError(t, err)
		require.True(t, again.Ended)
		require.Len(t, again.Steps, len(m.Steps))
	}
	text[first+20] ^= 1
	require.NoError(t, os.WriteFile(file, text, 0o600))
	_, err = h.Read("r1")
	require.ErrorContains(t, err, "checksum")
}

func TestBlobs(t *testing.T) {
	h, j := begin(t)
	name, err := j.Blob([]byte("old"))
	require.NoError(t, err)
	again, err := j.Blob([]byte("old"))
	require.NoError(t, err)
	require.Equal(t, name, again)
	f, err := h.OpenBlob("r1", name)
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
	path := filepath.Join(h.dir, "r1", blobFolder, name)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.WriteFile(path, []byte("odd"), 0o600))
	f, err = h.OpenBlob("r1", name)
	require.NoError(t, err)
	_, err = io.ReadAll(f)
	require.ErrorContains(t, err, "damaged")
	_, err = h.OpenBlob("r1", "../journal.jsonl")
	require.Error(t, err)
}

// After a line could not be written nothing is taken for journalled any more.
func TestJournalThatCannotBeWritten(t *testing.T) {
	_, j := begin(t)
	require.NoError(t, j.file.Close())
	require.Error(t, j.Append(Record{Kind: Intent, ID: 1}))
	require.Error(t, j.Append(Record{Kind: Intent, ID: 2}))
	require.False(t, errors.Is(j.err, ErrHeld))
}

func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	h := Open(dir)
	seal, err := newSealer(dir)
	require.NoError(f, err)
	line, err := encode(Record{Kind: Began, Run: &Run{ID: "r1"}}, seal)
	require.NoError(f, err)
	intent, err := encode(Record{Kind: Intent, ID: 1, Change: &Change{Kind: "write", Data: json.RawMessage(`{}`)}}, seal)
	require.NoError(f, err)
	f.Add(append(line, intent...))
	f.Add(line[:len(line)-3])
	f.Add([]byte("00000000 {}\n"))
	require.NoError(f, os.MkdirAll(filepath.Join(h.dir, "r1"), 0o700))
	f.Fuzz(func(t *testing.T, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, "r1", journalFile), text, 0o600))
		if m, err := h.Read("r1"); err == nil {
			require.NotEmpty(t, m.Run.ID)
			m.InDoubt()
		}
	})
}

// TestForgotten: what is to be done again stays so for a later controller.
func TestForgotten(t *testing.T) {
	h, j := begin(t)
	at := Place{Step: "1.1", Host: "a"}
	id := j.NextID()
	require.NoError(t, j.Append(Record{Kind: Intent, At: Place{Step: "1.1", Host: "a", Try: 1}, ID: id, Change: &Change{Host: "a", Kind: "exec"}}))
	require.NoError(t, j.Append(Record{Kind: Done, ID: id}))
	require.NoError(t, j.Note(Record{Kind: Finished, At: at, Result: json.RawMessage(`{}`)}))
	require.NoError(t, j.Append(Record{Kind: Ended, Code: 2}))
	require.NoError(t, j.Close())

	j, m, err := h.Resume("r1")
	require.NoError(t, err)
	require.True(t, m.Ended)
	require.Zero(t, m.EndedAt)
	require.NoError(t, j.TakeUp(Record{Run: &Run{ID: "r1"}}, m, []Place{at}))
	require.Equal(t, 1, j.Taken())
	check := func(m *Memory) {
		require.False(t, m.Ended)
		require.Empty(t, m.Results)
		require.True(t, m.Steps[0].Again)
	}
	check(m)
	require.False(t, m.Knows("1.1", "a"))
	require.NoError(t, j.Append(Record{Kind: Intent, At: at, ID: j.NextID(), Change: &Change{Host: "a", Kind: "exec"}}))
	require.NoError(t, j.Close())

	m, err = h.Read("r1")
	require.NoError(t, err)
	check(m)
	require.Equal(t, []int{0, 1}, []int{m.Steps[0].Taken, m.Steps[1].Taken})
}
