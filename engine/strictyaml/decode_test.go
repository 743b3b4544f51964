package strictyaml

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/source"
)

type owner struct {
	Owner string `yaml:"owner" doc:"who owns it"`
	Mode  Mode   `yaml:"mode" doc:"permissions"`
}

type inner struct {
	Path string `yaml:"path" required:"true" doc:"where"`
	N    int    `yaml:"n" default:"3"`
}

type params struct {
	owner   `yaml:",inline"`
	Dest    string            `yaml:"dest" required:"true" alias:"path,name" doc:"the file"`
	State   string            `yaml:"state" default:"present" enum:"present,absent"`
	Force   *bool             `yaml:"force"`
	Backup  bool              `yaml:"backup" default:"yes"`
	Count   int               `yaml:"count" default:"7"`
	Small   uint8             `yaml:"small"`
	Ratio   float64           `yaml:"ratio"`
	List    []string          `yaml:"list" default:"[a, b]"`
	Split   []string          `yaml:"split" split:","`
	Nums    []int             `yaml:"nums"`
	Env     map[string]string `yaml:"env"`
	Inner   *inner            `yaml:"inner"`
	Inners  []inner           `yaml:"inners"`
	Timeout Duration          `yaml:"timeout" default:"30s"`
	Max     Size              `yaml:"max"`
	Any     any               `yaml:"any"`
	Node    *Node             `yaml:"node"`
	hidden  string            //nolint:unused // the decoder has to pass over it
	Ignored string
}

func decode(t *testing.T, text string) (params, string) {
	t.Helper()
	var p params
	err := Decode(parse(t, text), &p, Options{Of: "copy"})
	if err == nil {
		return p, ""
	}
	var got []string
	for _, m := range mistakes(t, err) {
		s := strings.TrimPrefix(m.Pos.String(), "f.yml:") + " " + m.Text
		if m.Hint != "" {
			s += " | " + m.Hint
		}
		got = append(got, s)
	}
	return p, strings.Join(got, "\n")
}

func TestDecode(t *testing.T) {
	p, errs := decode(t, `
path: 1.10
mode: 0644
owner: 0
force: "yes"
count: "12"
ratio: 2
list: one
split: a, b,c
nums: [1, "2", 3.0]
env: {A: 1, B: x}
inner: {path: /x}
inners: [{path: /y, n: 4}]
timeout: 1h30m
max: 10M
any: {a: [1, yes]}
node: [1]
`)
	require.Empty(t, errs)
	yes := true
	node := p.Node
	p.Node = nil
	require.Equal(t, params{
		owner: owner{Owner: "0", Mode: "0644"}, Dest: "1.10", State: "present", Force: &yes, Backup: true, Count: 12, Ratio: 2,
		List: []string{"one"}, Split: []string{"a", "b", "c"}, Nums: []int{1, 2, 3}, Env: map[string]string{"A": "1", "B": "x"},
		Inner: &inner{Path: "/x", N: 3}, Inners: []inner{{Path: "/y", N: 4}}, Timeout: Duration(90 * time.Minute), Max: 10 << 20,
		Any: map[string]any{"a": []any{int64(1), true}},
	}, p)
	require.Equal(t, Seq, node.Kind)
	p, errs = decode(t, "dest: /x\nlist:\nforce: ~\n")
	require.Empty(t, errs)
	require.Nil(t, p.List)
	require.Nil(t, p.Force)
	require.Equal(t, Duration(30*time.Second), p.Timeout)
}

