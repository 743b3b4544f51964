package playbook_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Tasks with the parameters of the real ones; binding looks at nothing else.

type copyParams struct {
	Src     task.LocalFile  `yaml:"src" doc:"file of the control machine"`
	Content *string         `yaml:"content"`
	Dest    string          `yaml:"dest" required:"true" doc:"path on the host"`
	Mode    strictyaml.Mode `yaml:"mode"`
	Owner   string          `yaml:"owner"`
	Backup  bool            `yaml:"backup"`
}

type templateParams struct {
	Src  task.TemplateFile `yaml:"src" required:"true"`
	Dest string            `yaml:"dest" required:"true"`
}

type commandParams struct {
	Cmd     string   `yaml:"cmd"`
	Argv    []string `yaml:"argv"`
	Chdir   string   `yaml:"chdir"`
	Creates string   `yaml:"creates"`
}

type packageParams struct {
	Name  []string `yaml:"name" required:"true" split:","`
	State string   `yaml:"state" default:"present" enum:"present,absent,latest"`
}

type serviceParams struct {
	Name    string `yaml:"name" required:"true"`
	State   string `yaml:"state" enum:"started,stopped,restarted,reloaded"`
	Enabled *bool  `yaml:"enabled"`
}

type debugParams struct {
	Msg any        `yaml:"msg"`
	Var *task.Expr `yaml:"var"`
}

type assertParams struct {
	That    []task.Expr `yaml:"that" required:"true" doc:"expressions that must hold"`
	FailMsg string      `yaml:"fail_msg"`
}

type setFactParams struct {
	Facts map[string]any `yaml:",inline"`
}

type ntpParams struct {
	Fix bool `yaml:"fix"`
	Max int  `yaml:"max_ms" default:"100"`
}

type none struct{}

type idle[P any] struct{}

func (idle[P]) Check(context.Context, task.Reader, P) (none, error) { return none{}, nil }
func (idle[P]) Plan(task.Input[P, none]) (task.Plan, error)         { return task.Plan{}, nil }

type idleCluster[P any] struct{ idle[P] }

func (idleCluster[P]) Plan(task.ClusterInput[P, none]) (task.Plan, error) { return task.Plan{}, nil }

func simple[P any](name, freeForm string, control bool, risk func(P) change.Risk) *task.Definition {
	return task.Define(task.Spec[P]{Name: name, FreeForm: freeForm, Control: control, MaxRisk: risk}, task.Task[P, none](idle[P]{}))
}

func registry() *task.Registry {
	disruptive := func(commandParams) change.Risk { return change.Disruptive }
	return task.NewRegistry(
		simple[copyParams]("copy", "", false, nil),
		simple[templateParams]("template", "", false, nil),
		simple("command", "cmd", false, disruptive),
		simple("shell", "cmd", false, disruptive),
		simple[packageParams]("package", "", false, nil),
		simple("service", "", false, func(p serviceParams) change.Risk {
			if p.State == "restarted" || p.State == "stopped" {
				return change.Disruptive
			}
			return change.Safe
		}),
		simple[debugParams]("debug", "", true, nil),
		simple[assertParams]("assert", "", true, nil),
		simple[setFactParams]("set_fact", "", true, nil),
		simple("ntp", "", false, func(p ntpParams) change.Risk {
			if p.Fix {
				return change.Disruptive
			}
			return change.Safe
		}),
		task.DefineCluster(task.Spec[ntpParams]{Name: "etcd_defrag"}, task.ClusterTask[ntpParams, none](idleCluster[ntpParams]{})),
	)
}

func load(t *testing.T, inv string) *inventory.Inventory {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hosts.ini")
	require.NoError(t, os.WriteFile(path, []byte(inv), 0o600))
	i, err := inventory.Load([]string{path})
	require.NoError(t, err)
	return i
}

const hosts = `
[masters]
master-0 role=first
master-1
[nodes]
node-0 port=8443
node-1 port=8444
[all:vars]
cluster=demo
`

func bind(t *testing.T, env playbook.Env, text string) (*playbook.Bound, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yml")
	pb, err := playbook.Load(file, []byte(text))
	require.NoError(t, err)
	if env.Inventory == nil {
		env.Inventory = load(t, hosts)
	}
	env.Tasks = registry()
	return playbook.Bind(pb, env)
}

func extra(t *testing.T, text string) *strictyaml.Node {
	n, err := strictyaml.Parse("-e", []byte(text))
	require.NoError(t, err)
	return n
}

