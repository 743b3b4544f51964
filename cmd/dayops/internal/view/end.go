package view

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/dayops/dayops/engine/event"
)

// failures groups what went wrong by step and cause: forty hosts with one
// reason are one entry.
type failures struct {
	order  []string
	groups map[string]*failureGroup
}

type failureGroup struct {
	id, step, cause, hint string
	status                event.Status
	hosts                 []string
}

func (f *failures) add(e event.Event) {
	cause := e.Cause
	if cause == "" {
		cause = e.Text
	}
	key := e.StepID + "\x00" + cause
	g := f.groups[key]
	if g == nil {
		if f.groups == nil {
			f.groups = map[string]*failureGroup{}
		}
		g = &failureGroup{id: e.StepID, step: e.Step, cause: cause, hint: e.Hint, status: e.Status}
		f.groups[key] = g
		f.order = append(f.order, key)
	}
	if !slices.Contains(g.hosts, e.Host) {
		g.hosts = append(g.hosts, e.Host)
	}
}

func (t *Text) showFailures() {
	if len(t.failures.order) == 0 {
		return
	}
	t.heading("WHAT WENT WRONG", "")
	for _, key := range t.failures.order {
		g := t.failures.groups[key]
		where := ""
		if g.step != "" {
			where = "  in " + Line(g.step)
		}
		t.printf("  %s%s\n", t.paint(colourOf(g.status), Line(g.cause)), where)
		t.printf("      %s: %s\n", count(len(g.hosts), "host"), Line(shorten(g.hosts)))
		if g.hint != "" {
			t.next("      ", forAll(g.hint, g.hosts))
		}
	}
}

// forAll turns a command that names the first host into one for all of them.
func forAll(hint string, hosts []string) string {
	if rest, ok := strings.CutPrefix(hint, "dayops "); ok {
		return "dayops " + strings.Replace(rest, hosts[0], strings.Join(hosts, ","), 1)
	}
	return hint
}

func shorten(hosts []string) string {
	const most = 8
	if len(hosts) <= most {
		return strings.Join(hosts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(hosts[:most], ", "), len(hosts)-most)
}

// end shows the recap in Ansible's words, the failures by cause, one line that
// sums up, and the exit code with its meaning.
func (t *Text) end(e event.Event) {
	t.heading("PLAY RECAP", "")
	for _, r := range t.recap {
		c := r.Counts
		status := event.OK
		switch {
		case c.Failed+c.Unreachable > 0:
			status = event.Failed
		case c.Changed > 0:
			status = event.Changed
		}
		s := fmt.Sprintf("%-*s : ok=%-4d changed=%-4d unreachable=%-4d failed=%-4d skipped=%-4d rescued=0    ignored=%d",
			t.width, Line(r.Host), c.OK, c.Changed, c.Unreachable, c.Failed, c.Skipped, c.Ignored)
		if c.Partial > 0 {
			s += fmt.Sprintf("    partial=%d", c.Partial)
		}
		if c.Unknown > 0 {
			s += fmt.Sprintf("    unknown=%d", c.Unknown)
		}
		if !t.opt.Quiet || status == event.Failed {
			t.printf("%s\n", t.paint(colourOf(status), s))
		}
	}
	t.showFailures()
	t.summary(e)
}

func (t *Text) summary(e event.Event) {
	code := 0
	if e.Code != nil {
		code = *e.Code
	}
	if t.opt.Quiet && code == 0 {
		return
	}
	word, colour := outcomeOf(code)
	changes, unknown := number(e.Data["changes"]), number(e.Data["unknown"])
	verb := "changed"
	if t.check {
		verb = "would change"
	}
	what := fmt.Sprintf("%d %s", changes, verb)
	if t.check || unknown > 0 {
		what += fmt.Sprintf(", %d unknown until an earlier step has run", unknown)
	}
	if f, ok := e.Data["forecast"].(map[string]any); ok {
		what += fmt.Sprintf(" (forecast: %d, %d unknown", number(f["changes"]), number(f["unknown"]))
		if n := number(f["differences"]); n > 0 {
			what += fmt.Sprintf(", %s", count(n, "difference"))
		}
		what += ")"
	}
	t.printf("\n%s  %s  %.1fs\n", t.paint(colour, word), what, e.Seconds)
	if len(t.failures.order) > 0 {
		t.printf("next: dayops history show %s -v    all that was said\n", Line(e.Run))
	}
	t.showResume(code, e.Run)
	if code != 0 {
		t.printf("exit %d%s\n", code, bracket(Line(e.Text)))
	}
}

// showResume names the command that goes on with what did not end well.
func (t *Text) showResume(code int, run string) {
	failed := false
	for _, r := range t.recap {
		failed = failed || r.Counts != nil && r.Counts.Failed+r.Counts.Unreachable > 0
	}
	switch {
	case !t.resume || t.check || code == 6 || code == 8:
	case code == 130:
		t.printf("next: dayops resume %s    goes on where it was stopped\n", Line(run))
	case failed:
		t.printf("next: dayops resume %s --retry-failed    the hosts that failed, from where they failed\n", Line(run))
	}
}

// inventoryOptions are -i of the run's inventory, as they would be typed.
func inventoryOptions(e event.Event) string {
	inv, _ := e.Data["inventory"].(string)
	if inv == "" {
		return ""
	}
	s := ""
	for _, part := range strings.Split(inv, ", ") {
		if strings.ContainsFunc(part, func(r rune) bool {
			return !strings.ContainsRune("._-/,:[]@", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}) {
			part = "'" + strings.ReplaceAll(part, "'", `'\''`) + "'"
		}
		s += " -i " + part
	}
	return s
}

// withInventory completes a command that needs the inventory to find its hosts:
// a hint is the command, and behind three blanks a remark.
func withInventory(hint, inv string) string {
	words := strings.Fields(hint)
	if slices.Contains(words, "-i") {
		return hint
	}
	for _, command := range []string{"dayops ping ", "dayops unlock "} {
		if at := strings.Index(hint, command); at >= 0 {
			head, remark, found := strings.Cut(hint[at:], "   ")
			if found {
				remark = "   " + remark
			}
			return hint[:at] + head + inv + remark
		}
	}
	return hint
}

// outcomeOf sums up an exit code in a word.
func outcomeOf(code int) (word, colour string) {
	switch code {
	case 0, 10:
		return "DONE", green
	case 3:
		return "INCOMPLETE", yellow
	case 6:
		return "REFUSED", yellow
	case 8:
		return "STALE", yellow
	case 11:
		return "LOCKED", yellow
	case 130:
		return "INTERRUPTED", yellow
	}
	return "FAILED", red
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// number reads a count that may have been through JSON.
func number(v any) int {
	switch n := v.(type) {
	case int:
		return n
	case float64:
		return int(n)
	}
	return 0
}
