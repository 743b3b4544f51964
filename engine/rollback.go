package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
)

// RolledBackError: a plan failed, and what it did was taken back.
type RolledBackError struct {
	Why  string   // it failed
	Left []string // what could not be taken back on this host, and why
}

func (e *RolledBackError) Error() string {
	s := "taken back"
	if e.Why != "" {
		s += ", because the plan failed: " + e.Why
	}
	if len(e.Left) > 0 {
		s += "; NOT taken back here: " + strings.Join(e.Left, "; ")
	}
	return s
}

// rollback takes back what a plan has done: its inverses, stage by stage
// backwards, in the windows of the plan. Its own changes are journalled as
// such: a controller that dies over it is followed by one that goes on with it.
type rollback struct {
	r     *run
	at    journal.Place
	why   string
	a     *applier // of the inverses
	deeds []*done  // in the order in which they were done

	mu  sync.Mutex
	bad map[string]bool             // hosts on which it goes no further
	put map[string]bool             // hosts on which something was put back
	on  map[string]*RolledBackError // what is to be said, by host
	cut map[string]error            // hosts that were lost over it, or where it was interrupted: a resume goes on
	say map[string][]task.Finding
}

// done is a change of the plan.
type done struct {
	step    *journal.Step
	made    change.Change
	inverse []task.Step
}

// newRollback gathers what there is to take back at a place.
func (r *run) newRollback(s *playbook.BoundStep, at journal.Place, why string, a *applier) (*rollback, error) {
	b := &rollback{r: r, at: at, why: why, a: a, bad: map[string]bool{}, put: map[string]bool{}, on: map[string]*RolledBackError{}, cut: map[string]error{}, say: map[string][]task.Finding{}}
	var all []task.Step
	for _, st := range r.standing(at) {
		d := &done{step: st}
		var err error
		if d.made, err = r.decode(r.opt.RunID, st.Change); err != nil {
			return nil, err
		}
		for _, kept := range st.Inverse {
			c, err := r.decode(r.opt.RunID, kept)
			if err != nil {
				return nil, err
			}
			d.inverse = append(d.inverse, task.Step{Host: st.Change.Host, Change: c, Of: s.Task})
		}
		b.deeds = append(b.deeds, d)
		b.on[st.Change.Host] = &RolledBackError{Why: why}
	}
	for _, d := range slices.Backward(b.deeds) {
		all = append(all, d.inverse...)
	}
	a.done = map[string]*applied{}
	if a.admission == nil {
		a.admission = &admission{r: r, s: s, back: true}
	}
	a.admission.steps = all
	return b, nil
}

// standing are the changes of a plan that stand, or may.
func (r *run) standing(at journal.Place) []*journal.Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*journal.Step
	all := r.steps
	if m := r.opt.Memory; m != nil {
		all = slices.Concat(m.Steps, all)
	}
	for _, s := range all {
		var k keptOutcome
		if s.At != at || s.Stage == 0 || s.Back != 0 || s.Again || s.Undone {
			continue
		}
		if s.State == journal.Done && json.Unmarshal(s.Outcome, &k) == nil && !k.Changed {
			continue
		}
		out = append(out, s)
	}
	return out
}

// run takes everything back. A first interrupt does not end it.
func (b *rollback) run(ctx context.Context) {
	stages := b.order()
	for _, n := range slices.Backward(stages) {
		deeds := b.of(n)
		slices.Reverse(deeds)
		b.stage(ctx, n, deeds, b.takeBack)
	}
	for _, n := range stages {
		again := slices.DeleteFunc(b.of(n), func(d *done) bool { return !b.restarts(d) })
		b.stage(ctx, n, again, b.restart)
		b.until(ctx, n, again)
	}
}

// nth is a stage of the plan of one controller: each makes the plan anew from
// what is there.
type nth struct{ taken, stage int }

// order lists the stages in which anything was done, as it was done.
func (b *rollback) order() []nth {
	var out []nth
	for _, d := range b.deeds {
		if n := (nth{d.step.Taken, d.step.Stage}); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b nth) int { return cmp.Or(a.taken-b.taken, a.stage-b.stage) })
	return out
}

// of are the deeds of a stage, as they were done.
func (b *rollback) of(n nth) []*done {
	return slices.DeleteFunc(slices.Clone(b.deeds), func(d *done) bool { return d.step.Taken != n.taken || d.step.Stage != n.stage })
}

// kept says how a stage was to be carried out; one after the other where nobody knows.
func (b *rollback) kept(n nth) journal.Stage {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	stages := b.r.stages[b.at]
	if m := b.r.opt.Memory; m != nil && n.taken < b.r.opt.Journal.Taken() {
		stages = m.Plans[b.at].Stages[n.taken]
	}
	if n.stage > len(stages) {
		return journal.Stage{Window: 1}
	}
	return stages[n.stage-1]
}

