package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Gate is code that can refuse a change: "1 of 3 members is down, restarting
// another loses the quorum". The engine asks every gate before each change
// whose Risk is above Safe, one question at a time in the whole run.
type Gate interface {
	// Claim agrees to c, or refuses it with a *GateError. Another error says that
	// the gate could not judge, which refuses too. It is bounded by GateLimit.
	//
	// release (nil for none) is called once the host's part of the plan is over. It
	// returns when what the change put at risk is healthy again, or when it is
	// clear that it will not be soon: the gate decides, and must bound its wait
	// (ReleaseLimit is the engine's own bound). No other claim is made before it returns.
	Claim(ctx context.Context, c Claim) (release func(), err error)
}

// Bystander is a Gate that can tell, without waiting for its turn, that a change
// is none of its business. It is asked once for each change of a plan, of
// several hosts at the same time.
type Bystander interface {
	Gate
	// Concerned is false only where it is certain that Claim would agree and hold
	// nothing. It may read Claim.Host, within GateLimit.
	Concerned(ctx context.Context, c Claim) bool
}

// Attentive is a Gate that minds some of the changes that are Safe too: what loses
// nothing of its host may lose something of a cluster.
type Attentive interface {
	Gate
	// Minds tells it by the change alone, and looks at no host.
	Minds(c change.Change) bool
}

// Limits on a gate's judgement. They are printed by --help.
const (
	GateLimit    = 2 * time.Minute
	ReleaseLimit = 10 * time.Minute
)

// Claim is one change that wants to be made.
type Claim struct {
	Run    string
	Step   string // title
	Task   string
	Undoes string // of an undo: the task whose change is taken back
	Host   string // where the change happens
	Change change.Change
	// Next is what the plan does on Host after Change, in order, Finally last. A
	// failure before it may keep all but Finally from being done.
	Next []change.Change
	// Earlier is what the plan does on Host before Change, in order.
	Earlier []change.Change
	// Inventory is every host of every group, in inventory order, whatever play,
	// batch and --limit say; "all" has all of them.
	Inventory map[string][]string
	// Check tells that nothing will be done: what is read is what earlier steps,
	// and this plan itself, would leave, and release is called at once.
	Check bool
	// Read looks at any host of the inventory as it is now. A host that cannot be
	// reached is an error.
	Read func(ctx context.Context, host string) (task.Reader, error)
	// Live is Read, also in a dry run as the host is and not as it would be.
	Live func(ctx context.Context, host string) (task.Reader, error)
	// Warn says what people should know of a change that is agreed to.
	Warn func(text, hint string)
}

// GateError is a gate's refusal.
type GateError struct {
	Gate       string // "etcd quorum"
	Host       string
	Reason     string   // one line: "restarting etcd on m2 would lose the quorum"
	Arithmetic []string // how it comes to that: "3 members, 2 healthy, 2 needed, 1 left"
	Hint       string   // what to do about it
}

func (e *GateError) Error() string {
	s := e.Reason
	if e.Gate != "" {
		s = e.Gate + ": " + s
	}
	if len(e.Arithmetic) > 0 {
		s += " (" + strings.Join(e.Arithmetic, "; ") + ")"
	}
	return s
}

// gatekeeper makes claims of different hosts come one after the other: one that
// is held bars all others until it is released.
type gatekeeper struct {
	once sync.Once
	turn chan struct{}
}

func (g *gatekeeper) take(ctx context.Context) error {
	g.once.Do(func() { g.turn = make(chan struct{}, 1) })
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gatekeeper) give() { <-g.turn }

// release ends claims in the order opposite to that in which they were made.
func (g *gatekeeper) release(claims []func()) {
	for i := len(claims) - 1; i >= 0; i-- {
		claims[i]()
	}
}

// claim asks the gates about one change. What they grant is held until the
// admission is left by that host; where they hold nothing, others may go on.
func (a *admission) claim(ctx context.Context, host string, st task.Step) error {
	gates := a.concerned(ctx, host, st)
	if len(gates) == 0 {
		return nil
	}
	if err := a.reserve(ctx, host); err != nil {
		return err
	}
	c := a.r.claimOf(a.s, host, st, a.steps)
	c.Warn = func(text, hint string) {
		a.r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: a.r.play.Title(), Host: host, Step: a.s.Title(), StepID: a.s.ID, Text: text, Hint: hint})
	}
	for _, g := range gates {
		release, err := a.r.judgedBy(ctx, g, c)
		if err != nil {
			return err
		}
		if release != nil {
			a.hold(host, func() {
				ctx, cancel := context.WithTimeout(ctx, ReleaseLimit)
				defer cancel()
				waited(ctx, release)
			})
		}
	}
	a.yield(host)
	return nil
}

// concerned are the gates that must be asked about a step; each is asked once
// in a plan whether it is one of them.
func (a *admission) concerned(ctx context.Context, host string, st task.Step) []Gate {
	minds := a.r.gatesFor(st.Change)
	if len(minds) == 0 {
		return nil
	}
	a.mu.Lock()
	gates, known := a.minds[st.Change]
	a.mu.Unlock()
	if known {
		return gates
	}
	gates = a.r.concerned(ctx, minds, a.r.claimOf(a.s, host, st, a.steps))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.minds == nil {
		a.minds = map[change.Change][]Gate{}
	}
	a.minds[st.Change] = gates
	return gates
}

// gatesFor are the gates that a change is for: all of them where it is not Safe.
func (r *run) gatesFor(c change.Change) []Gate {
	if c.Risk() > change.Safe {
		return r.opt.Gates
	}
	var out []Gate
	for _, g := range r.opt.Gates {
		if a, ok := g.(Attentive); ok && a.Minds(c) {
			out = append(out, g)
		}
	}
	return out
}

