package strictyaml

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/source"
)

func mistakes(t *testing.T, err error) source.List {
	t.Helper()
	var l source.List
	require.True(t, errors.As(err, &l), "want a source.List, got %T %v", err, err)
	return l
}

func parse(t *testing.T, s string) *Node {
	t.Helper()
	n, err := Parse("f.yml", []byte(s))
	require.NoError(t, err)
	return n
}

func TestResolveAsPyYAML(t *testing.T) {
	for text, want := range map[string]any{
		"yes": true, "Yes": true, "YES": true, "on": true, "True": true, "no": false, "off": false, "FALSE": false,
		"y": "y", "n": "n", "yEs": "yEs", "~": nil, "null": nil, "": nil, "nUll": "nUll",
		"0644": int64(420), "0o644": int64(420), "0x1F": int64(31), "0b101": int64(5), "1_000": int64(1000), "-5": int64(-5), "+5": int64(5), "-0644": int64(-420),
		"08": "08", "089": "089", "0": int64(0), "00": int64(0), "_1": "_1", "1.2.3.4": "1.2.3.4", "--5": "--5", "0x": "0x", "+": "+", "-": "-", ".": ".", "._": "._",
		"1.10": 1.1, "1.": 1.0, ".5": 0.5, "1e3": "1e3", "1.0e3": "1.0e3", "1.0e+3": 1000.0, "-1.5": -1.5, "+.5": "+.5",
		"99999999999999999999": "99999999999999999999",
		"22:22":                "22:22", "2020-01-02": "2020-01-02", ".inf": math.Inf(1), "text": "text", "10.0.0.1": "10.0.0.1", "1-2": "1-2", "12e03": "12e03",
	} {
		require.Equal(t, want, resolve(text), "%q", text)
	}
}

// The same scalars through Ansible's own YAML reader, where it is installed.
func TestResolveAgainstPyYAML(t *testing.T) {
	if exec.Command("python3", "-c", "import yaml").Run() != nil {
		t.Skip("needs python3-yaml")
	}
	words := []string{"yes", "Off", "n", "Null", "0644", "08", "0b11", "0x1f", "1_0", "_1", "1.", ".5", "1e3", "1.0e+3", "1.0E-3", "-1.5", "+.5", "-.5", "+1.5", "1__0", "0_7", "0_", "-0x1f", "-0b1", ".", "..", "+", "1.2.3", "0.0", "00", "-0", "1_0.5_0", "._5", "5._", "12x", "1.5e+", "0x_f"}
	cmd := exec.Command("python3", "-c", `
import sys, yaml
for w in sys.stdin.read().split("\n"):
    v = yaml.safe_load(w)
    print(type(v).__name__, v)
`)
	cmd.Stdin = strings.NewReader(strings.Join(words, "\n"))
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, len(words))
	for i, w := range words {
		kind := map[string]string{"bool": "bool", "int64": "int", "float64": "float", "string": "str"}
		got := "NoneType"
		if v := resolve(w); v != nil {
			got = kind[strings.TrimPrefix(typeOf(v), "")]
		}
		require.Equal(t, strings.Fields(lines[i])[0], got, "%q: python says %s", w, lines[i])
	}
}

func typeOf(v any) string {
	switch v.(type) {
	case bool:
		return "bool"
	case int64:
		return "int64"
	case float64:
		return "float64"
	}
	return "string"
}

func TestParseTree(t *testing.T) {
	n := parse(t, "\ufeffa: 0644\nb: \"yes\"\nc: [1, x]\nd: |\n  yes\n8080: port\n10.0.0.1: host\n")
	require.Equal(t, map[string]any{"a": int64(420), "b": "yes", "c": []any{int64(1), "x"}, "d": "yes\n", "8080": "port", "10.0.0.1": "host"}, n.Any())
	require.Equal(t, "0644", n.Get("a").Raw)
	require.True(t, n.Get("b").Quote)
	require.Equal(t, source.Pos{File: "f.yml", Line: 3, Col: 8}, n.Get("c").Items[1].Pos)
	require.Equal(t, "c: [1, x]", n.Get("c").Items[1].Line)
	for _, empty := range []string{"", "\n", "# only this\n", "---\n", "--- \n# x\n...\n"} {
		require.Equal(t, Null, parse(t, empty).Kind, "%q", empty)
	}
}

