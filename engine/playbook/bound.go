package playbook

import (
	"slices"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/task"
)

// Bound is a playbook whose every name has been found: hosts, tasks,
// handlers, variables. Bind makes it; the engine runs it as it is.
type Bound struct {
	*Playbook
	Plays    []*BoundPlay
	Warnings []*source.Mistake // what is no mistake, and hardly meant
}

// BoundPlay is a play with its hosts.
type BoundPlay struct {
	*Play
	Targets   []string     // hosts of the pattern that --limit leaves, in inventory order
	Empty     string       // why there are none, for people: "group lb is empty"
	Steps     []*BoundStep // those that tags select
	Handlers  []*BoundStep
	VarsFiles []*VarsFile // as read, in order
}

// BoundStep is a step with its task.
type BoundStep struct {
	*Step
	Def *task.Definition

	risk change.Risk
	play *Play
}

// NewStep makes a step that no file holds, for a task of the engine's own.
func NewStep(p *Play, s *Step, def *task.Definition, risk change.Risk) *BoundStep {
	return &BoundStep{Step: s, Def: def, play: p, risk: risk}
}

// Title is the heading: the play's name, else its hosts pattern.
func (p *BoundPlay) Title() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Hosts.Raw
}

// NeedsHosts tells whether any step, handler or fact gathering of the play needs a connection.
func (p *BoundPlay) NeedsHosts() bool {
	if p.GatherFacts == nil || *p.GatherFacts {
		return true
	}
	for _, s := range slices.Concat(p.Steps, p.Handlers) {
		if !s.Def.Control {
			return true
		}
	}
	return false
}

// Title is the heading of a step: its name as written, else the task's.
func (s *BoundStep) Title() string {
	if s.Name != nil {
		return s.Name.Raw
	}
	return s.Task
}

// HostNames lists the hosts of all plays, each once, in order of appearance.
func (b *Bound) HostNames() []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range b.Plays {
		for _, h := range p.Targets {
			if !seen[h] {
				seen[h] = true
				out = append(out, h)
			}
		}
	}
	return out
}

// HostsAtOnce is the step's throttle, or its play's; 0 when neither says one.
func (s *BoundStep) HostsAtOnce() int {
	if s.Throttle > 0 {
		return s.Throttle
	}
	return s.play.Throttle
}

// Approved is what the playbook itself approves in this step: Disruptive or nothing.
func (s *BoundStep) Approved() change.Risk { return max(s.Approve, s.play.Approve) }

// ChangesNothing tells a step that says so itself: changed_when: false.
func (s *BoundStep) ChangesNothing() bool {
	if len(s.ChangedWhen) != 1 {
		return false
	}
	says, ok := s.ChangedWhen[0].Value.(bool)
	return ok && !says
}
