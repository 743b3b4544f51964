// Package pause is the task that lets time pass.
package pause

import (
	"context"
	"errors"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of pause.
type Params struct {
	Seconds int `yaml:"seconds" doc:"how long, in seconds"`
	Minutes int `yaml:"minutes" doc:"how long, in minutes; seconds are added"`
}

const longest = 24 * time.Hour

func (p Params) length() time.Duration {
	return time.Duration(p.Minutes)*time.Minute + time.Duration(p.Seconds)*time.Second
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	const most = int(longest / time.Second)
	switch {
	case p.Seconds < 0 || p.Minutes < 0 || p.Seconds > most || p.Minutes > most/60 || p.length() > longest:
		return errors.New("a pause is at most 24 hours")
	case p.length() == 0:
		return errors.New(`give "seconds" or "minutes"`)
	}
	return nil
}

// Result is what register sees.
type Result struct {
	Delta int `yaml:"delta" doc:"seconds that it took"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "pause",
		Doc:  "Lets some time pass.",
		Long: "Needs no connection, and changes nothing. Each host of the step waits, as many at the same time as there are forks. To wait for something, use `wait_for`. " +
			"Not in dayops: prompt and echo; a plan that needs a person's yes asks for it by itself.",
		Example: `- name: Give the members time to settle
  pause:
    seconds: 30
`,
		Kind:    func(Params) task.Kind { return task.Action },
		Control: true,
		Result:  Result{},
	}, pauser{})
}

// State is empty: there is nothing to look at.
type State struct{}

type pauser struct{}

func (pauser) Check(context.Context, task.Reader, Params) (State, error) { return State{}, nil }

func (pauser) Plan(in task.Input[Params, State]) (task.Plan, error) {
	d := in.Params.length()
	return task.Do(&change.Wait{Delay: d, Limit: d + time.Minute}), nil
}

func (pauser) Result(_ task.Input[Params, State], out task.Outcome) any {
	var res Result
	for _, s := range out.Steps {
		res.Delta += int(s.End.Sub(s.Start) / time.Second)
	}
	return res
}
