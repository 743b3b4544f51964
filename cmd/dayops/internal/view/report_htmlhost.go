package view

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/event"
)

type htmlHost struct {
	ID, Name    string
	Status      event.Status
	Counts      string
	Open, Print bool
	Strip       []htmlPath
	Rows        []htmlRow
	Left        string
}

type htmlPath struct {
	Status event.Status
	D      string
}

type htmlRow struct {
	Status                   event.Status
	Bold                     bool
	Step, Item, Target, Text string
	Took                     string
	Details                  []string
	Findings                 []Judgement
	Changes                  []htmlChange
	Outputs                  []htmlOutput
	Next                     string
}

type htmlChange struct {
	Text, Risk, Undo string
	Diff             []diffLine
	Print            bool
}

type diffLine struct{ Class, Text string }

type htmlOutput struct {
	Name, Text  string
	Open, Print bool
}

// rows fills the page as far as its budget goes.
type rows struct {
	rep  *Report
	left int // bytes
}

// htmlHosts gives the hosts, failures first, else in the order of the inventory.
func (r *Report) htmlHosts() ([]htmlHost, string) {
	order := make([]int, len(r.Hosts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(r.Hosts[b].Outcome) - rank(r.Hosts[a].Outcome) })
	rs := &rows{rep: r, left: pageBudget}
	var out []htmlHost
	for n, i := range order {
		if n == pageHosts {
			return out, fmt.Sprintf("%d more hosts", len(order)-n)
		}
		h := &r.Hosts[i]
		bad := rank(h.Outcome) >= rank(event.Partial)
		v := htmlHost{ID: fmt.Sprintf("h%d", i), Name: cut(Line(h.Name), 200), Status: known(h.Outcome), Counts: h.tally(),
			Open: bad && n < unfoldHosts, Print: bad || len(r.Hosts) <= bigPage, Strip: r.strip(h)}
		if v.Status == "" {
			v.Status = "idle"
		}
		v.Rows, v.Left = rs.of(h)
		out = append(out, v)
	}
	return out, ""
}

