// Package engine is the run: plays, batches, steps, failure budget. It is the
// only orchestrator and the only caller of change.Apply. Tasks, connections
// and views are given to it; it knows none of them by name.
package engine

import (
	"context"
	"io"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Limits on waiting. They are printed by --help.
const (
	FactsLimit  = 30 * time.Second
	ProbeLimit  = 60 * time.Second
	ChangeLimit = 30 * time.Minute // `timeout:` of a step overrides it
	AbortGrace  = 5 * time.Second  // after the second Ctrl-C
)

// DefaultForks is how many hosts are worked on at once.
const DefaultForks = 50

// Options are everything that a run needs. Zero values that are not
// mentioned as optional are errors of the caller.
type Options struct {
	RunID     string
	Playbook  *playbook.Bound
	Inventory *inventory.Inventory
	Dialer    conn.Dialer
	Sink      event.Sink
	Redactor  *secret.Redactor
	Extra     *strictyaml.Node // -e; nil for none
	Now       func() time.Time

	Forks int  // hosts at once; 0 is DefaultForks
	Check bool // dry run: Check and Plan, never Apply
	Diff  bool // show diffs of changes that are made; a dry run always does

	// Approve is the highest risk that the command line approves.
	Approve change.Risk
	// Approver asks the person at the terminal; nil without one. ctx ends with the run.
	Approver func(ctx context.Context, a Ask) bool
	// Retype gives the command to type so that changes of a risk are approved; may be nil.
	Retype func(need change.Risk) string
	// Proofs judge artefacts of backup sets before a set appears; changes name them.
	Proofs map[string]change.Proof
	// Gates are asked before each change whose risk is above Safe.
	Gates []Gate

	// Keep, in a dry run, takes what a saved plan needs.
	Keep *Keep
	// Saved is a saved plan: the run does what it says or nothing. Seal is the one it was made with.
	Saved *planfile.Plan
	Seal  func(data []byte) string
	// PlanTime is what tasks plan with as the time of now: that of the saved plan. Zero: the clock.
	PlanTime time.Time

	// HostDir is the folder on hosts for the lock and the records of commands; ""
	// is guard's own choice.
	HostDir string
	// Aside is the folder on hosts for what is moved aside; "" is change.AsideRoot,
	// or one below the home of an account that is not root.
	Aside string

	// Journal, where set, keeps what is done: before each change on a host the
	// run takes the host's lock, journals what it is about to do and what takes
	// it back, and the host remembers each command. nil: none of it; for a run
	// that only reads.
	Journal *journal.Journal
	// Memory is what an earlier controller of the run journalled; nil at first.
	Memory *journal.Memory
	// Undone is the run that this one takes back, whose controller has ended: its
	// locks are taken over. nil: this is no undo. UndoneOn are the hosts that it is
	// limited to; nil: all.
	Undone   *journal.Memory
	UndoneOn []string
	// OpenBlob opens what the journal of a run keeps under a name.
	OpenBlob func(run, name string) (io.ReadCloser, error)
	// Answers are what a person says of changes that nobody can know, by id.
	Answers map[int64]Answer
	// Owner is shown to those whom the locks keep out.
	Owner guard.Owner
	// LockExpiry is how long a lock outlives the last sign of life of its
	// controller; 0 is guard.Expiry.
	LockExpiry time.Duration
	// Lock takes the lock of the inventory on this machine; called once, before
	// the first change. nil: there is none.
	Lock func() error

	Login Login // what the command line says about connecting

	// Shown is recorded with the start of the run: inventory sources and the like.
	Shown map[string]any
	// ExitCode turns the report into the code and words of the last event.
	ExitCode func(Report) (code int, text string)

	// Stop is closed at the first interrupt: steps under way are finished,
	// nothing new begins. The context's end aborts.
	Stop <-chan struct{}
}

// Answer is a person's word on a change that cannot be known.
type Answer string

// Answers.
const (
	AnswerDone  Answer = "done"  // it was made
	AnswerAgain Answer = "again" // it was not, or may be made again
)

// Login is what the command line says about connecting. Inventory variables
// beat it, as with Ansible.
type Login struct {
	User           string
	KeyFile        string
	Password       secret.Value
	CommonArgs     []string
	HostKeys       conn.HostKeyPolicy
	Become         bool
	BecomeUser     string
	BecomePassword secret.Value
}

// Report is how a run ended.
type Report struct {
	Unreachable  bool // a host was not reached, or its key or login refused
	Failed       bool // a task failed on a host
	Partial      bool // done but incomplete
	NotConverged bool // a State task's second plan was not empty
	Locked       bool // another run has a host, or the inventory
	Interrupted  bool
	Stale        bool // the saved plan does not hold any more; nothing was done
	Refused      bool // for want of approval, or by a gate
	Changes      int  // hosts' steps that changed something, or would
	Unknown      int  // hosts' steps whose plan depends on a step that has not run
}
