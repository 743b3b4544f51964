package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/task"
)

// ledger is what stands between a plan and change.Apply: the lock on the host,
// the journal before and after, and the memory of an earlier controller.
type ledger struct {
	r      *run
	at     journal.Place
	action bool // of an Action: what was made is not made again. A State is planned from what is there
}

// deed says what a change is within its plan.
type deed struct {
	stage int   // from 1; 0: Finally
	back  int64 // the change that it takes back; 0: none
}

// changesHost tells changes of the host itself from those that only read it.
func changesHost(c change.Change) bool {
	switch c := c.(type) {
	case *change.Wait:
		return false
	case *change.Transfer:
		return c.ToDir != "" || c.ToFile != ""
	}
	return true
}

// do makes a change. What an earlier controller is known to have made in the
// same place is not made again.
func (l ledger) do(ctx context.Context, h change.Host, c change.Change, d deed) (change.Outcome, error) {
	if l.r.opt.Journal == nil || !changesHost(c) {
		return l.apply(ctx, h, c)
	}
	// Of files a checksum is enough; a command's input is part of what it is.
	raw, err := change.Encode(c, change.EncodeOptions{Content: c.Kind() == "exec" || c.Kind() == "bracket"})
	if err != nil {
		return change.Outcome{}, err
	}
	made := journal.Change{Host: h.Name, Task: l.r.taskOf(l.at.Step), As: h.As, Kind: c.Kind(), Summary: l.r.opt.Redactor.Redact(c.Summary()), Data: raw}
	if out, ok := l.made(h.Name, c); ok {
		return out, nil
	}
	lock, err := l.r.hold(ctx, h.Name, h.As)
	if err != nil {
		return change.Outcome{}, err
	}
	id := l.r.opt.Journal.NextID()
	reads := h
	h.Conn = lock.Conn(h.Conn, commandIDs(l.r.opt.Journal.Taken(), id))
	var inverse []change.Change
	if d.back == 0 {
		if inverse, err = change.Invert(ctx, h, c, l.r.opt.Journal); err != nil {
			return change.Outcome{}, fmt.Errorf("keep what is there, for an undo: %w", err)
		}
	}
	rec := journal.Record{Kind: journal.Intent, Time: l.r.opt.Now().UTC(), At: l.at, ID: id, Change: &made, Stage: d.stage, Back: d.back}
	if rec.Inverse, err = l.r.keptChanges(inverse, h); err != nil {
		return change.Outcome{}, err
	}
	if err := l.r.opt.Journal.Append(rec); err != nil {
		return change.Outcome{}, err
	}
	step := l.r.begun(rec)
	out, err := l.apply(ctx, h, c)
	if isLost(err) || err != nil && ctx.Err() != nil && isInterrupt(ctx.Err()) {
		l.r.holds.leave(lock)
		return out, err // in doubt: a resume looks at the host
	}
	return out, together(err, l.close(ctx, step, reads, inverse, c, out, err))
}

// apply makes a change, and goes on with a host that has booted.
func (l ledger) apply(ctx context.Context, h change.Host, c change.Change) (change.Outcome, error) {
	out, err := change.Apply(ctx, h, c)
	if err == nil && out.Rebooted {
		err = l.r.rebooted(ctx, h.Name, h.As)
	}
	return out, err
}

// close journals how a change ended.
func (l ledger) close(ctx context.Context, step *journal.Step, h change.Host, inverse []change.Change, c change.Change, out change.Outcome, failed error) error {
	rec := journal.Record{Kind: journal.Done, Time: l.r.opt.Now().UTC(), At: l.at, ID: step.ID}
	if failed != nil {
		rec.Kind, rec.Error = journal.Failed, l.r.opt.Redactor.Redact(failed.Error())
	}
	var err error
	if rec.Outcome, err = json.Marshal(keepOutcome(out)); err != nil {
		return err
	}
	if failed != nil {
		out = change.Outcome{Changed: true} // how far it came, the host is asked
	}
	if rec.Inverse, err = l.r.refined(ctx, h, inverse, c, out); err != nil { // that of the intent stands
		l.r.emit(event.Event{Kind: event.Note, Status: event.Warn, Host: h.Name, StepID: l.at.Step, Text: err.Error()})
	}
	l.r.mu.Lock()
	if step.State, step.Outcome = rec.Kind, rec.Outcome; rec.Inverse != nil {
		step.Inverse = rec.Inverse
	}
	l.r.mu.Unlock()
	return l.r.opt.Journal.Append(rec)
}

