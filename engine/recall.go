package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/task"
)

// keptResult is a result as the journal keeps it: everything that settle and
// later steps need.
type keptResult struct {
	Status       event.Status
	Text         string          `json:",omitempty"`
	Error        string          `json:",omitempty"`
	NotConverged string          `json:",omitempty"` // what was left, of that error
	Target       string          `json:",omitempty"`
	Attempts     int             `json:",omitempty"`
	Changes      []event.Change  `json:",omitempty"`
	Findings     []task.Finding  `json:",omitempty"`
	Missed       []change.Missed `json:",omitempty"`
	Outcome      []keptOutcome   `json:",omitempty"`
	Own          map[string]any  `json:",omitempty"`
	Facts        map[string]any  `json:",omitempty"`
	Changed      bool            `json:",omitempty"`
	Hidden       bool            `json:",omitempty"`
}

// keptOutcome is what applying one change gave.
type keptOutcome struct {
	Changed  bool              `json:",omitempty"`
	Rebooted bool              `json:",omitempty"`
	Exec     *keptExec         `json:",omitempty"`
	Outputs  map[string]string `json:",omitempty"`
	Missed   []change.Missed   `json:",omitempty"`
	Aside    []string          `json:",omitempty"`
	Notes    []string          `json:",omitempty"`
}

type keptExec struct {
	Code           int
	Signal         string `json:",omitempty"`
	Stdout, Stderr []byte `json:",omitempty"`
}

func keepOutcome(o change.Outcome) keptOutcome {
	k := keptOutcome{Changed: o.Changed, Rebooted: o.Rebooted, Outputs: o.Outputs, Missed: o.Missed, Aside: o.Aside, Notes: o.Notes}
	if x := o.Exec; x != nil {
		k.Exec = &keptExec{Code: x.Code, Signal: x.Signal, Stdout: x.Stdout.Bytes(), Stderr: x.Stderr.Bytes()}
	}
	return k
}

func (k keptOutcome) outcome() change.Outcome {
	o := change.Outcome{Changed: k.Changed, Rebooted: k.Rebooted, Outputs: k.Outputs, Missed: k.Missed, Aside: k.Aside, Notes: k.Notes}
	if x := k.Exec; x != nil {
		o.Exec = &conn.Result{Code: x.Code, Signal: x.Signal, Stdout: conn.Capture{Head: x.Stdout}, Stderr: conn.Capture{Head: x.Stderr}}
	}
	return o
}

// keep journals what a step gave on a host, or an item of its loop, unless a
// resume has to take it up again.
func (r *run) keep(at journal.Place, res *result) {
	if r.opt.Journal == nil || r.opt.Check || notDone(res.err) {
		return
	}
	raw, err := json.Marshal(kept(res))
	if err == nil {
		err = r.opt.Journal.Note(journal.Record{Kind: journal.Finished, Time: r.opt.Now().UTC(), At: at, Result: raw})
	}
	if err != nil {
		res.status, res.err = event.Failed, together(res.err, err)
	}
}

// notDone tells errors that say nothing about the step itself: the host was
// lost, somebody else holds it, the run ended, or nobody approved.
func notDone(err error) bool {
	var (
		notBegun *NotBegunError
		locked   *guard.LockedError
		running  *guard.RunningError
		here     *InventoryLockedError
		lost     *conn.LockLostError
	)
	return isLost(err) || isInterrupt(err) || isRefused(err) || errors.As(err, &notBegun) || errors.As(err, &locked) || errors.As(err, &running) ||
		errors.As(err, &here) || errors.As(err, &lost)
}

// isInterrupt tells a step that did not come to its end because the run did.
func isInterrupt(err error) bool {
	return errors.Is(err, errStopped) || errors.Is(err, context.Canceled)
}

func kept(res *result) keptResult {
	k := keptResult{Status: res.status, Text: res.text, Target: res.target,
		Attempts: res.attempts, Changes: res.changes, Findings: res.findings, Missed: res.missed, Own: plain(res.own), Facts: res.facts, Changed: res.changed, Hidden: res.hidden}
	if res.err != nil {
		k.Error = res.err.Error()
		var nc *NotConvergedError
		if errors.As(res.err, &nc) {
			k.NotConverged = nc.Left
		}
	}
	for _, o := range res.outcome.Steps {
		k.Outcome = append(k.Outcome, keepOutcome(o))
	}
	return k
}

// recall gives what an earlier controller of the run noted.
func (r *run) recall(at journal.Place) (result, bool) {
	if r.opt.Memory == nil {
		return result{}, false
	}
	raw, ok := r.opt.Memory.Results[at]
	if !ok {
		return result{}, false
	}
	var k keptResult
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&k); err != nil {
		return result{}, false // then it is looked at again
	}
	res := result{status: k.Status, text: k.Text, target: k.Target,
		attempts: k.Attempts, changes: k.Changes, findings: k.Findings, missed: k.Missed, changed: k.Changed, hidden: k.Hidden, recalled: true}
	if k.Own != nil {
		res.own = numbers(k.Own)
	}
	if k.Facts != nil {
		res.facts, _ = numbers(k.Facts).(map[string]any)
	}
	switch {
	case k.NotConverged != "":
		res.err = &NotConvergedError{Left: k.NotConverged}
	case k.Error != "":
		res.err = errors.New(k.Error)
	}
	for _, o := range k.Outcome {
		res.outcome.Steps = append(res.outcome.Steps, o.outcome())
		res.outcome.Changed = res.outcome.Changed || o.Changed
	}
	return res, true
}

// numbers makes JSON's numbers what templates expect.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, x := range v {
			v[k] = numbers(x)
		}
	case []any:
		for i, x := range v {
			v[i] = numbers(x)
		}
	}
	return v
}

// FailedOn are the places of steps that failed on hosts: what a retry does again.
func FailedOn(m *journal.Memory, hosts []string) []journal.Place {
	var out []journal.Place
	for at, raw := range m.Results {
		var k keptResult
		if slices.Contains(hosts, at.Host) && (json.Unmarshal(raw, &k) != nil || k.Status == event.Failed || k.Status == event.Partial) {
			out = append(out, at)
		}
	}
	return out
}