// tally counts results: 3 ok, 1 changed.
func (h *ReportHost) tally() string {
	n := map[event.Status]int{}
	for _, res := range h.Results {
		n[res.Status]++
	}
	var out []string
	for _, s := range statuses() {
		if n[s] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	return strings.Join(out, ", ")
}

// strip is the host's timeline: one path for each status.
func (r *Report) strip(h *ReportHost) []htmlPath {
	const most = 200 // results: more cannot be told apart
	d := map[event.Status]*strings.Builder{}
	every := 1 + len(h.Results)/most
	for i, res := range h.Results {
		if i%every != 0 && rank(res.Status) < rank(event.Changed) {
			continue
		}
		b := d[res.Status]
		if b == nil {
			b = &strings.Builder{}
			d[res.Status] = b
		}
		if b.Len() < most*20 {
			b.WriteString(r.bar(Span{From: res.From, Seconds: res.Seconds}, rank(res.Status) >= rank(event.Partial)))
		}
	}
	var out []htmlPath
	for _, s := range slices.Backward(statuses()) { // bad ones last: drawn above
		if b := d[s]; b != nil {
			out = append(out, htmlPath{s, b.String()})
		}
	}
	return out
}

// of gives a host's rows. Neighbours of which nothing but their status is to be
// told are one row. Failures are shown whatever the budget.
func (rs *rows) of(h *ReportHost) (out []htmlRow, left string) {
	missing, join := 0, false
	for _, res := range h.Results {
		bad := rank(res.Status) >= rank(event.Partial)
		if rs.left <= 0 && !bad || rs.left < -pageBudget/8 {
			missing, join = missing+1, false
			continue
		}
		row, plain := rs.row(res, bad)
		if plain && join && out[len(out)-1].Status == row.Status {
			last := &out[len(out)-1]
			last.Step += ", " + row.Step
			last.Took = ""
			rs.left -= len(row.Step) + 2
			continue
		}
		rs.left -= row.cost()
		join = plain
		out = append(out, row)
	}
	if missing > 0 {
		left = fmt.Sprintf("%s not shown: dayops history show %s -v", count(missing, "more result"), Line(rs.rep.Run))
	}
	return out, left
}

func (rs *rows) row(res ReportResult, bad bool) (row htmlRow, plain bool) {
	row = htmlRow{Status: known(res.Status), Bold: true, Step: cut(Line(res.Step), 200), Item: cut(Line(res.Item), 200), Target: cut(Line(res.Target), 200),
		Text: cut(Line(res.Text), 1000)}
	if res.Step == "" {
		row.Step = "connect"
	}
	if res.Seconds >= 0.05 {
		row.Took = human(res.Seconds)
	}
	small := len(rs.rep.Hosts) <= bigPage
	lines, bytes, paper := pageLines, pageBytes, bad || small
	if !bad || !small {
		lines, bytes = lines/4, bytes/4
	}
	row.Details = block(middle(strings.Join(res.Details, "\n"), bytes), lines)
	for _, f := range res.Findings[:min(len(res.Findings), pageGroups)] {
		if f.Text == res.Text && f.Status == event.OK {
			continue // said already
		}
		row.Findings = append(row.Findings, Judgement{Status: known(f.Status), Text: cut(Line(f.Text), 1000), Next: cut(Line(f.Next), 500)})
	}
	for _, c := range res.Changes[:min(len(res.Changes), pageGroups)] {
		v := htmlChangeOf(c, lines, bytes)
		v.Print = paper
		row.Changes = append(row.Changes, v)
	}
	if n := len(res.Changes) - pageGroups; n > 0 {
		row.Changes = append(row.Changes, htmlChange{Text: fmt.Sprintf("%d more changes", n)})
	}
	name := "output"
	if res.RC != nil {
		name = fmt.Sprintf("output, rc=%d", *res.RC)
	}
	for _, o := range []struct{ name, text string }{{name, res.Stdout}, {"standard error", res.Stderr}} {
		if text := tabbed(middle(o.text, bytes), lines); len(text) > 0 {
			row.Outputs = append(row.Outputs, htmlOutput{Name: o.name, Text: strings.Join(text, "\n"), Open: bad, Print: paper})
		}
	}
	if bad || res.Status == event.Ignored {
		row.Next = cut(Line(res.Next), 1000)
	}
	plain = !bad && res.Status != event.Changed && row.Item+row.Target+row.Text == "" &&
		len(row.Details)+len(row.Findings)+len(row.Changes)+len(row.Outputs) == 0
	row.Bold = !plain
	return row, plain
}

func htmlChangeOf(c event.Change, lines, bytes int) htmlChange {
	v := htmlChange{Text: cut(Line(c.Summary), 500)}
	if c.Host != "" {
		v.Text = cut(Line(c.Host), 200) + ": " + v.Text
	}
	if c.Risk != "safe" {
		v.Risk = cut(Line(c.Risk), 30)
	}
	switch c.Undo {
	case "none":
		v.Undo = "no undo"
	case "partial":
		v.Undo = "partial undo"
	}
	for _, l := range tabbed(middle(c.Diff, bytes), lines) {
		v.Diff = append(v.Diff, diffLine{diffClass(l), l})
	}
	return v
}

func diffClass(l string) string {
	if strings.HasPrefix(l, "--- ") || strings.HasPrefix(l, "+++ ") {
		return "h"
	}
	switch diffColour(l) {
	case green:
		return "a"
	case red:
		return "d"
	case cyan:
		return "h"
	}
	return ""
}

// cost is about how long a row is in the page.
func (r htmlRow) cost() int {
	n := 150
	add := func(most int, texts ...string) {
		for _, t := range texts {
			n += most + len(template.HTMLEscapeString(t))
		}
	}
	add(0, r.Step, r.Item, r.Target, r.Text, r.Next)
	add(22, r.Details...)
	for _, f := range r.Findings {
		add(50, f.Text, f.Next)
	}
	for _, c := range r.Changes {
		add(90, c.Text)
		for _, l := range c.Diff {
			add(25, l.Text)
		}
	}
	for _, o := range r.Outputs {
		add(90, o.Text)
	}
	return n
}
