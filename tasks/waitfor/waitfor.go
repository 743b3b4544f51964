// Package waitfor is the task "wait_for": it holds the run until a host is as
// it should be.
package waitfor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of wait_for.
type Params struct {
	Host        string              `yaml:"host" default:"127.0.0.1" doc:"address or name that the host itself connects to"`
	Port        int                 `yaml:"port" doc:"TCP port that must accept connections"`
	Path        string              `yaml:"path" doc:"absolute path that must exist, instead of port"`
	SearchRegex string              `yaml:"search_regex" doc:"expression (RE2) that the file, or what the port says first, must match"`
	State       string              `yaml:"state" default:"started" enum:"started,present,stopped,absent" doc:"started, present: there; stopped, absent: gone"`
	Timeout     strictyaml.Duration `yaml:"timeout" default:"300" doc:"fail after this"`
	Delay       strictyaml.Duration `yaml:"delay" default:"0" doc:"wait this long before the first look"`
	Sleep       strictyaml.Duration `yaml:"sleep" default:"1" doc:"wait this long between two looks"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	switch {
	case p.Port == 0 && p.Path == "":
		return errors.New(`give "port" or "path"`)
	case p.Port != 0 && p.Path != "":
		return errors.New(`"port" and "path" exclude each other`)
	case p.Port < 0 || p.Port > 65535:
		return fmt.Errorf("%d is no TCP port", p.Port)
	case p.Port != 0 && (p.Host == "" || strings.HasPrefix(p.Host, "-") || strings.ContainsAny(p.Host, " \t\n/'\"\\$`;&|")):
		return fmt.Errorf("%q is no address", p.Host)
	case p.SearchRegex != "" && p.gone() && p.Port != 0:
		return errors.New(`a port that is gone says nothing: no "search_regex" with it`)
	case p.Timeout <= 0:
		return errors.New(`"timeout" must be more than 0`)
	case p.Delay >= p.Timeout:
		return errors.New(`"delay" must be shorter than "timeout"`)
	}
	if _, err := regexp.Compile(p.SearchRegex); err != nil {
		return fmt.Errorf(`"search_regex": %w`, err)
	}
	if p.Path != "" {
		return hostfile.Absolute("path", p.Path)
	}
	return nil
}

func (p *Params) gone() bool { return p.State == "stopped" || p.State == "absent" }

// Result is what register sees.
type Result struct {
	Elapsed     int    `yaml:"elapsed" doc:"seconds that it took"`
	Port        int    `yaml:"port,omitempty" doc:"the port"`
	Path        string `yaml:"path,omitempty" doc:"the path"`
	State       string `yaml:"state" doc:"as asked for"`
	SearchRegex string `yaml:"search_regex,omitempty" doc:"the expression"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "wait_for",
		Doc:  "Holds the run on a host until a port or a path is there, or gone.",
		Long: "The host itself looks, so that a port of its loopback address can be waited for; with delegate_to: localhost this machine looks. " +
			"Expressions are RE2, not Python's. Nothing is changed and the step never counts as changed; a plan only says that it would wait. " +
			"Not in dayops: state: drained, connect_timeout, msg, exclude_hosts, active_connection_states, and waiting for nothing but time.",
		Example: `- name: The API answers
  wait_for:
    port: 8443
    delay: 2
    timeout: 120

- wait_for:
    path: /var/run/yum.pid
    state: absent
`,
		Kind:    func(Params) task.Kind { return task.Action },
		MaxRisk: func(Params) change.Risk { return (&change.Wait{}).Risk() },
		Result:  Result{},
	}, waiter{})
}

// State is empty: the change itself looks.
type State struct{}

type waiter struct{}

func (waiter) Check(context.Context, task.Reader, Params) (State, error) { return State{}, nil }

func (waiter) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p := in.Params
	w := &change.Wait{
		Port: p.Port, Path: p.Path, Match: p.SearchRegex, Gone: p.gone(),
		Delay: p.Delay.Std(), Every: max(p.Sleep.Std(), 100*time.Millisecond), Limit: p.Timeout.Std(),
	}
	if p.Port != 0 && p.Host != "127.0.0.1" && p.Host != "localhost" {
		w.Address = p.Host
	}
	return task.Do(w), nil
}

func (waiter) Result(in task.Input[Params, State], out task.Outcome) any {
	p := in.Params
	res := Result{Port: p.Port, Path: p.Path, State: p.State, SearchRegex: p.SearchRegex}
	for _, s := range out.Steps {
		res.Elapsed += int(s.End.Sub(s.Start) / time.Second)
	}
	return res
}
