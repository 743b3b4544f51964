package view

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// What debug has to say are findings of a step whose result has no text.
func TestFindingsStandInForAResultWithoutText(t *testing.T) {
	ok := func(kind event.Kind, text string) event.Event {
		return event.Event{Kind: kind, Host: "h1", Status: event.OK, Text: text}
	}
	item := ok(event.Result, "")
	item.Item = "a"
	for name, c := range map[string]struct {
		opt    TextOptions
		events []event.Event
		want   string
	}{
		"one":         {TextOptions{}, []event.Event{ok(event.Finding, "s: txt"), ok(event.Result, "")}, "  ok          h1  s: txt\n"},
		"of an item":  {TextOptions{}, []event.Event{ok(event.Finding, "item: a"), item}, "  ok          h1  (a)  item: a\n"},
		"several":     {TextOptions{}, []event.Event{ok(event.Finding, "l: ["), ok(event.Finding, "\x1b[2J]"), ok(event.Result, "")}, "  ok          h1\n        | l: [\n        | \\u001b[2J]\n"},
		"lines":       {TextOptions{}, []event.Event{ok(event.Finding, "a"), ok(event.Finding, "b"), ok(event.Result, "a\nb")}, "  ok          h1\n        | a\n        | b\n"},
		"summed up":   {TextOptions{}, []event.Event{ok(event.Finding, "fine"), ok(event.Result, "all fine")}, "  ok          h1  all fine\n"},
		"verbose":     {TextOptions{Verbose: 1}, []event.Event{ok(event.Finding, "fine"), ok(event.Result, "all fine")}, "  ok          h1  all fine\n        | fine\n"},
		"quiet":       {TextOptions{Quiet: true}, []event.Event{ok(event.Finding, "s: txt"), ok(event.Result, ""), ok(event.Note, "so")}, ""},
		"quiet stale": {TextOptions{Quiet: true}, []event.Event{{Kind: event.Note, Status: event.Failed, Text: "stale", Details: []string{"h1 moved"}}}, "  stale\n        h1 moved\n"},
		"quiet warns": {TextOptions{Quiet: true}, []event.Event{{Kind: event.Note, Status: event.Warn, Text: "so"}}, "  warning: so\n"},
	} {
		var b strings.Builder
		v := NewText(&b, c.opt)
		v.Emit(event.Event{Kind: event.StepStart, Step: "s"})
		at := b.Len()
		for _, e := range c.events {
			v.Emit(e)
		}
		require.Equal(t, c.want, b.String()[at:], name)
	}
}
