package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/event"
)

// DiffVersion of the JSON form grows when a field changes its meaning or goes.
const DiffVersion = 1

// Diff is what is different between two runs. Steps are the same when play,
// name, task and place among equals are; their number in the playbook is not asked.
type Diff struct {
	Format    string     `json:"format"` // dayops-diff
	Version   int        `json:"version"`
	Same      bool       `json:"same"` // but for times
	Before    DiffRun    `json:"before"`
	After     DiffRun    `json:"after"`
	NewHosts  []string   `json:"new_hosts,omitempty"`
	GoneHosts []string   `json:"gone_hosts,omitempty"`
	NewSteps  []DiffStep `json:"new_steps,omitempty"`
	GoneSteps []DiffStep `json:"gone_steps,omitempty"`
	Results   []DiffItem `json:"results"` // of hosts and steps that are in both, and failures of new ones
	Times     []DiffTime `json:"times,omitempty"`
}

// DiffRun is one of the runs.
type DiffRun struct {
	Run       string    `json:"run"`
	Playbook  string    `json:"playbook"`
	Inventory string    `json:"inventory"`
	Check     bool      `json:"check"`
	Start     time.Time `json:"start"`
	Ended     bool      `json:"ended"`
	Code      int       `json:"code"`
	Changes   int       `json:"changes"`
	Seconds   float64   `json:"seconds"`
}

// DiffStep names a step.
type DiffStep struct {
	Play string `json:"play,omitempty"`
	Step string `json:"step"`
	Task string `json:"task,omitempty"`
}

// DiffKind says what a difference means.
type DiffKind string

const (
	Worse      DiffKind = "worse"       // failed, partial or unreachable now, and was not
	Better     DiffKind = "better"      // the other way round
	NowChanged DiffKind = "now_changed" // was ok, skipped or unknown
	Settled    DiffKind = "settled"     // was changed, and is ok or skipped now
	OtherWhat  DiffKind = "other_what"  // changed both times, not the same; or failed for another reason
	Other      DiffKind = "other"       // another status
	NotReached DiffKind = "not_reached" // the step is in both runs, but not on this host any more
	NowReached DiffKind = "now_reached" // the other way round
)

// diffKinds in the order in which they matter.
func diffKinds() []DiffKind {
	return []DiffKind{Worse, NowChanged, OtherWhat, NotReached, Other, NowReached, Better, Settled}
}

func (k DiffKind) title() string {
	return map[DiffKind]string{Worse: "WORSE", Better: "BETTER", NowChanged: "CHANGED NOW", Settled: "NOT CHANGED ANY MORE",
		OtherWhat: "NOT THE SAME", Other: "OTHERWISE", NotReached: "NOT REACHED ANY MORE", NowReached: "REACHED NOW"}[k]
}

// DiffItem is one result that differs.
type DiffItem struct {
	Kind DiffKind `json:"kind"`
	Host string   `json:"host"`
	DiffStep
	Item       string       `json:"item,omitempty"`
	Before     event.Status `json:"before,omitempty"`
	After      event.Status `json:"after,omitempty"`
	WhatBefore []string     `json:"what_before,omitempty"` // summaries of its changes; or why it failed
	WhatAfter  []string     `json:"what_after,omitempty"`
}

// DiffTime is a step that took much longer or shorter.
type DiffTime struct {
	DiffStep
	Before float64 `json:"before"` // seconds
	After  float64 `json:"after"`
}

// Compare says what is different in after.
func Compare(before, after *Report) *Diff {
	d := &Diff{Format: "dayops-diff", Version: DiffVersion, Before: diffRun(before), After: diffRun(after), Results: []DiffItem{}}
	was, is := byName(before), byName(after)
	for _, h := range before.Hosts {
		if is[h.Name] == nil {
			d.GoneHosts = append(d.GoneHosts, h.Name)
		}
	}
	d.steps(before, after)
	for i := range after.Hosts {
		h := &after.Hosts[i]
		if was[h.Name] == nil {
			d.NewHosts = append(d.NewHosts, h.Name)
			d.newHost(h)
			continue
		}
		d.host(was[h.Name], h)
	}
	d.Same = len(d.NewHosts)+len(d.GoneHosts)+len(d.NewSteps)+len(d.GoneSteps)+len(d.Results) == 0 && before.Code == after.Code &&
		before.Ended == after.Ended
	return d
}

