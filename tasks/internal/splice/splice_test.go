package splice

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata; line ends are part of it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func read(t testing.TB, name string) string {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(data)
}

func urls() []string { return []string{"etcdClientInfo", "urls"} }

// The whole of a master's configuration, edited as a scale-up and a removal do.
func TestMasterConfig(t *testing.T) {
	text := read(t, "master-config.yaml")
	grown, err := EditList("master-config.yaml", text, urls(), Item{New: "https://etcd-4.example.com:2379"})
	require.NoError(t, err)
	golden(t, "master-config.grown.yaml", grown)
	back, err := EditList("master-config.yaml", grown, urls(), Item{Old: "https://etcd-4.example.com:2379"})
	require.NoError(t, err)
	require.Equal(t, text, back, "there and back again is no change")
	swapped, err := EditList("master-config.yaml", text, urls(), Item{Old: "https://etcd-1.example.com:2379", New: "https://etcd-9.example.com:2379"}, Item{Old: "https://etcd-2.example.com:2379"})
	require.NoError(t, err)
	golden(t, "master-config.swapped.yaml", swapped)
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	grown2, err := EditList("master-config.yaml", crlf, urls(), Item{New: "https://etcd-4.example.com:2379"})
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(grown, "\n", "\r\n"), grown2)
}

func TestEditList(t *testing.T) {
	add, del, swap := Item{New: "c"}, Item{Old: "a"}, Item{Old: "a", New: "c"}
	for _, c := range []struct {
		name, text string
		edits      []Item
		want       string // "" : by hand
	}{
		{"block, add", "l:\n- a\n- b\nx: 1\n", []Item{add}, "l:\n- a\n- b\n- c\nx: 1\n"},
		{"block, indented", "l:\n    -  a # first\n\n    # two\n    -  b\n\nx: 1\n", []Item{add}, "l:\n    -  a # first\n\n    # two\n    -  b\n    -  c\n\nx: 1\n"},
		{"block, remove with its comment", "l:\n- a # first\n# two\n- b\n", []Item{del}, "l:\n# two\n- b\n"},
		{"block, replace", "l:\n- 'a' # first\n- b\n", []Item{swap}, "l:\n- 'c' # first\n- b\n"},
		{"no final line end, add", "l:\n- a\n- \"b\"", []Item{add}, "l:\n- a\n- \"b\"\n- \"c\""},
		{"no final line end, remove", "l:\n- b\n- a", []Item{del}, "l:\n- b"},
		{"CRLF, no final line end", "l:\r\n- a\r\n- b", []Item{add}, "l:\r\n- a\r\n- b\r\n- c"},
		{"byte order mark", "\ufeffl:\n- a\n- b\n", []Item{del}, "\ufeffl:\n- b\n"},
		{"characters of several bytes", "é: ü\nl: [ä, \"a\", ö] # é\n", []Item{del, add}, "é: ü\nl: [ä, ö, c] # é\n"},
		{"flow, add", "l: [a, b]\n", []Item{add}, "l: [a, b, c]\n"},
		{"flow, one", "l: ['a'] # x\n", []Item{add}, "l: ['a', 'c'] # x\n"},
		{"flow, empty", "l: [ ]\n", []Item{add}, "l: [c]\n"},
		{"flow, trailing comma", "l: [a, b, ]\n", []Item{add}, "l: [a, b, c, ]\n"},
		{"flow, lines", "l: [\n  \"a\",\n  \"b\"\n]\n", []Item{add}, "l: [\n  \"a\",\n  \"b\",\n  \"c\"\n]\n"},
		{"flow, one in a line", "l: [\n  \"a\"\n]\n", []Item{add}, "l: [\n  \"a\",\n  \"c\"\n]\n"},
		{"flow, remove first", "l: [\n  a,\n  b,\n]\n", []Item{del}, "l: [\n  b,\n]\n"},
		{"flow, remove last", "l: [b, a]\n", []Item{del}, "l: [b]\n"},
		{"JSON", "{\"l\": [], \"x\": 1}\n", []Item{add}, "{\"l\": [\"c\"], \"x\": 1}\n"},
		{"the only one is replaced", "l:\n- a\n", []Item{del, add}, "l:\n- c\n"},
		{"twice there", "l: [a, b, a]\n", []Item{del}, "l: [b]\n"},
		{"replaced by one that is there", "l: [a, c]\n", []Item{swap}, "l: [c]\n"},
		{"nothing to do", "l:\n  - c\n", []Item{add, del, swap}, "l:\n  - c\n"},
		{"anchors elsewhere", "k: &k {x: 1}\nl:\n- a\nm: *k\nn: {<<: *k}\n", []Item{add}, "k: &k {x: 1}\nl:\n- a\n- c\nm: *k\nn: {<<: *k}\n"},
		{"would be a bool", "l:\n- a\n", []Item{{New: "yes"}}, "l:\n- a\n- \"yes\"\n"},
		{"would be a comment", "l:\n- a\n", []Item{{New: "a #b"}}, "l:\n- a\n- \"a #b\"\n"},
		{"would be a map", "l: [a]\n", []Item{{New: "b: \\\"c"}}, "l: [a, \"b: \\\\\\\"c\"]\n"},

		{"alias", "k: &k [a]\nl: *k\n", []Item{add}, ""},
		{"anchor that is used", "l: &k [a]\nm: *k\n", []Item{add}, ""},
		{"anchor above that is used", "x: &x\n  l: [a]\ny: *x\n", []Item{add}, ""},
		{"merge key", "k: &k {l: [a]}\nm: {<<: *k}\n", []Item{add}, ""},
		{"anchor of a word", "l: [&a a, b]\nm: *a\n", []Item{del}, ""},
		{"duplicate key", "l: [a]\nl: [b]\n", []Item{add}, ""},
		{"two documents", "l: [a]\n---\nl: [a]\n", []Item{add}, ""},
		{"several lines", "l:\n- a\n- b\n  b\n", []Item{add}, ""},
		{"block of text", "l:\n- a\n- |\n  b\n", []Item{add}, ""},
		{"quotes over lines", "l:\n- a\n- \"b\n  b\"\n", []Item{add}, ""},
		{"tab", "l:\n-\ta\n", []Item{add}, ""},
		{"tab before the comment", "l:\n- b\n- a\t# x\n", []Item{del}, ""},
		{"dash alone", "l:\n-\n  a\n- b\n", []Item{del}, ""},
		{"list in a list", "l:\n- a\n- [b]\n", []Item{add}, ""},
		{"comments in brackets", "l: [a, # x\n  b]\n", []Item{del}, ""},
		{"empty", "l:\n", []Item{add}, ""},
		{"missing", "x: 1\n", []Item{add}, ""},
		{"a word", "l: a\n", []Item{add}, ""},
		{"would be empty", "l: [a]\n", []Item{del}, ""},
		{"replace what is not there", "l: [b]\n", []Item{swap}, ""},
		{"lone carriage return", "x: 1\rl: [b]\n", []Item{add}, ""},
		{"no YAML", "l: [a\n", []Item{add}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := []string{"l"}
			switch c.name {
			case "anchor above that is used":
				path = []string{"x", "l"}
			case "merge key":
				path = []string{"m", "l"}
			}
			got, err := EditList("f.yaml", c.text, path, c.edits...)
			if c.want != "" {
				require.NoError(t, err)
				require.Equal(t, c.want, got)
				return
			}
			byHand(t, err)
			require.Empty(t, got)
		})
	}
	_, err := EditList("f", "l: [a]\n", []string{"l"}, Item{New: "b\nc"})
	require.ErrorContains(t, err, "cannot be printed")
}

