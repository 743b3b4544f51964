// Package assert is the task that fails when an expression does not hold.
package assert

import (
	"context"
	"errors"
	"fmt"

	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of assert.
type Params struct {
	That       []task.Expr `yaml:"that" required:"true" doc:"expressions that must all hold, written as in when"`
	FailMsg    string      `yaml:"fail_msg" alias:"msg" doc:"what to say when one does not; \"Assertion failed\" when not given"`
	SuccessMsg string      `yaml:"success_msg" doc:"what to say when all do; \"All assertions passed\" when not given"`
	Quiet      bool        `yaml:"quiet" default:"false" doc:"say nothing when all hold"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if len(p.That) == 0 {
		return errors.New(`"that" is empty`)
	}
	return nil
}

// Result is what register sees.
type Result struct {
	Assertion   string `yaml:"assertion,omitempty" doc:"the first expression that does not hold"`
	EvaluatedTo any    `yaml:"evaluated_to,omitempty" doc:"its value"`
	Msg         string `yaml:"msg" doc:"fail_msg or success_msg"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "assert",
		Doc:  "Fails when an expression does not hold.",
		Long: "Looks at variables only and needs no connection. An expression with an undefined variable is an error, not a no.",
		Example: `- name: Only on a cluster of three
  assert:
    that:
      - groups["etcd"] | length == 3
      - inventory_hostname in groups["etcd"]
    fail_msg: this playbook is for three etcd hosts
`,
		Kind:    func(Params) task.Kind { return task.Assert },
		Control: true,
		Result:  Result{},
	}, asserter{})
}

// State is empty: the expressions are evaluated before Plan.
type State struct{}

type asserter struct{}

func (asserter) Check(context.Context, task.Reader, Params) (State, error) { return State{}, nil }

// first is the index of the first expression that does not hold, or -1.
func (p *Params) first() int {
	for i, e := range p.That {
		if e.Err != nil || !truth(e.Value) {
			return i
		}
	}
	return -1
}

// truth is Jinja2's: nothing, zero and what is empty are false.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case int:
		return v != 0
	case int64:
		return v != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func (asserter) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p := in.Params
	i := p.first()
	if i < 0 {
		if p.Quiet {
			return task.Plan{}, nil
		}
		return task.Plan{Findings: []task.Finding{{Host: in.Host, Status: task.OK, Text: p.success()}}}, nil
	}
	e := p.That[i]
	if e.Err != nil {
		return task.Plan{}, fmt.Errorf("%s: %w", e.Text, e.Err)
	}
	return task.Plan{Findings: []task.Finding{{
		Host: in.Host, Status: task.Fail, Text: p.failure(), Hint: fmt.Sprintf("%s is %v", e.Text, e.Value),
	}}}, nil
}

func (p *Params) success() string {
	if p.SuccessMsg != "" {
		return p.SuccessMsg
	}
	return "All assertions passed"
}

func (p *Params) failure() string {
	if p.FailMsg != "" {
		return p.FailMsg
	}
	return "Assertion failed"
}

func (asserter) Result(in task.Input[Params, State], _ task.Outcome) any {
	p := in.Params
	if i := p.first(); i >= 0 {
		return Result{Assertion: p.That[i].Text, EvaluatedTo: p.That[i].Value, Msg: p.failure()}
	}
	return Result{Msg: p.success()}
}
