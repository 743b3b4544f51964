package vars

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

func yml(t testing.TB, text string) *strictyaml.Node {
	t.Helper()
	n, err := strictyaml.Parse("vars.yml", []byte(text))
	require.NoError(t, err)
	return n
}

func text(s string) *strictyaml.Node {
	return strictyaml.FromAny(s, source.Pos{File: "p.yml", Line: 1, Col: 1})
}

func render(t testing.TB, s *Scope, tpl string) any {
	t.Helper()
	c, err := Compile(text(tpl))
	require.NoError(t, err, tpl)
	v, err := c.Render(s)
	require.NoError(t, err, tpl)
	return v
}

func renderErr(t testing.TB, s *Scope, tpl string) error {
	t.Helper()
	c, err := Compile(text(tpl))
	if err != nil {
		return err
	}
	v, err := c.Render(s)
	require.Error(t, err, "%s gave %v", tpl, v)
	return err
}

func TestPrecedenceOfEachNeighbour(t *testing.T) {
	var e Engine
	layer := func(l Level) Layer {
		v := map[string]any{"x": l.String()}
		if l == LevelFacts || l == LevelSetFact || l == LevelLoop {
			return HostData(l, v)
		}
		return UserVars(l, strictyaml.FromAny(v, source.Pos{}))
	}
	for l := LevelDefault + 1; l <= LevelExtra; l++ {
		low, high := layer(l-1), layer(l)
		for _, s := range []*Scope{e.Scope(Context{}, low, high), e.Scope(Context{}, high, low), e.Scope(Context{}, high).With(low)} {
			v, ok, err := s.Lookup("x")
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, l.String(), v)
		}
	}
	same := e.Scope(Context{}, UserVars(LevelPlay, yml(t, "x: first")), UserVars(LevelPlay, yml(t, "x: second")))
	require.Equal(t, "second", render(t, same, "{{ x }}"))
}

// The engine turns inventory's levels into ours by number.
func TestLevelsBeginWithInventorys(t *testing.T) {
	for ours, theirs := range map[Level]inventory.Level{
		LevelDefault: inventory.LevelDefault, LevelGroupAll: inventory.LevelAll, LevelGroup: inventory.LevelGroup,
		LevelGroupVarsAll: inventory.LevelAllFile, LevelPlaybookGroupVarsAll: inventory.LevelAllFilePlay,
		LevelGroupVars: inventory.LevelGroupFile, LevelPlaybookGroupVars: inventory.LevelGroupFilePlay,
		LevelHost: inventory.LevelHost, LevelHostVars: inventory.LevelHostFile, LevelPlaybookHostVars: inventory.LevelHostFilePlay,
	} {
		require.Equal(t, int(ours), int(theirs))
	}
}

func TestPrecedenceDoc(t *testing.T) {
	want, err := os.ReadFile("testdata/precedence.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), PrecedenceDoc())
	require.Len(t, levelDocs(), int(LevelExtra)+1)
	// README repeats the table between these marks, when it does.
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		return
	}
	if _, after, ok := strings.Cut(string(readme), "<!-- precedence -->\n"); ok {
		table, _, _ := strings.Cut(after, "<!-- /precedence -->")
		require.Equal(t, strings.Fields(PrecedenceDoc()), strings.Fields(table))
	}
}

func TestVariablesAreEvaluatedWhenRead(t *testing.T) {
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, `
a: "{{ b }}/x"
b: "{{ c | upper }}"
c: etc
tree: {list: ["{{ a }}", "{{ n }}", plain], n: "{{ n }}", gone: "{{ omit }}"}
n: 5
broken: "{{ nowhere }}"
fallback: "{{ broken | default('fb') }}"
loop1: "{{ loop2.x }}"
loop2: {x: "{{ loop3 }}"}
loop3: "{{ loop1 }}"
self: "{{ self | default(1) }}"
raw: !unsafe "{{ a }}"
`)))
	require.Equal(t, "ETC/x", render(t, s, "{{ a }}"))
	require.Equal(t, map[string]any{"list": []any{"ETC/x", int64(5), "plain"}, "n": int64(5)}, render(t, s, "{{ tree }}"))
	require.Equal(t, "fb", render(t, s, "{{ fallback }}"))
	require.Equal(t, false, render(t, s, "{{ broken is defined }}"))
	require.Equal(t, "{{ a }}", render(t, s, "{{ raw }}"))

	var undef *UndefinedError
	require.ErrorAs(t, renderErr(t, s, "{{ broken }}"), &undef)
	require.Equal(t, `its own value, at vars.yml:7:13, needs "nowhere"`, undef.Mistake.Hint)
	var c *CycleError
	require.ErrorAs(t, renderErr(t, s, "{{ loop1 }}"), &c)
	require.Equal(t, []string{"loop1", "loop2", "loop3", "loop1"}, c.Names)
	require.Contains(t, c.Error(), "loop1 -> loop2 -> loop3 -> loop1")
	require.ErrorAs(t, renderErr(t, s, "{{ self }}"), &c)
}

