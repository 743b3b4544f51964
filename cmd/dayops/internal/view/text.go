// Package view shows a run to people and to programs: text, progress bar and
// JSON lines. Each is an event.Sink; none can change a run.
package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/dayops/dayops/engine/event"
)

// TextOptions says how much Text shows.
type TextOptions struct {
	Colour  bool
	Verbose int  // 1: outputs of commands and ok changes, 2: results as data
	Output  bool // show outputs of commands in any case (dayops exec)
	Quiet   bool // only what went wrong, and the end
	Width   int  // columns for what is wrapped; 0 is DefaultWidth
}

// Text writes what OUTPUT says a person should see.
type Text struct {
	w   io.Writer
	opt TextOptions

	width    int // of the host column
	check    bool
	resume   bool                // the run keeps a journal
	inv      string              // options that name its inventory
	told     map[string][]string // by host: good findings of the step, until its result is shown
	failures failures
	recap    []event.Event
	staged   *Staged // the plan of a cluster task, until all of it is there
}

// NewText writes to w.
func NewText(w io.Writer, opt TextOptions) *Text { return &Text{w: w, opt: opt} }

// Emit shows e.
func (t *Text) Emit(e event.Event) {
	if t.takeStaged(&e) {
		return
	}
	switch e.Kind {
	case event.RunStart:
		t.runStart(e)
	case event.PlayStart:
		t.heading("PLAY", e.Play)
	case event.BatchStart:
		if !t.opt.Quiet {
			t.printf("\nBATCH  %d of %d  %s\n", e.Done, e.Total, Line(shorten(e.Hosts)))
		}
	case event.PlaySkip:
		t.heading("PLAY", e.Play)
		t.printf("  skipped     %s\n", Line(e.Text))
	case event.Connect:
		t.connect(e)
	case event.Unreachable:
		t.row(event.Unreached, "UNREACHABLE", e.Host, Line(e.Text))
		t.failures.add(e)
	case event.StepStart:
		t.stepStart(e)
	case event.Result, event.Forecast:
		t.result(e)
	case event.Finding:
		t.finding(e)
	case event.Note:
		t.note(e)
	case event.Recap:
		t.recap = append(t.recap, e)
	case event.RunEnd:
		t.end(e)
	}
}

func (t *Text) printf(format string, args ...any) { fmt.Fprintf(t.w, format, args...) }

func (t *Text) runStart(e event.Event) {
	t.check, _ = e.Data["check"].(bool)
	t.resume, _ = e.Data["resume"].(bool)
	t.inv = inventoryOptions(e)
	t.failures, t.recap = failures{}, nil // a record may hold several runs: one that was taken up again
	name := Line(e.Text)
	if b, _ := e.Data["builtin"].(bool); b {
		name = strings.TrimPrefix(name, "builtin:") + " (built in)"
	}
	for _, h := range e.Hosts {
		t.width = max(t.width, min(len(h), 40))
	}
	inv, _ := e.Data["inventory"].(string)
	if inv != "" {
		inv = "  inventory " + Line(inv)
	}
	mode := ""
	if t.check {
		mode = "  DRY RUN: nothing is changed"
	}
	if !t.opt.Quiet {
		t.printf("run %s  %s%s  %s%s\n", Line(e.Run), name, inv, count(len(e.Hosts), "host"), mode)
	}
}

// heading is Ansible's: a word, a name, stars up to column 72.
func (t *Text) heading(word, name string) {
	if t.opt.Quiet {
		return
	}
	s := word + " "
	if name != "" {
		s += "[" + Line(name) + "] "
	}
	t.printf("\n%s%s\n", t.paint(bold, s), strings.Repeat("*", max(3, 72-len([]rune(s)))))
}

func (t *Text) connect(e event.Event) {
	if e.Done < e.Total || t.opt.Verbose > 0 {
		t.printf("CONNECT  %d of %d  %.1fs\n", e.Done, e.Total, e.Seconds)
	}
}

func (t *Text) stepStart(e event.Event) {
	t.told = map[string][]string{}
	word := "TASK"
	if e.Handler {
		word = "HANDLER"
	}
	t.heading(word, e.Step)
}

func (t *Text) row(s event.Status, label, host, text string) {
	if t.opt.Quiet && (s == event.OK || s == event.Changed || s == event.Skipped) {
		return
	}
	rest := strings.TrimRight(fmt.Sprintf("%-*s  %s", t.width, Line(host), text), " ")
	t.printf("  %s %s\n", t.paint(colourOf(s), fmt.Sprintf("%-11s", label)), rest)
}