// begun remembers a change of this controller, for a rollback.
func (r *run) begun(rec journal.Record) *journal.Step {
	s := &journal.Step{ID: rec.ID, Taken: r.opt.Journal.Taken(), Stage: rec.Stage, Back: rec.Back, At: rec.At, Change: *rec.Change, Inverse: rec.Inverse, State: rec.Kind, Time: rec.Time}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
	return s
}

// refined are the inverses of a change that was made, as the journal keeps
// them. It also looks at the host after an abort: the change stands there.
func (r *run) refined(ctx context.Context, h change.Host, inverse []change.Change, c change.Change, out change.Outcome) ([]journal.Change, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), AbortGrace)
	defer cancel()
	inverse, err := change.Refine(ctx, h, inverse, c, out)
	if err != nil {
		return nil, fmt.Errorf("note what takes the change back: %w", err)
	}
	return r.keptChanges(inverse, h)
}

// commandIDs name the commands of change id on the host: 12.1, 12.2, ...; those of
// the second controller 1-12.1: the first may have died between a command
// that kept something for an undo and its record, and 12 is given again then.
func commandIDs(taken int, id int64) func() string {
	var n atomic.Int64
	before := strconv.FormatInt(id, 10) + "."
	if taken > 0 {
		before = strconv.Itoa(taken) + "-" + before
	}
	return func() string { return before + strconv.FormatInt(n.Add(1), 10) }
}

// keptChanges are cs as the journal keeps them. An inverse holds no content but
// the names of blobs, and what a command reads.
func (r *run) keptChanges(cs []change.Change, h change.Host) ([]journal.Change, error) {
	out := []journal.Change{}
	for _, c := range cs {
		raw, err := change.Encode(c, change.EncodeOptions{Content: c.Kind() == "exec"})
		if err != nil {
			return nil, err
		}
		out = append(out, journal.Change{Host: h.Name, As: h.As, Kind: c.Kind(), Summary: r.opt.Redactor.Redact(c.Summary()), Data: raw})
	}
	return out, nil
}

