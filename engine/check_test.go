package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// A later step of a dry run is planned against what earlier ones would leave,
// and is unknown where it depends on what only a real run can tell.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.opt = check
	w.run("h1\nh2\n", play(
		"{name: first, write: {path: 'DIR/{{ inventory_hostname }}', content: \"a\\n\"}, register: f}",
		"{name: second, write: {path: 'DIR/{{ inventory_hostname }}', content: \"a\\nb\\n\"}, when: f is changed}",
		"{name: third, delegate_to: h1, write: {path: DIR/h2, content: x}, when: \"inventory_hostname == 'h2'\"}",
		"{name: command, sh: 'true', register: c, loop: [1, 2]}",
		"{name: set, set_fact: {v: '{{ c.results[0].stdout }}'}}",
		"{name: on its result, find: '{{ v }}'}",
		"{name: on its condition, find: x, when: c is changed}",
		"{name: default hides nothing, find: \"{{ c.rc | default('none') }}\"}",
		"{name: known, find: 'was {{ f.changed }}'}",
		"{name: there, write: {path: 'DIR/{{ inventory_hostname }}', content: z}}",
		"{name: may be there, write: {path: DIR/absent, content: z}}",
	))
	require.Contains(t, w.result("second", "h1").Changes[0].Diff, "@@ -1 +1,2 @@\n a\n+b\n")
	require.Equal(t, event.Changed, w.result("third", "h2").Status)
	for step, want := range map[string]event.Status{"command": event.Unknown, "set": event.Unknown, "on its result": event.Unknown,
		"on its condition": event.Unknown, "default hides nothing": event.Unknown, "known": event.OK, "there": event.Changed, "may be there": event.Unknown} {
		require.Equal(t, want, w.result(step, "h1").Status, step)
	}
	require.Equal(t, `unknown until "set" has run`, w.result("on its result", "h1").Text)
	require.Equal(t, 6, w.counts("h1").Unknown)
	require.Equal(t, 12, w.rep.Unknown)
	require.Equal(t, 3, w.counts("h1").Changed)
	require.Equal(t, []string(nil), w.lines("h1"))
	require.False(t, w.rep.Failed)
}

// changed_when: false is the playbook's word that a command only reads.
func TestDryRunOfWhatOnlyReads(t *testing.T) {
	w := newWorld(t)
	w.opt = check
	w.run("h1\n", "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: read, sh: 'true', changed_when: false, notify: h}\n"+
		"    - {name: file, write: {path: DIR/absent, content: z}}\n  handlers:\n    - {name: h, sh: 'true'}\n")
	require.Equal(t, event.Unknown, w.result("read", "h1").Status)
	require.Equal(t, event.Changed, w.result("file", "h1").Status)
	require.NotContains(t, strings.Join(w.said(), "\n"), "h h1")
}

func TestDryRunTellsFailures(t *testing.T) {
	w := newWorld(t)
	w.opt = check
	w.run("h1\nh2\n", play("{name: bad, find: {text: bad, fail: yes}, when: \"inventory_hostname == 'h1'\"}", "{name: next, write: {path: DIR/f, content: x}}"))
	require.Equal(t, []string{"bad h1 failed", "bad h2 skipped", "next h2 changed"}, sorted(w.said()))
	require.True(t, w.rep.Failed)
}
