package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dayops/dayops/engine/event"
)

const (
	textLimit  = 64 << 10 // bytes of one output or diff
	textBudget = 64 << 20 // of all of them; beyond it each has shortLimit
	shortLimit = 1 << 10  //
	dataLimit  = 16 << 10 // of a task's result, as JSON
)

// Gather makes a Report of a run's events.
type Gather struct {
	rep     Report
	hosts   map[string]int
	steps   map[string]int // by id
	open    int            // step under way, -1: none
	pending map[string][]Judgement
	attempt int // grows when the run is taken up again
	took    float64
	last    time.Time
	began   time.Time // of this attempt
	spent   int
}

// NewGather begins an empty report.
func NewGather() *Gather {
	return &Gather{rep: Report{Format: "dayops-report", Version: ReportVersion, Problems: []Problem{}, Notes: []ReportNote{},
		Plays: []ReportPlay{}, Steps: []ReportStep{}, Hosts: []ReportHost{}},
		hosts: map[string]int{}, steps: map[string]int{}, open: -1, pending: map[string][]Judgement{}}
}

// Emit takes in one event.
func (g *Gather) Emit(e event.Event) {
	if e.Kind == event.RunStart {
		g.begin(e.Time)
	}
	if !e.Time.IsZero() {
		g.last = e.Time
		if g.rep.Start.IsZero() {
			g.rep.Start, g.began = e.Time, e.Time
		}
	}
	switch e.Kind {
	case event.RunStart:
		g.runStart(e)
	case event.PlayStart, event.PlaySkip:
		g.closeStep()
		g.rep.Plays = append(g.rep.Plays, ReportPlay{Name: e.Play, Hosts: len(e.Hosts), Skipped: e.Text})
	case event.StepStart:
		g.stepStart(e)
	case event.Finding:
		g.finding(e)
	case event.Result, event.Forecast, event.Unreachable:
		g.result(e)
	case event.Note:
		g.rep.Notes = append(g.rep.Notes, ReportNote{Status: e.Status, Host: e.Host, Step: e.Step, Text: e.Text, Details: e.Details, Hosts: e.Hosts, Next: e.Hint})
	case event.Recap:
		g.closeStep()
		g.host(e.Host).Counts = e.Counts
	case event.RunEnd:
		g.runEnd(e)
	}
}

// begin ends an attempt that was cut off, before the next one's clock counts.
func (g *Gather) begin(at time.Time) {
	g.closeStep()
	if g.attempt > 0 {
		g.rep.Taken++
		if !g.rep.Ended {
			g.took += min(max(0, g.last.Sub(g.began).Seconds()), longest)
		}
	}
	g.attempt++
	g.began = at
}

func (g *Gather) runStart(e event.Event) {
	r := &g.rep
	r.Run, r.Playbook, r.Ended = e.Run, e.Text, false
	r.Check, _ = e.Data["check"].(bool)
	if b, _ := e.Data["builtin"].(bool); b && !strings.HasPrefix(r.Playbook, "builtin:") {
		r.Playbook = "builtin:" + r.Playbook
	}
	r.Inventory, _ = e.Data["inventory"].(string)
	r.Who, _ = e.Data["who"].(string)
	for _, h := range e.Hosts {
		g.host(h)
	}
}

func (g *Gather) runEnd(e event.Event) {
	g.closeStep()
	r := &g.rep
	r.Ended, r.Text = true, e.Text
	if e.Code != nil {
		r.Code = *e.Code
	}
	g.took += min(max(0, e.Seconds), longest)
	r.Changes, r.Unknown = number(e.Data["changes"]), number(e.Data["unknown"])
}

func (g *Gather) host(name string) *ReportHost {
	i, ok := g.hosts[name]
	if !ok {
		i = len(g.rep.Hosts)
		g.hosts[name] = i
		g.rep.Hosts = append(g.rep.Hosts, ReportHost{Name: name, Results: []ReportResult{}})
	}
	return &g.rep.Hosts[i]
}

// longest is what a time may be, whatever stands in a record: thirty years.
const longest = 1e9

func (g *Gather) since() float64 { return min(max(0, g.last.Sub(g.rep.Start).Seconds()), longest) }

func (g *Gather) stepStart(e event.Event) {
	g.closeStep()
	key := e.Play + "\x00" + e.StepID
	i, ok := g.steps[key]
	if !ok {
		i = len(g.rep.Steps)
		g.steps[key] = i
		g.rep.Steps = append(g.rep.Steps, ReportStep{Play: e.Play, ID: e.StepID, Name: e.Step, Task: e.Task, Handler: e.Handler,
			Counts: map[event.Status]int{}})
	}
	g.rep.Steps[i].Spans = append(g.rep.Steps[i].Spans, Span{From: g.since()})
	g.open = i
}

func (g *Gather) closeStep() {
	if g.open >= 0 {
		spans := g.rep.Steps[g.open].Spans
		s := &spans[len(spans)-1]
		s.Seconds = g.since() - s.From
	}
	g.open = -1
}

// finding keeps a judgement about a host for the result that follows it.
func (g *Gather) finding(e event.Event) {
	if e.Host == "" {
		g.rep.Notes = append(g.rep.Notes, ReportNote{Status: e.Status, Step: e.Step, Text: e.Text, Next: e.Hint})
		return
	}
	key := e.Host + "\x00" + e.StepID
	g.pending[key] = append(g.pending[key], Judgement{Status: e.Status, Text: e.Text, Next: e.Hint})
}

