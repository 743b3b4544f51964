package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
)

type greetState struct{ User string }

type greetParams struct {
	To string `yaml:"to" doc:"a file"`
}

// greet gives its command the password of the host's etcd user.
type greet struct{}

func (greet) Check(_ context.Context, r task.Reader, _ greetParams) (greetState, error) {
	user, err := change.User(r, "etcd")
	return greetState{user}, err
}

func (greet) Plan(in task.Input[greetParams, greetState]) (task.Plan, error) {
	if in.State.User == "" {
		return task.Plan{Findings: []task.Finding{{Text: "nobody"}}}, nil
	}
	return task.Do(&change.Exec{Argv: []string{"sh", "-c", "echo $2=$(cat) >> $3", "sh", "--user", in.State.User, in.Params.To}, Login: "etcd"}), nil
}

// The variables etcd_user and etcd_password say as whom etcd is asked: from
// wherever people write them, each host its own; never from what a host said.
func TestLogins(t *testing.T) {
	d := task.Define(task.Spec[greetParams]{Name: "greet", Doc: "Greets.", Kind: func(greetParams) task.Kind { return task.Action }}, task.Task[greetParams, greetState](greet{}))
	const book = "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: learn, set_fact: {etcd_user: evil, etcd_password: evil-word}}\n    - {name: hello, greet: {to: DIR/log}}\n"
	for _, c := range []struct {
		name, inv string
		extra     []string
		want      []string
		fails     string
	}{
		{"inventory", "h1 etcd_user=root etcd_password=s3cret-1\nh2 etcd_user=ops etcd_password=\"{{ other }}\" other=s3cret-2\n", nil, []string{"root=s3cret-1", "ops=s3cret-2"}, ""},
		{"extra", "h1\n", []string{"etcd_user=root", "etcd_password=s3cret-3"}, []string{"root=s3cret-3"}, ""},
		{"a user of the system", "h1 etcd_user=etcd\n", nil, nil, ""},
		{"a number", "h1 etcd_user=root etcd_password=12345678\n", nil, nil, "the variable etcd_password is no text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, d)
			w.opt = func(o *Options) { o.Forks = 1 }
			w.extra = c.extra
			w.run(c.inv, book)
			require.Equal(t, c.want, w.lines("log"), w.all())
			require.Equal(t, c.fails != "", w.rep.Failed)
			require.Contains(t, w.all(), c.fails)
			requireWithout(t, w.all(), "s3cret")
			requireWithout(t, w.all(), "12345678")
		})
	}
}