// stage does one thing with some changes of a stage, host by host in its window.
func (b *rollback) stage(ctx context.Context, n nth, deeds []*done, do func(context.Context, string, *done) error) {
	var order []string
	by := map[string][]*done{}
	for _, d := range deeds {
		host := d.step.Change.Host
		if by[host] == nil {
			order = append(order, host)
		}
		by[host] = append(by[host], d)
	}
	window := b.kept(n).Window
	if window <= 0 {
		window = max(1, len(order))
	}
	for hosts := range slices.Chunk(order, window) {
		var g errgroup.Group
		g.SetLimit(max(1, b.a.forks))
		for _, host := range hosts {
			g.Go(func() error {
				b.host(ctx, host, by[host], do)
				return nil
			})
		}
		_ = g.Wait()
	}
}

// host does its part of a stage, unless something went wrong there before: what
// comes first builds on what could not be taken back.
func (b *rollback) host(ctx context.Context, host string, deeds []*done, do func(context.Context, string, *done) error) {
	var steps []task.Step
	for _, d := range deeds {
		steps = append(steps, d.inverse...)
	}
	var err error
	if !b.isBad(host) {
		err = b.a.admission.begin(ctx, host, steps)
		defer func() { b.a.admission.end(host, err != nil) }()
	}
	for _, d := range deeds {
		if err == nil && !b.isBad(host) {
			err = do(ctx, host, d)
		}
		if err != nil {
			b.spoil(host, d, err)
		} else if b.isBad(host) {
			b.leave(host, d, "what was done after it is not taken back")
		}
		err = nil
	}
}

func (b *rollback) isBad(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bad[host]
}

func (b *rollback) spoil(host string, d *done, err error) {
	b.mu.Lock()
	b.bad[host] = true
	if isLost(err) || isInterrupt(err) {
		b.cut[host] = err
	}
	b.mu.Unlock()
	b.leave(host, d, err.Error())
}

// leave says what is not taken back.
func (b *rollback) leave(host string, d *done, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, hint := d.step.Change.Summary+" ("+why+")", "look at it, or: dayops undo "
	if b.cut[host] != nil {
		hint = "goes on with it: dayops resume "
	}
	b.on[host].Left = append(b.on[host].Left, text)
	b.say[host] = append(b.say[host], task.Finding{Host: host, Status: task.Warn, Text: "not taken back: " + text, Hint: hint + b.r.opt.RunID})
}

// takeBack applies what takes one change back.
func (b *rollback) takeBack(ctx context.Context, host string, d *done) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.step.State == journal.Intent {
		if err := b.refine(ctx, host, d); err != nil {
			return err
		}
	}
	rev := d.made.Reversal()
	if len(d.inverse) == 0 {
		if rev.Class != change.Exact && !repeats(d.made) {
			b.leave(host, d, rev.Why)
		}
		return nil
	}
	for _, st := range d.inverse {
		if err := b.a.step(ctx, st, host, deed{stage: d.step.Stage, back: d.step.ID}); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.put[host] = true
	text := "taken back: " + d.step.Change.Summary
	if rev.Class == change.Partial {
		text += " (in part: " + rev.Why + ")"
	}
	b.say[host] = append(b.say[host], task.Finding{Host: host, Text: text})
	b.mu.Unlock()
	return b.undone(d)
}

// refine completes the inverses of a change that nobody heard the end of.
func (b *rollback) refine(ctx context.Context, host string, d *done) error {
	h, release, err := b.a.host(ctx, host)
	if err != nil {
		return err
	}
	defer release()
	var inverse []change.Change
	for _, st := range d.inverse {
		inverse = append(inverse, st.Change)
	}
	if inverse, err = change.Refine(ctx, h, inverse, d.made, change.Outcome{Changed: true}); err != nil {
		return err
	}
	of := d.inverse
	d.inverse = nil
	for _, c := range inverse {
		d.inverse = append(d.inverse, task.Step{Host: host, Change: c, Of: of[0].Of})
	}
	return nil
}

func (b *rollback) undone(d *done) error {
	b.r.mu.Lock()
	d.step.Undone = true
	b.r.mu.Unlock()
	return b.r.opt.Journal.Append(journal.Record{Kind: journal.Undone, Time: b.r.opt.Now().UTC(), At: b.at, ID: d.step.ID})
}

// restarts tells units that ran before the plan restarted them, and that run
// now with what has been put back since.
func (b *rollback) restarts(d *done) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	host := d.step.Change.Host
	return len(d.inverse) == 0 && repeats(d.made) && b.put[host] && !b.bad[host]
}

func (b *rollback) restart(ctx context.Context, host string, d *done) error {
	if err := b.a.step(ctx, task.Step{Host: host, Change: d.made, Of: d.step.Change.Task}, host, deed{stage: d.step.Stage, back: d.step.ID}); err != nil {
		return err
	}
	return b.undone(d)
}

// until waits for what must hold after a stage with restarts.
func (b *rollback) until(ctx context.Context, n nth, again []*done) {
	kept := b.kept(n).Until
	if kept == nil {
		return
	}
	for _, d := range again {
		host := d.step.Change.Host
		c, err := b.r.decode(b.r.opt.RunID, *kept)
		if err == nil && !b.isBad(host) {
			err = b.a.step(ctx, task.Step{Host: host, Change: c}, host, deed{stage: n.stage})
		}
		if err != nil {
			b.spoil(host, d, err)
		}
	}
}
