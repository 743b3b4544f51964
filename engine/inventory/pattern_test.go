package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func loadText(t *testing.T, name, text string) *inventory.Inventory {
	t.Helper()
	inv, err := inventory.Load([]string{write(t, name, text)})
	require.NoError(t, err)
	return inv
}

const cluster = `
[masters]
m[1:3]
[etcd]
m[1:3]
[nodes]
m[1:3]
n[1:2]
fe80::1
[weird]
lb
`

func TestMatch(t *testing.T) {
	inv := loadText(t, "hosts", cluster)
	for _, c := range []struct {
		pattern string
		want    []string
		wrong   string
	}{
		{pattern: "all", want: []string{"m1", "m2", "m3", "n1", "n2", "fe80::1", "lb"}},
		{pattern: "nodes:&masters,etcd", want: []string{"m1", "m2", "m3"}}, // a colon separates beside commas too
		{pattern: " n2 , m1 ", want: []string{"n2", "m1"}},
		{pattern: "fe80::1,m1", want: []string{"fe80::1", "m1"}},
		{pattern: "nodes:!fe80::1", want: []string{"m1", "m2", "m3", "n1", "n2"}},
		{pattern: "new_etcd"},
		{pattern: "new_etcd[0]"},
		{pattern: "lb", want: []string{"lb"}},
		{pattern: "&lb", want: []string{"lb"}},
		{pattern: "!lb:weird"},
		{pattern: "localhost", want: []string{"localhost"}},
		{pattern: "127.0.0.1", want: []string{"127.0.0.1"}},
		{pattern: "loc*", wrong: `no host or group matches "loc*"`},
		{pattern: "mastesr", wrong: `there is no host or group "mastesr" (did you mean "masters"?)`},
		{pattern: "all:!mastesr", want: []string{"m1", "m2", "m3", "n1", "n2", "fe80::1", "lb"}, wrong: `there is no host or group "mastesr" (did you mean "masters"?)`},
		{pattern: "masters[3]", wrong: `there is no host number 3: "masters" has 3, counted from 0`},
		{pattern: "masters[-4]", wrong: `there is no host number -4: "masters" has 3, counted from 0`},
		{pattern: "masters[2:1]", wrong: `this range selects no host: "masters" has 3, counted from 0`},
		{pattern: "masters[1:99]", want: []string{"m2", "m3"}},
		{pattern: "masters[1-2]", want: []string{"m2", "m3"}},
		{pattern: `~[mn]\d$`, want: []string{"m1", "m2", "m3", "n1", "n2"}},
		{pattern: `~^mas`, want: []string{"m1", "m2", "m3"}},
		{pattern: "masters:!masters"},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			p, err := inventory.ParsePattern("PATTERN", c.pattern)
			require.NoError(t, err)
			require.Equal(t, c.pattern, p.String())
			hosts, unmatched := inv.Match(p)
			require.ElementsMatch(t, c.want, hosts)
			require.Equal(t, append([]string(nil), c.want...), append([]string(nil), hosts...))
			if c.wrong == "" {
				require.Empty(t, unmatched)
				return
			}
			require.Len(t, unmatched, 1)
			require.Contains(t, unmatched[0].Error(), c.wrong)
		})
	}
}

