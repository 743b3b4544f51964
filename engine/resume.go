package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// InDoubtError: a change was begun by an earlier controller, and nobody can
// tell whether it was made: a command without a probe whose process died on the host.
type InDoubtError struct {
	Run     string
	ID      int64
	Host    string
	Summary string
	Why     string
}

func (e *InDoubtError) Error() string {
	return fmt.Sprintf("change %d, %s, was begun and cannot be known: %s", e.ID, e.Summary, e.Why)
}

// recover settles what an earlier controller of the run left: changes of which
// nothing is known are looked at, and what plans must do in the end is done.
// Hosts on which that fails go no further.
func (r *run) recover(ctx context.Context) {
	m := r.opt.Memory
	r.emit(event.Event{Kind: event.Note, Text: fmt.Sprintf("run %s is taken up again: %d changes are done, %d are looked at", r.opt.RunID,
		len(m.Steps)-len(m.InDoubt()), len(m.InDoubt()))})
	if err := r.voidPast(); err != nil {
		r.emit(event.Event{Kind: event.Note, Status: event.Warn, Text: err.Error()})
	}
	for _, p := range r.opt.Playbook.Plays {
		r.play = p
		byHost := map[string][]*journal.Step{}
		for _, s := range m.InDoubt() {
			if playOf(p, s.At.Step) {
				byHost[s.Change.Host] = append(byHost[s.Change.Host], s)
			}
		}
		finally := r.pendingFinally(p)
		concerned := map[string]bool{} // also this machine, which an inventory need not list
		for name := range byHost {
			concerned[name] = true
		}
		for name := range finally {
			concerned[name] = true
		}
		var hosts []*host
		for _, name := range slices.Sorted(maps.Keys(concerned)) {
			hosts = append(hosts, r.host(name))
		}
		// All are looked at before anything is put away: what came to one host may be compared with where it came from.
		on := r.recoverAll(ctx, hosts, func(h *host) error { return r.resolveAll(ctx, h, byHost[h.name()]) }, byHost)
		r.recoverAll(ctx, on, func(h *host) error { return r.putAway(ctx, h, finally[h.name()]) }, byHost)
		r.goBack(ctx, p)
	}
}

// recoverAll gives the hosts on which f went well; the others go no further.
func (r *run) recoverAll(ctx context.Context, hosts []*host, f func(*host) error, doubts map[string][]*journal.Step) []*host {
	errs := map[*host]error{}
	var mu sync.Mutex
	left := r.each(ctx, r.opt.Forks, hosts, func(h *host) {
		err := f(h)
		if err != nil {
			for _, s := range doubts[h.name()] {
				r.leave(h.name(), s.Change.As)
			}
			r.cannotGoOn(h, err)
		}
		mu.Lock()
		defer mu.Unlock()
		errs[h] = err
	})
	return slices.DeleteFunc(slices.Clone(hosts), func(h *host) bool { return errs[h] != nil || slices.Contains(left, h) })
}

// playOf tells whether a step, "1.3" or "1.h2", is of the play.
func playOf(p *playbook.BoundPlay, step string) bool {
	index, _, _ := strings.Cut(step, ".")
	return index == fmt.Sprint(p.Index)
}

func (r *run) cannotGoOn(h *host, err error) {
	if isLost(err) {
		r.lose(h, nil, err)
		return
	}
	r.mu.Lock()
	h.failed = true
	h.counts.Failed++
	r.report.Failed = true
	r.mu.Unlock()
	e := event.Event{Kind: event.Result, Play: r.play.Title(), Step: "resume", Host: h.name(), Status: event.Failed, Text: err.Error()}
	e.Cause, e.Hint = explain(h.name(), err)
	r.emit(e)
}

// pending is a Finally step of a plan that nobody finished.
type pending struct {
	at journal.Place
	c  journal.Change
}

// pendingFinally are those of the play's plans, by host.
func (r *run) pendingFinally(p *playbook.BoundPlay) map[string][]pending {
	m, out := r.opt.Memory, map[string][]pending{}
	var places []journal.Place
	for at := range m.Plans {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b journal.Place) int { return m.Plans[a].Now.Compare(m.Plans[b].Now) })
	for _, at := range places {
		through := journal.Place{Step: at.Step, Host: at.Host, Item: at.Item}
		_, finished := m.Results[through]
		if _, back := m.Rollbacks[at]; finished || back || !playOf(p, at.Step) {
			continue
		}
		for _, c := range m.Plans[at].Finally {
			// The plan of a cluster has no result of its own, its hosts have.
			if _, finished := m.Results[journal.Place{Step: at.Step, Host: c.Host}]; finished && at.Host == "" {
				continue
			}
			out[c.Host] = append(out[c.Host], pending{at, c})
		}
	}
	return out
}