func TestParseAliasesAndMerges(t *testing.T) {
	n := parse(t, "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none:\n  y: 9\n  <<: *b\ntwo:\n  <<: [*b, *m]\n  w: 0\nlist: [*b]\n")
	require.Equal(t, map[string]any{"x": int64(1), "y": int64(9)}, n.Get("one").Any())
	require.Equal(t, map[string]any{"x": int64(1), "y": int64(2), "z": int64(4), "w": int64(0)}, n.Get("two").Any())
	require.Equal(t, 1, n.Get("list").Items[0].Pos.Line)
	require.Equal(t, "!unsafe", parse(t, "a: !unsafe '{{ x }}'").Get("a").Tag)
}

func TestParseMistakes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a: 1\n  b: 2\nc: 3\n", `2:3 this line is indented as if it belonged to the value above`},
		{"a: 1\nb:\n\tc: 2\nd: 3\n", `3:1 a tab in the indentation`},
		{"a: 1\n\tb: 2\nd: 2\n", `2:1 a tab in the indentation`},
		{"a: x\nb: x\n\tc\nd: 2\n", `3:1 a tab in the indentation`},
		{"\ta: 1\n", `1:1 a tab in the indentation`},
		{"a:\tb\nc: \t@\n", `2:5 a value cannot start with @`},
		{"a: 1\nb:\n  - x\n - y\nc: 2\n", `4:2 this line does not fit the lines above it`},
		{"- a: 1\n  b: 2\n c: 3\n- d: 1\n", `3:2 this line does not fit the lines above it`},
		{"- a: 1\n- b\nc: 3\nd: 1\n", `3:1 this line does not fit the lines above it`},
		{"a: 1\n- b\n- d\n", `2:1 this line does not fit the lines above it`},
		{"a: 1\nb: \"abc\nc: 2\nd: 3\n", `2:4 a quote that is never closed`},
		{"a: 1\nb: [1, 2\nc: 2\nd: 3\n", `2:4 a bracket that is never closed, or an entry after it without a comma`},
		{"a: 1\nb: {{ foo }}/bar\nc: 2\n", `2:4 a value that starts with {{ and is not in quotes`},
		{"a: 1\nb: {{ foo }}\nc: 2\n", `2:4 a value that starts with {{ and is not in quotes`},
		{"x: [1\n", `1:4 a bracket that is never closed, or an entry after it without a comma`},
		{"a: {x: [1, 2}\nb: 1\n", `1:8 a bracket that is never closed, or an entry after it without a comma`},
		{"a: 1\nb: @foo\nc: 2\n", `2:4 a value cannot start with @`},
		{"a: 1\nb: %foo\nc: 2\n", `2:4 a value cannot start with %`},
		{"a: 1\nb: \"x\" y\nc: 2\n", `2:8 text after the closing quote`},
		{"a: 1\nb: 'it's'\nc: 1\n", `2:8 text after the closing quote`},
		{"a: 1\nb: *nope\n", `2:4 no anchor &nope above`},
		{"a: 1\nb: foo: bar\n", `2:7 ": " inside a value that is not in quotes`},
		{"a: 1\nb\nc: 1\nd: 2\n", `2:1 a key without a colon`},
		{"a: \"\\q\"\n", `1:5 an escape that YAML does not know`},
		{"a: |\n  x\n y\nb: 1\n", `3:2 this line does not fit the lines above it`},
		{"a: 1\nb: 2\na: 3\n", `3:1 duplicate key "a"`},
		{"a: {x: 1, x: 2}\na: 3\n", `1:11 duplicate key "x"; 2:1 duplicate key "a"`},
		{"yes: 1\n", `1:1 the key yes is a bool, not a string`},
		{"a:\n  ~: 1\n", `2:3 a key that is empty`},
		{"[a]: 1\n", `1:1 a list or map as a key`},
		{"a: 1\n---\nb: 2\n", `2:1 a second document in one file`},
		{"a: 1\n---\n", `2:1 a second document in one file`},
		{"a: !vault |\n  $ANSIBLE_VAULT\n", `1:4 the tag !vault is not known here`},
		{"a: !!int x\n", `1:4 "x" does not fit the tag !!int`},
		{"a: &x [*x]\n", `1:8 anchor "x" contains itself`},
		{"a: x\nb: caf\xe9\n", `2:7 byte 0xe9 is not UTF-8`},
		{"a: x\x00y\n", `1:5 control character U+0000`},
		{"\xff\xfea\x00", `1:1 the file is UTF-16, not UTF-8`},
		{strings.Repeat("[", 101) + strings.Repeat("]", 101), `1:101 nested more than 100 levels deep`},
		{"a:\n  <<: 3\n", `2:7 << wants a map or a list of maps`},
	} {
		n, err := Parse("f.yml", []byte(c.in))
		require.Nil(t, n)
		var got []string
		for _, m := range mistakes(t, err) {
			got = append(got, strings.TrimPrefix(m.Pos.String(), "f.yml:")+" "+m.Text)
			require.Equal(t, "f.yml", m.Pos.File)
		}
		require.Equal(t, c.want, strings.Join(got, "; "), "%q", c.in)
	}
}

