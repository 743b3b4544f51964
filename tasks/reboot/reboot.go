// Package reboot is the task that starts a host anew and waits for it.
package reboot

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of reboot.
type Params struct {
	RebootTimeout   strictyaml.Duration `yaml:"reboot_timeout" default:"600" doc:"fail when the host is not back after this"`
	PreRebootDelay  strictyaml.Duration `yaml:"pre_reboot_delay" default:"0" doc:"wait this long before"`
	PostRebootDelay strictyaml.Duration `yaml:"post_reboot_delay" default:"0" doc:"wait this long when the host is back"`
	Msg             string              `yaml:"msg" default:"Reboot initiated by dayops" doc:"for those who are logged in"`
	TestCommand     []string            `yaml:"test_command" split:" " doc:"program that only reads, as a list of words; the host is back when it exits with 0. It must be in the table of read-only programs"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	switch {
	case p.RebootTimeout <= 0:
		return errors.New(`"reboot_timeout" must be more than 0`)
	case p.PreRebootDelay < 0 || p.PostRebootDelay < 0:
		return errors.New("a delay must not be negative")
	case strings.ContainsFunc(p.Msg, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.HasPrefix(p.Msg, "-"):
		return errors.New(`"msg" is one line of text that does not start with a dash`)
	case len(p.TestCommand) > 0:
		return reader.CheckProbe(p.TestCommand)
	}
	return nil
}

// State is which start of the host this is.
type State struct{ BootID string }

// Result is what register sees.
type Result struct {
	Rebooted bool `yaml:"rebooted" doc:"true when the host has started anew"`
	Elapsed  int  `yaml:"elapsed" doc:"seconds that it took"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "reboot",
		Doc:  "Starts a host anew and waits until it is back.",
		Long: "The host is back when a new connection finds another boot id: one that only lost its network for a while does not pass for it. " +
			"Facts that the play has are gathered anew afterwards. A reboot needs approval, and by default reaches one host of a group at a time. " +
			"The machine that dayops runs on is not rebooted. " +
			"Not in dayops: connect_timeout, reboot_command, boot_time_command, search_paths.",
		Example: `- name: A new kernel
  reboot:
    reboot_timeout: 900
    test_command: [systemctl, is-active, atomic-openshift-node]
`,
		Kind:    func(Params) task.Kind { return task.Action },
		MaxRisk: func(Params) change.Risk { return (&change.Reboot{}).Risk() },
		Result:  Result{},
	}, rebooter{})
}

type rebooter struct{}

// Check reads /proc/sys/kernel/random/boot_id.
func (rebooter) Check(ctx context.Context, r task.Reader, _ Params) (State, error) {
	id, err := r.ReadFile(ctx, "/proc/sys/kernel/random/boot_id", 100)
	return State{BootID: strings.TrimSpace(string(id))}, err
}

func (rebooter) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p := in.Params
	return task.Do(&change.Reboot{
		BootID: in.State.BootID, Limit: p.RebootTimeout.Std(), Delay: p.PreRebootDelay.Std(), Settle: p.PostRebootDelay.Std(),
		Message: p.Msg, Test: p.TestCommand,
	}), nil
}

func (rebooter) Result(_ task.Input[Params, State], out task.Outcome) any {
	var res Result
	for _, s := range out.Steps {
		res.Rebooted = res.Rebooted || s.Rebooted
		res.Elapsed += int(s.End.Sub(s.Start) / time.Second)
	}
	return res
}
