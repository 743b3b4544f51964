package words

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][]string{
		"":                         nil,
		"  \t\n ":                  nil,
		"a b":                      {"a", "b"},
		" a\n b ":                  {"a", "b"},
		`'a b' "c d"`:              {"a b", "c d"},
		`a''b ""`:                  {"ab", ""},
		`a\ b`:                     {"a b"},
		`"a\"b\\c\d$x"`:            {`a"b\c\d$x`},
		`'a\b'`:                    {`a\b`},
		"a\\\nb":                   {"ab"},
		`--x="y z"'q'`:             {"--x=y zq"},
		"é 'ü x'":                  {"é", "ü x"},
		"a | b > c && d; $x `y` #": {"a", "|", "b", ">", "c", "&&", "d;", "$x", "`y`", "#"},
	} {
		got, err := Split(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{`'a`, `"a`, `a\`, `"a\`} {
		_, err := Split(in)
		require.Error(t, err, in)
	}
}

// Whatever has no character that a shell expands is split as sh splits it.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a b", `'a b' c`, `"a\"b"`, `a\ b`, "a\\\nb", `""`, "\\\\\n0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Split(s)
		if err != nil || strings.ContainsAny(s, "$`*?[]{}~#!<>|&;()\r\x00=^%") {
			return
		}
		for _, r := range s {
			if r != '\n' && r != '\t' && r < ' ' || r >= 0x7f {
				return
			}
		}
		// A line break outside of quotes ends a command for a shell, unless
		// a backslash that is not itself escaped stands before it.
		if strings.Contains(strings.NewReplacer(`\\`, "", "\\\n", "").Replace(s), "\n") {
			return
		}
		out, err := exec.Command("/bin/sh", "-c", `for w do printf '%s\0' "$w"; done`, "sh").Output()
		require.NoError(t, err)
		require.Empty(t, out)
		out, err = exec.Command("/bin/sh", "-c", "set -- "+s+"\nfor w do printf '%s\\0' \"$w\"; done").Output()
		require.NoError(t, err, "%q", s)
		want := strings.Split(string(out), "\x00")
		if !slices.Equal(want[:len(want)-1], got) {
			t.Fatalf("%q: sh says %q, we say %q", s, want, got)
		}
	})
}
