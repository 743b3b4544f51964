package view

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/task"
)

// Staged is the plan of a cluster task: all of its hosts' changes are one plan,
// which reads by its stages and not by its hosts.
type Staged struct {
	Outline  event.Event    // of kind Stages
	Findings []event.Event  // of kind Finding
	Changes  []event.Change // Host filled in; those of one host in their order
}

// DefaultWidth is that of a text that goes to no terminal.
const DefaultWidth = 100

// Width is how wide text on w may be.
func Width(w io.Writer) int {
	const least, most = 60, 160
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return max(least, min(n, most))
		}
	}
	return DefaultWidth
}

// takeStaged keeps what belongs to the plan of a cluster task until all of it is
// there. It tells whether e needs no line of its own; the changes of one that does
// are told with the rest.
func (t *Text) takeStaged(e *event.Event) bool {
	mine := t.staged != nil && e.StepID == t.staged.Outline.StepID
	switch {
	case e.Kind == event.Stages:
		t.endStaged()
		t.staged = &Staged{Outline: *e}
	case e.Kind == event.Progress:
		return false
	case mine && e.Kind == event.Finding:
		t.staged.Findings = append(t.staged.Findings, *e)
	case mine && e.Kind == event.Forecast:
		for _, c := range e.Changes {
			c.Host = cmp.Or(c.Host, e.Host)
			t.staged.Changes = append(t.staged.Changes, c)
		}
		e.Changes = nil
		return e.Status != event.Failed && e.Status != event.Partial
	default:
		t.endStaged()
		return false
	}
	return true
}

func (t *Text) endStaged() {
	if s := t.staged; s != nil {
		t.staged = nil
		t.Staged(*s)
	}
}

// Staged shows the plan of a cluster task.
func (t *Text) Staged(s Staged) {
	if t.opt.Quiet {
		for _, f := range s.Findings {
			t.finding(f)
		}
		return
	}
	t.checks(s.Findings)
	names, hosts := s.columns()
	for i, st := range s.Outline.Stages {
		t.stage(fmt.Sprintf("%3d", i+1), st, s.Of(i+1), names, hosts)
	}
	if end := s.Of(0); len(end) > 0 {
		t.stage("  -", event.Stage{Name: "in any case", Hosts: hostsOf(end)}, end, names, hosts)
	}
	t.wrapped("  On failure  ", s.OnFailure())
	t.wrapped("  ", s.Sum())
}

// Of are the changes of a stage, in the order of its hosts; of 0 those in the end.
func (s Staged) Of(n int) []event.Change {
	out := slices.DeleteFunc(slices.Clone(s.Changes), func(c event.Change) bool { return c.Stage != n })
	if n > 0 {
		order := s.Outline.Stages[n-1].Hosts
		slices.SortStableFunc(out, func(a, b event.Change) int { return slices.Index(order, a.Host) - slices.Index(order, b.Host) })
	}
	return out
}

func hostsOf(cs []event.Change) (out []string) {
	for _, c := range cs {
		if !slices.Contains(out, c.Host) {
			out = append(out, c.Host)
		}
	}
	return out
}

// columns are the widths of the stages' names and hosts.
func (s Staged) columns() (names, hosts int) {
	const widest = 30
	for _, st := range s.Outline.Stages {
		names = max(names, min(len([]rune(Line(st.Name))), widest))
		hosts = max(hosts, min(len([]rune(Where(st))), widest))
	}
	return names, hosts
}

// Where is a stage's hosts in a few words.
func Where(s event.Stage) string {
	const most = 3
	names := slices.Clone(s.Hosts)
	for i, h := range names {
		if h == task.ControlMachine {
			names[i] = "this machine"
		}
	}
	if len(names) > most {
		return Line(fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1))
	}
	return Line(strings.Join(names, ", "))
}

// stage is a heading, what is done in a few words or change by change, and diffs.
func (t *Text) stage(no string, s event.Stage, changes []event.Change, names, hosts int) {
	g := Graded(changes)
	at := Where(s)
	marks := t.grade(g)
	if w := AtOnce(s); w != "" {
		marks = w + "  " + marks
	}
	head := fmt.Sprintf("%s %s  %-*s", no, t.paint(bold, fmt.Sprintf("%-*s", names, Line(s.Name))), hosts, at)
	if printed(head)+2+printed(marks) <= cmp.Or(t.opt.Width, DefaultWidth) {
		t.printf("%s  %s\n", head, marks)
	} else {
		t.printf("%s\n", strings.TrimRight(head, " "))
		t.wrapped(stageIndent, strings.ReplaceAll(marks, "  ", ", "))
	}
	if at != Line(strings.Join(s.Hosts, ", ")) && len(s.Hosts) > 1 {
		t.wrapped(stageIndent, "on "+Line(strings.Join(s.Hosts, ", ")))
	}
	many := len(s.Hosts) > 1
	if same := alike(changes); many && same != nil {
		changes, many = same, false
	}
	few := s.Does != "" && t.opt.Verbose == 0
	if few {
		t.wrapped(stageIndent, s.Does)
	}
	for _, c := range changes {
		if few && c.Risk == "safe" && c.Undo == "exact" && DiffOf(c) == "" {
			continue
		}
		t.stagedChange(c, many, len(changes) > 1)
	}
	if g.Until > 0 {
		t.wrapped(stageIndent, t.paint(cyan, fmt.Sprintf("unknown until %d is done: ", g.Until))+Line(g.Unknown))
	}
}

