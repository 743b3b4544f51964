package playbook

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/source"
)

// told gives mistakes as "line:col text | hint" lines.
func told(err error) string {
	var l source.List
	if !errors.As(err, &l) {
		if err != nil {
			return "not a list: " + err.Error()
		}
		return ""
	}
	var out []string
	for _, m := range l {
		s := strings.TrimPrefix(m.Pos.String(), m.Pos.File+":") + " " + m.Text
		if m.Hint != "" {
			s += " | " + m.Hint
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestLoadWholePlaybook(t *testing.T) {
	data, err := os.ReadFile("testdata/whole.yml")
	require.NoError(t, err)
	pb, err := Load("testdata/whole.yml", data)
	require.NoError(t, err)
	require.Equal(t, "testdata", pb.Dir)
	require.Len(t, pb.Plays, 2)
	p := pb.Plays[0]
	require.Equal(t, "Everything", p.Name)
	require.Equal(t, "masters:!lb", p.Hosts.Raw)
	require.Equal(t, []string{"a"}, p.Vars.Keys())
	require.Len(t, p.VarsFiles, 2)
	require.True(t, *p.Become)
	require.False(t, *p.GatherFacts)
	require.Equal(t, []Amount{{Count: 1}, {Percent: 30}}, p.Serial)
	require.Equal(t, 25.0, *p.MaxFailPercent)
	require.True(t, p.AnyErrorsFatal)
	require.Equal(t, []string{"x", "y"}, p.Tags)
	require.Equal(t, 3, p.Throttle)
	require.Equal(t, change.Safe, p.Approve)
	require.Len(t, p.Steps, 3)
	require.Len(t, p.Handlers, 1)

	s := p.Steps[0]
	require.Equal(t, "1.1", s.ID)
	require.Equal(t, 2, s.Throttle)
	require.Equal(t, change.Disruptive, s.Approve)
	require.Equal(t, "copy", s.Task)
	require.Equal(t, "ansible.builtin.copy", s.TaskAt.Raw)
	require.Len(t, s.When, 2)
	require.Equal(t, "thing", s.LoopVar)
	require.Equal(t, "out", s.Register)
	require.Len(t, s.Notify, 1)
	require.Equal(t, []string{"t1", "t2"}, s.Tags)
	require.Equal(t, 90*time.Second, s.Timeout)
	require.True(t, *s.RunOnce)
	require.Equal(t, "localhost", s.DelegateTo.Raw)
	require.Len(t, s.Until, 1)
	require.Equal(t, "5", s.Retries.Raw)
	require.Equal(t, []string{"A"}, s.Environment.Keys())
	require.Nil(t, p.Steps[1].Params.Items)
	require.Equal(t, "command", p.Steps[2].Task)
	require.Equal(t, "1.h1", p.Handlers[0].ID)
	require.Equal(t, []string{"reload all"}, p.Handlers[0].Listen)
	require.True(t, p.Handlers[0].Handler)
}

func TestLoadMistakes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "1:1 the playbook is empty | a playbook is a list of plays:\n  - hosts: all\n    tasks: [...]"},
		{"hosts: all\ntasks: []", `1:1 a playbook must be a list of plays, got one map | put "- " before the first key and indent the rest`},
		{"- tasks: []", `1:3 missing "hosts" of a play | a pattern such as masters or nodes:!infra`},
		{"- hosts: all\n  task: []", `2:3 unknown key "task" of a play | did you mean "tasks"?`},
		{"- hosts: all\n  copy: {}", `2:3 unknown key "copy" of a play | tasks go under tasks:, one level deeper`},
		{"- hosts: all\n  roles: [x]\n  serial: 0", "2:3 \"roles\" is not supported | write the role's tasks under tasks:\n3:11 serial must be a number of hosts from 1, a share such as 30%, or a list of them"},
		{"- import_playbook: x.yml", `1:3 "import_playbook" is not supported | run one after the other: dayops run a.yml && dayops run b.yml`},
		{"- hosts: all\n  tasks:\n  - block: []\n    rescue: []", `3:5 "block" is not supported | write the tasks one after the other, each with its own when:`},
		{"- hosts: all\n  tasks:\n  - debug: {msg: x}\n    with_items: [1]", `4:5 "with_items" is not supported | use loop: with a list`},
		{"- hosts: all\n  tasks:\n  - debug: {msg: x}\n    loop: items", `4:11 loop must be a list, or a template that gives one | write loop: "{{ items }}" if a variable is meant`},
		{"- hosts: all\n  tasks:\n  - debug: {msg: x}\n    register: my-var", `4:15 "my-var" cannot be the name of a register | write my_var`},
		{"- hosts: all\n  tasks:\n  - debug: {msg: x}\n    listen: x", `4:13 listen belongs to a handler, not to a task | did you mean notify?`},
		{"- hosts: all\n  tasks:\n  - debug: {msg: x}\n    retries: many\n    timeout: 0", "4:14 retries must be a whole number from 0 to 65535\n5:14 timeout must be at least one second"},
		{"- hosts: all\n  tasks:\n  - just text", `3:5 a task must be a map, such as - copy: {src: a, dest: /b}`},
		{"- hosts: all\n  vars: [1]\n  max_fail_percentage: 101", "2:9 vars must be a map of names and values\n3:24 max_fail_percentage must be a number from 0 to 100"},
		{"- hosts: all\n  vars: {in: 1}\n  tags: [all, 'a b']", "2:10 \"in\" cannot be the name of a variable | it is a word of the expression language\n3:9 \"all\" cannot be a tag | it means something of its own in --tags\n3:9 \"a b\" cannot be a tag | a tag has no spaces, commas, colons, ! or &"},
		{"- hosts: all\n  become_method: su", `2:18 become_method can only be sudo | remove it`},
		{"- hosts: all\n  become: maybe", `2:11 "become": must be a bool, got "maybe" | write yes or no`},
	} {
		_, err := Load("f.yml", []byte(c.in))
		require.Equal(t, c.want, told(err), c.in)
	}
}

func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile("testdata/whole.yml")
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte("- hosts: [a, b]\n  tasks: [{copy: {}, file: {}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Load("f.yml", data)
		var l source.List
		if err != nil && !errors.As(err, &l) {
			t.Fatalf("%T", err)
		}
		_ = l.Excerpts()
	})
}
