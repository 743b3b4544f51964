// Package event is the record of a run: one flat struct, one ordered stream.
// The JSON lines of a run ARE its history; every view is a replay of them.
package event

import "time"

// Version of the JSON form. It grows when a field changes its meaning or goes.
const Version = 1

// Kind tells what an Event reports.
type Kind string

const (
	RunStart    Kind = "run_start"   // Text: playbook as given; Data: inventory, forks, check, who, approved (beforehand, by -y or --approve)
	PlayStart   Kind = "play_start"  // Play, Hosts
	PlaySkip    Kind = "play_skip"   // Play, Text: why (no host in the pattern)
	BatchStart  Kind = "batch_start" // Play, Hosts, Done: number of the batch, of Total; only when there are several
	Connect     Kind = "connect"     // Play, OK, Total: summary of connecting one batch
	Unreachable Kind = "unreachable" // Host, Text, Hint, Cause
	StepStart   Kind = "step_start"  // Play, Step, Task
	Result      Kind = "result"      // Host, Step, Item, Status, Text, Changes, Data
	Finding     Kind = "finding"     // Host ("" is all hosts together), Status ok|warn|failed, Text
	Forecast    Kind = "forecast"    // Host, Step: Status changed|ok|unknown; Changes
	Stages      Kind = "stages"      // Hosts, Stages, OnFailure: how what the Forecasts of a cluster task's step hold goes together; before them
	Progress    Kind = "progress"    // Done, Total hosts of the step; or bytes of a transfer. Not kept in history
	Note        Kind = "note"        // Text for the person: a decision, a warning; Status warn for warnings
	Recap       Kind = "recap"       // Host, Counts
	RunEnd      Kind = "run_end"     // Code, Text, Seconds, Data
)

// LookingAhead is the Text of Progress events of the forecast before a run:
// Total is the hosts of a play, Step the step that begins, Host one that is done with it.
const LookingAhead = "looking ahead"

// Status of a result.
type Status string

const (
	OK        Status = "ok"
	Changed   Status = "changed"
	Failed    Status = "failed"
	Skipped   Status = "skipped"
	Partial   Status = "partial" // done but incomplete: a backup that misses items
	Unknown   Status = "unknown" // not known until an earlier step has run
	Ignored   Status = "ignored" // failed, with ignore_errors
	Warn      Status = "warn"
	Unreached Status = "unreachable"
)

// Event is one line of the record. Empty fields are left out. Text comes from
// us or from a host; views strip control characters before a terminal sees it.
type Event struct {
	V    int       `json:"v"`
	Seq  int64     `json:"seq"` // from 1 without gaps; 0 for progress, which is not kept
	Time time.Time `json:"time"`
	Run  string    `json:"run"`
	Kind Kind      `json:"kind"`

	Play    string `json:"play,omitempty"`
	Step    string `json:"step,omitempty"`    // name shown in the heading
	StepID  string `json:"step_id,omitempty"` // stable: play.index, "1.3", handlers "1.h2"
	Task    string `json:"task,omitempty"`    // task key: copy, host_backup
	Host    string `json:"host,omitempty"`
	Target  string `json:"target,omitempty"` // where delegate_to sent it
	Item    string `json:"item,omitempty"`   // loop item as text
	Handler bool   `json:"handler,omitempty"`
	Earlier bool   `json:"earlier,omitempty"` // done before the run was taken up again

	Status  Status   `json:"status,omitempty"`
	Text    string   `json:"text,omitempty"`
	Details []string `json:"details,omitempty"` // lines below the result
	Cause   string   `json:"cause,omitempty"`   // failures with the same cause are shown together
	Hint    string   `json:"hint,omitempty"`    // what to type next
	Stdout  string   `json:"stdout,omitempty"`
	Stderr  string   `json:"stderr,omitempty"`
	RC      *int     `json:"rc,omitempty"`
	Changes []Change `json:"changes,omitempty"`

	Head      string  `json:"head,omitempty"`       // of a finding that is no check but the state: "Cluster", "Quorum"
	Stages    []Stage `json:"stages,omitempty"`     // of a cluster task's plan, in order
	OnFailure string  `json:"on_failure,omitempty"` // of the same: stop (what was done stays), rollback (it is taken back)

	Hosts   []string       `json:"hosts,omitempty"`
	Done    int64          `json:"done,omitempty"`
	Total   int64          `json:"total,omitempty"`
	Counts  *Counts        `json:"counts,omitempty"`
	Seconds float64        `json:"seconds,omitempty"`
	Code    *int           `json:"code,omitempty"` // exit code of the run
	Data    map[string]any `json:"data,omitempty"` // a task's result; run's parameters
}

// Change is one change as planned or applied.
type Change struct {
	Host    string `json:"host,omitempty"` // where it is not the event's host
	Kind    string `json:"kind"`           // write, unit, package, exec, ...
	Summary string `json:"summary"`
	Diff    string `json:"diff,omitempty"`    // unified; already redacted
	Risk    string `json:"risk"`              // safe, disruptive, destructive
	Undo    string `json:"undo"`              // exact, partial, none
	Why     string `json:"why,omitempty"`     // of a partial or missing undo
	Stage   int    `json:"stage,omitempty"`   // of a cluster task: the stage in which it happens, from 1; none: in the end, whatever happens
	Unknown string `json:"unknown,omitempty"` // what of it is known only when an earlier stage is done: "the ID of etcd-3"
	Until   int    `json:"until,omitempty"`   // that stage
}

// Stage is a barrier in the plan of a cluster task: all hosts finish it before any begins the next.
type Stage struct {
	Name   string   `json:"name"`
	Does   string   `json:"does,omitempty"`   // in a few words
	Hosts  []string `json:"hosts"`            // in the order of the plan
	Window int      `json:"window,omitempty"` // hosts at once; none: all
	Commit bool     `json:"commit,omitempty"` // from here on nothing is taken back when a change fails
}

// Counts is one line of the recap, in Ansible's words.
type Counts struct {
	OK          int `json:"ok"`
	Changed     int `json:"changed"`
	Unreachable int `json:"unreachable"`
	Failed      int `json:"failed"`
	Skipped     int `json:"skipped"`
	Ignored     int `json:"ignored"`
	Partial     int `json:"partial"`
	Unknown     int `json:"unknown"`
}

// Sink receives every event in order, one call at a time. It cannot veto.
type Sink interface {
	Emit(Event)
}
