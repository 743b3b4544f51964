package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn/shell"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// UndoOptions say what of a run is taken back.
type UndoOptions struct {
	Hosts    []string // nil: all
	Force    []string // paths and units that are taken back although somebody changed them since
	Leave    []string // paths, units and packages that are left as they are
	OpenBlob func(name string) (io.ReadCloser, error)
}

// Undo makes a playbook that takes back what a run changed, the last change
// first. It goes through plan, approval, journal and locks as any other. A
// change that somebody has altered since, or that nothing takes back, is left
// alone and named, and the host's result is partial. Of what the run left in
// doubt, killed or cut off, the host tells how far it came.
func Undo(m *journal.Memory, opt UndoOptions) (*playbook.Bound, error) {
	parts, err := undoParts(m, opt)
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	at := strictyaml.FromAny("undo "+m.Run.ID, source.Pos{File: "undo " + m.Run.ID})
	no := false
	play := &playbook.Play{At: at, Index: 1, Name: "Undo run " + m.Run.ID, Hosts: at, GatherFacts: &no}
	bound := &playbook.BoundPlay{Play: play}
	for i, p := range parts {
		def := undoTask(undoer{p, opt.Force, opt.Leave, m.Run.ID})
		risk := change.Safe
		for host, steps := range p.steps {
			if !slices.Contains(bound.Targets, host) {
				bound.Targets = append(bound.Targets, host)
			}
			for _, s := range steps {
				risk = max(risk, riskOf(s.inverse))
			}
		}
		step := &playbook.Step{At: at, ID: fmt.Sprintf("1.%d", i+1), Task: def.Name, TaskAt: at,
			Params: strictyaml.FromAny(map[string]any{"host": "{{ inventory_hostname }}"}, at.Pos),
			Vars:   strictyaml.FromAny(p.login(), at.Pos)}
		bound.Steps = append(bound.Steps, playbook.NewStep(play, step, def, risk))
	}
	slices.Sort(bound.Targets)
	pb := &playbook.Playbook{File: "undo " + m.Run.ID, Dir: ".", Plays: []*playbook.Play{play}}
	return &playbook.Bound{Playbook: pb, Plays: []*playbook.BoundPlay{bound}}, nil
}

func riskOf(cs []change.Change) change.Risk {
	risk := change.Safe
	for _, c := range cs {
		risk = max(risk, c.Risk())
	}
	return risk
}

type undoParams struct {
	Host string `yaml:"host" doc:"whose changes" required:"true"`
}

// undoState is what Check finds of each change of a host.
type undoState struct {
	Do       []change.Change
	Of       []string // the task whose change each of Do takes back
	Left     []change.Missed
	Findings []task.Finding
}

type undoer struct {
	part  *undoPart
	force []string
	leave []string
	run   string
}

func undoTask(u undoer) *task.Definition {
	return task.Define(task.Spec[undoParams]{Name: "undo", Doc: "Take back what a run changed.",
		Kind: func(undoParams) task.Kind { return task.Action },
		MaxRisk: func(undoParams) change.Risk {
			risk := change.Safe
			for _, steps := range u.part.steps {
				for _, s := range steps {
					risk = max(risk, riskOf(s.inverse))
				}
			}
			return risk
		}}, u)
}

// Check looks at each inverse as the host would be after those before it.
func (u undoer) Check(ctx context.Context, r task.Reader, p undoParams) (undoState, error) {
	var s undoState
	overlay := &change.Overlay{}
	over := change.Over(r, overlay)
	for _, step := range u.part.steps[p.Host] {
		if left, err := s.stands(ctx, r, step, u.run); left || err != nil {
			if err != nil {
				return s, err
			}
			continue
		}
		if step.wait { // it may hold now; it must hold then
			s.Do, s.Of = append(s.Do, step.inverse...), append(s.Of, step.task)
			continue
		}
		s.mark(step)
		inverse, err := u.inverse(ctx, r, step)
		if err != nil {
			return s, err
		}
		already := len(s.Do)
		for _, c := range inverse {
			ours, err := u.look(ctx, over, overlay, c, &s)
			if err != nil {
				return s, err
			}
			if !ours {
				break // what follows builds on it
			}
		}
		for range s.Do[already:] {
			s.Of = append(s.Of, step.task)
		}
	}
	return s, nil
}