func TestHostDataIsNeverATemplate(t *testing.T) {
	var e Engine
	s := e.Scope(Context{},
		UserVars(LevelPlay, yml(t, "secret: hunter2\nvia: \"{{ reg.stdout }}\"\nlist: [\"{{ reg.stdout }}\"]\nansible_user: ops\nansible_host: \"{{ reg.stdout }}\"")),
		Facts(map[string]any{"distribution": "{{ secret }}", "host": "evil", "user": "evil", "become": true, "ssh_port": 1, "python_interpreter": "x"}),
		HostData(LevelSetFact, map[string]any{"reg": map[string]any{"stdout": "{{ secret }}"}, "ansible_user": "evil", "ansible_become_pass": "evil", "hostvars": 1, "omit": 1}),
		LoopVars(map[string]any{"item": "{{ secret }}", "ansible_port": 1}))
	for _, tpl := range []string{"{{ reg.stdout }}", "{{ via }}", "{{ item }}", "{{ ansible_distribution }}", "{{ ansible_facts.distribution }}", "{{ list[0] }}", "{{ reg.stdout | trim }}"} {
		require.Equal(t, "{{ secret }}", render(t, s, tpl), tpl)
	}
	require.Equal(t, "x{{ secret }}y", render(t, s, "x{{ reg.stdout }}y"))
	require.Equal(t, "ops", render(t, s, "{{ ansible_user }}"))
	for _, n := range []string{"ansible_port", "ansible_become_pass", "ansible_become", "ansible_ssh_port", "ansible_python_interpreter"} {
		require.False(t, s.Has(n), n)
	}
	require.Equal(t, "evil", render(t, s, "{{ ansible_facts.host }}"))

	// Not even the user's own template carries host data into a connection.
	c := s.Connection()
	require.Equal(t, "ops", render(t, c, "{{ ansible_user }}"))
	var undef *UndefinedError
	_, _, err := c.Lookup("ansible_host")
	require.ErrorAs(t, err, &undef)

	// Rendered once is rendered for good.
	n, err := s.RenderNode(yml(t, `{a: "{{ reg.stdout }}", b: ["{{ reg }}"]}`))
	require.NoError(t, err)
	again, err := s.RenderNode(n)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": "{{ secret }}", "b": []any{map[string]any{"stdout": "{{ secret }}"}}}, again.Any())
}

func cluster(t testing.TB, e *Engine) map[string]*Scope {
	scopes := map[string]*Scope{}
	groups := map[string][]string{"all": {"m1", "m2"}, "masters": {"m1", "m2"}, "lb": {}}
	for _, h := range groups["all"] {
		scopes[h] = e.Scope(Context{
			Magic:    map[string]any{"inventory_hostname": h, "inventory_hostname_short": h, "group_names": []any{"masters"}, "ansible_check_mode": false, "ansible_play_hosts": []any{"m1", "m2"}},
			Groups:   groups,
			HostVars: func(n string) *Scope { return scopes[n] },
		}, UserVars(LevelHost, yml(t, fmt.Sprintf("ip: 10.0.0.%s\nurl: \"https://{{ ip }}:{{ port }}\"\nme: \"{{ inventory_hostname }}\"\npeer: \"{{ hostvars['m1'].peer2 }}\"\npeer2: \"{{ hostvars['m2'].peer }}\"", h[1:]))),
			UserVars(LevelPlay, yml(t, "port: 2379")))
	}
	return scopes
}

func TestHostvarsAndMagic(t *testing.T) {
	var e Engine
	s := cluster(t, &e)["m1"]
	require.Equal(t, "https://10.0.0.2:2379", render(t, s, "{{ hostvars['m2'].url }}"))
	require.Equal(t, "m2", render(t, s, "{{ hostvars.m2.me }}"))
	require.Equal(t, "https://10.0.0.1:2379,https://10.0.0.2:2379",
		render(t, s, "{% for h in groups['masters'] %}{{ hostvars[h]['url'] }}{% if not loop.last %},{% endif %}{% endfor %}"))
	require.Equal(t, []any{"https://10.0.0.1:2379", "https://10.0.0.2:2379"}, render(t, s, "{{ groups.masters | map('extract', hostvars, 'url') | list }}"))
	require.Equal(t, "x", render(t, s, "{{ hostvars.m9.ip | default('x') }}"))
	require.Equal(t, true, render(t, s, "{{ 'm2' in hostvars and 'ip' in hostvars['m2'] and hostvars | length == 2 }}"))
	require.Equal(t, true, render(t, s, "{{ 'masters' in group_names and inventory_hostname == 'm1' and not ansible_check_mode and groups.lb == [] }}"))
	require.Equal(t, "10.0.0.1", render(t, s, "{{ vars['ip'] }}"))
	require.Equal(t, map[string]any{}, render(t, s, "{{ ansible_facts }}"))
	var c *CycleError
	require.ErrorAs(t, renderErr(t, s, "{{ hostvars.m2.peer }}"), &c)
	require.Contains(t, renderErr(t, s, "{{ hostvars['m2'].ipp }}").Error(), `did you mean "ip"?`)
	require.Contains(t, renderErr(t, s, "{{ inventory_hostnam }}").Error(), `did you mean "inventory_hostname"?`)
}