func (t *Text) result(e event.Event) {
	text := Line(e.Text)
	told := t.told[e.Host]
	delete(t.told, e.Host)
	if len(told) > 0 && (e.Text == "" || strings.Contains(e.Text, "\n")) { // they are all that the host has to say
		if text = ""; len(told) == 1 {
			text, told = Line(told[0]), nil
		}
	} else if t.opt.Verbose == 0 {
		told = nil
	}
	if e.Item != "" {
		text = strings.TrimSpace("(" + Line(e.Item) + ")  " + text)
	}
	if e.Earlier {
		text = strings.TrimSpace(text + "  (done before the resume)")
	}
	inline := text == "" && len(e.Changes) == 1
	switch {
	case inline && e.RC != nil:
		text = fmt.Sprintf("rc=%d", *e.RC) + t.marks(e.Changes[0], false)
	case inline:
		text = t.changeLine(e.Changes[0])
	case text == "" && len(e.Changes) > 1:
		text = count(len(e.Changes), "change")
	}
	t.row(e.Status, label(e), e.Host, text)
	if t.opt.Quiet && e.Status != event.Failed && e.Status != event.Partial {
		return
	}
	t.stream("", strings.Join(told, "\n"))
	t.details(e, inline)
	if e.Status == event.Failed || e.Status == event.Partial {
		t.failures.add(e)
	}
}

func label(e event.Event) string {
	switch e.Status {
	case event.Failed:
		return "FAILED"
	case event.Partial:
		return "PARTIAL"
	case event.Changed:
		if e.Kind == event.Forecast {
			return "change"
		}
	}
	return string(e.Status)
}

// details are the lines below a result: what was left out, changes, outputs.
func (t *Text) details(e event.Event, inline bool) {
	for _, d := range e.Details {
		t.printf("        %s\n", Line(d))
	}
	if e.Kind == event.Forecast || t.opt.Verbose > 0 || hasDiff(e) {
		t.changes(e, inline)
	}
	loud := t.opt.Output || t.opt.Verbose > 0 || e.Status == event.Failed || e.Status == event.Ignored
	if loud {
		t.stream("", e.Stdout)
		t.stream("stderr: ", e.Stderr)
	}
	if e.Hint != "" && e.Status == event.Failed {
		t.next("        ", e.Hint)
	}
}

// next says what to type, with the inventory that it is about.
func (t *Text) next(indent, hint string) {
	t.printf("%snext: %s\n", indent, Line(withInventory(hint, t.inv)))
}

func hasDiff(e event.Event) bool {
	for _, c := range e.Changes {
		if c.Diff != "" {
			return true
		}
	}
	return false
}

// maxLines bounds what one output may take of the screen; history has it all.
const maxLines = 200

func (t *Text) stream(prefix, s string) {
	for _, l := range block(s, maxLines) {
		t.printf("        | %s%s\n", prefix, l)
	}
}

// changes lists what is changed and how; inline tells that the result's own line has said what.
func (t *Text) changes(e event.Event, inline bool) {
	for _, c := range e.Changes {
		if !inline {
			t.printf("        %s\n", t.changeLine(c))
		}
		for _, l := range block(c.Diff, maxLines) {
			t.printf("        %s\n", t.paint(diffColour(l), l))
		}
	}
}

// changeLine is one change: where, what, and what to know before it is done.
func (t *Text) changeLine(c event.Change) string {
	s := Line(c.Summary)
	if c.Host != "" {
		s = Line(c.Host) + ": " + s
	}
	return s + t.marks(c, true)
}

// marks are what to know of a change beside what it is. A safe command is not
// called final each time that it runs: always says so nevertheless.
func (t *Text) marks(c event.Change, always bool) string {
	s := ""
	if c.Risk != "safe" && c.Risk != "" {
		s += "  " + t.paint(yellow, strings.ToUpper(c.Risk))
		always = true
	}
	switch {
	case !always:
	case c.Undo == "none":
		s += "  no undo" + why(c)
	case c.Undo == "partial":
		s += "  partial undo" + why(c)
	}
	return s
}

func why(c event.Change) string {
	if c.Why == "" {
		return ""
	}
	return ": " + Line(c.Why)
}

func diffColour(l string) string {
	switch {
	case strings.HasPrefix(l, "+"):
		return green
	case strings.HasPrefix(l, "-"):
		return red
	case strings.HasPrefix(l, "@@"):
		return cyan
	}
	return ""
}

func (t *Text) finding(e event.Event) {
	// A host's own line says that all is well; findings about all hosts stand alone.
	if e.Status == event.OK && e.Host != "" && t.told != nil {
		t.told[e.Host] = append(t.told[e.Host], e.Text)
		return
	}
	if e.Status == event.OK && t.opt.Quiet {
		return
	}
	l := string(e.Status)
	if e.Status == event.Failed {
		l = "fail"
	}
	host := e.Host
	if host == "" {
		host = "all hosts"
	}
	t.row(e.Status, l, host, Line(e.Text))
	if e.Hint != "" && e.Status != event.OK {
		t.next("        ", e.Hint)
	}
}

func (t *Text) note(e event.Event) {
	word := ""
	if t.opt.Quiet && e.Status != event.Warn && e.Status != event.Failed {
		return
	}
	if e.Status == event.Warn {
		word = "warning: "
	}
	host := ""
	if e.Host != "" {
		host = Line(e.Host) + ": "
	}
	text := Line(e.Text)
	if len(e.Hosts) > 0 {
		text += ": " + Line(shorten(e.Hosts))
	}
	t.printf("  %s\n", t.paint(colourOf(e.Status), word+host+text))
	for _, d := range e.Details {
		t.printf("        %s\n", Line(d))
	}
	if e.Hint != "" {
		t.next("        ", e.Hint)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
