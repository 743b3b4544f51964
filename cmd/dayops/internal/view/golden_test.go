package view

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// TestGolden shows recorded runs in each way that a person can ask for.
// UPDATE=1 writes the files anew: read the difference.
func TestGolden(t *testing.T) {
	records, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, records)
	for _, rec := range records {
		for name, opt := range map[string]TextOptions{"plain": {}, "colour": {Colour: true}, "verbose": {Verbose: 2}, "quiet": {Quiet: true}} {
			file := strings.TrimSuffix(rec, ".jsonl") + "." + name + ".txt"
			t.Run(filepath.Base(file), func(t *testing.T) {
				got := replay(t, rec, opt)
				harmless(t, got, opt.Colour)
				if os.Getenv("UPDATE") != "" {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), got)
			})
		}
	}
}

func replay(t *testing.T, file string, opt TextOptions) string {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var out bytes.Buffer
	text := NewText(&out, opt)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var e event.Event
		require.NoError(t, json.Unmarshal(sc.Bytes(), &e))
		text.Emit(e)
	}
	return out.String()
}

// harmless: no control characters but our own colours, and no line that a host could have forged.
func harmless(t *testing.T, text string, colour bool) {
	if colour {
		for _, c := range []string{red, green, yellow, cyan, bold, "0"} {
			text = strings.ReplaceAll(text, "\x1b["+c+"m", "")
		}
	}
	for line := range strings.Lines(text) {
		require.NotContains(t, strings.TrimSuffix(line, "\n"), "\x1b")
		for _, r := range strings.TrimSuffix(line, "\n") {
			require.False(t, unsafeRune(r), "%q", line)
		}
		require.False(t, strings.HasPrefix(line, "FORGED"), "%q", line)
	}
}

// The record says the same after a round through JSON, and nothing but JSON is written.
func TestJSONIsTheRecord(t *testing.T) {
	raw, err := os.ReadFile("testdata/run.jsonl")
	require.NoError(t, err)
	var out bytes.Buffer
	sink := NewJSON(&out)
	for line := range strings.Lines(string(raw)) {
		var e event.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		sink.Emit(e)
		sink.Emit(event.Event{Kind: event.Progress})
	}
	require.NoError(t, sink.Err())
	require.JSONEq(t, "["+strings.ReplaceAll(strings.TrimSpace(string(raw)), "\n", ",")+"]", "["+strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", ",")+"]")
}
