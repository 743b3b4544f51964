package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Of what was not synced when the power went any part may have reached the disk:
// it is dropped whole. The same damage in what was synced is told.
func TestPowerLoss(t *testing.T) {
	h, j := begin(t)
	require.NoError(t, j.Append(Record{Kind: Intent, ID: 1, Change: &Change{Kind: "write"}}))
	require.NoError(t, j.Append(Record{Kind: Done, ID: 1}))
	file := filepath.Join(h.dir, "r1", journalFile)
	sound, err := os.ReadFile(file)
	require.NoError(t, err)
	for id := range int64(3) { // one batch of four lines
		require.NoError(t, j.Announce(Record{Kind: Intent, ID: 2 + id, Change: &Change{Kind: "write"}}))
	}
	require.NoError(t, j.Append(Record{Kind: Intent, ID: 5, Change: &Change{Kind: "write"}}))
	batch, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, j.Append(Record{Kind: Done, ID: 5}))
	require.NoError(t, j.Close())
	more, err := os.ReadFile(file)
	require.NoError(t, err)

	from := len(sound) + 1 // behind the end of line of the mark
	lines := bytes.SplitAfter(batch[from:], []byte("\n"))
	require.Len(t, lines, 6) // with the mark, and an empty rest
	for i, line := range lines[:5] {
		torn := func(text []byte, n int) []byte {
			text = bytes.Clone(text)
			clear(text[from : from+n])
			return text
		}
		for _, n := range []int{1, len(line) - 1, len(line) + 1, len(batch) - from} {
			if from+n > len(batch) {
				continue
			}
			require.NoError(t, os.WriteFile(file, torn(batch, n), 0o600))
			j, m, err := h.Resume("r1")
			require.NoError(t, err, "line %d, %d bytes", i, n)
			require.Len(t, m.Steps, max(1, i))
			require.NoError(t, j.Append(Record{Kind: Ended}))
			require.NoError(t, j.Append(Record{Kind: Ended}))
			require.NoError(t, j.Close())
			m, err = h.Read("r1")
			require.NoError(t, err)
			require.True(t, m.Ended)

			require.NoError(t, os.WriteFile(file, torn(more, n), 0o600))
			_, err = h.Read("r1")
			require.ErrorIs(t, err, errChecksum, "line %d, %d bytes: it was synced, and acted upon", i, n)
		}
		from += len(line)
	}
}

// A journal of before there were marks: several bad lines at the end are a torn
// end, a bad line before good ones is damage.
func TestPowerLossWithoutMarks(t *testing.T) {
	h, j := begin(t)
	file := filepath.Join(h.dir, "r1", journalFile)
	for id := range int64(3) {
		require.NoError(t, j.Announce(Record{Kind: Intent, ID: 1 + id, Change: &Change{Kind: "write"}}))
	}
	require.NoError(t, j.Append(Record{Kind: Done, ID: 1}))
	require.NoError(t, j.Close())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var old [][]byte
	for line := range bytes.Lines(text) {
		if len(line) > 1 && !bytes.Contains(line, []byte(" synced ")) {
			old = append(old, line)
		}
	}
	require.Len(t, old, 5)
	for _, i := range []int{2, 3, 4} {
		old[i][0] ^= 1
	}
	require.NoError(t, os.WriteFile(file, bytes.Join(old, nil), 0o600))
	m, err := h.Read("r1")
	require.NoError(t, err)
	require.Len(t, m.Steps, 1)
	old[4][0] ^= 1
	require.NoError(t, os.WriteFile(file, bytes.Join(old, nil), 0o600))
	_, err = h.Read("r1")
	require.ErrorIs(t, err, errChecksum)
}
