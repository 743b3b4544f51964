// Package debug is the task that shows a text or a variable.
package debug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of debug.
type Params struct {
	Msg any        `yaml:"msg" doc:"what to show: text, or a list or map; \"Hello world!\" when neither is given"`
	Var *task.Expr `yaml:"var" doc:"expression whose value is shown, without {{ }}"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if p.Msg != nil && p.Var != nil {
		return errors.New(`"msg" and "var" exclude each other`)
	}
	return nil
}

// Result is what register sees.
type Result struct {
	Msg any            `yaml:"msg,omitempty" doc:"what was shown, with msg"`
	Var map[string]any `yaml:",inline"` // under the expression's own text, as in Ansible
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "debug",
		Doc:  "Shows a text or the value of a variable.",
		Long: "Needs no connection. With var, register sees the value under the expression's own text, as in Ansible. Not in dayops: verbosity.",
		Example: `- debug:
    msg: "{{ inventory_hostname }} is one of {{ groups['etcd'] | length }}"

- debug:
    var: groups
`,
		Control: true,
		Result:  Result{},
	}, debugger{})
}

// State is empty: there is nothing to look at.
type State struct{}

type debugger struct{}

func (debugger) Check(context.Context, task.Reader, Params) (State, error) { return State{}, nil }

// shown is the text for people.
func (p *Params) shown() (string, error) {
	switch {
	case p.Var != nil && p.Var.Err != nil:
		return "", fmt.Errorf("%s: %w", p.Var.Text, p.Var.Err)
	case p.Var != nil:
		s, err := text(p.Var.Value)
		return p.Var.Text + ": " + s, err
	case p.Msg == nil:
		return "Hello world!", nil
	}
	return text(p.Msg)
}

func text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	return string(b), err
}

// Plan shows one finding a line.
func (debugger) Plan(in task.Input[Params, State]) (task.Plan, error) {
	s, err := in.Params.shown()
	if err != nil {
		return task.Plan{}, err
	}
	var p task.Plan
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		p.Findings = append(p.Findings, task.Finding{Host: in.Host, Status: task.OK, Text: line})
	}
	return p, nil
}

func (debugger) Result(in task.Input[Params, State], _ task.Outcome) any {
	p := in.Params
	switch {
	case p.Var != nil:
		return Result{Var: map[string]any{p.Var.Text: p.Var.Value}}
	case p.Msg == nil:
		return Result{Msg: "Hello world!"}
	}
	return Result{Msg: p.Msg}
}
