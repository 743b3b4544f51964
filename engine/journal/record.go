package journal

import (
	"encoding/json"
	"time"
)

// Kind tells what a Record says.
type Kind string

const (
	Began    Kind = "began"    // first of a run: Run
	Taken    Kind = "taken"    // another controller takes the run up: Run
	Planned  Kind = "planned"  // a plan is about to be carried out: Now, Finally, After, Stages where they are taken back
	Intent   Kind = "intent"   // a change is about to be made: Change, Inverse, Command
	Done     Kind = "done"     // it is made: Outcome, Inverse where only now known
	Failed   Kind = "failed"   // it was tried and failed, perhaps half way: Outcome
	Finished Kind = "finished" // a host is through with a step: Result
	// Forgotten: a host is to do a step again that has Finished or Failed there.
	Forgotten Kind = "forgotten"
	// RolledBack: a plan has failed, and what it did is about to be taken back: Error.
	RolledBack Kind = "rollback"
	Undone     Kind = "undone" // a change is taken back, or needs not be: ID
	Ended      Kind = "ended"  // last of a run: Code
	// Synced is a mark and no record: so many bytes of the file (ID) were on disk before it was written.
	Synced Kind = "synced"
)

// Place names where in a run something happens.
type Place struct {
	Step string `json:"step,omitempty"` // "1.3", handlers "1.h2"
	Host string `json:"host,omitempty"` // whose variables; "" of a cluster task's plan
	Item int    `json:"item,omitempty"` // of a loop, from 1; 0: no loop
	Try  int    `json:"try,omitempty"`  // of retries, from 1; 0: none
}

// Record is one line of a journal. Fields that its Kind does not name are left
// out. Those that may hold secrets are sealed on disk under Key; texts are
// redacted by who writes them.
type Record struct {
	Kind Kind      `json:"kind"`
	Time time.Time `json:"time"`
	At   Place     `json:"at,omitzero"`
	ID   int64     `json:"id,omitempty"` // of a change in the run, from 1: one Intent, then one Done or Failed

	Run     *Run            `json:"run,omitempty"`
	Now     time.Time       `json:"now,omitzero"` // the clock that the plan was made with
	Finally []Change        `json:"finally,omitempty"`
	After   []Change        `json:"after,omitempty"` // what is waited for once the plan has been taken back
	Change  *Change         `json:"change,omitempty"`
	Stage   int             `json:"stage,omitempty"`   // of an Intent: of its plan, from 1; 0: Finally
	Back    int64           `json:"back,omitempty"`    // of an Intent: the change that it takes back
	Stages  []Stage         `json:"stages,omitempty"`  // of the plan
	Inverse []Change        `json:"inverse,omitempty"` // in the order in which they are to be applied
	Again   bool            `json:"again,omitempty"`   // of a Done: found undone by looking, to be made again
	Outcome json.RawMessage `json:"outcome,omitempty"` // the engine's; opaque here, sealed on disk
	Result  json.RawMessage `json:"result,omitempty"`  // the same
	Error   string          `json:"error,omitempty"`
	Code    int             `json:"code,omitempty"`
}

// Change is a change as the journal keeps it: enough to look whether it
// was made, and, of an inverse, to make it.
type Change struct {
	Host    string          `json:"host"`           // the target
	Task    string          `json:"task,omitempty"` // that made it
	As      string          `json:"as,omitempty"`
	Kind    string          `json:"kind"`
	Summary string          `json:"summary"`
	Data    json.RawMessage `json:"data"` // opaque here; sealed on disk
}

// Stage is how a plan's stage was to be carried out.
type Stage struct {
	Window int     `json:"window,omitempty"`
	Until  *Change `json:"until,omitempty"`
}

// Run is what a run was started with.
type Run struct {
	ID        string          `json:"id"`
	Version   string          `json:"version"` // of dayops
	User      string          `json:"user"`
	Machine   string          `json:"machine"` // control machine
	PID       int             `json:"pid"`
	Playbook  string          `json:"playbook"` // as it was named
	Builtin   bool            `json:"builtin,omitempty"`
	Undo      string          `json:"undo,omitempty"`  // run that this one takes back
	Dir       string          `json:"dir"`             // working folder
	Playbooks string          `json:"playbook_sha256"` // of the playbook and its vars_files
	Text      json.RawMessage `json:"text,omitempty"`  // of the playbook, a JSON text; sealed on disk
	Inventory string          `json:"inventory_sha256"`
	Sources   []string        `json:"sources"` // of the inventory, as named
	Options   json.RawMessage `json:"options"` // of the command line; opaque here. No secrets
}