// alike is what every host gets, where all get the same; else nil.
func alike(changes []event.Change) (first []event.Change) {
	by := map[string][]event.Change{}
	for _, c := range changes {
		at := c.Host
		c.Host = ""
		by[at] = append(by[at], c)
	}
	for _, list := range by {
		if first == nil {
			first = list
		}
		if !slices.Equal(first, list) {
			return nil
		}
	}
	return first
}

// AtOnce says how many of a stage's hosts it comes to at once; "" where all.
func AtOnce(s event.Stage) string {
	switch {
	case s.Window == 0 || len(s.Hosts) < 2:
		return ""
	case s.Window == 1:
		return "one at a time"
	}
	return fmt.Sprintf("%d at a time", s.Window)
}

const stageIndent = "      "

func (t *Text) stagedChange(c event.Change, manyHosts, manyChanges bool) {
	text := Line(c.Summary)
	if manyHosts {
		text = Line(c.Host) + ": " + text
	}
	var marks []string
	if manyChanges && c.Risk != "safe" {
		marks = append(marks, t.paint(yellow, strings.ToUpper(c.Risk)))
	}
	switch c.Undo {
	case "none":
		marks = append(marks, "no undo"+why(c))
	case "partial":
		marks = append(marks, "partial undo"+why(c))
	}
	if len(marks) > 0 {
		text += " [" + strings.Join(marks, "; ") + "]"
	}
	t.wrapped(stageIndent, text)
	for _, l := range block(DiffOf(c), maxLines) {
		t.printf("%s  %s\n", stageIndent, t.paint(diffColour(l), l))
	}
}

// DiffOf is what of a change's diff its line does not say.
func DiffOf(c event.Change) string {
	if c.Kind == "dir" || c.Stage == 0 {
		return ""
	}
	lines := strings.SplitAfter(c.Diff, "\n")
	if len(lines) > 2 && strings.HasPrefix(lines[0], "--- ") && strings.HasPrefix(lines[1], "+++ ") {
		lines = lines[2:]
	}
	return strings.Join(lines, "")
}

// Grade is what a stage may cost and what of it is not known.
type Grade struct {
	Risk    string // the highest
	Undo    string // the worst
	Until   int    // the last stage that must be done before all of it is known
	Unknown string // what is not
}

// Graded sums up the changes of a stage.
func Graded(changes []event.Change) Grade {
	g := Grade{Risk: "safe", Undo: "exact"}
	var unknown []string
	for _, c := range changes {
		if c.Risk == "destructive" || c.Risk == "disruptive" && g.Risk == "safe" {
			g.Risk = c.Risk
		}
		if c.Undo == "none" || c.Undo == "partial" && g.Undo == "exact" {
			g.Undo = c.Undo
		}
		if g.Until = max(g.Until, c.Until); c.Until > 0 && !slices.Contains(unknown, c.Unknown) {
			unknown = append(unknown, c.Unknown)
		}
	}
	g.Unknown = strings.Join(unknown, ", ")
	return g
}

func (t *Text) grade(g Grade) string {
	s := g.Risk
	if g.Risk != "safe" {
		s = t.paint(yellow, strings.ToUpper(g.Risk))
	}
	switch g.Undo {
	case "none":
		s += "  no undo"
	case "partial":
		s += "  partial undo"
	}
	return s
}

// OnFailure says what becomes of what was done.
func (s Staged) OnFailure() string {
	if s.Outline.OnFailure != "rollback" {
		return "what was done stays, and no stage after it is begun"
	}
	text := "all that was done is taken back, the last stage first"
	if i := slices.IndexFunc(s.Outline.Stages, func(st event.Stage) bool { return st.Commit }); i >= 0 {
		text += fmt.Sprintf("; from stage %d on what was done stays", i+1)
	}
	return text
}

// Sum is the plan in one line.
func (s Staged) Sum() string {
	hosts := hostsOf(s.Changes)
	n := map[string]int{}
	for i := range s.Outline.Stages {
		g := Graded(s.Of(i + 1))
		n[g.Risk]++
		n[g.Undo]++
		if g.Until > 0 {
			n["unknown"]++
		}
	}
	text := count(len(hosts), "host")
	if slices.Contains(hosts, task.ControlMachine) {
		text += ", this machine among them"
	}
	return fmt.Sprintf("%s; %s: %d disruptive, %d destructive; %d not undoable, %d in part; %d unknown until another is done",
		text, count(len(s.Outline.Stages), "stage"), n["disruptive"], n["destructive"], n["none"], n["partial"], n["unknown"])
}

// wrapped prints text behind head, its further lines below it. Colours are not counted.
func (t *Text) wrapped(head, text string) {
	width := cmp.Or(t.opt.Width, DefaultWidth)
	line, n := head, 0
	for _, w := range strings.Fields(text) {
		if n > 0 && printed(line)+1+printed(w) > width {
			t.printf("%s\n", line)
			line, n = strings.Repeat(" ", printed(head)), 0
		}
		if n > 0 {
			line += " "
		}
		line += w
		n++
	}
	t.printf("%s\n", line)
}

// printed is how many columns s takes.
func printed(s string) int {
	n, esc := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			esc = true
		case esc:
			esc = r != 'm'
		default:
			n++
		}
	}
	return n
}
