// Package planfile is the saved plan: what a dry run saw and would do, in a
// versioned JSON that can be reviewed and then carried out to the letter.
// Secrets that can be told are not in it in clear; Doc says which.
package planfile

import (
	"encoding/json"
	"time"
)

// Format and Version are in every file. Version grows when a field changes its
// meaning or goes, or when a field comes that a reader must not pass over.
const (
	Format  = "dayops plan"
	Version = 2
)

// Plan is the whole file.
type Plan struct {
	Format   string    `json:"format"`  // "dayops plan"
	Version  int       `json:"version"` // 2
	Made     time.Time `json:"made"`    // also what tasks take for now when the plan is applied
	Run      string    `json:"run"`     // id of the dry run in the history
	Playbook string    `json:"playbook"`
	Sources  []string  `json:"sources"` // of the inventory
	Options  Options   `json:"options"`
	Inputs   []Input   `json:"inputs"` // files of the control machine, by path
	Hosts    []Host    `json:"hosts"`
	Steps    []Step    `json:"steps"`              // in the order of the playbook, then of the inventory
	Clusters []Cluster `json:"clusters,omitempty"` // how the steps of cluster tasks go together, in the order of the playbook
	Risk     string    `json:"risk"`               // the highest of all changes and of what is unknown
	Changes  int       `json:"changes"`
	Unknown  int       `json:"unknown"`
}

// Options are those of the command line that the plan depends on.
type Options struct {
	Limit      string   `json:"limit,omitempty"`
	Tags       []string `json:"tags,omitempty"`
	SkipTags   []string `json:"skip_tags,omitempty"`
	User       string   `json:"user,omitempty"`
	Become     bool     `json:"become,omitempty"`
	BecomeUser string   `json:"become_user,omitempty"`
	Extra      []Extra  `json:"extra,omitempty"`
}

// Extra is one -e, in their order.
type Extra struct {
	Arg   string   `json:"arg,omitempty"`   // as it was given, where nothing in it is secret
	Names []string `json:"names,omitempty"` // what a secret one sets: it must be given again
	HMAC  string   `json:"hmac,omitempty"`  // of a secret one
}

// Input is a file of the control machine that the plan was made from: playbook,
// inventory, variables, templates, files that are copied.
type Input struct {
	Path   string `json:"path"`
	What   string `json:"what"`             // playbook, inventory, variables, file
	SHA256 string `json:"sha256,omitempty"` // one of the two:
	HMAC   string `json:"hmac,omitempty"`   // of a file that names secrets
}

// Host is who answered under a name.
type Host struct {
	Name    string `json:"name"`
	Machine string `json:"machine,omitempty"` // /etc/machine-id
	OS      string `json:"os,omitempty"`      // "debian 12"
	Arch    string `json:"arch,omitempty"`
}

// Step is one step on one host, with one value of its loop.
type Step struct {
	Play     string          `json:"play"`
	ID       string          `json:"id"` // "1.3": play and place; handlers "1.h2"
	Step     string          `json:"step"`
	Task     string          `json:"task"`
	Handler  bool            `json:"handler,omitempty"`
	Host     string          `json:"host"`
	Target   string          `json:"target,omitempty"` // where it happens, if elsewhere
	Item     string          `json:"item,omitempty"`
	N        int             `json:"n,omitempty"`        // place in the loop, from 0
	Status   string          `json:"status"`             // changed, ok, skipped, ignored (it fails and may), unknown
	Unknown  string          `json:"unknown,omitempty"`  // the step that must run before this one can be planned
	MaxRisk  string          `json:"max_risk,omitempty"` // of an unknown one: it may do no more
	Changes  []Change        `json:"changes,omitempty"`
	Findings []Finding       `json:"findings,omitempty"`
	Observed json.RawMessage `json:"observed,omitempty"` // what was seen on the host, volatile facts aside
	Sealed   string          `json:"sealed,omitempty"`   // HMAC in place of Observed: no_log, or a secret is in it
}

// Cluster is the plan of a cluster task, whose steps on all of its hosts are one
// plan: each of their changes names its stage.
type Cluster struct {
	ID        string   `json:"id"`         // of the steps
	Hosts     []string `json:"hosts"`      // whose steps they are: those of one batch, and who else has a part
	OnFailure string   `json:"on_failure"` // stop: what was done stays; rollback: it is taken back
	Stages    []Stage  `json:"stages"`
}

// Stage is a barrier: all hosts finish it before any begins the next.
type Stage struct {
	Name   string   `json:"name"`
	Does   string   `json:"does,omitempty"`   // in a few words
	Hosts  []string `json:"hosts"`            // in the order of the plan
	Window int      `json:"window,omitempty"` // hosts at once; none: all
	Commit bool     `json:"commit,omitempty"` // from here on nothing is taken back when a change fails
}

// Change is one planned change.
type Change struct {
	Host    string `json:"host,omitempty"` // if not the step's target
	Kind    string `json:"kind"`
	Summary string `json:"summary"`
	Diff    string `json:"diff,omitempty"`
	Risk    string `json:"risk"` // safe, disruptive, destructive
	Undo    string `json:"undo"` // exact, partial, none
	Why     string `json:"why,omitempty"`
	Digest  string `json:"digest"`            // SHA-256 of what it does; "hmac:..." where a secret is in it
	Stage   int    `json:"stage,omitempty"`   // of a cluster task: place of its stage in the cluster's, from 1; none: in the end, whatever happens
	Unknown string `json:"unknown,omitempty"` // what of it is known only when an earlier stage is done
	Until   int    `json:"until,omitempty"`   // that stage
}

// Finding is a judgement about the host.
type Finding struct {
	Host   string `json:"host,omitempty"`
	Head   string `json:"head,omitempty"` // of one that is no check but the state: "Cluster", "Quorum"
	Status string `json:"status"`         // ok, warn, failed
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

// Key names a step on a host with one value of its loop.
type Key struct {
	ID, Host string
	N        int
}

// Key of s.
func (s *Step) Key() Key { return Key{s.ID, s.Host, s.N} }