// made finds a change that is done in this place, each once.
func (l ledger) made(host string, c change.Change) (change.Outcome, bool) {
	m := l.r.opt.Memory
	if m == nil || !l.action {
		return change.Outcome{}, false
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	digest := change.Digest(c)
	if l.reversed(host, c) {
		return change.Outcome{}, false
	}
	i := slices.IndexFunc(m.Steps, func(s *journal.Step) bool {
		if s.At != l.at || s.State != journal.Done || s.Again || s.Undone || s.Back != 0 || s.Change.Host != host || s.Change.Kind != c.Kind() || l.r.used[s.ID] {
			return false
		}
		was, err := l.r.decode(l.r.opt.RunID, s.Change)
		return err == nil && change.Digest(was) == digest
	})
	if i < 0 {
		return change.Outcome{}, false
	}
	l.r.used[m.Steps[i].ID] = true
	var k keptOutcome
	if err := json.Unmarshal(m.Steps[i].Outcome, &k); err != nil {
		return change.Outcome{}, false
	}
	return k.outcome(), true
}

// reversed tells that the last thing that was done about c in this place was the
// opposite: a plan's Finally, done for a controller that died, started what the
// plan had stopped, or removed what it had written. The plan that is taken up does
// it once more; an undo takes each of them back.
func (l ledger) reversed(host string, c change.Change) bool {
	digest, last := change.Digest(c), false
	for _, s := range slices.Concat(l.r.opt.Memory.Steps, l.r.steps) {
		if s.At != l.at || s.Change.Host != host || s.Again || s.Change.Kind != c.Kind() && !change.MayReverse(s.Change.Kind, c.Kind()) {
			continue
		}
		was, err := l.r.decode(l.r.opt.RunID, s.Change)
		switch {
		case err != nil:
		case change.Digest(was) == digest:
			last = false
		case change.Reverses(was, c):
			last = true
		}
	}
	return last
}

// before tells whether an earlier controller changed something in this place:
// a State task finds nothing left to do then, and has changed the host all the same.
func (l ledger) before(host string) bool {
	m := l.r.opt.Memory
	return m != nil && slices.ContainsFunc(m.Steps, func(s *journal.Step) bool {
		var k keptOutcome
		return s.At == l.at && s.Change.Host == host && s.State == journal.Done && !s.Again && !s.Undone && s.Back == 0 && json.Unmarshal(s.Outcome, &k) == nil && k.Changed
	})
}

// madeBefore are the changes that earlier controllers made in a place on a host,
// and that stand.
func (r *run) madeBefore(at journal.Place, host string) (out []change.Change, err error) {
	if r.opt.Memory == nil {
		return nil, nil
	}
	for _, s := range r.opt.Memory.Steps {
		var k keptOutcome
		if s.At != at || s.Change.Host != host || s.State != journal.Done || s.Again || s.Undone || s.Back != 0 || json.Unmarshal(s.Outcome, &k) != nil || !k.Changed {
			continue
		}
		c, err := r.decode(r.opt.RunID, s.Change)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// mustHold tells whether a plan changes a host whose lock is not held yet.
func (r *run) mustHold(host, as string, p task.Plan) bool {
	if r.opt.Journal == nil || r.opt.Check || r.holds.has(holdKey{host, as}) {
		return false
	}
	return slices.ContainsFunc(p.Changes(), func(st task.Step) bool {
		return (st.Host == "" || st.Host == host) && changesHost(st.Change)
	})
}

// clock is the time that plans of a place are made with: that of the first
// controller, so that a plan made again is the same.
func (r *run) clock(at journal.Place) time.Time {
	if r.opt.Memory != nil {
		if p, ok := r.opt.Memory.Plans[at]; ok {
			return p.Now
		}
	}
	if !r.opt.PlanTime.IsZero() {
		return r.opt.PlanTime
	}
	return r.opt.Now()
}

var errNoRollback = errors.New("a plan that is to be taken back when it fails needs a journal")

// announce journals what a plan must do in the end whatever happens, before
// its first change. as gives the account for a step's host.
func (r *run) announce(at journal.Place, now time.Time, p task.Plan, as func(host string) (name, account string)) error {
	if r.opt.Journal == nil && p.OnFailure == task.Rollback {
		return errNoRollback
	}
	if r.opt.Journal == nil || !slices.ContainsFunc(p.Changes(), func(st task.Step) bool { return changesHost(st.Change) }) {
		return nil
	}
	rec := journal.Record{Kind: journal.Planned, Time: r.opt.Now().UTC(), At: at, Now: now}
	for _, part := range []struct {
		from []task.Step
		to   *[]journal.Change
	}{{p.Finally, &rec.Finally}, {p.Back, &rec.After}} {
		for _, st := range part.from {
			raw, err := change.Encode(st.Change, change.EncodeOptions{Content: true})
			if err != nil {
				return err
			}
			host, account := as(st.Host)
			*part.to = append(*part.to, journal.Change{Host: host, As: account, Kind: st.Change.Kind(), Summary: r.opt.Redactor.Redact(st.Change.Summary()), Data: raw})
		}
	}
	if p.OnFailure == task.Rollback {
		var err error
		if rec.Stages, err = keptStages(p); err != nil {
			return err
		}
		r.mu.Lock()
		if r.stages == nil {
			r.stages = map[journal.Place][]journal.Stage{}
		}
		r.stages[at] = rec.Stages
		r.mu.Unlock()
	}
	return r.opt.Journal.Announce(rec)
}