func TestParseBombs(t *testing.T) {
	laughs := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+", ", 9) + "*" + p + "]\n"
	}
	merges := "base: &b {" + strings.Repeat("k: v, ", 0)
	for i := range 2000 {
		merges += "k" + string(rune('a'+i%26)) + strings.Repeat("z", i/26) + ": 1, "
	}
	merges += "}\nm:\n  <<: [" + strings.Repeat("*b, ", 100_000) + "]\n"
	for name, in := range map[string]string{
		"laughs": laughs, "merges": merges,
		"deep":   strings.Repeat("[", 1<<20),
		"wide":   "[" + strings.Repeat("a,", 4<<20-2) + "]",
		"lines":  strings.Repeat("-\n", 4<<20),
		"large":  strings.Repeat("a", MaxBytes+1),
		"anchor": strings.Repeat("- &a x\n", 1<<20),
	} {
		start := time.Now()
		_, err := Parse("f.yml", []byte(in))
		require.Error(t, err, name)
		require.Len(t, mistakes(t, err), 1, name)
		require.Less(t, time.Since(start), 30*time.Second, name)
	}
}

func TestExcerptOfQuotedAndBlock(t *testing.T) {
	n := parse(t, "a: \"text\"\nb: |\n  one\n  two\n")
	require.Equal(t, 6, n.Get("a").Mistake("x", "").Len)
	require.Equal(t, 1, n.Get("b").Mistake("x", "").Len)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: [1, {b: c}]\n", "a: &x 1\nb: *x\n", "- <<: {a: b}\n", "a: |\n  x\n", "? [a]\n: b\n", "--- !!map\n%YAML 1.1\n", "a: \"\\u0041\"\n\tb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("f.yml", data)
		if (n == nil) == (err == nil) {
			t.Fatal("want a tree or an error")
		}
		var l source.List
		if err != nil && !errors.As(err, &l) {
			t.Fatalf("error of type %T", err)
		}
		for _, m := range l {
			_ = m.Excerpt()
			if len(data) < MaxBytes && (m.Pos.Line < 1 || m.Pos.Col < 1) {
				t.Fatalf("no place: %v", m)
			}
		}
		if n != nil {
			_ = n.Any()
		}
	})
}

func TestParseOfManyFilesIsStable(t *testing.T) {
	data, err := os.ReadFile("parse.go")
	require.NoError(t, err)
	_, err = Parse("parse.go", data)
	require.Error(t, err)
}
