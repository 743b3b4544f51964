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
	Host   string // where the change happens
	Change change.Change
	// Inventory is every host of every group, in inventory order, whatever play,
	// batch and --limit say; "all" has all of them.
	Inventory map[string][]string
	// Check tells that nothing will be done: what is read is what earlier steps
	// would leave, and release is called at once.
	Check bool
	// Read looks at any host of the inventory as it is now. A host that cannot be
	// reached is an error.
	Read func(ctx context.Context, host string) (task.Reader, error)
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
// admission is left by that host.
func (a *admission) claim(ctx context.Context, host string, c change.Change) error {
	if c.Risk() == change.Safe || len(a.r.opt.Gates) == 0 {
		return nil
	}
	if err := a.reserve(ctx, host); err != nil {
		return err
	}
	for _, g := range a.r.opt.Gates {
		release, err := a.r.judgedBy(ctx, g, a.s, host, c)
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
	return nil
}

// reserve waits until no other host holds a claim, once in a host's part.
func (a *admission) reserve(ctx context.Context, host string) error {
	a.mu.Lock()
	first := len(a.claims[host]) == 0
	a.mu.Unlock()
	if !first || len(a.r.opt.Gates) == 0 {
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

func (r *run) judgedBy(ctx context.Context, g Gate, s *playbook.BoundStep, host string, c change.Change) (func(), error) {
	claim := Claim{
		Run: r.opt.RunID, Step: s.Title(), Task: s.Task, Host: host, Change: c, Check: r.opt.Check,
		Inventory: maps.Clone(r.opt.Inventory.GroupMap()),
		Read:      func(ctx context.Context, name string) (task.Reader, error) { return r.readerOf(ctx, s, name) },
	}
	return within(ctx, "a gate", GateLimit, func(ctx context.Context) (release func(), err error) {
		panicked := recovered(func() error { release, err = g.Claim(ctx, claim); return nil })
		var known *GateError
		var unknown *change.UnknownError
		switch err = together(err, panicked); {
		case err == nil, errors.As(err, &unknown):
			return release, err
		case errors.As(err, &known):
			if known.Host == "" {
				known.Host = host
			}
			return nil, err
		}
		return nil, &GateError{Host: host, Reason: "a gate could not judge: " + err.Error()}
	})
}

// readerOf reads a host outside its turn: the gates look, they do not queue.
func (r *run) readerOf(ctx context.Context, s *playbook.BoundStep, name string) (task.Reader, error) {
	l, err := r.connect(ctx, name)
	if err != nil {
		return nil, err
	}
	h := r.host(name)
	as, err := r.scope(h, s).account(h)
	if err != nil {
		return nil, err
	}
	base := reader.New(l.conn, as)
	if r.opt.Check {
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
		if st.Change.Risk() == change.Safe {
			continue
		}
		host := orSelf(st.Host, self)
		for _, g := range r.opt.Gates {
			if err := r.gatekeeper.take(ctx); err != nil {
				return found, err
			}
			release, err := r.judgedBy(ctx, g, s, host, st.Change)
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