func TestDecodeMistakes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"dst: /x", "1:1 unknown key \"dst\" of copy | did you mean \"dest\"?\n1:1 missing \"dest\" of copy | the file"},
		{"dest: /x\npath: /y", `2:1 "dest" and "path" are the same thing | keep one of them`},
		{"dest: yes", `1:7 "dest": must be a string, got the bool yes | write it in quotes: "yes"`},
		{"dest:", `1:6 "dest": must be a string, but there is no value | give it a value or remove the key`},
		{"dest: [a]", `1:7 "dest": must be a string, got a list`},
		{"dest: x\nmode: 644", `2:7 "mode": 644 is decimal here and means 01204 | write 0644 or "0644"`},
		{"dest: x\nmode: 420", `2:7 "mode": 420 is decimal here and means 0644 | write 0420, or 0644 if the number is meant`},
		{"dest: x\nmode: 493", `2:7 "mode": 493 is decimal here and means 0755 | write it in octal: 0644 or "0644"`},
		{"dest: x\nmode: rwx", `2:7 "mode": "rwx" is not a file mode | write it like "0644" or "u=rw,go=r"`},
		{"dest: x\nmode: [1]", `2:7 "mode": must be a file mode, got a list`},
		{"dest: x\nstate: presnt", `2:8 "state" must be one of present, absent, got "presnt" | did you mean "present"?`},
		{"dest: x\ncount: many", `2:8 "count": must be a whole number, got "many"`},
		{"dest: x\ncount: 010_0x", `2:8 "count": must be a whole number, got "010_0x"`},
		{"dest: x\nsmall: 256", `2:8 "small": 256 is too large`},
		{"dest: x\nsmall: -1", `2:8 "small": must be a whole number from 0, got -1`},
		{"dest: x\nbackup: maybe", `2:9 "backup": must be a bool, got "maybe" | write yes or no`},
		{"dest: x\nratio: a", `2:8 "ratio": must be a number, got "a"`},
		{"dest: x\nnums: {a: 1}", `2:7 "nums": must be a list of whole number, got a map`},
		{"dest: x\nnums: [1, b, c]", "2:11 \"nums\": must be a whole number, got \"b\"\n2:14 \"nums\": must be a whole number, got \"c\""},
		{"dest: x\nenv: [a]", `2:6 "env": must be a map of string, got a list`},
		{"dest: x\nenv: {A: no}", `2:10 "A": must be a string, got the bool no | write it in quotes: "no"`},
		{"dest: x\ninner: {pth: 1}", "2:8 missing \"path\" of inner | where\n2:9 unknown key \"pth\" of inner | did you mean \"path\"?"},
		{"dest: x\ninner: 3", `2:8 inner must be a map of keys and values, got 3`},
		{"dest: x\ntimeout: soon", `2:10 "timeout": "soon" is not a duration | write seconds (30) or a text like 30s, 5m, 1h30m, 2d`},
		{"dest: x\nmax: 10Q", `2:6 "max": "10Q" is not a size | write bytes (1048576) or a text like 512K, 10M, 1GiB`},
		{"dest: x\nhidden: 1\nIgnored: 2", "2:1 unknown key \"hidden\" of copy | known: owner, mode, dest, state, force, backup, count, small, ratio, list, split, nums, env, inner, inners, timeout, max, any, node\n3:1 unknown key \"Ignored\" of copy | known: owner, mode, dest, state, force, backup, count, small, ratio, list, split, nums, env, inner, inners, timeout, max, any, node"},
		{"- a", `1:1 copy must be a map of keys and values, got a list`},
	} {
		_, errs := decode(t, c.in)
		require.Equal(t, c.want, errs, "%q", c.in)
	}
}

func TestDecodeTemplatesAndMissingNode(t *testing.T) {
	var p params
	opt := Options{Template: func(n *Node) bool { return strings.Contains(n.Raw, "{{") }}
	require.NoError(t, Decode(parse(t, "dest: '{{ a }}'\ncount: '{{ b }}'\nmode: '{{ m }}'\nstate: '{{ s }}'\nnums: [1, '{{ x }}']\ninner: '{{ i }}'\nenv: '{{ e }}'"), &p, opt))
	require.Equal(t, []int{1, 0}, p.Nums)
	require.NoError(t, Decode(parse(t, "'{{ all }}'"), &p, opt))

	at := parse(t, "x: 1").Pairs[0].KeyAt
	err := Decode(nil, &p, Options{At: at, Of: "copy"})
	require.Equal(t, at.Pos, mistakes(t, err)[0].Pos)
	require.Error(t, Decode(nil, p, Options{}))

	rendered := FromAny(map[string]any{"dest": true, "mode": 420}, source.Pos{File: "f.yml", Line: 1, Col: 3})
	err = Decode(rendered, &p, Options{})
	require.ErrorContains(t, err, "| string")
	require.ErrorContains(t, err, `put quotes around the mode where it is defined`)
}

func TestDecodeInlineMap(t *testing.T) {
	var v struct {
		Name string           `yaml:"name"`
		Rest map[string]*Node `yaml:",inline"`
	}
	require.NoError(t, Decode(parse(t, "name: x\ncopy: {a: 1}\n"), &v, Options{}))
	require.Equal(t, "x", v.Name)
	require.Len(t, v.Rest, 1)
	require.Equal(t, Map, v.Rest["copy"].Kind)
}

