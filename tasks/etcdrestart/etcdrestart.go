// Package etcdrestart restarts an etcd cluster, one member after the other.
package etcdrestart

import (
	"context"
	"fmt"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

// Params are the parameters of etcd_restart.
type Params struct {
	etcd.Places `yaml:",inline"`
	Healthy     strictyaml.Duration `yaml:"healthy_within" default:"5m" doc:"a member that is not healthy that long after its restart ends the task: the others are not restarted"`
	Spread      strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"members' clocks further apart are refused; 0 is never"`
	MinFree     int                 `yaml:"min_free_mib" default:"100" doc:"MiB that must be free where the data lies: etcd makes a new log of 64 MiB when it starts"`
	Alarms      bool                `yaml:"despite_alarms" default:"false" doc:"restart although there is an alarm, as after raising the quota; a member then need only find its leader"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if p.Healthy <= 0 || p.Spread < 0 || p.MinFree < 0 {
		return fmt.Errorf("healthy_within is above 0, max_spread and min_free_mib are not below")
	}
	return p.Places.Validate()
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_restart",
		Doc:  "Restarts an etcd cluster's members one after the other: followers first, the leader last, a healthy cluster between.",
		Long: `The members on the hosts of the play are restarted, each only when the one before it is healthy again: a read through it was confirmed by the quorum, within healthy_within. The leader's turn comes last, when another member, restarted by then, leads (move-leader, from 3.3 on; before, etcd gives its leadership away itself when it is stopped). A unit is restarted, a container by its unit; a static pod's manifest goes to the folder beside the kubelet's (/etc/origin/node/pods-stopped, /etc/kubernetes/manifests-stopped) and back: a run that was ended between is taken up by dayops resume, which first puts it back.
Refused before the first change: a cluster that is not healthy as a whole, one whose quorum would go with one member more, an alarm, clocks apart, an expired certificate (the member could not join again), a full disk. A cluster of one warns. All hosts of the group etcd are read, whatever the play's hosts and --limit are.`,
		Example: `- name: New settings are in force
  etcd_restart:
    healthy_within: 2m
  become: yes
`,
		Kind:    func(Params) task.Kind { return task.Action },
		MaxRisk: func(Params) change.Risk { return change.Disruptive },
		Facts:   true,
		Reach:   []string{"etcd"},
		Result:  Result{},
	}, restart{})
}

type restart struct{}

type (
	input = task.ClusterInput[Params, etcdroll.State]
	host  = task.HostInput[Params, etcdroll.State]
)

// Check finds the member and asks it.
func (restart) Check(ctx context.Context, r task.Reader, p Params) (etcdroll.State, error) {
	return etcdroll.Look(ctx, r, p.Places)
}

// Plan goes through the members.
func (restart) Plan(in input) (task.Plan, error) {
	hosts, p := etcdroll.Hosts(in, func(s etcdroll.State) etcdroll.State { return s })
	c := etcdroll.Gather(hosts, in.Now)
	var f etcdroll.Findings
	const mib = 1 << 20
	c.Judge(&f, etcdroll.Limits{Spread: p.Spread.Std(), Free: int64(p.MinFree) * mib, Alarms: p.Alarms, Stops: true}, c.Turn())
	c.Absent(&f)
	if f.Failed() {
		return task.Plan{Findings: f}, nil
	}
	plan := task.Plan{Findings: f}
	stage := task.Stage{Name: "restart one member after the other", Window: 1}
	for _, h := range c.Turn() {
		stage.Steps = append(stage.Steps, c.Restart(h, p.Healthy.Std())...)
		plan.Finally = append(plan.Finally, c.Again(h, p.Healthy.Std())...)
	}
	if len(stage.Steps) > 0 {
		plan.Stages = []task.Stage{stage}
	}
	return plan, nil
}

// Result is what register sees, for each host.
type Result struct {
	Msg       string  `yaml:"msg" doc:"one line"`
	Found     bool    `yaml:"found" doc:"whether the host has an etcd"`
	Name      string  `yaml:"name" doc:"the member's name"`
	Restarted bool    `yaml:"restarted" doc:"whether it was restarted and was healthy afterwards"`
	Led       bool    `yaml:"led" doc:"whether it led before"`
	Seconds   float64 `yaml:"seconds" doc:"from the restart until it was healthy"`
}

// Result tells about one host.
func (restart) Result(in task.Input[Params, etcdroll.State], out task.Outcome) any {
	s := in.State
	r := Result{Found: s.Found, Name: s.Instance.Name, Led: s.Leads()}
	n := len(out.Steps)
	switch {
	case !s.Found:
		r.Msg = "no etcd here"
	case n == 0 || !out.Changed:
		r.Msg = fmt.Sprintf("%s was not restarted", r.Name)
	default:
		took := out.Steps[n-1].End.Sub(out.Steps[0].Start)
		r.Restarted, r.Seconds = true, took.Seconds()
		r.Msg = fmt.Sprintf("%s restarted, healthy after %s", r.Name, clock.Span(took.Round(time.Millisecond)))
		if r.Led {
			r.Msg += "; it led before"
		}
	}
	return r
}
