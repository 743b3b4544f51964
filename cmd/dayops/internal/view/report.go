package view

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/event"
)

// ReportVersion of the document grows when a field changes its meaning or goes.
const ReportVersion = 1

// Report is a run as one document. Texts of hosts are data in it, as they came;
// long ones are cut in the middle.
type Report struct {
	Format    string       `json:"format" doc:"dayops-report"`
	Version   int          `json:"version" doc:"of this form"`
	Run       string       `json:"run" doc:"id"`
	Playbook  string       `json:"playbook" doc:"as it was given; builtin: before one of those inside the program"`
	Inventory string       `json:"inventory,omitempty" doc:"where the hosts came from"`
	Who       string       `json:"who,omitempty" doc:"account@machine that ran it"`
	Check     bool         `json:"check" doc:"a dry run: changed means would change"`
	Start     time.Time    `json:"start" doc:"of the first line"`
	Seconds   float64      `json:"seconds" doc:"how long it took, up to the last line; without the time before it was taken up again"`
	Taken     int          `json:"taken" doc:"how often it was taken up again"`
	Ended     bool         `json:"ended" doc:"false: still running, or it was killed; code means nothing then"`
	Code      int          `json:"code" doc:"exit code"`
	Text      string       `json:"text,omitempty" doc:"what the exit code means, and others that hold"`
	Outcome   string       `json:"outcome" doc:"done, failed, incomplete, refused, stale, locked, interrupted or unended"`
	Changes   int          `json:"changes" doc:"results that changed something"`
	Unknown   int          `json:"unknown" doc:"results unknown until an earlier step has run"`
	Totals    Totals       `json:"totals" doc:"hosts by how they ended"`
	Problems  []Problem    `json:"problems" doc:"what went wrong, one for each step and cause"`
	Notes     []ReportNote `json:"notes" doc:"decisions, warnings, and judgements about all hosts together"`
	Plays     []ReportPlay `json:"plays" doc:"in order"`
	Steps     []ReportStep `json:"steps" doc:"in the order in which they were begun"`
	Hosts     []ReportHost `json:"hosts" doc:"in the order of the inventory"`

	whole float64 // from start to the last line, pauses included
}

// Totals counts hosts, each once, by the worst that happened to it.
type Totals struct {
	Hosts       int `json:"hosts" doc:"all of them"`
	OK          int `json:"ok" doc:"nothing to change"`
	Changed     int `json:"changed" doc:"something was changed, or would be"`
	Failed      int `json:"failed" doc:"a step failed"`
	Unreachable int `json:"unreachable" doc:"not reached, or lost on the way"`
	Partial     int `json:"partial" doc:"done but incomplete"`
	Unknown     int `json:"unknown" doc:"nothing known to change, but a step is unknown until an earlier one has run"`
	Idle        int `json:"idle" doc:"no step came to it"`
}

// Problem is one cause of failure and the hosts that it hit.
type Problem struct {
	Status event.Status `json:"status" doc:"failed, partial or unreachable"`
	Cause  string       `json:"cause" doc:"equal for all of its hosts"`
	Step   string       `json:"step,omitempty" doc:"name of the step; none: while connecting"`
	StepID string       `json:"step_id,omitempty" doc:"of the step"`
	Next   string       `json:"next,omitempty" doc:"the command to type next"`
	Hosts  []string     `json:"hosts" doc:"that it hit"`
}

// ReportNote is a line that belongs to no result.
type ReportNote struct {
	Status  event.Status `json:"status,omitempty" doc:"warn, failed, ok; none: a decision"`
	Host    string       `json:"host,omitempty" doc:"none: all hosts"`
	Step    string       `json:"step,omitempty" doc:"name of the step"`
	Text    string       `json:"text" doc:"what is said"`
	Details []string     `json:"details,omitempty" doc:"lines below it"`
	Hosts   []string     `json:"hosts,omitempty" doc:"whom it concerns, where they are several"`
	Next    string       `json:"next,omitempty" doc:"the command to type next"`
}

// ReportPlay is one play.
type ReportPlay struct {
	Name    string `json:"name" doc:"of the play"`
	Hosts   int    `json:"hosts" doc:"how many it has"`
	Skipped string `json:"skipped,omitempty" doc:"why no host is in it"`
}