func diffRun(r *Report) DiffRun {
	return DiffRun{r.Run, r.Playbook, r.Inventory, r.Check, r.Start, r.Ended, r.Code, r.Changes, r.Seconds}
}

func byName(r *Report) map[string]*ReportHost {
	m := make(map[string]*ReportHost, len(r.Hosts))
	for i := range r.Hosts {
		m[r.Hosts[i].Name] = &r.Hosts[i]
	}
	return m
}

// steps compares which steps there are, and how long they took.
func (d *Diff) steps(before, after *Report) {
	was, is := stepTimes(before), stepTimes(after)
	for _, s := range was.order {
		if _, ok := is.seconds[s]; !ok {
			d.GoneSteps = append(d.GoneSteps, s)
		}
	}
	for _, s := range is.order {
		b, ok := was.seconds[s]
		a := is.seconds[s]
		if !ok {
			d.NewSteps = append(d.NewSteps, s)
		} else if math.Abs(a-b) >= 1 && max(a, b) >= 1.5*min(a, b) {
			d.Times = append(d.Times, DiffTime{s, b, a})
		}
	}
	slices.SortStableFunc(d.Times, func(x, y DiffTime) int { return cmp.Compare(math.Abs(y.After-y.Before), math.Abs(x.After-x.Before)) })
}

type times struct {
	order   []DiffStep
	seconds map[DiffStep]float64 // steps of one name together
}

func stepTimes(r *Report) times {
	t := times{seconds: map[DiffStep]float64{}}
	for _, s := range r.Steps {
		id := DiffStep{s.Play, s.Name, s.Task}
		if _, ok := t.seconds[id]; !ok {
			t.order = append(t.order, id)
			t.seconds[id] = 0
		}
		for _, sp := range s.Spans {
			t.seconds[id] += sp.Seconds
		}
	}
	return t
}

// place is a result's place in a run: the n-th of its name on its host.
type place struct {
	DiffStep
	item string
	n    int
}

func places(h *ReportHost) (order []place, at map[place]*ReportResult) {
	at = map[place]*ReportResult{}
	for i := range h.Results {
		r := &h.Results[i]
		p := place{DiffStep: DiffStep{r.Play, cmp.Or(r.Step, "connect"), r.Task}, item: r.Item}
		for at[p] != nil {
			p.n++
		}
		at[p] = r
		order = append(order, p)
	}
	return order, at
}

func (d *Diff) host(before, after *ReportHost) {
	wasOrder, was := places(before)
	isOrder, is := places(after)
	for _, p := range isOrder {
		if k := kindOf(was[p], is[p]); k != "" && !(k == NowReached && slices.Contains(d.NewSteps, p.DiffStep)) {
			d.add(k, after.Name, p, was[p], is[p])
		}
	}
	for _, p := range wasOrder {
		if is[p] == nil && !slices.Contains(d.GoneSteps, p.DiffStep) {
			d.add(cmp.Or(kindOf(was[p], nil), NotReached), after.Name, p, was[p], nil)
		}
	}
}

// newHost tells of a host that was in no earlier run what went wrong on it.
func (d *Diff) newHost(h *ReportHost) {
	order, is := places(h)
	for _, p := range order {
		if kindOf(nil, is[p]) == Worse {
			d.add(Worse, h.Name, p, nil, is[p])
		}
	}
}

func (d *Diff) add(k DiffKind, host string, p place, was, is *ReportResult) {
	it := DiffItem{Kind: k, Host: host, DiffStep: p.DiffStep, Item: p.item}
	if was != nil {
		it.Before, it.WhatBefore = was.Status, was.what()
	}
	if is != nil {
		it.After, it.WhatAfter = is.Status, is.what()
	}
	d.Results = append(d.Results, it)
}

// what a result did, or why it failed.
func (r *ReportResult) what() []string {
	if rank(r.Status) >= rank(event.Partial) {
		return []string{cmp.Or(r.Cause, r.Text)}
	}
	var out []string
	for _, c := range r.Changes {
		out = append(out, c.Summary)
	}
	return out
}