func TestUnknownUntilAStepHasRun(t *testing.T) {
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, "through: {a: [\"{{ reg.stdout }}\"]}\nfine: 1")), Unknown(map[string]string{"reg": `"List members"`}))
	for _, tpl := range []string{"{{ reg.rc }}", "{{ reg | default(1) }}", "{{ reg is defined }}", "{{ through.b | default('x') }}", "{% if false %}{{ reg }}{% endif %}", "{{ fine or reg }}",
		"{% if false %}{% set reg = 1 %}{% endif %}{{ reg }}"} {
		var unknown *UnknownError
		require.ErrorAs(t, renderErr(t, s, tpl), &unknown, tpl)
		require.Equal(t, "reg", unknown.Name)
		require.Equal(t, `"List members"`, unknown.Step)
	}
	require.Equal(t, "1", render(t, s, "{{ fine }}{% set reg = 1 %}{% if reg %}{% endif %}"))
	ex, err := CompileExpr(text("fine == 2 and reg.rc == 0"))
	require.NoError(t, err)
	_, err = ex.True(s)
	var unknown *UnknownError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, int64(7), render(t, s.With(UserVars(LevelExtra, yml(t, "reg: 7"))), "{{ reg }}"))
	_, err = s.RenderNode(yml(t, "a: \"{{ nowhere }}\"\nb: \"{{ reg }}\""))
	require.ErrorAs(t, err, &unknown)
}

func TestRenderNode(t *testing.T) {
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, "mode: 0644\nver: 1.10\nn: 3\nl: [a, {b: c}]\nflag: yes\nt: \"{{ n }}\"")))
	in := yml(t, `
mode: "{{ mode }}"
ver: "{{ ver }}"
src: "f{{ n }}"
count: "{{ n }}"
list: "{{ l }}"
owner: "{{ who | default(omit) }}"
args: [x, "{{ omit }}", "{{ flag }}"]
keep: !unsafe "{{ n }}"
whole: !unsafe {x: "{{ n }}"}
`)
	out, err := s.RenderNode(in)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"mode": int64(420), "ver": 1.1, "src": "f3", "count": int64(3), "list": []any{"a", map[string]any{"b": "c"}},
		"args": []any{"x", true}, "keep": "{{ n }}", "whole": map[string]any{"x": "{{ n }}"}}, out.Any())
	require.Equal(t, "0644", out.Get("mode").Raw)
	require.Equal(t, "1.10", out.Get("ver").Raw)
	require.Equal(t, in.Get("mode").Pos, out.Get("mode").Pos)
	require.Equal(t, in.Get("list").Pos, out.Get("list").Items[1].Get("b").Pos)

	_, err = s.RenderNode(yml(t, "a: \"{{ x1 }}\"\nb: [\"{{ x2 }}\", \"{{ n + 'x' }}\"]"))
	require.ErrorContains(t, err, `vars.yml:1:8: "x1" is undefined`)
	require.ErrorContains(t, err, `vars.yml:2:9: "x2" is undefined`)
	require.ErrorContains(t, err, `vars.yml:2:23: cannot add an integer and a string`)
	var ms source.Mistakes
	ms.AddErr(err)
	require.Len(t, ms.Err().(source.List), 3)
	require.Equal(t, "b", ms.Err().(source.List)[1].Line[:1])
}

func TestManyHostsAtOnce(t *testing.T) {
	var e Engine
	scopes := cluster(t, &e)
	nodes := yml(t, "a: \"{{ hostvars['m1'].url }} {{ hostvars['m2'].url }} {{ me }}\"")
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			h := fmt.Sprintf("m%d", i%2+1)
			for range 20 {
				out, err := scopes[h].With(HostData(LevelSetFact, map[string]any{"r": i})).RenderNode(nodes)
				if err != nil || out.Get("a").Value != "https://10.0.0.1:2379 https://10.0.0.2:2379 "+h {
					t.Errorf("%v %v", out, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestErrorsUnwrap(t *testing.T) {
	var e Engine
	err := renderErr(t, e.Scope(Context{}), "{{ nope }}")
	var m *source.Mistake
	require.True(t, errors.As(err, &m))
	require.Equal(t, source.Pos{File: "p.yml", Line: 1, Col: 1}, m.Pos)
}