// ReportStep is one step, all hosts together.
type ReportStep struct {
	Play    string               `json:"play" doc:"name of the play"`
	ID      string               `json:"id" doc:"play.index, handlers play.hindex"`
	Name    string               `json:"name" doc:"of the step"`
	Task    string               `json:"task" doc:"its task"`
	Handler bool                 `json:"handler,omitempty" doc:"whether it is one"`
	Counts  map[event.Status]int `json:"counts" doc:"results by status"`
	Spans   []Span               `json:"spans" doc:"when it ran: once for each batch"`
}

// Span is a time within the run.
type Span struct {
	From    float64 `json:"from" doc:"seconds since the start of the run"`
	Seconds float64 `json:"seconds" doc:"how long"`
}

// ReportHost is one host.
type ReportHost struct {
	Name    string         `json:"name" doc:"as in the inventory"`
	Outcome event.Status   `json:"outcome,omitempty" doc:"the worst that happened: ok, unknown, changed, partial, failed, unreachable; none: no step came to it"`
	Counts  *event.Counts  `json:"counts,omitempty" doc:"its line of the recap; none if the run did not end"`
	Results []ReportResult `json:"results" doc:"in order"`
}

// ReportResult is what one step, or one item of its loop, did on one host.
type ReportResult struct {
	Play     string         `json:"play,omitempty" doc:"name of the play"`
	StepID   string         `json:"step_id,omitempty" doc:"of the step; none: while connecting"`
	Step     string         `json:"step,omitempty" doc:"name of the step"`
	Task     string         `json:"task,omitempty" doc:"its task"`
	Handler  bool           `json:"handler,omitempty" doc:"whether it is one"`
	Item     string         `json:"item,omitempty" doc:"of a loop"`
	Target   string         `json:"target,omitempty" doc:"where delegate_to sent it"`
	Status   event.Status   `json:"status" doc:"ok, changed, failed, skipped, partial, unknown, ignored, unreachable"`
	From     float64        `json:"from" doc:"seconds from the start of the run to that of the step"`
	Seconds  float64        `json:"seconds" doc:"from the start of the step until this result; waiting for other hosts is in it"`
	Text     string         `json:"text,omitempty" doc:"what is said"`
	Details  []string       `json:"details,omitempty" doc:"lines below it"`
	Findings []Judgement    `json:"findings,omitempty" doc:"judgements about the host"`
	Cause    string         `json:"cause,omitempty" doc:"equal for hosts that failed for the same reason"`
	Next     string         `json:"next,omitempty" doc:"the command to type next"`
	RC       *int           `json:"rc,omitempty" doc:"exit code of its last command"`
	Stdout   string         `json:"stdout,omitempty" doc:"of its last command"`
	Stderr   string         `json:"stderr,omitempty" doc:"of its last command"`
	Changes  []event.Change `json:"changes,omitempty" doc:"as in the events"`
	Data     map[string]any `json:"data,omitempty" doc:"the task's result; left out above 16 KiB"`
	attempt  int
}

// Judgement is a finding about a host.
type Judgement struct {
	Status event.Status `json:"status" doc:"ok, warn or failed"`
	Text   string       `json:"text" doc:"what was found"`
	Next   string       `json:"next,omitempty" doc:"the command to type next"`
}

// ReportDoc describes the document.
func ReportDoc() string {
	var b strings.Builder
	fmt.Fprintf(&b, `dayops report --json: one JSON document, UTF-8. version is %d; it grows when a
field changes its meaning or goes. New fields may come without that, so a reader
passes over what it does not know. Texts longer than %d KiB are cut in the middle;
the record has them whole: dayops history show RUN --output json.

`, ReportVersion, textLimit>>10)
	docFields(&b, reflect.TypeFor[Report](), "")
	return b.String()
}

func docFields(w io.Writer, t reflect.Type, in string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		fmt.Fprintf(w, "%s%-*s %s\n", in, max(1, 14-len(in)), name, f.Tag.Get("doc"))
		ft := f.Type
		for ft.Kind() == reflect.Slice || ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct && ft.PkgPath() == reflect.TypeFor[Report]().PkgPath() {
			docFields(w, ft, in+"  ")
		}
	}
}
