// Package task is the contract between the engine and its tasks. A task never
// changes a host: it reads hosts, and returns changes from a closed set. Only
// the engine applies them.
//
//	Validate (no host) -> Check (read only) -> Plan (pure) -> Apply (engine) -> Verify
package task

import (
	"context"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
)

// Kind says what a second run means.
type Kind int

const (
	State  Kind = iota // brings about a state: a second plan is empty
	Action             // every run does something: a backup, a command
	Assert             // looks and judges; its plan has findings and no changes
)

func (k Kind) String() string { return [...]string{"state", "action", "assert"}[k] }

// Task concerns one host. P is decoded from the playbook, S is what Check
// learns about a host; both are plain data. A field of S tagged
// `plan:"volatile"` may differ between two Checks of an unchanged host.
type Task[P, S any] interface {
	// Check reads one host.
	Check(ctx context.Context, r Reader, p P) (S, error)
	// Plan does no I/O: same input, same plan.
	Plan(in Input[P, S]) (Plan, error)
}

// ClusterTask concerns several hosts and is planned once, with every host's
// state in view.
type ClusterTask[P, S any] interface {
	Check(ctx context.Context, r Reader, p P) (S, error)
	// Plan sees every host of the play's batch (and of Spec.Reach) in
	// inventory order, those that could not be read with their error.
	Plan(in ClusterInput[P, S]) (Plan, error)
}

// Resulter is a Task that says what `register` sees beside the engine's own
// changed, failed, skipped, msg, attempts (retries), results (a loop; each with its
// item), and rc, stdout, stderr of an Exec. Result
// returns a struct; its yaml tags are the keys and its doc tags document them.
// A key msg is the text of the result line.
// It is pure.
type Resulter[P, S any] interface {
	Result(in Input[P, S], out Outcome) any
}

// Verifier is an Action whose result can be proven; the engine calls it after
// Apply. Findings with status Fail make the step fail.
type Verifier[P, S any] interface {
	Verify(ctx context.Context, r Reader, in Input[P, S], out Outcome) ([]Finding, error)
}

// Validator is a parameter type that checks what the tags cannot say, such as
// two parameters that exclude each other. It is called when a playbook is
// bound, if no parameter holds a template, and again for each host.
type Validator interface{ Validate() error }

// Input is all that Plan may look at.
type Input[P, S any] struct {
	Host   string // whose variables and facts these are
	Target string // where it happens; differs from Host with delegate_to
	Params P
	Facts  facts.Host // of Target; zero unless Spec.Facts
	State  S
	Now    time.Time
}

// ClusterInput is every host's Input, in inventory order.
type ClusterInput[P, S any] struct {
	Hosts     []HostInput[P, S]
	Inventory []InventoryFile // the files of the inventory as they are now, in the order in which they are read
	Now       time.Time
}

// InventoryFile is a file that names hosts, not one of group_vars or host_vars.
// A Step on the ControlMachine can Write it, with File as Before.
type InventoryFile struct {
	Path     string // absolute, symlinks resolved
	Text     string
	File     reader.File // on the control machine; without names of accounts
	Editable bool        // no other source names a host or a group's host of it
}

// ControlMachine is the Host of those Steps of a cluster task's plan that happen
// on the control machine, as who runs dayops, unless the inventory has a host of
// that name in the play or in Spec.Reach. FromPeer of a Transfer may name it too.
const ControlMachine = "localhost"

// HostInput is one host's Input, or the error that its Check gave; then State,
// and Params when they could not be made either, are zero.
type HostInput[P, S any] struct {
	Input[P, S]
	Groups []string
	Reach  bool // outside play, batch and --limit; here because of Spec.Reach
	Err    error
	// Made is what earlier controllers of this run changed on the host in this
	// step, in that order, and what has not been taken back: a service whose file was
	// written and that nobody restarted is still to be restarted.
	Made []change.Change
}

// Outcome is what applying one host's part of a plan gave.
type Outcome struct {
	Changed bool
	Steps   []change.Outcome // of this host's changes, in the order of the plan
}

// Plan is what a task wants to happen.
type Plan struct {
	Stages  []Stage
	Finally []Step // run whatever happens: start again, remove the staging file
	// OnFailure says what becomes of what was done when a change fails.
	OnFailure Failure
	// Back are Waits: what must hold once the plan has been taken back, by Rollback
	// (after Finally) or by an undo: "the members are healthy with the old data".
	Back     []Step
	Findings []Finding
	// Missed is what the task was asked for and leaves undone: the result is partial.
	Missed []change.Missed
	// Excused are hosts whose being unreachable is what the plan is about, as that
	// of a dead member which is replaced: for them alone a run does not end as one
	// that could not reach a host.
	Excused []string
	// Facts are variables that this step sets, by host: set_fact.
	Facts map[string]map[string]any
}

// Failure is what happens when a change of a stage fails, or a Wait runs out.
type Failure int

const (
	// Stop leaves what was done.
	Stop Failure = iota
	// Rollback takes back what this plan has done, stage by stage backwards, under
	// the same windows and gates, then does Finally. A host on which that fails is
	// left there, the others go on. Units that were restarted are restarted once
	// more in the end, stage by stage forwards, with Window and Until: they run
	// with what was put back. An interrupt is no failure.
	Rollback
)

// String is the word in events and saved plans.
func (f Failure) String() string { return [...]string{"stop", "rollback"}[f] }

// Stage is a barrier: all hosts finish it before any starts the next.
type Stage struct {
	Name   string
	Does   string // in a few words, where the changes' own are many; "" lists them all
	Steps  []Step
	Window int          // hosts at once: 0 all, 1 one after the other
	Until  *change.Wait // must hold before the next window starts
	// Commit says that what was done before this stage is good: once the stage
	// begins, OnFailure is Stop.
	Commit bool
}

// Step is one change on one host. Host "" is Input.Target.
type Step struct {
	Host   string
	Change change.Change
	Of     string // of the engine's undo alone: the task whose change this takes back
}

// Finding is one judgement about a host (or, with Host "", the cluster).
type Finding struct {
	Host   string
	Head   string // of one that is no check but the state, and stands by itself above a plan: "Cluster", "Quorum"
	Status Status
	Text   string // one line: "entropy 3700 of 4096"
	Hint   string // what to do about it
}

// Status of a Finding.
type Status int

const (
	OK Status = iota
	Warn
	Fail
)

// Do is the plan of one host: these changes, one after the other.
func Do(changes ...change.Change) Plan {
	if len(changes) == 0 {
		return Plan{}
	}
	s := Stage{}
	for _, c := range changes {
		s.Steps = append(s.Steps, Step{Change: c})
	}
	return Plan{Stages: []Stage{s}}
}

// Changes lists the plan's changes in order, Finally last.
func (p Plan) Changes() []Step {
	var out []Step
	for _, s := range p.Stages {
		out = append(out, s.Steps...)
	}
	return append(out, p.Finally...)
}

// Empty tells a plan that changes nothing.
func (p Plan) Empty() bool { return len(p.Changes()) == 0 }
