// Package change is the closed set of things that dayops can do to a host.
// Tasks make Changes, the engine alone applies them: dry run, diff, risk gates,
// undo and resume all follow from that. A new kind of change is a decision
// about the whole product, not about one task.
package change

import (
	"context"
	"fmt"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
)

// Risk is what a change can cost. Higher ones need approval.
type Risk int

const (
	Safe        Risk = iota // nothing that runs is disturbed, nothing is lost
	Disruptive              // something that others rely on stops for a while
	Destructive             // data goes away
)

// String is the word used in plans and by --approve.
func (r Risk) String() string { return [...]string{"safe", "disruptive", "destructive"}[r] }

// MarshalText is String.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads String's words.
func (r *Risk) UnmarshalText(text []byte) error {
	for _, w := range []Risk{Safe, Disruptive, Destructive} {
		if w.String() == string(text) {
			*r = w
			return nil
		}
	}
	return fmt.Errorf("%.20q is no risk", text)
}

// UndoClass says how well a change can be taken back.
type UndoClass int

const (
	Exact   UndoClass = iota // as it was before
	Partial                  // nearly; Reversal.Why says what stays
	None                     // not at all; Reversal.Why says why
)

func (u UndoClass) String() string { return [...]string{"exact", "partial", "none"}[u] }

// MarshalText is String.
func (u UndoClass) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads String's words.
func (u *UndoClass) UnmarshalText(text []byte) error {
	for _, w := range []UndoClass{Exact, Partial, None} {
		if w.String() == string(text) {
			*u = w
			return nil
		}
	}
	return fmt.Errorf("%.20q is no class of undo", text)
}

// Reversal is known when the change is planned.
type Reversal struct {
	Class UndoClass
	Why   string
}

// Where tells on which side of a change a host is.
type Where int

const (
	Neither Where = iota // somebody else was here
	Before               // as planned from
	After                // already done
)

func (w Where) String() string { return [...]string{"neither", "before", "after"}[w] }

// Change is one member of the closed set: *Write, *Attrs, *Dir, *Link, *Move,
// *Remove, *Unit, *Package, *Exec, *Transfer, *Wait, *Reboot, *Bracket.
// A Change is plain data once made; nothing in it is altered by applying it.
type Change interface {
	// Kind is the word for events: "write", "unit", ...
	Kind() string
	// Summary is one line without control characters: what, where, to what.
	Summary() string
	// Diff is a unified diff of what text there is, as secret.Text masks it; "" otherwise.
	Diff() string
	Risk() Risk
	Reversal() Reversal
	// Opaque tells that nobody can say beforehand whether it changes
	// anything: a command without a probe.
	Opaque() bool

	observe(ctx context.Context, h Host) (Where, error)
	apply(ctx context.Context, h Host) (Outcome, error)
	// invert is called before apply, see Invert.
	invert(ctx context.Context, h Host, keep Keeper) ([]Change, error)
	effect(o *Overlay)
}

// Host is what a change is applied to.
type Host struct {
	Name   string // inventory name of the target
	Conn   conn.Conn
	As     string      // account that changes it; "" is the login account
	Reader Looker      // nil: one on Conn
	Store  store.Store // where Transfers from the host go
	Run    string      // id of the run: names what is moved aside
	Aside  string      // folder on the host for what is moved aside; "" is AsideRoot, or below ~/.local/state without root
	Now    func() time.Time
	// Redial opens a new connection to the host, for Reboot, which closes it. nil:
	// this host cannot be reached anew.
	Redial func(ctx context.Context) (conn.Conn, error)
	// Peer gives another host of the plan, to read from it. nil: there is none.
	Peer func(ctx context.Context, name string) (Host, error)
	// Logins are the accounts of services on the host, for commands that are fed a
	// password. nil: there are none.
	Logins reader.Logins
	// Proofs judge artefacts of backup sets, by name; see RawFile.
	Proofs map[string]Proof
	// Progress, where set, hears how many bytes of a Transfer are done; total is -1 when not known.
	Progress func(done, total int64)
}

// Outcome is what applying a change gave.
type Outcome struct {
	Changed bool
	Exec    *conn.Result // of an Exec
	Start   time.Time    // by the control machine's clock
	End     time.Time
	Outputs map[string]string // values that later changes name by Output
	Missed  []Missed          // items of a Transfer that are not in it: the result is partial
	Aside   []string          // paths on the host where old data lies now
	Notes   []string          // for people, one line each
	// Rebooted tells that the host has another boot id: facts, locks and what
	// was in memory are void, and Conn is dead.
	Rebooted bool
	Data     any // what else a Transfer learned: a SetResult or a CopyResult
}

// Missed is one item that a Transfer could not take.
type Missed struct {
	Path string
	Why  string
}

// Apply does the change. The engine is its only caller. A host that is already
// at After is left alone; one that is neither is refused with a *MovedError.
func Apply(ctx context.Context, h Host, c Change) (Outcome, error) {
	start := h.now()
	out, err := c.apply(ctx, h)
	out.Start, out.End = start, h.now()
	return out, err
}

// Observe looks on which side of the change the host is, without changing it.
func Observe(ctx context.Context, h Host, c Change) (Where, error) { return c.observe(ctx, h) }

// Foresee records in o what the host would be like after c, so that later
// steps of a dry run are planned against it.
func Foresee(o *Overlay, c Change) { c.effect(o) }
