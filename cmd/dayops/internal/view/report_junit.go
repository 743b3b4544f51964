package view

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/event"
)

// JUnit's XML as Jenkins reads it (junit-10.xsd of its xUnit plugin): hosts are
// suites, steps are cases, loop items cases of their own.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Time     string       `xml:"time,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Hostname  string      `xml:"hostname,attr,omitempty"`
	Cases     []junitCase `xml:"testcase"`

	took float64
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	Time    string     `xml:"time,attr"`
	Skipped *junitText `xml:"skipped"`
	Error   *junitText `xml:"error"`
	Failure *junitText `xml:"failure"`
	Out     string     `xml:"system-out,omitempty"`
	Err     string     `xml:"system-err,omitempty"`
}

type junitText struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report for a continuous integration server.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: Line("dayops " + r.Playbook), Time: seconds(r.Seconds)}
	all.add(r.suite(ReportHost{Name: "dayops"}, r.runCase()))
	for _, h := range r.Hosts {
		all.add(r.suite(h, r.cases(h)...))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuites) add(suite junitSuite) {
	s.Tests += suite.Tests
	s.Failures += suite.Failures
	s.Errors += suite.Errors
	s.Suites = append(s.Suites, suite)
}

func (r *Report) suite(h ReportHost, cases ...junitCase) junitSuite {
	s := junitSuite{Name: Line(h.Name), Hostname: Line(h.Name), Timestamp: r.Start.UTC().Format("2006-01-02T15:04:05"), Cases: cases, Tests: len(cases)}
	for _, c := range cases {
		switch {
		case c.Error != nil:
			s.Errors++
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	for _, res := range h.Results {
		s.took = max(s.took, res.From+res.Seconds)
	}
	s.Time = seconds(s.took)
	return s
}

// runCase stands for the run itself, so that one that was interrupted, refused
// or killed is not green because no step failed.
func (r *Report) runCase() junitCase {
	c := junitCase{Name: Line("run " + r.Run), Class: "dayops.run", Time: seconds(r.Seconds)}
	switch {
	case !r.Ended:
		c.Error = &junitText{Type: "unended", Message: "the run did not end: it is still running, or it was killed"}
	case r.Code == 0, r.Code == 10, r.Code >= 2 && r.Code <= 4, r.Code == 7: // what hosts' own cases tell
	default:
		c.Error = &junitText{Type: fmt.Sprintf("exit %d", r.Code), Message: Line(r.Text)}
	}
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "%s\n", n.line())
		for _, d := range n.Details {
			fmt.Fprintf(&b, "  %s\n", Line(d))
		}
	}
	c.Out = b.String()
	return c
}

// line is a note for people, safe for a terminal.
func (n ReportNote) line() string {
	s := Line(n.Text)
	if len(n.Hosts) > 0 {
		s += ": " + Line(shorten(n.Hosts))
	}
	if n.Host != "" {
		s = Line(n.Host) + ": " + s
	}
	if n.Status != "" {
		s = Line(string(n.Status)) + ": " + s
	}
	return s
}

func (r *Report) cases(h ReportHost) []junitCase {
	// Jenkins takes what is before the last dot for a package.
	base := strings.TrimSuffix(path.Base(strings.TrimPrefix(r.Playbook, "builtin:")), path.Ext(r.Playbook))
	class := strings.NewReplacer(".", "_").Replace(base) + "." + strings.ReplaceAll(h.Name, ".", "_")
	var out []junitCase
	for _, res := range h.Results {
		out = append(out, caseOf(res, Line(class)))
	}
	if h.Outcome == "" && !r.Ended || len(out) == 0 {
		out = append(out, junitCase{Name: "no step", Class: Line(class), Time: seconds(0), Skipped: &junitText{Message: "no step came to this host"}})
	}
	return out
}

func caseOf(res ReportResult, class string) junitCase {
	limit := textLimit
	if rank(res.Status) < rank(event.Partial) { // nobody reads long what went well
		limit = pageBytes / 4
	}
	c := junitCase{Name: Line(cmp.Or(res.Step, "connect")), Class: class, Time: seconds(res.Seconds),
		Out: junitLong(res.about()+res.Stdout, limit), Err: junitLong(res.Stderr, limit)}
	if res.Item != "" {
		c.Name += " (" + Line(res.Item) + ")"
	}
	t := &junitText{Type: Line(string(res.Status)), Message: Line(cmp.Or(res.Cause, res.Text)), Text: junitLong(res.why(), limit)}
	switch res.Status {
	case event.Unreached:
		c.Error = t
	case event.Failed, event.Partial:
		c.Failure = t
	case event.Skipped, event.Unknown:
		t.Text = ""
		t.Message = Line(cmp.Or(res.Text, string(res.Status)))
		c.Skipped = t
	}
	return c
}

// why is the text of a failure: what is said, the lines below, what to type next.
func (res ReportResult) why() string {
	lines := append([]string{res.Text}, res.Details...)
	if res.RC != nil {
		lines = append(lines, fmt.Sprintf("rc=%d", *res.RC))
	}
	if res.Next != "" {
		lines = append(lines, "next: "+res.Next)
	}
	return strings.Join(lines, "\n")
}

// about is what a result says besides outputs: status, judgements, changes with diffs.
func (res ReportResult) about() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", res.Status, res.Text)
	for _, f := range res.Findings {
		fmt.Fprintf(&b, "%s: %s\n", f.Status, f.Text)
	}
	for _, c := range res.Changes {
		fmt.Fprintf(&b, "%s\n%s", c.Summary, c.Diff)
	}
	return b.String()
}

// junitLong is text of several lines without control characters, at most about most bytes.
func junitLong(s string, most int) string {
	return strings.Join(tabbed(middle(s, most), 1000), "\n")
}

// seconds as the schema wants them.
func seconds(s float64) string {
	return fmt.Sprintf("%.3f", (time.Duration(s * float64(time.Second))).Seconds())
}
