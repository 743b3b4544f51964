// Package service is the task about systemd units.
package service

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of service.
type Params struct {
	Name         string `yaml:"name" required:"true" alias:"service,unit" doc:"the unit; .service is added when it has no suffix"`
	State        string `yaml:"state" enum:"started,stopped,restarted,reloaded" doc:"started and stopped only when it is not so; restarted and reloaded each time"`
	Enabled      *bool  `yaml:"enabled" doc:"whether it starts at boot"`
	Masked       *bool  `yaml:"masked" doc:"whether it cannot be started at all"`
	DaemonReload bool   `yaml:"daemon_reload" alias:"daemon-reload" default:"false" doc:"let systemd read its unit files again before anything else, where it has not seen their last change or something is to be done"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if _, err := reader.UnitName(p.Name); err != nil {
		return err
	}
	if p.State == "" && p.Enabled == nil && p.Masked == nil && !p.DaemonReload {
		return errors.New(`give "state", "enabled", "masked" or "daemon_reload"`)
	}
	if p.Masked != nil && *p.Masked && (p.State == "started" || p.State == "restarted" || p.State == "reloaded") {
		return fmt.Errorf(`a unit that is masked cannot be %s`, p.State)
	}
	return nil
}

// unit is the name as systemd shows it.
func (p Params) unit() string {
	name, err := reader.UnitName(p.Name)
	if err != nil {
		return p.Name // Validate told about it
	}
	return name
}

// each tells an action, which is done each time.
func (p Params) each() bool { return p.State == "restarted" || p.State == "reloaded" }

// State is the unit as it is.
type State struct{ Unit reader.Unit }

// Result is what register sees.
type Result struct {
	Name    string `yaml:"name" doc:"the unit, with its suffix"`
	State   string `yaml:"state,omitempty" doc:"started or stopped, as it is after the step"`
	Enabled bool   `yaml:"enabled" doc:"whether it starts at boot"`
	Status  Status `yaml:"status" doc:"what systemd said about it before the step"`
}

// Status has systemd's own keys, as Ansible's has.
type Status struct {
	LoadState     string `yaml:"LoadState" doc:"loaded, not-found, masked"`
	ActiveState   string `yaml:"ActiveState" doc:"active, inactive, failed and others"`
	SubState      string `yaml:"SubState" doc:"running, dead, exited and others"`
	UnitFileState string `yaml:"UnitFileState" doc:"enabled, disabled, static and others"`
	FragmentPath  string `yaml:"FragmentPath" doc:"the unit file"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "service",
		Doc:  "Starts, stops, enables or masks a systemd unit.",
		Long: "Only systemd is managed. A unit that the host does not have is an error. " +
			"reloaded starts the unit when it does not run; restarted starts it too. Stopping or restarting what others rely on is disruptive and may need approval. " +
			"Not in dayops: pattern, sleep, arguments, runlevel, scope, no_block.",
		Example: `- name: The time daemon runs, now and after a boot
  service:
    name: chronyd
    state: started
    enabled: true

- service:
    name: sshd
    state: reloaded
`,
		Kind: func(p Params) task.Kind {
			if p.each() {
				return task.Action
			}
			return task.State
		},
		MaxRisk: maxRisk,
		Result:  Result{},
	}, servicer{})
}

// maxRisk asks the change itself about the two sides it could start from. A
// name that is not known yet may be that of a unit that others rely on.
func maxRisk(p Params) change.Risk {
	if p.Name == "" {
		p.Name = "etcd"
	}
	up := reader.Unit{Name: p.unit(), LoadState: "loaded", ActiveState: "active", SubState: "running", UnitFileState: "enabled"}
	down := reader.Unit{Name: p.unit(), LoadState: "loaded", ActiveState: "inactive", SubState: "dead", UnitFileState: "disabled"}
	risk := change.Safe
	for _, u := range []reader.Unit{up, down} {
		if c := wanted(p, u); c != nil {
			risk = max(risk, c.Risk())
		}
	}
	return risk
}

type servicer struct{}

func (servicer) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	units, err := r.Units(ctx, p.unit())
	if err != nil {
		return State{}, err
	}
	return State{Unit: units[0]}, nil
}

func (servicer) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, u := in.Params, in.State.Unit
	masking := p.Masked != nil && *p.Masked
	unmasking := p.Masked != nil && !*p.Masked
	switch {
	case !u.Exists() && !masking:
		return task.Plan{}, &task.MissingError{What: "unit", Name: p.unit(), Hint: "is its package installed?"}
	case u.Masked() && !unmasking && (p.State == "started" || p.each() || p.Enabled != nil && *p.Enabled):
		return task.Plan{}, fmt.Errorf("%s is masked; masked: false takes that away", p.unit())
	}
	// systemd puts its link where the administrator's own unit files are, and takes none of them away.
	if masking && !u.Masked() && path.Dir(u.FragmentPath) == "/etc/systemd/system" {
		return task.Plan{}, fmt.Errorf("%s cannot be masked: its unit file is %s, where the link would be; stop and disable it, or remove the file", p.unit(), u.FragmentPath)
	}
	c := wanted(p, u)
	if c == nil {
		return task.Plan{}, nil
	}
	return task.Do(c), nil
}

// wanted is the change that u needs, or nil.
func wanted(p Params, u reader.Unit) change.Change {
	c := &change.Unit{Name: p.unit(), Before: u}
	if p.Masked != nil && *p.Masked != u.Masked() {
		c.Masked = p.Masked
	}
	if p.Enabled != nil && *p.Enabled != atBoot(u, *p.Enabled) {
		c.Enabled = p.Enabled
	}
	running := u.Active() || u.ActiveState == "activating"
	switch p.State {
	case "started":
		if !running {
			c.Active = new(true)
		}
	case "stopped":
		if running || u.ActiveState == "deactivating" {
			c.Active = new(false)
		}
	case "restarted":
		c.Restart = true
	case "reloaded":
		if c.Reload = running; !running {
			c.Active = new(true)
		}
	}
	act := c.Masked != nil || c.Enabled != nil || c.Active != nil || c.Restart || c.Reload
	c.DaemonReload = p.DaemonReload && (act || u.NeedReload)
	if !act && !c.DaemonReload {
		return nil
	}
	return c
}

// atBoot is whether u counts as enabled when want is asked for. A static or
// generated unit has no switch: whatever is asked for is so already.
func atBoot(u reader.Unit, want bool) bool {
	switch u.UnitFileState {
	case "static", "indirect", "generated", "transient", "alias":
		return want
	case "enabled-runtime":
		return !want
	}
	return u.Enabled()
}

func (servicer) Result(in task.Input[Params, State], _ task.Outcome) any {
	p, u := in.Params, in.State.Unit
	res := Result{Name: p.unit(), Enabled: u.Enabled(), Status: Status{
		LoadState: u.LoadState, ActiveState: u.ActiveState, SubState: u.SubState, UnitFileState: u.UnitFileState, FragmentPath: u.FragmentPath,
	}}
	if p.Enabled != nil {
		res.Enabled = *p.Enabled
	}
	switch {
	case p.State == "stopped" || p.State == "" && !u.Active():
		res.State = "stopped"
	default:
		res.State = "started"
	}
	return res
}