func TestBind(t *testing.T) {
	b, err := bind(t, playbook.Env{Extra: extra(t, "target: masters"), Limit: []string{"master-1", "node-0"}}, `
- hosts: "{{ target }}"
  vars: {greeting: "hello {{ cluster }}"}
  tasks:
    - command: uptime -p
      register: up
      changed_when: up.rc > 0
    - debug: {msg: "{{ greeting }} {{ up.stdout }} {{ maybe | default('x') }} {{ inventory_hostname }} {{ ansible_hostname }}"}
      when: nothing is not defined
    - set_fact: {later: "{{ up.rc }}"}
    - ansible.builtin.package: {name: [a, b]}
      loop: [1, 2]
      when: item > later
      notify: Restart
    - assert:
        that: [later == 1, "'x' in groups.masters"]
  handlers:
    - name: Restart
      service: {name: x, state: restarted}
- hosts: nodes
  tasks:
    - debug: {msg: "{{ port }} {{ hostvars['master-0'].role }}"}
- hosts: lb
  tasks: [debug: {msg: x}]
`)
	require.NoError(t, err)
	require.Equal(t, []string{"master-1"}, b.Plays[0].Targets)
	require.Equal(t, []string{"node-0"}, b.Plays[1].Targets)
	require.Empty(t, b.Plays[2].Targets)
	require.Equal(t, "group lb is empty", b.Plays[2].Empty)
	require.Equal(t, []string{"master-1", "node-0"}, b.HostNames())
	require.Equal(t, "package", b.Plays[0].Steps[3].Task)
	require.Equal(t, []string{"later"}, b.Plays[0].Steps[2].Sets())
	require.Equal(t, change.Disruptive, b.MaxRisk())
	require.Equal(t, change.Safe, b.Plays[0].Steps[1].MaxRisk())
}