func (r *run) concerned(ctx context.Context, gates []Gate, c Claim) []Gate {
	var out []Gate
	for _, g := range gates {
		b, ok := g.(Bystander)
		if !ok {
			out = append(out, g)
			continue
		}
		minds := true // also when it does not come to an answer
		_, _ = within(ctx, "a gate", GateLimit, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, recovered(func() error { minds = b.Concerned(ctx, c); return nil })
		})
		if minds {
			out = append(out, g)
		}
	}
	return out
}

// around are the changes of a plan on a host before one of them and behind it.
func around(steps []task.Step, host string, c change.Change) (before, after []change.Change) {
	found := false
	for _, st := range steps {
		switch {
		case st.Host != "" && st.Host != host:
		case found:
			after = append(after, st.Change)
		case st.Change == c:
			found = true
		default:
			before = append(before, st.Change)
		}
	}
	if !found {
		return nil, nil
	}
	return before, after
}

// yield gives the turn back where no gate holds anything for the host.
func (a *admission) yield(host string) {
	a.mu.Lock()
	claims := a.claims[host]
	idle := len(claims) == 1 // the turn itself
	if idle {
		delete(a.claims, host)
	}
	a.mu.Unlock()
	if idle {
		a.r.gatekeeper.release(claims)
	}
}

// reserve waits until no other host holds a claim, once in a host's part.
func (a *admission) reserve(ctx context.Context, host string) error {
	a.mu.Lock()
	first := len(a.claims[host]) == 0
	a.mu.Unlock()
	if !first {
		return nil
	}
	if err := a.r.gatekeeper.take(ctx); err != nil {
		return err
	}
	a.hold(host, a.r.gatekeeper.give)
	return nil
}

// waited runs a gate's release; one that outlasts its limit is left behind.
func waited(ctx context.Context, release func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = recovered(func() error { release(); return nil })
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (a *admission) hold(host string, release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claims == nil {
		a.claims = map[string][]func(){}
	}
	a.claims[host] = append(a.claims[host], release)
}

func (r *run) claimOf(s *playbook.BoundStep, host string, st task.Step, plan []task.Step) Claim {
	before, next := around(plan, host, st.Change)
	return Claim{
		Run: r.opt.RunID, Step: s.Title(), Task: s.Task, Undoes: st.Of, Host: host, Change: st.Change, Next: next, Earlier: before, Check: r.opt.Check,
		Inventory: maps.Clone(r.opt.Inventory.GroupMap()),
		Read: func(ctx context.Context, name string) (task.Reader, error) {
			return r.readerOf(ctx, s, name, r.opt.Check)
		},
		Live: func(ctx context.Context, name string) (task.Reader, error) { return r.readerOf(ctx, s, name, false) },
		Warn: func(string, string) {},
	}
}

func (r *run) judgedBy(ctx context.Context, g Gate, c Claim) (func(), error) {
	return within(ctx, "a gate", GateLimit, func(ctx context.Context) (release func(), err error) {
		panicked := recovered(func() error { release, err = g.Claim(ctx, c); return nil })
		var known *GateError
		var unknown *change.UnknownError
		switch err = together(err, panicked); {
		case err == nil, errors.As(err, &unknown):
			return release, err
		case errors.As(err, &known):
			if known.Host == "" {
				known.Host = c.Host
			}
			return nil, err
		}
		return nil, &GateError{Host: c.Host, Reason: "a gate could not judge: " + err.Error()}
	})
}

// readerOf reads a host outside its turn: the gates look, they do not queue.
func (r *run) readerOf(ctx context.Context, s *playbook.BoundStep, name string, foreseen bool) (task.Reader, error) {
	l, err := r.connect(ctx, name)
	if err != nil {
		return nil, err
	}
	h := r.host(name)
	as, err := r.scope(h, s).account(h)
	if err != nil {
		return nil, err
	}
	base := reader.New(l.conn, as).With(r.logins(s, name))
	if foreseen {
		h.mu.Lock()
		defer h.mu.Unlock()
		return limited{Reader: change.Over(base, h.overlay.Clone())}, nil
	}
	return limited{Reader: base}, nil
}

// foretell asks the gates in a dry run. A refusal is a finding, and the step
// counts as failed; what they cannot know yet they are asked again in the run.
func (r *run) foretell(ctx context.Context, s *playbook.BoundStep, self string, steps []task.Step) (found []task.Finding, refusal error) {
	for _, st := range steps {
		minds := r.gatesFor(st.Change)
		if len(minds) == 0 {
			continue
		}
		host := orSelf(st.Host, self)
		c := r.claimOf(s, host, st, steps)
		c.Warn = func(text, hint string) {
			found = append(found, task.Finding{Host: host, Status: task.Warn, Text: text, Hint: hint})
		}
		for _, g := range r.concerned(ctx, minds, c) {
			if err := r.gatekeeper.take(ctx); err != nil {
				return found, err
			}
			release, err := r.judgedBy(ctx, g, c)
			if release != nil {
				r.gatekeeper.release([]func(){release})
			}
			r.gatekeeper.give()
			var refused *GateError
			if errors.As(err, &refused) {
				found = append(found, task.Finding{Host: host, Status: task.Fail, Text: refused.Error(), Hint: refused.Hint})
				refusal = together(refusal, refused)
			}
		}
	}
	return found, refusal
}

// refusals are what gates refused in the forecast.
func (f *forecast) refusals() error {
	var errs []error
	for _, o := range f.order {
		var g *GateError
		if o.status == event.Failed && errors.As(o.err, &g) {
			errs = append(errs, fmt.Errorf("%q on %s: %w", o.s.Title(), o.host, g))
		}
	}
	return together(errs...)
}