func kindOf(was, is *ReportResult) DiffKind {
	bad := func(r *ReportResult) bool { return r != nil && rank(r.Status) >= rank(event.Partial) }
	switch {
	case bad(is) && !bad(was):
		return Worse
	case bad(was) && !bad(is):
		return Better
	case was == nil:
		return NowReached
	case is == nil:
		return NotReached
	case is.Status == event.Changed && was.Status != event.Changed:
		return NowChanged
	case was.Status == event.Changed && is.Status != event.Changed:
		return Settled
	case was.Status != is.Status:
		return Other
	case !slices.Equal(was.what(), is.what()):
		return OtherWhat
	}
	return ""
}

// WriteJSON writes the differences as one document.
func (d *Diff) WriteJSON(w io.Writer) error { return writeDocument(w, d) }

// WriteText shows the differences to a person: equal ones of several hosts together.
func (d *Diff) WriteText(w io.Writer, colour bool) {
	t := NewText(w, TextOptions{Colour: colour})
	t.diffRuns(d)
	names := func(word string, hosts []string) {
		if len(hosts) > 0 {
			t.printf("%s: %s\n", word, Line(shorten(hosts)))
		}
	}
	names("new hosts", d.NewHosts)
	names("gone hosts", d.GoneHosts)
	for _, s := range d.NewSteps {
		t.printf("new step: %s\n", Line(s.Step))
	}
	for _, s := range d.GoneSteps {
		t.printf("gone step: %s\n", Line(s.Step))
	}
	for _, k := range diffKinds() {
		t.diffKind(k, d.Results)
	}
	t.printf("\n")
	if d.Same {
		t.printf("%s\n", t.paint(green, "the same on all hosts"))
	}
	for i, x := range d.Times {
		if i == 10 {
			break
		}
		t.printf("%s took %s, before %s\n", Line(x.Step), human(x.After), human(x.Before))
	}
	t.printf("took %s, before %s\n", human(d.After.Seconds), human(d.Before.Seconds))
}

func (t *Text) diffRuns(d *Diff) {
	for _, x := range []struct {
		word string
		run  DiffRun
	}{{"before", d.Before}, {"after", d.After}} {
		end := "did not end"
		if x.run.Ended {
			end = fmt.Sprintf("exit %d, %d changed", x.run.Code, x.run.Changes)
		}
		if x.run.Check {
			end += ", dry run"
		}
		t.printf("%-6s  %s  %s  %s  %s\n", x.word, Line(x.run.Run), x.run.Start.UTC().Format(time.DateTime), Line(x.run.Playbook), end)
	}
	if d.Before.Playbook != d.After.Playbook {
		t.printf("%s\n", t.paint(yellow, "not the same playbook"))
	}
	if d.Before.Inventory != d.After.Inventory {
		t.printf("%s\n", t.paint(yellow, "not the same inventory: "+Line(d.Before.Inventory)+", now "+Line(d.After.Inventory)))
	}
}

// diffKind shows one kind, grouped by all but the host.
func (t *Text) diffKind(k DiffKind, items []DiffItem) {
	groups, order := map[string][]string{}, []string(nil)
	for _, it := range items {
		if it.Kind != k {
			continue
		}
		line := it.line()
		if groups[line] == nil {
			order = append(order, line)
		}
		groups[line] = append(groups[line], it.Host)
	}
	if len(order) == 0 {
		return
	}
	t.heading(k.title(), "")
	for _, line := range order {
		t.printf("  %s\n      %s: %s\n", strings.ReplaceAll(line, "\n", "\n      "), count(len(groups[line]), "host"), Line(shorten(groups[line])))
	}
}

// line is a difference without its host.
func (it DiffItem) line() string {
	b := fmt.Sprintf("%s -> %s  %s", cmp.Or(string(it.Before), "none"), cmp.Or(string(it.After), "none"), it.Step)
	if it.Item != "" {
		b += " (" + it.Item + ")"
	}
	b = Line(b)
	if it.Kind == Settled || it.Kind == NotReached || it.Kind == Better { // what is past
		return b
	}
	for _, w := range it.WhatBefore {
		if !slices.Contains(it.WhatAfter, w) {
			b += "\n- " + Line(w)
		}
	}
	for _, w := range it.WhatAfter {
		if !slices.Contains(it.WhatBefore, w) {
			b += "\n+ " + Line(w)
		}
	}
	return b
}

// writeDocument writes one JSON document; what a terminal would obey as \u escapes.
func writeDocument(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, Clean(b.String()))
	return err
}