// inverse is what takes the step back. Of one that is in doubt the host knows
// what could only be noted afterwards.
func (u undoer) inverse(ctx context.Context, r task.Reader, step undoStep) ([]change.Change, error) {
	l, ok := r.(limited)
	if !step.doubt || !ok {
		return step.inverse, nil
	}
	h := l.host()
	h.Run = u.run // what it moved aside lies under that name
	return change.Refine(ctx, h, step.inverse, step.made, change.Outcome{Changed: true})
}

// mark names what cannot be taken back, or not wholly. A restart leaves nothing
// to take back: with it alone an undo is whole.
func (s *undoState) mark(step undoStep) {
	r := step.made.Reversal()
	doubt := ""
	if step.doubt {
		doubt = "; it was begun, and nobody heard how it ended"
	}
	switch {
	case len(step.inverse) == 0 && repeats(step.made):
		s.warn(fmt.Sprintf("cannot be undone: %s (%s%s)", step.was, r.Why, doubt), "")
	case (len(step.inverse) == 0 && !timesAlone(step.made) || step.self) && r.Class != change.Exact:
		s.warn(fmt.Sprintf("cannot be undone: %s (%s%s)", step.was, r.Why, doubt), "")
		s.Left = append(s.Left, change.Missed{Path: step.was, Why: "cannot be undone"})
	case r.Class != change.Exact:
		s.warn(fmt.Sprintf("undone in part: %s (%s)", step.was, r.Why), "")
	}
}

// timesAlone tells a change that has no inverse where it touched times and nothing else.
func timesAlone(c change.Change) bool { _, ok := c.(*change.Attrs); return ok }

// stands tells that a step is left for the sake of its plan's step of no return.
// Where that is in doubt its host is asked, before anything else of the plan is
// taken back: it was the last of it.
func (s *undoState) stands(ctx context.Context, r task.Reader, step undoStep, run string) (left bool, err error) {
	g := step.good
	switch {
	case g == nil:
		return false, nil
	case step.self:
		if err := g.look(ctx, r, step.made); err != nil {
			return false, err
		}
		if g.stands() {
			s.mark(step)
			s.leave(step, run)
		}
		return true, nil
	case !g.stands():
		return false, nil
	case !step.wait && !g.heard():
		s.warn("left alone: "+step.was, "nobody can tell whether its plan has done what nothing takes back: "+g.was)
		s.Left = append(s.Left, change.Missed{Path: step.was, Why: "left alone: its plan may have done what nothing takes back: " + g.was})
	}
	return true, nil
}

// leave names what is left because it goes with a step of no return.
func (s *undoState) leave(step undoStep, run string) {
	for _, what := range step.good.goes {
		s.warn("left alone, it goes with what cannot be undone: "+what, "")
		s.Left = append(s.Left, change.Missed{Path: what, Why: "left alone: " + step.was + " cannot be undone"})
	}
	s.warn("nothing of its plan is undone", "one that was cut off is brought to its end by: dayops resume "+run)
}

// leaves tells paths, units and packages that should stay as they are.
func (u undoer) leaves(name string) bool {
	pkg, _, _ := strings.Cut(name, "=")
	return slices.ContainsFunc(u.leave, func(l string) bool { return l == name || l == pkg || l+".service" == name })
}