// resolveAll finds out what became of a host's changes in doubt.
func (r *run) resolveAll(ctx context.Context, h *host, doubts []*journal.Step) error {
	l, err := r.connect(ctx, h.name())
	if err != nil {
		return err
	}
	for _, s := range doubts {
		if _, err := r.hold(ctx, h.name(), s.Change.As); err != nil {
			return err
		}
		if err := r.resolve(ctx, l.conn, s); err != nil {
			return err
		}
	}
	return nil
}

// putAway does the Finally steps that an earlier controller left over on a host.
func (r *run) putAway(ctx context.Context, h *host, finally []pending) error {
	l, err := r.connect(ctx, h.name())
	if err != nil {
		return err
	}
	for _, p := range finally {
		c, err := r.decode(r.opt.RunID, p.c)
		if err != nil {
			return err
		}
		r.emit(event.Event{Kind: event.Note, Host: h.name(), StepID: p.at.Step, Text: "left over by the end of the last controller: " + c.Summary()})
		if err := r.finish(ctx, h.name(), p.at, func(ctx context.Context) error {
			out, err := (ledger{r: r, at: p.at, action: true}).do(ctx, r.onHost(p.at, h.name(), l.conn, p.c.As), c, deed{})
			for _, n := range out.Notes {
				r.emit(event.Event{Kind: event.Note, Host: h.name(), StepID: p.at.Step, Text: n})
			}
			if err == nil && out.Changed {
				err = r.void(p.at, h.name(), c, r.opt.Memory.Steps)
			}
			return err
		}, c); err != nil {
			if _, waits := c.(*change.Wait); !waits || isLost(err) || isInterrupt(err) {
				return err
			}
			// What it waits for may be what the rest of the run is about to bring.
			r.emit(event.Event{Kind: event.Note, Status: event.Warn, Host: h.name(), StepID: p.at.Step, Text: err.Error()})
		}
	}
	return nil
}

// finish does a change that an earlier controller left over; the gates are asked as ever.
func (r *run) finish(ctx context.Context, host string, at journal.Place, do func(context.Context) error, c change.Change) error {
	s := r.stepAt(at.Step)
	if s == nil {
		return do(ctx)
	}
	a := &admission{r: r, s: s}
	err := a.claim(ctx, host, task.Step{Change: c})
	if err == nil {
		err = do(ctx)
	}
	a.leave(host, err != nil)
	return err
}

// stepAt finds a step or handler by its place; nil where the playbook has none there.
func (r *run) stepAt(id string) *playbook.BoundStep {
	for _, p := range r.opt.Playbook.Plays {
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			if s.ID == id {
				return s
			}
		}
	}
	return nil
}

// taskOf is the name of the task at a place.
func (r *run) taskOf(id string) string {
	if s := r.stepAt(id); s != nil {
		return s.Task
	}
	return ""
}

// onHost is what changes of a place are applied to outside of their step.
func (r *run) onHost(at journal.Place, name string, c conn.Conn, as string) change.Host {
	s := r.stepAt(at.Step)
	h := r.changeHost(name, &item{r: r, s: s, conn: c, as: as, base: reader.New(c, as).With(r.logins(s, name))})
	h.Peer = func(ctx context.Context, name string) (change.Host, error) {
		l, err := r.connect(ctx, name)
		if err != nil {
			return change.Host{}, err
		}
		as, err := r.accountAt(at, name)
		return r.onHost(at, name, l.conn, as), err
	}
	return h
}

// accountAt is the account as which a step works on one of its hosts.
func (r *run) accountAt(at journal.Place, name string) (string, error) {
	s := r.stepAt(at.Step)
	if s == nil || name == task.ControlMachine {
		return "", nil
	}
	h := r.host(name)
	return r.scope(h, s).account(h)
}

func (r *run) decode(run string, c journal.Change) (change.Change, error) {
	return change.Decode(c.Kind, c.Data, change.DecodeOptions{Open: func(ref string) (io.ReadCloser, error) { return r.opt.OpenBlob(run, ref) }})
}

