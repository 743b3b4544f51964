package view

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // style and template
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/event"
)

//go:embed report.html
var reportHTML string

//go:embed report.css
var reportCSS string

// What a page may hold: it opens on a phone, also after a run of 200 hosts and 50 steps.
const (
	pageBudget  = 3 << 20 // bytes of results; then they are counted, not shown
	pageHosts   = 2000
	pageSteps   = 1000
	pageGroups  = 100 // causes, notes
	pageLines   = 200 // of an output of what failed; others: a quarter
	pageBytes   = 16 << 10
	bigPage     = 20 // hosts: from here on, print folds what went well
	unfoldHosts = 10 // failed hosts that are shown unfolded
)

// htmlPage is what the template sees. Every text is clean; the template escapes it.
type htmlPage struct {
	CSP         string
	CSS         template.CSS
	Outcome     string
	OutcomeText string
	Playbook    string
	Run         string
	Check, Big  bool

	Facts        []htmlFact
	Tiles        []htmlCount
	Problems     []htmlProblem
	ProblemsLeft string
	Notes        []htmlNote
	Steps        []htmlStep
	Hosts        []htmlHost
	HostsLeft    string
}

type htmlFact struct{ Name, Value string }

type htmlCount struct {
	Status, Name string
	N            int
}

type htmlNote struct {
	Judgement
	Details []string
}

type htmlProblem struct {
	Status                                event.Status
	Cause, Step, Count, Hosts, More, Next string
	Said                                  []string // the last lines of the first host
}

type htmlStep struct {
	Play      string // a heading; nothing else then
	Name      string
	Status    event.Status
	Bar, When string
	Counts    []htmlCount
}

// WriteHTML writes the report as one file that asks for nothing else: no
// script, and a policy that lets the browser load nothing.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(reportHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, r.page())
}

func (r *Report) page() *htmlPage {
	sum := sha256.Sum256([]byte(reportCSS))
	p := &htmlPage{
		CSP: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		CSS: template.CSS(reportCSS), Outcome: r.Outcome, OutcomeText: r.outcomeText(),
		Playbook: Line(strings.TrimPrefix(r.Playbook, "builtin:")), Run: Line(r.Run), Check: r.Check, Big: len(r.Hosts) > bigPage,
	}
	p.Facts, p.Tiles = r.facts(), r.tiles()
	p.Problems, p.ProblemsLeft = r.htmlProblems()
	p.Notes = r.htmlNotes()
	p.Steps = r.htmlSteps()
	p.Hosts, p.HostsLeft = r.htmlHosts()
	return p
}

func (r *Report) outcomeText() string {
	switch {
	case !r.Ended:
		return "did not end"
	case r.Code == 0:
		return r.Outcome
	}
	return fmt.Sprintf("%s, exit %d", r.Outcome, r.Code)
}

func (r *Report) facts() []htmlFact {
	took := human(r.Seconds)
	if !r.Ended {
		took += ", then nothing more was written: it is still running, or it was killed"
	}
	out := []htmlFact{{"Run", Line(r.Run)}, {"Started", r.Start.UTC().Format(time.DateTime) + " UTC"}, {"Took", took}}
	if r.Taken > 0 {
		out = append(out, htmlFact{"Taken up", count(r.Taken, "time") + " again"})
	}
	if strings.HasPrefix(r.Playbook, "builtin:") {
		out = append(out, htmlFact{"Playbook", "built in"})
	}
	for _, f := range []htmlFact{{"Inventory", r.Inventory}, {"By", r.Who}, {"Result", r.Text}} {
		if f.Value != "" {
			out = append(out, htmlFact{f.Name, Line(f.Value)})
		}
	}
	return out
}

func (r *Report) tiles() []htmlCount {
	t := r.Totals
	hosts := "hosts"
	if t.Hosts == 1 {
		hosts = "host"
	}
	out := []htmlCount{{"", hosts, t.Hosts}}
	for _, c := range []htmlCount{{"failed", "failed", t.Failed}, {"unreachable", "unreachable", t.Unreachable}, {"partial", "partial", t.Partial},
		{"changed", "changed", t.Changed}, {"unknown", "unknown", t.Unknown}, {"ok", "ok", t.OK}, {"idle", "without a step", t.Idle}} {
		if c.N > 0 {
			out = append(out, c)
		}
	}
	return append(out, htmlCount{"", "changes", r.Changes})
}

