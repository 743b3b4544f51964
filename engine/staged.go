package engine

import (
	"slices"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// placed is where one change stands in the plan of a cluster task.
type placed struct {
	stage   int    // from 1; 0 is Finally
	unknown string // what of it is known only when stage until is done
	until   int
}

// placesOf goes with stepsOf: the place of each of a host's changes.
func placesOf(p task.Plan, host string) (out []placed) {
	for i, s := range p.Stages {
		for _, st := range s.Steps {
			if st.Host == host {
				out = append(out, later(p, i, st))
			}
		}
	}
	for _, st := range p.Finally {
		if st.Host == host {
			out = append(out, placed{})
		}
	}
	return out
}

// later finds the last stage before the change's own that brings what it takes.
func later(p task.Plan, at int, st task.Step) placed {
	out := placed{stage: at + 1}
	for _, l := range change.Awaits(st.Change) {
		for i, s := range slices.Backward(p.Stages[:at]) {
			if slices.ContainsFunc(s.Steps, func(x task.Step) bool { return l.Brings(x.Host, x.Change) }) {
				if i+1 > out.until {
					out.unknown, out.until = l.What, i+1
				}
				break
			}
		}
	}
	return out
}

// outline tells how the forecasts of a cluster task's step go together, and
// keeps it for a saved plan.
func (r *run) outline(s *playbook.BoundStep, plan task.Plan, members []*member) {
	if len(plan.Stages) == 0 || plan.Empty() {
		return
	}
	hide := slices.ContainsFunc(members, func(m *member) bool { return r.scope(m.h, s).hidden() })
	e := event.Event{Kind: event.Stages, Play: r.play.Title(), Step: s.Title(), StepID: s.ID, Task: s.Task, OnFailure: plan.OnFailure.String()}
	for _, m := range members {
		if !m.in.Reach || len(m.res.planned) > 0 {
			e.Hosts = append(e.Hosts, m.h.name())
		}
	}
	for _, st := range plan.Stages {
		x := event.Stage{Name: st.Name, Does: st.Does, Window: st.Window, Commit: st.Commit}
		if hide {
			x.Name, x.Does = hiddenText, ""
		}
		for _, c := range st.Steps {
			if !slices.Contains(x.Hosts, c.Host) {
				x.Hosts = append(x.Hosts, c.Host)
			}
		}
		e.Stages = append(e.Stages, x)
	}
	if r.seen != nil && r.opt.Keep != nil {
		r.seen.mu.Lock()
		r.seen.clusters = append(r.seen.clusters, keptCluster(e))
		r.seen.mu.Unlock()
	}
	r.emit(e)
}

// keptCluster is the outline as a saved plan has it; texts are not yet censored.
func keptCluster(e event.Event) planfile.Cluster {
	c := planfile.Cluster{ID: e.StepID, Hosts: e.Hosts, OnFailure: e.OnFailure}
	for _, s := range e.Stages {
		c.Stages = append(c.Stages, planfile.Stage(s))
	}
	return c
}