// resolve finds out what became of one change: by the host's own record of the
// commands, then by looking at what should have changed.
func (r *run) resolve(ctx context.Context, c conn.Conn, s *journal.Step) error {
	last, err := r.commands(ctx, c, s)
	if err != nil {
		return err
	}
	ch, err := r.decode(r.opt.RunID, s.Change)
	if err != nil {
		return err
	}
	rec := journal.Record{Kind: journal.Done, Time: r.opt.Now().UTC(), At: s.At, ID: s.ID}
	out, known, err := r.outcome(ctx, c, s, ch, last)
	switch {
	case err != nil:
		return err
	case known && out == nil:
		rec.Again = true
	default:
		if rec.Outcome, err = json.Marshal(keepOutcome(*out)); err != nil {
			return err
		}
		var inverse []change.Change
		for _, kept := range s.Inverse {
			i, err := r.decode(r.opt.RunID, kept)
			if err != nil {
				return err
			}
			inverse = append(inverse, i)
		}
		if rec.Inverse, err = r.refined(ctx, r.onHost(s.At, s.Change.Host, c, s.Change.As), inverse, ch, change.Outcome{Changed: true}); err != nil {
			return err
		}
		s.Inverse = rec.Inverse
	}
	s.State, s.Again, s.Outcome = rec.Kind, rec.Again, rec.Outcome
	return r.opt.Journal.Append(rec)
}

// outcome is what a change in doubt gave; nil and true when it was not made.
func (r *run) outcome(ctx context.Context, c conn.Conn, s *journal.Step, ch change.Change, last guard.Record) (*change.Outcome, bool, error) {
	doubt := &InDoubtError{Run: r.opt.RunID, ID: s.ID, Host: s.Change.Host, Summary: s.Change.Summary}
	if answered := r.opt.Answers[s.ID]; answered != "" {
		if answered == AnswerAgain {
			return nil, true, nil
		}
		return &change.Outcome{Changed: true}, true, nil
	}
	if ch.Opaque() || repeats(ch) {
		switch last.State {
		case guard.Absent:
			if !last.Rebooted {
				return nil, true, nil
			}
		case guard.Ended:
			if e, ok := ch.(*change.Exec); !ok || len(e.Stdin) == 0 && e.Login == "" {
				return r.ended(ch, last), true, nil
			}
			doubt.Why = "it has ended, but its input may have been cut off"
			return nil, false, doubt
		}
		if doubt.Why = "its process ended without a word (killed, or the host went down)"; ch.Opaque() {
			return nil, false, doubt
		}
	}
	host := r.onHost(s.At, s.Change.Host, c, s.Change.As)
	where, err := change.Observe(ctx, host, ch)
	switch {
	case err != nil:
		return nil, false, err
	case where == change.After:
		out := &change.Outcome{Changed: true}
		if b, ok := ch.(*change.Reboot); ok {
			out.Rebooted, err = true, b.Ready(ctx, host)
		}
		return out, err == nil, err
	}
	// At Neither the step is planned anew from what is there, as at Before.
	return nil, true, nil
}

// repeats tells changes that look the same before and after: restarts.
func repeats(c change.Change) bool {
	u, ok := c.(*change.Unit)
	return ok && (u.Restart || u.Reload)
}

func (r *run) ended(ch change.Change, last guard.Record) *change.Outcome {
	out := &change.Outcome{Changed: true}
	if ch.Kind() == "exec" {
		out.Exec = &conn.Result{Code: last.Code, Stdout: conn.Capture{Head: last.Stdout}, Stderr: conn.Capture{Head: last.Stderr}}
	}
	return out
}

// maxCommands bounds the commands of one change.
const maxCommands = 1000

// commands waits for those commands of a change that still run, and returns the
// record of the last that was begun.
func (r *run) commands(ctx context.Context, c conn.Conn, s *journal.Step) (last guard.Record, err error) {
	last.State = guard.Absent
	lock, err := r.hold(ctx, s.Change.Host, s.Change.As)
	if err != nil {
		return last, err
	}
	next := commandIDs(s.Taken, s.ID)
	for range maxCommands {
		rec, err := guard.Await(ctx, c, s.Change.As, lock.Dir, r.opt.RunID, next(), ChangeLimit)
		if err != nil || rec.State == guard.Absent {
			last.Rebooted = last.Rebooted || rec.Rebooted
			return last, err
		}
		last = rec
	}
	return last, errors.New("a change has too many commands")
}
