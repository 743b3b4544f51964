// Package ping is the task that only logs in.
package ping

import (
	"context"
	"strings"

	"github.com/dayops/dayops/engine/task"
)

// Params takes nothing.
type Params struct{}

// State is what the host answered.
type State struct{ User string }

// Result is what register sees.
type Result struct {
	Ping string `yaml:"ping" doc:"always pong"`
	User string `yaml:"user" doc:"account that the task ran as"`
	Msg  string `yaml:"msg" doc:"one line for people"`
}

// Define describes ping.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name:    "ping",
		Doc:     "Log in, become the other account if asked to, and answer.",
		Example: "- name: Can we log in?\n  ping:\n",
		Kind:    func(Params) task.Kind { return task.Assert },
		Result:  Result{},
	}, ping{})
}

type ping struct{}

// Check asks who we are: the cheapest answer that proves login and sudo.
func (ping) Check(ctx context.Context, r task.Reader, _ Params) (State, error) {
	res, err := r.Probe(ctx, "id", "-un")
	return State{User: strings.TrimSpace(res.Stdout.String())}, err
}

// Plan is empty: ping changes nothing.
func (ping) Plan(task.Input[Params, State]) (task.Plan, error) { return task.Plan{}, nil }

// Result says pong.
func (ping) Result(in task.Input[Params, State], _ task.Outcome) any {
	return Result{Ping: "pong", User: in.State.User, Msg: "pong as " + in.State.User}
}
