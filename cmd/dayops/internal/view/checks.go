package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/event"
)

// checks sums up the findings of a plan: what the cluster is, how many checks
// said what, and the arithmetic of its votes.
func (t *Text) checks(findings []event.Event) {
	heads, rest := Heads(findings)
	head := func(f event.Event) { t.wrapped(fmt.Sprintf("  %-8s  ", Line(f.Head)), Headed(f)) }
	if len(heads) > 0 {
		head(heads[0])
	}
	t.checked(rest)
	for _, f := range heads[min(1, len(heads)):] {
		head(f)
	}
}

// Heads tells what the cluster is from what was checked.
func Heads(findings []event.Event) (heads, rest []event.Event) {
	for _, f := range findings {
		if f.Head != "" && f.Status == event.OK {
			heads = append(heads, f)
		} else {
			rest = append(rest, f)
		}
	}
	return heads, rest
}

// Headed is the text of a finding whose head stands before it.
func Headed(f event.Event) string {
	return Line(strings.TrimPrefix(f.Text, strings.ToLower(f.Head)+" "))
}

func (t *Text) checked(rest []event.Event) {
	if len(rest) == 0 {
		return
	}
	of := func(s event.Status) []event.Event {
		return slices.DeleteFunc(slices.Clone(rest), func(f event.Event) bool { return f.Status != s })
	}
	ok, warn, bad := of(event.OK), of(event.Warn), of(event.Failed)
	line := fmt.Sprintf("%d ok, %s", len(ok), count(len(warn), "warning"))
	if len(bad) > 0 {
		line += fmt.Sprintf(", %d failed", len(bad))
	}
	t.wrapped("  Checks    ", line)
	for _, f := range slices.Concat(bad, warn) {
		label := map[event.Status]string{event.Warn: "warn", event.Failed: "fail"}[f.Status]
		t.wrapped("    "+t.paint(colourOf(f.Status), label)+"    ", about(f))
		if f.Hint != "" {
			t.wrapped("            ", "next: "+Line(withInventory(f.Hint, t.inv)))
		}
	}
	if len(ok) > 0 {
		t.wrapped("    "+t.paint(green, "ok")+"      ", joined(ok))
	}
}

// about is a finding with its host, where it does not begin with that.
func about(f event.Event) string {
	if f.Host == "" || strings.Contains(f.Text, f.Host) {
		return Line(f.Text)
	}
	return Line(f.Host) + ": " + Line(f.Text)
}

// joined puts good findings into one text, those of a host together.
func joined(all []event.Event) string {
	var hosts []string
	by := map[string][]string{}
	for _, f := range all {
		if by[f.Host] == nil {
			hosts = append(hosts, f.Host)
		}
		by[f.Host] = append(by[f.Host], Line(f.Text))
	}
	var out []string
	for _, h := range hosts {
		s := strings.Join(by[h], ", ")
		if h != "" {
			s = Line(h) + ": " + s
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}
