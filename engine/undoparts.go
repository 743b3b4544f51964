package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/task"
)

// undoPart is a row of changes that one account made.
type undoPart struct {
	as    string
	steps map[string][]undoStep // by host
	last  stageOf
}

// stageOf is where in the plan of several hosts a change was made; zero of a
// host's own plan.
type stageOf struct {
	step         string
	taken, stage int
}

func stageOfStep(s *journal.Step) stageOf {
	if s.At.Host != "" {
		return stageOf{}
	}
	return stageOf{s.At.Step, s.Taken, s.Stage}
}

// takes tells whether the part can have a change too. The stages of a plan of
// several hosts are barriers backwards as forwards: a member leaves the cluster
// before its etcd is stopped.
func (p *undoPart) takes(s *journal.Step) bool {
	_, alone := p.steps[s.Change.Host]
	return p.as == s.Change.As && (p.last == stageOfStep(s) || alone && len(p.steps) == 1)
}

// login is what makes the step work as the account that made the changes.
func (p *undoPart) login() map[string]any {
	if p.as == "" {
		return map[string]any{"ansible_become": false}
	}
	return map[string]any{"ansible_become": true, "ansible_become_user": p.as}
}

// undoStep is one change of the run and what takes it back.
type undoStep struct {
	was     string // its summary
	task    string // that made it; "" where the journal is older than that
	made    change.Change
	doubt   bool     // nobody heard how it ended
	good    *forGood // the command of no return of its plan, with which it is left where that was made; nil: none
	self    bool     // it is that command
	wait    bool     // inverse is what must hold in the end
	inverse []change.Change
}

func undoParts(m *journal.Memory, opt UndoOptions) ([]*undoPart, error) {
	var parts []*undoPart
	stands, err := standsForGood(m)
	if err != nil {
		return nil, err
	}
	var back []journal.Place // whose plan is taken back
	for _, s := range slices.Backward(m.Steps) {
		stays := stands[s.At]
		if !undoable(m, s) || opt.Hosts != nil && !slices.Contains(opt.Hosts, s.Change.Host) || stays != nil && !stays.doubt && stays.id != s.ID {
			continue // also without a look at its host, which the plan may have parted with
		}
		u := undoStep{was: s.Change.Summary, task: s.Change.Task, doubt: s.State == journal.Intent, good: stays, self: stays != nil && stays.id == s.ID}
		for _, kept := range s.Inverse {
			c, err := change.Decode(kept.Kind, kept.Data, change.DecodeOptions{Open: opt.OpenBlob})
			if err != nil {
				return nil, fmt.Errorf("the inverse of change %d: %w", s.ID, err)
			}
			u.inverse = append(u.inverse, c)
		}
		var err error
		if u.made, err = change.Decode(s.Change.Kind, s.Change.Data, change.DecodeOptions{}); err != nil {
			return nil, fmt.Errorf("change %d: %w", s.ID, err)
		}
		if len(parts) == 0 || !parts[len(parts)-1].takes(s) {
			parts = append(parts, &undoPart{as: s.Change.As, steps: map[string][]undoStep{}})
		}
		p := parts[len(parts)-1]
		p.last = stageOfStep(s)
		p.steps[s.Change.Host] = append(p.steps[s.Change.Host], u)
		if (stays == nil || stays.doubt) && !slices.Contains(back, s.At) {
			back = append(back, s.At)
		}
	}
	waits, err := waitParts(m, opt, back, stands)
	return append(parts, waits...), err
}

// waitParts are what must hold once plans have been taken back.
func waitParts(m *journal.Memory, opt UndoOptions, back []journal.Place, stands map[journal.Place]*forGood) (parts []*undoPart, err error) {
	for _, at := range back {
		for _, kept := range m.Plans[at].After {
			if opt.Hosts != nil && !slices.Contains(opt.Hosts, kept.Host) {
				continue
			}
			c, err := change.Decode(kept.Kind, kept.Data, change.DecodeOptions{})
			if err != nil {
				return nil, fmt.Errorf("what was to be waited for: %w", err)
			}
			i := slices.IndexFunc(parts, func(p *undoPart) bool { return p.as == kept.As })
			if i < 0 {
				parts, i = append(parts, &undoPart{as: kept.As, steps: map[string][]undoStep{}}), len(parts)
			}
			parts[i].steps[kept.Host] = append(parts[i].steps[kept.Host], undoStep{was: kept.Summary, wait: true, good: stands[at], inverse: []change.Change{c}})
		}
	}
	return parts, nil
}

// forGood is a command of no return that was made, or perhaps was.
type forGood struct {
	id    int64
	was   string   // its summary
	goes  []string // what else its plan did, which is left with it
	doubt bool     // nobody heard how it ended, or it failed: its host can tell

	mu           sync.Mutex
	looked, made bool // of one in doubt
}

// look asks the command's host whether one in doubt was made.
func (f *forGood) look(ctx context.Context, r task.Reader, made change.Change) error {
	if !f.doubt {
		return nil
	}
	where, err := change.Observe(ctx, change.Host{Reader: r}, made)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked, f.made = err == nil, where != change.Before
	return err
}

// heard tells whether it is known how it ended.
func (f *forGood) heard() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.doubt || f.looked
}

// stands tells that it was made, or that nobody can say that it was not.
func (f *forGood) stands() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.doubt || !f.looked || f.made
}

// standsForGood are the commands of no return, the last of each plan, and what
// the rest of such a plan did: it goes with them, and is left too.
func standsForGood(m *journal.Memory) (map[journal.Place]*forGood, error) {
	out := map[journal.Place]*forGood{}
	for _, s := range m.Steps {
		if f := out[s.At]; s.Change.Kind != (&change.Exec{}).Kind() || !undoable(m, s) || f != nil && !f.doubt && s.State != journal.Done {
			continue
		}
		c, err := change.Decode(s.Change.Kind, s.Change.Data, change.DecodeOptions{})
		if err != nil {
			return nil, fmt.Errorf("change %d: %w", s.ID, err)
		}
		if e, ok := c.(*change.Exec); ok && e.NoReturn {
			out[s.At] = &forGood{id: s.ID, was: s.Change.Summary, goes: []string{}, doubt: s.State != journal.Done}
		}
	}
	for _, s := range m.Steps {
		if f := out[s.At]; f != nil && f.id != s.ID && undoable(m, s) && len(s.Inverse) > 0 {
			f.goes = append(f.goes, s.Change.Host+": "+s.Change.Summary)
		}
	}
	return out, nil
}

// undoable leaves out what changed nothing for sure, also by the playbook's own
// word (changed_when).
func undoable(m *journal.Memory, s *journal.Step) bool {
	if s.Again || s.Undone || s.Back != 0 { // not made, or taken back by the run itself
		return false
	}
	var k keptOutcome
	if s.State == journal.Done && json.Unmarshal(s.Outcome, &k) == nil && !k.Changed {
		return false
	}
	var res keptResult
	raw, ended := m.Results[journal.Place{Step: s.At.Step, Host: s.At.Host, Item: s.At.Item}]
	return len(s.Inverse) > 0 || !ended || json.Unmarshal(raw, &res) != nil || res.Status != event.OK || res.Changed
}