func byHand(t *testing.T, err error) {
	t.Helper()
	var e *source.ByHand
	require.True(t, errors.As(err, &e), "%v", err)
	require.NotEmpty(t, e.Do)
	require.NotEmpty(t, e.Why)
}

func TestEditListSaysWhatToDo(t *testing.T) {
	_, err := EditList("master-config.yaml", "etcdClientInfo:\n  urls: *x\n", urls(), Item{New: "https://b:2379"}, Item{Old: "https://a:2379"})
	require.EqualError(t, err, "master-config.yaml:2:9: no anchor &x above; by hand: in etcdClientInfo.urls: add https://b:2379, remove https://a:2379")
}

func TestEditOption(t *testing.T) {
	text := read(t, "kube-apiserver.yaml")
	list, ok, err := Option("p", text, "--etcd-servers")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []string{"https://10.0.0.1:2379", "https://10.0.0.2:2379"}, list)
	grown, err := EditOption("p", text, "--etcd-servers", Item{New: "https://10.0.0.3:2379"}, Item{Old: "https://10.0.0.1:2379"})
	require.NoError(t, err)
	golden(t, "kube-apiserver.grown.yaml", grown)
	_, ok, err = Option("p", text, "--no-such")
	require.NoError(t, err)
	require.False(t, ok)

	pod := func(command string) string {
		return "spec:\n  containers:\n  - name: x\n    command: " + command + "\n"
	}
	for _, c := range []struct{ text, want string }{
		{pod(`["a", "--u=x"]`), pod(`["a", "--u=x,y"]`)},
		{pod(`["a", "--u", "x"]`), pod(`["a", "--u", "x,y"]`)},
		{pod("\n    - a\n    - '--u=x, z' # c"), pod("\n    - a\n    - '--u=x,z,y' # c")},
		{pod("\n    - --u=x\n    - --u-state=new"), pod("\n    - --u=x,y\n    - --u-state=new")},
		{pod(`[--u=x,y]`), ""}, // two words, the second of them "y"
		{pod("\n    - --u=y,x"), pod("\n    - --u=y,x")},
		{pod(`["--u=x", "--u=z"]`), ""},
		{pod(`["--u"]`), ""},
		{pod(`[sh, -c, "exec a --u=x"]`), ""},
		{pod("\n    - >-\n      --u=x"), ""},
		{pod("&a\n    - --u=x"), ""},
		{pod("\n    - &a --u=x"), ""},
		{pod("[a]"), ""},
		{"spec: {}\n", ""},
		{"x", ""},
	} {
		got, err := EditOption("p", c.text, "--u", Item{New: "y"})
		if c.want == "" && !strings.Contains(c.text, "[--u=x,y]") {
			byHand(t, err)
			require.Empty(t, got)
			continue
		}
		require.NoError(t, err, c.text)
		if c.want != "" {
			require.Equal(t, c.want, got)
		}
	}
	_, err = EditOption("p", pod("[--u=x]"), "--u", Item{Old: "x"})
	byHand(t, err)
	_, err = EditOption("p", pod("\n    - --u=x"), "--u", Item{New: "y,z"})
	byHand(t, err)
}