func (g *Gather) result(e event.Event) {
	h := g.host(e.Host)
	res := ReportResult{Play: e.Play, StepID: e.StepID, Step: e.Step, Task: e.Task, Handler: e.Handler, Item: e.Item, Target: e.Target,
		Status: e.Status, From: g.since(), Text: g.text(e.Text), Details: e.Details, Cause: g.text(e.Cause), Next: e.Hint, RC: e.RC,
		Stdout: g.text(e.Stdout), Stderr: g.text(e.Stderr), Changes: slices.Clone(e.Changes), attempt: g.attempt}
	for i := range res.Changes {
		res.Changes[i].Diff = g.text(res.Changes[i].Diff)
	}
	if b, err := json.Marshal(e.Data); err == nil && len(b) <= dataLimit && g.spent < textBudget {
		res.Data = e.Data
		g.spent += len(b)
	}
	if g.open >= 0 && g.rep.Steps[g.open].ID == e.StepID {
		spans := g.rep.Steps[g.open].Spans
		res.From = spans[len(spans)-1].From
		res.Seconds = g.since() - res.From
	}
	key := e.Host + "\x00" + e.StepID
	res.Findings = g.pending[key]
	delete(g.pending, key)
	// A run that was taken up again: what it says now counts. What it only
	// tells again was done when it was first told.
	h.Results = slices.DeleteFunc(h.Results, func(old ReportResult) bool {
		mine := old.attempt < g.attempt && old.StepID == e.StepID && old.Play == e.Play
		if mine && old.Status == res.Status && old.Item == res.Item {
			res.From, res.Seconds = old.From, old.Seconds
		}
		return mine && (old.Item == res.Item || old.Item == "" || rank(old.Status) >= rank(event.Partial)) || old.attempt < g.attempt && old.Status == event.Unreached
	})
	h.Results = append(h.Results, res)
}

// text bounds what is kept of one text.
func (g *Gather) text(s string) string {
	limit := textLimit
	if g.spent > textBudget {
		limit = shortLimit
	}
	s = middle(s, limit)
	g.spent += len(s)
	return s
}

// middle cuts out the middle of what is longer than most bytes.
func middle(s string, most int) string {
	if len(s) <= most {
		return s
	}
	head, tail := s[:most/2], s[len(s)-most/2:]
	for len(head) > 0 && !utf8.RuneStart(s[len(head)]) {
		head = head[:len(head)-1]
	}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return fmt.Sprintf("%s\n... %d bytes left out ...\n%s", head, len(s)-len(head)-len(tail), tail)
}

// Report gives the document.
func (g *Gather) Report() *Report {
	g.closeStep()
	r := &g.rep
	if !r.Ended {
		g.took += min(max(0, g.last.Sub(g.began).Seconds()), longest)
	}
	r.Seconds, r.whole = min(g.took, longest), g.since()
	g.leftFindings()
	word, _ := outcomeOf(r.Code)
	r.Outcome = strings.ToLower(word)
	if !r.Ended {
		r.Outcome = "unended"
	}
	var fs failures
	for i := range r.Hosts {
		h := &r.Hosts[i]
		for _, res := range h.Results {
			if rank(res.Status) > rank(h.Outcome) {
				h.Outcome = res.Status
			}
			if j, ok := g.steps[res.Play+"\x00"+res.StepID]; ok {
				r.Steps[j].Counts[res.Status]++
			}
			if rank(res.Status) >= rank(event.Partial) {
				fs.add(event.Event{StepID: res.StepID, Step: res.Step, Cause: res.Cause, Text: res.Text, Hint: res.Next, Status: res.Status, Host: h.Name})
			}
		}
		r.Totals.add(h)
	}
	for _, key := range fs.order {
		f := fs.groups[key]
		p := Problem{Status: f.status, StepID: f.id, Cause: f.cause, Step: f.step, Hosts: f.hosts}
		if f.hint != "" {
			p.Next = forAll(f.hint, f.hosts)
		}
		r.Problems = append(r.Problems, p)
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return rank(b.Status) - rank(a.Status) })
	return r
}

// leftFindings keeps judgements that no result followed, as when the run was killed.
func (g *Gather) leftFindings() {
	for _, key := range slices.Sorted(maps.Keys(g.pending)) {
		host, _, _ := strings.Cut(key, "\x00")
		for _, f := range g.pending[key] {
			g.rep.Notes = append(g.rep.Notes, ReportNote{Status: f.Status, Host: host, Text: f.Text, Next: f.Next})
		}
	}
	clear(g.pending)
}

// rank orders statuses from harmless to bad; the worst is what a host has.
func rank(s event.Status) int {
	return slices.Index([]event.Status{"", event.Skipped, event.OK, event.Ignored, event.Unknown, event.Changed,
		event.Partial, event.Failed, event.Unreached}, s)
}

func (t *Totals) add(h *ReportHost) {
	t.Hosts++
	switch h.Outcome {
	case "":
		t.Idle++
	case event.Changed:
		t.Changed++
	case event.Failed:
		t.Failed++
	case event.Unreached:
		t.Unreachable++
	case event.Partial:
		t.Partial++
	case event.Unknown:
		t.Unknown++
	default:
		h.Outcome = event.OK
		t.OK++
	}
}
