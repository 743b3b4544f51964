// Package template is the task that renders a template of the control machine
// onto a host.
package template

import (
	"context"
	"path"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of template.
type Params struct {
	Src            task.TemplateFile `yaml:"src" required:"true" doc:"template of the control machine, looked for in templates/ beside the playbook, then beside it"`
	Dest           string            `yaml:"dest" required:"true" doc:"absolute path on the host; a folder there, or a slash at the end, means the file of the template's name inside it"`
	hostfile.Attrs `yaml:",inline"`
	Backup         bool `yaml:"backup" default:"false" doc:"keep the old file beside the new one, named by the time"`
	Force          bool `yaml:"force" default:"true" doc:"false: write only when the file is not there yet"`
	Follow         bool `yaml:"follow" default:"false" doc:"write to what a symlink at dest points to, instead of replacing the symlink"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error { return hostfile.Absolute("dest", p.Dest) }

// Result is what register sees.
type Result struct {
	Dest     string `yaml:"dest" doc:"path that was written"`
	Src      string `yaml:"src" doc:"path of the template on the control machine"`
	Checksum string `yaml:"checksum" doc:"sha256 of the rendered text (Ansible gives a sha1)"`
	Size     int64  `yaml:"size" doc:"bytes"`
}

// State is what is there now.
type State struct {
	Dest string
	Have hostfile.Have
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "template",
		Doc:  "Renders a template onto a host.",
		Long: "The template is rendered on the control machine with the host's variables; an undefined variable is an error. " +
			"The file is written as `copy` writes it: in one step, keeping owner and permissions unless others are asked for; a new file gets 0644. " +
			"The folder that dest lies in must exist.",
		Example: `- name: Set the time sources
  template:
    src: chrony.conf.j2
    dest: /etc/chrony/chrony.conf
    mode: "0644"
    backup: true
  notify: Restart chrony
`,
		MaxRisk: func(p Params) change.Risk { return (&change.Write{Path: p.Dest}).Risk() },
		Result:  Result{},
	}, templater{})
}

type templater struct{}

func (templater) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	dest, err := hostfile.Dest(ctx, r, p.Dest, path.Base(p.Src.Name), p.Follow)
	if err != nil {
		return State{}, err
	}
	have, err := hostfile.Look(ctx, r, []string{dest}, []string{hostfile.Content(p.Src.Content).SHA256})
	if err != nil {
		return State{}, err
	}
	return State{Dest: dest, Have: have[0]}, hostfile.Parent(ctx, r, have[0].File)
}

func (templater) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p := in.Params
	c, err := hostfile.Change(in.State.Have, hostfile.Want{
		Path: in.State.Dest, Content: hostfile.Content(p.Src.Content), Attrs: p.Attrs, Backup: p.Backup, Keep: !p.Force,
	})
	if err != nil || c == nil {
		return task.Plan{}, err
	}
	return task.Do(c), nil
}

func (templater) Result(in task.Input[Params, State], _ task.Outcome) any {
	c := hostfile.Content(in.Params.Src.Content)
	return Result{Dest: in.State.Dest, Src: in.Params.Src.Path, Checksum: c.SHA256, Size: c.Size}
}