func TestBindTags(t *testing.T) {
	text := `
- hosts: masters
  tags: play
  tasks:
    - {debug: {msg: a}, tags: [a]}
    - {debug: {msg: b}, tags: [b, always]}
    - {debug: {msg: c}, tags: [c, never]}
    - {debug: {msg: d}}
`
	for _, c := range []struct{ want, skip, got string }{
		{"", "", "abd"}, {"a", "", "ab"}, {"c", "", "bc"}, {"play", "", "abcd"}, {"all", "", "abd"}, {"", "a", "bd"}, {"", "b", "ad"}, {"", "always", "ad"}, {"a,c", "a", "bc"}, {"untagged", "", "b"}, {"tagged", "", "abd"},
	} {
		b, err := bind(t, playbook.Env{Tags: list(c.want), SkipTags: list(c.skip)}, text)
		require.NoError(t, err)
		got := ""
		for _, s := range b.Plays[0].Steps {
			got += s.Params.Get("msg").Raw
		}
		require.Equal(t, c.got, got, "--tags %q --skip-tags %q", c.want, c.skip)
	}
	_, err := bind(t, playbook.Env{Tags: []string{"plya"}}, text)
	require.ErrorContains(t, err, `no task has the tag "plya" (did you mean "play"?)`)
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func TestBindFacts(t *testing.T) {
	env := playbook.Env{Facts: []string{"hostname", "os_family"}}
	for text, want := range map[string]string{
		"ansible_hostname": "", "ansible_facts.os_family": "", "ansible_facts['hostname']": "", "ansible_facts.get('x')": "",
		"ansible_hostnam":             `"ansible_hostnam" is undefined (did you mean "ansible_hostname"?)`,
		"ansible_facts.os_famly":      `there is no fact "os_famly" (did you mean "os_family"?)`,
		"ansible_host":                `"ansible_host" is undefined`,
		"ansible_host | default('x')": "",
	} {
		_, err := bind(t, env, fmt.Sprintf("- hosts: nodes\n  tasks:\n    - debug: {msg: \"{{ %s }}\"}\n", text))
		if want == "" {
			require.NoError(t, err, text)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
	_, err := bind(t, env, "- hosts: nodes\n  gather_facts: no\n  tasks:\n    - debug: {msg: \"{{ ansible_hostname }}\"}\n")
	require.ErrorContains(t, err, "gather_facts is off")
	_, err = bind(t, env, "- hosts: all\n- hosts: nodes\n  gather_facts: no\n  tasks:\n    - debug: {msg: \"{{ ansible_hostname }}\"}\n")
	require.NoError(t, err)
}

// The bound of the risk must hold whatever a template turns out to be.
func TestMaxRiskOfTemplates(t *testing.T) {
	text := "- hosts: nodes\n  vars: {a: no}\n  tasks:\n    - ntp: {fix: \"{{ %s }}\"}\n"
	for expr, want := range map[string]change.Risk{"a": change.Safe, "fix": change.Disruptive, "fix | default(false)": change.Disruptive, "ansible_hostname": change.Disruptive, "no_such | default(false)": change.Safe} {
		env := playbook.Env{}
		if expr == "fix" || expr == "fix | default(false)" {
			env.Extra = extra(t, "fix: yes")
		}
		b, err := bind(t, env, fmt.Sprintf(text, expr))
		require.NoError(t, err, expr)
		require.Equal(t, want, b.MaxRisk(), expr)
	}
	b, err := bind(t, playbook.Env{}, "- hosts: nodes\n  tasks:\n    - {command: echo started, register: r}\n    - service: {name: x, state: \"{{ r.stdout }}\"}\n")
	require.NoError(t, err)
	require.Equal(t, change.Disruptive, b.Plays[0].Steps[1].MaxRisk())
}

func TestFindBuiltin(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	fsys := os.DirFS(dir + "/builtin")
	require.NoError(t, os.Mkdir("builtin", 0o700))
	safe, risky := "- hosts: nodes\n  tasks: [ntp: {}]\n", "- hosts: nodes\n  tasks: [command: reboot]\n"
	require.NoError(t, os.WriteFile("builtin/safe.yml", []byte(safe), 0o600))
	require.NoError(t, os.WriteFile("builtin/risky.yml", []byte(risky), 0o600))
	require.NoError(t, os.WriteFile("own.yml", []byte(safe), 0o600))
	require.Equal(t, []string{"risky.yml", "safe.yml"}, playbook.Builtin(fsys))
	env := playbook.Env{Inventory: load(t, hosts), Tasks: registry()}
	open := func(name string) (*playbook.Bound, error) {
		src, err := playbook.Find(name, fsys)
		if err != nil {
			return nil, err
		}
		pb, err := src.Load()
		require.NoError(t, err)
		return playbook.Bind(pb, env)
	}
	b, err := open("own.yml")
	require.NoError(t, err)
	require.False(t, b.Builtin)
	for _, name := range []string{"safe.yml", "safe", "builtin:safe.yml", "builtin:safe", "builtin:risky.yml"} {
		b, err = open(name)
		require.NoError(t, err, name)
		require.True(t, b.Builtin)
	}
	require.Equal(t, "builtin:risky.yml", b.File)
	_, err = open("risky.yml")
	require.ErrorContains(t, err, "dayops run builtin:risky.yml")
	_, err = open("saef.yml")
	require.ErrorContains(t, err, `did you mean "safe.yml"?`)
	_, err = open("./safe.yml")
	require.Error(t, err)
	_, err = open("builtin")
	require.ErrorContains(t, err, "it is a folder")
	require.NoError(t, os.WriteFile("risky.yml", []byte(safe), 0o600))
	b, err = open("risky.yml")
	require.NoError(t, err)
	require.False(t, b.Builtin)
}

// Rendering every step for every host in advance once took ten minutes here.
func TestBindOfManyHosts(t *testing.T) {
	var inv, text strings.Builder
	inv.WriteString("[nodes]\n")
	for i := range 1000 {
		fmt.Fprintf(&inv, "node-%d port=%d\n", i, i)
	}
	text.WriteString("- hosts: nodes\n  tasks:\n")
	for i := range 100 {
		fmt.Fprintf(&text, "    - {command: 'echo {{ port }}', register: r%d}\n    - ntp: {fix: '{{ r%d.rc == port }}', max_ms: '{{ port }}'}\n", i, i)
	}
	start := time.Now()
	b, err := bind(t, playbook.Env{Inventory: load(t, inv.String())}, text.String())
	require.NoError(t, err)
	require.Equal(t, change.Disruptive, b.MaxRisk())
	require.Less(t, time.Since(start), 30*time.Second)
}

// Whatever the text, binding ends with a Bound or a list of mistakes.
func FuzzBind(f *testing.F) {
	cases, err := filepath.Glob("testdata/bad/*.yml")
	require.NoError(f, err)
	for _, c := range append(cases, "testdata/whole.yml", "testdata/ok/play.yml") {
		data, err := os.ReadFile(c)
		require.NoError(f, err)
		if len(data) < 2000 {
			f.Add(data)
		}
	}
	inv, err := inventory.Load([]string{"testdata/ok/hosts.ini"})
	require.NoError(f, err)
	tasks := registry()
	f.Fuzz(func(t *testing.T, data []byte) {
		pb, err := playbook.Load("p.yml", data)
		if pb == nil {
			return
		}
		pb.Dir = "testdata/ok"
		b, bindErr := playbook.Bind(pb, playbook.Env{Inventory: inv, Tasks: tasks})
		if (b == nil) == (bindErr == nil) {
			t.Fatalf("%v and %v", b, bindErr)
		}
		if err == nil && b != nil {
			_, _ = b.MaxRisk(), b.HostNames()
		}
	})
}