func TestDescribe(t *testing.T) {
	f := Describe(reflect.TypeFor[params]())
	require.Equal(t, Field{Name: "mode", Type: "file mode", Doc: "permissions"}, f[1])
	require.Equal(t, Field{Name: "dest", Type: "string", Required: true, Aliases: []string{"path", "name"}, Doc: "the file"}, f[2])
	types := map[string]string{}
	for _, d := range f {
		types[d.Name] = d.Type
	}
	require.Equal(t, "list of map", types["inners"])
	require.Equal(t, "map of string", types["env"])
	require.Equal(t, "duration", types["timeout"])
	require.Equal(t, "any", types["node"])
	require.Equal(t, "bool", types["force"])
	for _, d := range f {
		if d.Name == "inners" || d.Name == "inner" {
			require.Len(t, d.Fields, 2)
		} else {
			require.Empty(t, d.Fields, d.Name)
		}
	}
}

// chmod is the judge of symbolic modes.
func TestModeAgainstChmod(t *testing.T) {
	if _, err := exec.LookPath("chmod"); err != nil {
		t.Skip("needs chmod")
	}
	dir := t.TempDir()
	for i, spec := range []string{"u=rw,go=r", "a+x", "+x", "u+s", "g-w", "o=", "ug=rwX,o=", "a=rX", "u=g", "o+u", "+t", "u=rwx,g=rx,o-rwx", "g=s", "a=", "=r", "u+x-w", "ug+st"} {
		for _, base := range []uint32{0o600, 0o755, 0o6755, 0o1777, 0} {
			for _, isDir := range []bool{false, true} {
				path := filepath.Join(dir, strconv.Itoa(i))
				_ = os.RemoveAll(path)
				if isDir {
					require.NoError(t, os.Mkdir(path, 0o700))
				} else {
					require.NoError(t, os.WriteFile(path, nil, 0o600))
				}
				script := fmt.Sprintf("umask 0; chmod %05o %s && chmod %s %s && stat -c %%a %s", base, path, spec, path, path)
				out, err := exec.Command("sh", "-c", script).Output()
				require.NoError(t, err, script)
				m, err := ParseMode(spec)
				require.NoError(t, err)
				require.Equal(t, strings.TrimSpace(string(out)), strconv.FormatUint(uint64(m.Apply(base, isDir)), 8), "%s on %o dir=%v", spec, base, isDir)
			}
		}
	}
}

func TestModeDurationSizeText(t *testing.T) {
	for in, want := range map[string]Mode{"0644": "0644", "644": "0644", "0o755": "0755", "1777": "1777", "02755": "2755", "u+x": "u+x", "0": "0000"} {
		m, err := ParseMode(in)
		require.NoError(t, err, in)
		require.Equal(t, want, m)
	}
	for _, in := range []string{"", "64", "9999", "77777", "u+y", "0644,", "rw-r--r--", "preserve"} {
		_, err := ParseMode(in)
		require.Error(t, err, in)
	}
	for in, want := range map[string]time.Duration{"30": 30 * time.Second, "1.5": 1500 * time.Millisecond, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "250ms": 250 * time.Millisecond, "0": 0} {
		d, err := ParseDuration(in)
		require.NoError(t, err, in)
		require.Equal(t, want, d.Std(), in)
	}
	for _, in := range []string{"", "-1", "1x", "NaN", "Inf", "h", "1h-30m", "99999d9", "1e300", "1e12"} {
		_, err := ParseDuration(in)
		require.Error(t, err, in)
	}
	for in, want := range map[string]Size{"10": 10, "10B": 10, "512K": 512 << 10, "10M": 10 << 20, "1GiB": 1 << 30, "10MB": 10_000_000, "1 G": 1 << 30, "2k": 2048} {
		v, err := ParseSize(in)
		require.NoError(t, err, in)
		require.Equal(t, want, v, in)
	}
	for _, in := range []string{"", "-1", "1.5M", "M", "99999999P", "1Mi", "99999999999999999999"} {
		_, err := ParseSize(in)
		require.Error(t, err, in)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"dest: x\nmode: 644\n", "path: {{\n", "inner: {path: 1}\nnums: [1,2]\n", "timeout: 5m\nmax: 1G\nmode: u=rwx\nratio: .nan\nenv: {a: ~}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("f.yml", data)
		if err != nil {
			return
		}
		var p params
		err = Decode(n, &p, Options{Template: func(n *Node) bool { return strings.Contains(n.Raw, "{{") }})
		if l, ok := err.(source.List); ok {
			_ = l.Excerpts()
		} else if err != nil {
			t.Fatalf("%T", err)
		}
		if p.Mode.Set() {
			if b := p.Mode.Apply(0o644, false); b > 0o7777 {
				t.Fatalf("mode %o", b)
			}
		}
	})
}