func TestCommas(t *testing.T) {
	got, err := Commas("a=https://1:2380, b=https://2:2380,", Item{Old: "b=https://2:2380", New: "b=https://3:2380"}, Item{New: "c=https://4:2380"})
	require.NoError(t, err)
	require.Equal(t, "a=https://1:2380,b=https://3:2380,c=https://4:2380", got)
	_, err = Commas("a", Item{Old: "b", New: "c"})
	require.Error(t, err)
}

// Whatever is edited, only the list differs afterwards; adding and removing
// again gives the same list; nothing else than whole edits come out.
func FuzzEditList(f *testing.F) {
	for _, s := range []string{"l: [a, b]\n", "l:\n- a # x\n\n# y\n- \"b\"\nx: &k {y: 1}\nz: *k\n", "l: [\r\n  'a',\r\n  b\r\n]", "\ufeffé: 1\nl: []\n", "{\"l\": [\"a\"]}", "l: &a [a]\nm: *a", "l:\n- a\n- |\n  b\n"} {
		f.Add(s, "c", "a")
	}
	f.Fuzz(func(t *testing.T, text, value, old string) {
		before, err := strictyaml.Parse("f", []byte(text))
		for _, e := range []Item{{New: value}, {Old: old}, {Old: old, New: value}} {
			got, editErr := EditList("f", text, []string{"l"}, e)
			if editErr != nil {
				require.Empty(t, got)
				continue
			}
			require.NoError(t, err)
			have, err := List("f", text, "l")
			require.NoError(t, err)
			want, ok := Edited(have, e)
			require.True(t, ok)
			list, err := List("f", got, "l")
			require.NoError(t, err)
			require.Equal(t, want, list)
			after, err := strictyaml.Parse("f", []byte(got))
			require.NoError(t, err)
			require.Equal(t, before.Keys(), after.Keys())
			for _, p := range before.Pairs {
				if p.Key != "l" {
					require.Equal(t, fmt.Sprintf("%#v", p.Value.Any()), fmt.Sprintf("%#v", after.Get(p.Key).Any()))
				}
			}
			again, err := EditList("f", got, []string{"l"}, e)
			require.NoError(t, err)
			require.Equal(t, got, again, "an edit that is made is no change")
		}
	})
}

func FuzzEditOption(f *testing.F) {
	f.Add(read(f, "kube-apiserver.yaml"), "https://x:2379")
	f.Add("spec:\n  containers:\n  - command: [--etcd-servers, \"a,b\"]\n", "c")
	f.Fuzz(func(t *testing.T, text, value string) {
		got, err := EditOption("p", text, "--etcd-servers", Item{New: value})
		if err != nil {
			require.Empty(t, got)
			return
		}
		list, ok, err := Option("p", got, "--etcd-servers")
		require.NoError(t, err)
		require.True(t, ok)
		require.Contains(t, list, value)
	})
}
