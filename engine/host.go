package engine

import (
	"context"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/vars"
)

// host is one inventory host as the run knows it so far. During a step one
// goroutine owns it; mu guards what hostvars of others and delegation read.
type host struct {
	id string

	mu        sync.Mutex
	facts     facts.Host
	gathered  bool
	learned   map[string]any      // registered results and set_fact: data, never templates
	unknown   map[string]string   // names that only a step not run yet would set -> that step
	overlay   *change.Overlay     // of a dry run
	scope     *vars.Scope         // nil when something was learned since
	scopeOf   int                 // the run's epoch that it was made in
	secretsOf *playbook.BoundPlay // the redactor knows the secrets of the host in this play
	notified  map[string]string   // handler ID -> "" or, in a dry run, the step that may notify it

	failed  bool
	lost    error
	excused bool // a plan says that it need not be reached
	counts  event.Counts
}

func newHost(name string) *host {
	return &host{id: name, learned: map[string]any{}, unknown: map[string]string{}, overlay: &change.Overlay{}, notified: map[string]string{}}
}

func (h *host) name() string { return h.id }

// usable tells whether later steps still concern the host.
func (h *host) usable() bool { return !h.failed && h.lost == nil }

func (h *host) learn(name string, v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scope = nil
	h.learned[name] = v
	delete(h.unknown, name)
}

func (h *host) cannotKnow(name, step string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scope = nil
	delete(h.learned, name)
	h.unknown[name] = step
}

// gather gathers the facts of l's host once per run.
func (h *host) gather(ctx context.Context, l *link, now func() time.Time) (facts.Host, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gathered {
		return h.facts, nil
	}
	ctx, cancel := context.WithTimeout(ctx, FactsLimit)
	defer cancel()
	f, err := facts.Gather(ctx, l.conn, now)
	if err != nil {
		return facts.Host{}, err
	}
	h.facts, h.gathered, h.scope = f, true, nil
	return f, nil
}