func (r *Report) htmlProblems() ([]htmlProblem, string) {
	var out []htmlProblem
	for i, p := range r.Problems {
		if i == pageGroups {
			return out, fmt.Sprintf("%d more causes", len(r.Problems)-pageGroups)
		}
		h := htmlProblem{Status: p.Status, Cause: cut(Line(p.Cause), 500), Step: cut(Line(p.Step), 200), Count: count(len(p.Hosts), "host"),
			Hosts: Line(shorten(p.Hosts)), Next: cut(Line(p.Next), 1000)}
		if h.Hosts != Line(strings.Join(p.Hosts, ", ")) {
			h.More = cut(Line(strings.Join(p.Hosts, ", ")), 20000)
		}
		h.Said = r.said(p)
		out = append(out, h)
	}
	return out, ""
}

// said is how the first host's output ends: the likeliest place of the reason.
func (r *Report) said(p Problem) []string {
	const most = 6
	for i := range r.Hosts {
		if r.Hosts[i].Name != p.Hosts[0] {
			continue
		}
		for _, res := range r.Hosts[i].Results {
			if res.StepID != p.StepID || rank(res.Status) < rank(event.Partial) {
				continue
			}
			text := strings.TrimSpace(cmp.Or(strings.TrimSpace(res.Stderr), res.Stdout))
			lines := tabbed(text[max(0, len(text)-2000):], pageLines)
			return lines[max(0, len(lines)-most):]
		}
	}
	return nil
}

func (r *Report) htmlNotes() []htmlNote {
	var out []htmlNote
	for i, n := range r.Notes {
		if i == pageGroups {
			return append(out, htmlNote{Judgement: Judgement{Text: fmt.Sprintf("%d more notes", len(r.Notes)-pageGroups)}})
		}
		status := known(n.Status)
		n.Status = ""
		out = append(out, htmlNote{Judgement{Status: status, Text: cut(n.line(), 1000), Next: cut(Line(n.Next), 500)},
			block(middle(strings.Join(n.Details, "\n"), pageBytes), pageLines)})
	}
	return out
}

// htmlSteps is the timeline: a bar for each step, below its play.
func (r *Report) htmlSteps() []htmlStep {
	var out []htmlStep
	play := ""
	for i, s := range r.Steps {
		if i == pageSteps {
			return append(out, htmlStep{Name: fmt.Sprintf("%d more steps", len(r.Steps)-pageSteps)})
		}
		if s.Play != play || i == 0 {
			play = s.Play
			out = append(out, htmlStep{Play: cut(Line(play), 200)})
		}
		h := htmlStep{Name: cut(Line(s.Name), 200), Status: "idle"}
		if s.Handler {
			h.Name += " (handler)"
		}
		var bar strings.Builder
		took := 0.0
		for _, sp := range s.Spans {
			bar.WriteString(r.bar(sp, false))
			took += sp.Seconds
		}
		h.Bar, h.When = bar.String(), human(took)
		for _, st := range statuses() {
			if n := s.Counts[st]; n > 0 {
				h.Counts = append(h.Counts, htmlCount{Status: string(st), N: n})
				if rank(st) > rank(h.Status) {
					h.Status = st
				}
			}
		}
		out = append(out, h)
	}
	return out
}

// bar is a rectangle of an SVG path: 1000 units are the whole run. What went
// wrong is wide enough to be seen.
func (r *Report) bar(s Span, bad bool) string {
	least := 5
	if bad {
		least = 14
	}
	whole := max(r.Seconds, r.whole, 0.001)
	from := min(1000-least, max(0, int(s.From/whole*1000)))
	wide := min(1000-from, max(least, int(s.Seconds/whole*1000)))
	return fmt.Sprintf("M%d 0h%dv10h-%dz", from, wide, wide)
}

// known is a status that the page has a colour for; a record may hold others.
func known(s event.Status) event.Status {
	if s == event.Warn || rank(s) >= 0 {
		return s
	}
	return "other"
}

// statuses from bad to harmless.
func statuses() []event.Status {
	return []event.Status{event.Unreached, event.Failed, event.Partial, event.Changed, event.Unknown, event.Ignored, event.OK, event.Skipped}
}

// human is a duration for people.
func human(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", s)
	case d < time.Hour:
		return fmt.Sprintf("%dm %02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh %02dm", int(d.Hours()), int(d.Minutes())%60)
}
