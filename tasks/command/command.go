// Package command is the task that runs a program on a host without a shell.
package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/program"
	"github.com/dayops/dayops/tasks/internal/words"
)

// Params are the parameters of command.
type Params struct {
	Cmd            string   `yaml:"cmd" doc:"program and arguments in one text, split as a shell splits words; also what stands right behind the task's name"`
	Argv           []string `yaml:"argv" doc:"program and arguments as a list, instead of cmd"`
	program.Params `yaml:",inline"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if (p.Cmd == "") == (len(p.Argv) == 0) {
		return errors.New(`give "cmd" or "argv", one of them`)
	}
	argv, err := p.argv()
	if err != nil {
		return err
	}
	if len(argv) == 0 || argv[0] == "" {
		return errors.New("the command is empty")
	}
	for _, w := range argv {
		if strings.ContainsRune(w, 0) {
			return errors.New("the command holds a NUL character")
		}
	}
	if p.Cmd != "" {
		if err := program.OldStyle(argv); err != nil {
			return err
		}
	}
	return p.Params.Validate()
}

func (p *Params) argv() ([]string, error) {
	if len(p.Argv) > 0 {
		return p.Argv, nil
	}
	return words.Split(p.Cmd)
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "command",
		Doc:  "Runs a program on the host, without a shell.",
		Long: "Pipes, redirections, && and variables are plain text to the program: use `shell` for those. " +
			"What a command does to the host cannot be known beforehand; a plan says so and counts it as unknown unless creates, removes or check tell whether it would run. " +
			program.Seen +
			"It counts as changed each time it runs: say otherwise with changed_when. " +
			"An exit code other than 0 fails the step: say otherwise with failed_when.",
		Example: `- name: Which version of the API
  command: oc version
  register: version
  changed_when: false

- command:
    argv: [tar, -xf, /root/tools.tar, -C, /opt]
    creates: /opt/tools

- command:
    cmd: timedatectl set-ntp true
    check: [systemctl, is-active, systemd-timesyncd.service]
`,
		FreeForm: "cmd",
		Kind:     func(Params) task.Kind { return task.Action },
		MaxRisk: func(p Params) change.Risk {
			argv, err := p.argv()
			if err != nil {
				argv = nil // Validate told about it
			}
			return p.Class(argv)
		},
		Result: program.Result{},
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
	argv, err := p.argv()
	if err != nil {
		return task.Plan{}, err
	}
	plan := task.Do(p.Exec(argv))
	if f, ok := shellSyntax(argv); ok && p.Cmd != "" {
		plan.Findings = append(plan.Findings, f)
	}
	return plan, nil
}

// shellSyntax warns about a word that only a shell would understand.
func shellSyntax(argv []string) (task.Finding, bool) {
	for _, w := range argv[1:] {
		switch w {
		case "|", "||", "&&", "&", ";", ">", ">>", "<", "<<", "2>", "2>&1", "2>/dev/null", ">/dev/null", "&>":
			return task.Finding{
				Status: task.Warn, Text: fmt.Sprintf("%s is a plain word to %s: no shell reads it", w, argv[0]),
				Hint: "use `shell` for pipes and redirections",
			}, true
		}
	}
	for _, w := range argv {
		if strings.HasPrefix(w, "$") && len(w) > 1 || strings.Contains(w, "${") || strings.Contains(w, "$(") {
			return task.Finding{
				Status: task.Warn, Text: fmt.Sprintf("%s is not expanded: no shell reads it", w),
				Hint: "use `shell` for variables of the host",
			}, true
		}
	}
	return task.Finding{}, false
}

func (runner) Result(in task.Input[Params, program.State], out task.Outcome) any {
	argv, err := in.Params.argv()
	if err != nil {
		argv = []string{in.Params.Cmd}
	}
	return in.Params.Result(argv, in.State, out)
}
