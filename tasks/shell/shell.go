// Package shell is the task that runs a shell's text on a host.
package shell

import (
	"context"
	"errors"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
	"github.com/dayops/dayops/tasks/internal/program"
)

// Params are the parameters of shell.
type Params struct {
	Cmd            string `yaml:"cmd" required:"true" doc:"text for the shell; also what stands right behind the task's name"`
	Executable     string `yaml:"executable" default:"/bin/sh" doc:"absolute path of the shell"`
	program.Params `yaml:",inline"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if strings.TrimSpace(p.Cmd) == "" {
		return errors.New("the command is empty")
	}
	if strings.ContainsRune(p.Cmd, 0) {
		return errors.New("the command holds a NUL character")
	}
	if p.Executable != "" {
		if err := hostfile.Absolute("executable", p.Executable); err != nil {
			return err
		}
	}
	if err := program.OldStyle(strings.Fields(p.Cmd)); err != nil {
		return err
	}
	return p.Params.Validate()
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "shell",
		Doc:  "Runs a shell's text on the host: pipes, redirections, variables.",
		Long: "The text goes to /bin/sh -c as it stands. Values from hosts or users in it must be quoted: {{ value | quote }}; `command` with argv needs no quoting. " +
			program.Seen +
			"Known beforehand, changed and failed are as for `command`.",
		Example: `- name: How many pods run here
  shell: crictl ps -q | wc -l
  register: pods
  changed_when: false

- shell:
    cmd: set -o pipefail; sha256sum /etc/origin/master/*.crt | sort > master.sums
    executable: /bin/bash
    chdir: /root
    creates: master.sums
`,
		FreeForm: "cmd",
		Kind:     func(Params) task.Kind { return task.Action },
		MaxRisk:  func(p Params) change.Risk { return p.Class(p.argv()) },
		Result:   program.Result{},
	}, runner{})
}

type runner struct{}

func (runner) Check(ctx context.Context, r task.Reader, p Params) (program.State, error) {
	return p.Look(ctx, r)
}

func (runner) Plan(in task.Input[Params, program.State]) (task.Plan, error) {
	p := in.Params
	if p.Skip(in.State) != "" {
		return task.Plan{}, nil
	}
	return task.Do(p.Exec(p.argv())), nil
}

func (p Params) argv() []string {
	shell := p.Executable
	if shell == "" {
		shell = "/bin/sh"
	}
	return []string{shell, "-c", p.Cmd}
}

func (runner) Result(in task.Input[Params, program.State], out task.Outcome) any {
	return in.Params.Result(in.Params.Cmd, in.State, out)
}