// look decides about one inverse; false when somebody else was there since.
func (u undoer) look(ctx context.Context, r task.Reader, overlay *change.Overlay, c change.Change, s *undoState) (ours bool, err error) {
	if slices.ContainsFunc(change.Touches(c), u.leaves) {
		s.Left = append(s.Left, change.Missed{Path: c.Summary(), Why: "left alone: --leave"})
		return false, nil
	}
	if slices.ContainsFunc(change.Touches(c), func(path string) bool { return slices.Contains(u.force, path) }) {
		c = change.Forced(c)
	}
	where, err := change.Observe(ctx, change.Host{Reader: r}, c)
	var unknown *change.UnknownError
	if errors.As(err, &unknown) {
		where, err = change.Before, nil // an inverse before it decides; applying it looks again
	}
	if d, ok := c.(*change.Remove); ok && err == nil && where == change.Neither && d.OnlyEmpty {
		where, err = u.emptied(ctx, r, d, s)
	}
	switch {
	case err != nil:
		return false, err
	case where == change.Before:
		if c, err = shown(ctx, r, c); err != nil {
			return false, err
		}
		s.Do = append(s.Do, c)
		change.Foresee(overlay, c)
	case where == change.Neither:
		s.warn("left alone, somebody changed it since: "+c.Summary(), force(c))
		s.Left = append(s.Left, change.Missed{Path: c.Summary(), Why: "left alone: somebody changed it since"})
		return false, nil
	}
	return true, nil
}

// emptied looks whether all that is in a folder goes before it, by another name
// of the folder perhaps: what is planned below a symlink of the host is not
// planned below the folder that it points to.
func (u undoer) emptied(ctx context.Context, r task.Reader, d *change.Remove, s *undoState) (change.Where, error) {
	left, err := r.List(ctx, reader.Literal(d.Path))
	if err != nil {
		return change.Neither, err
	}
	var going []string
	for _, c := range s.Do {
		switch c.(type) {
		case *change.Remove, *change.Move:
			going = append(going, change.Touches(c)[0])
		}
	}
	if len(going) == 0 {
		return change.Neither, nil
	}
	files, err := u.base(r).Stat(ctx, going...)
	for _, f := range left {
		same := func(g reader.File) bool { return g.Exists && g.Dev == f.Dev && g.Inode == f.Inode }
		if path.Clean(f.Path) != path.Clean(d.Path) && !slices.ContainsFunc(files, same) {
			return change.Neither, err
		}
	}
	return change.Before, err
}

// base is the host as it is, without what is foreseen.
func (u undoer) base(r task.Reader) change.Looker {
	if o, ok := r.(*change.OverlayReader); ok {
		return o.Base()
	}
	return r
}

// force says how c is taken back although somebody changed it since.
func force(c change.Change) string {
	on := change.Touches(c)
	if change.Forced(c) == c || len(on) == 0 {
		return "look at it, and take it back by hand"
	}
	return "--force " + shell.Quote(reader.Printable(on[len(on)-1])) + "   (takes it back all the same)"
}

// maxShown is the size of files whose difference is shown.
const maxShown = 256 << 10

// shown gives a small Write its content and what it replaces, for the diff.
func shown(ctx context.Context, r task.Reader, c change.Change) (change.Change, error) {
	w, ok := c.(*change.Write)
	if !ok || w.After.Size > maxShown || w.Before.Size > maxShown || w.After.Open == nil {
		return c, nil
	}
	full := *w
	f, err := w.After.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if full.After.Bytes, err = io.ReadAll(io.LimitReader(f, maxShown)); err != nil {
		return nil, err
	}
	if w.Before.Exists && w.Before.Type == reader.Regular {
		full.Was, err = r.ReadFile(ctx, w.Path, maxShown)
	}
	return &full, err
}

func (s *undoState) warn(text, hint string) {
	s.Findings = append(s.Findings, task.Finding{Status: task.Warn, Text: text, Hint: hint})
}

// Plan is what Check found.
func (u undoer) Plan(in task.Input[undoParams, undoState]) (task.Plan, error) {
	p := task.Do(in.State.Do...)
	for i, of := range in.State.Of {
		p.Stages[0].Steps[i].Of = of
	}
	p.Findings, p.Missed = in.State.Findings, in.State.Left
	return p, nil
}
