package inventory_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
)

func seed(f *testing.F, glob string) {
	paths, err := filepath.Glob(glob)
	require.NoError(f, err)
	for _, p := range paths {
		if data, err := os.ReadFile(p); err == nil {
			f.Add(string(data))
		}
	}
}

// Whatever the text, every mistake stands inside the file, what was read can
// be shown, and a good inventory survives being written down and read again.
func FuzzINI(f *testing.F) {
	seed(f, "testdata/ansible/*.ini")
	seed(f, "testdata/ansible/ose3")
	seed(f, "testdata/bad/*.ini")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "hosts.ini")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		inv, err := inventory.Load([]string{path})
		lines := strings.Split(text, "\n")
		if list, ok := err.(source.List); ok {
			for _, m := range list {
				require.LessOrEqual(t, m.Pos.Line, len(lines))
				if m.Pos.Line > 0 {
					require.Positive(t, m.Pos.Col)
					require.LessOrEqual(t, m.Pos.Col, len(lines[m.Pos.Line-1])+1, m.Text)
				}
				m.Excerpt()
			}
		}
		if err != nil || len(inv.Hosts()) > 200 {
			return
		}
		inv.HostOrigins(inv.Hosts()[0])
		require.True(t, json.Valid(inv.ListJSON()))
		again := filepath.Join(dir, "again.ini")
		require.NoError(t, os.WriteFile(again, []byte(asINI(inv)), 0o600))
		inv2, err := inventory.Load([]string{again})
		require.NoError(t, err)
		require.ElementsMatch(t, inv.Hosts(), inv2.Hosts())
		for _, g := range inv.Groups() {
			require.ElementsMatch(t, inv.Members(g), inv2.Members(g))
		}
	})
}

// asINI writes the hosts with all their groups, without variables.
func asINI(inv *inventory.Inventory) string {
	var b strings.Builder
	entry := func(h string) {
		if strings.Contains(h, ":") {
			h = "[" + h + "]:22"
		}
		b.WriteString(h + "\n")
	}
	for _, h := range inv.Members("ungrouped") {
		entry(h)
	}
	for _, g := range inv.Groups() {
		if g != "all" && g != "ungrouped" {
			b.WriteString("[" + g + "]\n")
			for _, h := range inv.Members(g) {
				entry(h)
			}
		}
	}
	return b.String()
}

// A host list is one entry after the other: the way to the ranges alone.
func FuzzHostRange(f *testing.F) {
	for _, s := range []string{"node[01:20].example.com", "[a:f]", "x[1:10:2]y[a:c]", "[::1]:22", "web:2222", "n[9:1]", "n[1:99999999]", "[1:999]-[1:999]", "é[a:Z]", "a[:3]", "0[:10]00::0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, ",/") || len(text) > 200 {
			return
		}
		inv, err := inventory.Load([]string{text + ","})
		if err != nil {
			return
		}
		hosts := inv.Hosts()
		require.LessOrEqual(t, len(hosts), inventory.MaxHosts)
		seen := map[string]bool{}
		for _, h := range hosts {
			require.False(t, seen[h], "%q twice", h)
			seen[h] = true
			require.NotContains(t, h, "[")
			require.NotContains(t, h, "/")
			if len(hosts) > 50 {
				continue
			}
			p, err := inventory.ParsePattern("", h)
			require.NoError(t, err)
			got, unmatched := inv.Match(p)
			require.Empty(t, unmatched)
			require.Equal(t, []string{h}, got, "a host's name selects that host")
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"all", "masters:!m1,&nodes", "~m(1|2)", "m[0]", "nodes[1:3]", "m?", "[!a]*", "fe80::1", "@x", `a\:b`, `x[\]y`} {
		f.Add(s)
	}
	path := filepath.Join(f.TempDir(), "hosts")
	require.NoError(f, os.WriteFile(path, []byte(cluster), 0o600))
	inv, err := inventory.Load([]string{path})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := inventory.ParsePattern("PATTERN", text)
		if err != nil {
			err.(source.List).Excerpts()
			return
		}
		hosts, unmatched := inv.Match(p)
		seen := map[string]bool{}
		for _, h := range hosts {
			require.True(t, inv.Has(h))
			require.False(t, seen[h])
			seen[h] = true
		}
		for _, m := range unmatched {
			m.Excerpt()
		}
		again, err := inventory.ParsePattern("PATTERN", p.String())
		require.NoError(t, err)
		same, _ := inv.Match(again)
		require.Equal(t, hosts, same)
	})
}

func FuzzSplitWords(f *testing.F) {
	for _, s := range []string{`-o ProxyJump=a`, `"a b" 'c'd\ e`, `"\"\\x"`, `''`, `'`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := inventory.SplitWords(text)
		if err != nil {
			return
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		again, err := inventory.SplitWords(strings.Join(quoted, " "))
		require.NoError(t, err)
		require.Equal(t, words, again)
	})
}