func TestPatternMistakes(t *testing.T) {
	for pattern, want := range map[string]string{
		"":             "PATTERN: this pattern is empty\n  hint: \"all\" selects every host\n",
		" , ":          "PATTERN: this pattern is empty\n   , \n  ^\n  hint: \"all\" selects every host\n",
		"masters[0":    "PATTERN: this [ is never closed\n  masters[0\n         ^\n  hint: a subscript is written masters[0] or nodes[1:3]\n",
		"a:!":          "PATTERN: a name is missing behind !\n  a:!\n    ^\n",
		"web1 web2":    "PATTERN: a space cannot stand inside a pattern\n  web1 web2\n  ^^^^^^^^^\n  hint: put a comma between names: \"web1,web2\"\n",
		"ab,~(x":       "PATTERN: this regular expression cannot be read: missing closing ): `^(?:(x)`\n  ab,~(x\n     ^^^\n  hint: the syntax is RE2: no look-around and no back-references\n",
		"masters!etcd": "PATTERN: '!' cannot stand here\n  masters!etcd\n  ^^^^^^^^^^^^\n  hint: put : or , between names: all:!etcd\n",
		"ab]":          "PATTERN: ']' cannot stand here\n  ab]\n  ^^^\n  hint: put : or , between names: all:!etcd\n",
		"x[]":          "PATTERN: this pattern cannot be read\n  x[]\n  ^^^\n  hint: a subscript is written masters[0] or nodes[1:3]\n",
		`x*\[a`:        "PATTERN: this pattern cannot be read\n  x*\\[a\n  ^^^^^\n  hint: a subscript is written masters[0] or nodes[1:3]\n",
		`x[a\]]`:       "PATTERN: this pattern cannot be read\n  x[a\\]]\n  ^^^^^^\n  hint: a subscript is written masters[0] or nodes[1:3]\n",
	} {
		_, err := inventory.ParsePattern("PATTERN", pattern)
		list, ok := err.(source.List)
		require.True(t, ok, pattern)
		require.Equal(t, want, list.Excerpts(), pattern)
	}
}

func TestPatternInAPlaybookKeepsItsPlace(t *testing.T) {
	root, err := strictyaml.Parse("p.yml", []byte("hosts: \"a:b[\"\nlist:\n  - web\n  - 'x y'\nmap: {a: b}\n"))
	require.NoError(t, err)
	_, err = inventory.PatternAt(root.Get("hosts"))
	require.Equal(t, source.Pos{File: "p.yml", Line: 1, Col: 12}, err.(source.List)[0].Pos)
	_, err = inventory.PatternAt(root.Get("list"))
	require.Equal(t, source.Pos{File: "p.yml", Line: 4, Col: 6}, err.(source.List)[0].Pos)
	_, err = inventory.PatternAt(root.Get("map"))
	require.ErrorContains(t, err, "a pattern of hosts is a text")
}

func TestLimit(t *testing.T) {
	inv := loadText(t, "hosts", cluster)
	file := write(t, "failed.retry", "# failed\nm2\n\n  n?:!n1  \n")
	p, err := inventory.ParseLimit("--limit", "@"+file+",m1", os.ReadFile)
	require.NoError(t, err)
	hosts, unmatched := inv.Match(p)
	require.Empty(t, unmatched)
	require.Equal(t, []string{"m1", "m2", "n2"}, inventory.Limit(inv.Hosts(), hosts))

	_, err = inventory.ParseLimit("--limit", "@/no/such", os.ReadFile)
	require.ErrorContains(t, err, "--limit: cannot read the file of patterns: no such file or directory")
	_, err = inventory.ParseLimit("--limit", "@"+write(t, "f", "ok\na[\n"), os.ReadFile)
	require.ErrorContains(t, err, "f:2:2: this [ is never closed")
	_, err = inventory.ParseLimit("--limit", "@"+write(t, "f", "\n"), os.ReadFile)
	require.ErrorContains(t, err, "this pattern is empty")
}

func TestLargeInventoryLoadsFast(t *testing.T) {
	text := "[all:vars]\nansible_user=root\n[nodes]\n"
	for i := range 5000 {
		text += fmt.Sprintf("node%04d.example.com ansible_host=10.0.%d.%d rack=%d\n", i, i/250, i%250, i%40)
	}
	inv := loadText(t, "hosts", text)
	require.Len(t, inv.Hosts(), 5000)
	require.Len(t, inv.Layers("node4999.example.com"), 2)
}

func BenchmarkLoad5000(b *testing.B) {
	text := "[all:vars]\nansible_user=root\n[nodes]\n"
	for i := range 5000 {
		text += fmt.Sprintf("node%04d.example.com ansible_host=10.0.%d.%d rack=%d\n", i, i/250, i%250, i%40)
	}
	path := filepath.Join(b.TempDir(), "hosts")
	require.NoError(b, os.WriteFile(path, []byte(text), 0o600))
	for b.Loop() {
		inv, err := inventory.Load([]string{path})
		require.NoError(b, err)
		for _, h := range inv.Hosts() {
			inv.Vars(h)
		}
	}
}
