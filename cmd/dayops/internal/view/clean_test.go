package view

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// What a host says must not move the cursor, colour the screen or pass for a line of ours.
func TestLineIsHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢":                     "plain ü 漢",
		"\x1b[2J\x1b[31mred":            `\u001b[2J\u001b[31mred`,
		"ok\nPLAY RECAP":                `ok\nPLAY RECAP`,
		"a\rb":                          `a\rb`,
		"a\tb":                          "a b",
		"\u202egpj.exe":                 `\u202egpj.exe`,
		"\u009b31m":                     `\u009b31m`,
		"bell\a del\x7f nul\x00":        `bell\u0007 del\u007f nul\u0000`,
		string([]byte{0x9b, 'a', 0xfe}): "\ufffda\ufffd",
	} {
		require.Equal(t, want, Line(in))
	}
}

func TestBlockCounts(t *testing.T) {
	require.Nil(t, block("\n\n", 3))
	require.Equal(t, []string{"a", "", "b"}, block("a\r\n\r\nb\r\n", 3))
	require.Equal(t, []string{"1", "2", "... 2 more lines"}, block("1\n2\n3\n4\n", 2))
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[0m\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Line(s) {
			require.False(t, unsafeRune(r), "%q lets %U through", s, r)
		}
	})
}

func TestCleanKeepsLines(t *testing.T) {
	require.Equal(t, "a\n"+`\u001b[2J`+"\n", Clean("a\n\x1b[2J\n"))
}

// A line of JSON must not reach a terminal's ears either, and must stay the same JSON.
func TestJSONIsHarmless(t *testing.T) {
	var out strings.Builder
	const evil = "del\x7f c1\u009b2J bidi\u202e tab\t nl\n esc\x1b"
	j := NewJSON(&out)
	j.Emit(event.Event{Kind: event.Note, Text: evil})
	require.NoError(t, j.Err())
	text := strings.TrimSuffix(out.String(), "\n")
	require.Negative(t, strings.IndexFunc(text, unsafeRune), text)
	var back event.Event
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Equal(t, evil, back.Text)
}
