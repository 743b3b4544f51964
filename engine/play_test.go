package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

const log = "    - {name: one, sh: 'echo {{ inventory_hostname }} >> DIR/log'}\n"

func TestSerial(t *testing.T) {
	for serial, want := range map[string][]string{
		"2":         {"h1 h2", "h3 h4", "h5"},
		"40%":       {"h1 h2", "h3 h4", "h5"},
		"[1, 50%]":  {"h1", "h2 h3", "h4 h5"},
		"[1, 100%]": {"h1", "h2 h3 h4 h5"},
	} {
		w := newWorld(t).run(hosts(5), "- hosts: all\n  gather_facts: no\n  serial: "+serial+"\n  tasks:\n    - {name: who, find: \"{{ ansible_play_batch | join(' ') }}\"}\n")
		var got []string
		for _, e := range w.events {
			if e.Kind == event.Finding && (len(got) == 0 || got[len(got)-1] != e.Text) {
				got = append(got, e.Text)
			}
		}
		require.Equal(t, want, got, serial)
	}
}

// A batch over its budget ends the whole run, later plays too, as with Ansible.
func TestBudget(t *testing.T) {
	fail := func(hosts string) string {
		return "    - {name: fail, sh: 'exit 1', when: \"inventory_hostname in [" + hosts + "]\"}\n"
	}
	for _, c := range []struct {
		name, play, failing string
		want                []string // hosts that went through the last task
		later               bool     // whether the second play was begun
		note                string
	}{
		{"some failed", "", "'h1'", []string{"h2", "h3", "h4"}, true, ""},
		{"any_errors_fatal", "  any_errors_fatal: yes\n", "'h1'", nil, false, "1 of 4 hosts failed: the run ends here; plays not begun: 1; not finished on h2 h3 h4"},
		{"percentage met", "  max_fail_percentage: 25\n", "'h1'", []string{"h2", "h3", "h4"}, true, ""},
		{"percentage exceeded", "  max_fail_percentage: 24\n", "'h1'", nil, false, "1 of 4 hosts failed: the run ends here; plays not begun: 1; not finished on h2 h3 h4"},
		{"all of a batch", "  serial: 1\n", "'h2'", []string{"h1"}, false, "1 of 1 hosts failed: the run ends here; plays not begun: 1; not finished on h3 h4"},
		{"all", "", "'h1', 'h2', 'h3', 'h4'", nil, false, "4 of 4 hosts failed: the run ends here; plays not begun: 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.opt = func(o *Options) { o.Forks = 1 }
			w.run(hosts(4), "- hosts: all\n  gather_facts: no\n"+c.play+"  tasks:\n"+fail(c.failing)+log+
				"- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: two, sh: 'echo {{ inventory_hostname }} >> DIR/later'}\n")
			require.Equal(t, c.want, w.lines("log"))
			require.Equal(t, c.later, w.lines("later") != nil)
			require.NotContains(t, w.lines("later"), "h1", "a failed host is out for the rest of the run")
			notes := w.texts(event.Note)
			if c.note == "" {
				require.Empty(t, notes)
			} else {
				require.Equal(t, []string{c.note}, notes)
			}
			require.True(t, w.rep.Failed)
		})
	}
}

func TestUnreachableHoldsNobody(t *testing.T) {
	w := newWorld(t)
	w.dial = dead("h2")
	w.run(hosts(3), "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: who, find: \"{{ ansible_play_hosts | join(' ') }}\"}\n"+log)
	require.ElementsMatch(t, []string{"h1", "h3"}, w.lines("log"))
	require.Equal(t, []string{"h1 h1 h3", "h3 h1 h3"}, sorted(w.texts(event.Finding)))
	require.Equal(t, event.Counts{Unreachable: 1}, w.counts("h2"))
	require.Contains(t, w.result("", "h2").Hint, "dayops ping h2")
	require.True(t, w.rep.Unreachable)
	require.False(t, w.rep.Failed)
}

func TestRunOnce(t *testing.T) {
	const pb = "- hosts: all\n  gather_facts: no\n  serial: 2\n  tasks:\n    - {name: once, sh: 'echo x >> DIR/once; echo hello', run_once: yes, register: r}\n" +
		"    - {name: see, find: '{{ r.stdout }} {{ ansible_play_batch | join(\" \") }}'}\n"
	w := newWorld(t).run(hosts(5), pb)
	require.Equal(t, []string{"x"}, w.lines("once"))
	require.Equal(t, []string{"h1 hello h1 h2", "h2 hello h1 h2", "h3 hello h3 h4", "h4 hello h3 h4", "h5 hello h5"}, sorted(w.texts(event.Finding)))

	w = newWorld(t).run(hosts(3), "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: once, sh: 'exit 3', run_once: yes}\n"+log)
	require.Empty(t, w.lines("log"))
	require.Equal(t, "run_once failed on h1", w.result("once", "h3").Text)

	w = newWorld(t).run(hosts(3), "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: once, sh: 'exit 3', run_once: yes, ignore_errors: yes}\n"+log)
	require.Len(t, w.lines("log"), 3)
}

// In a dry run a run_once step is unknown for the host it runs on; it does not
// make files of the others unknown.
func TestRunOnceCloudsItsOwnHostOnly(t *testing.T) {
	w := newWorld(t)
	w.opt = check
	w.run(hosts(2), "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: once, sh: 'true', run_once: yes}\n"+
		"    - {name: file, write: {path: 'DIR/f-{{ inventory_hostname }}', content: x}}\n")
	require.Equal(t, event.Unknown, w.result("file", "h1").Status)
	require.Equal(t, event.Changed, w.result("file", "h2").Status)
}

func TestDelegate(t *testing.T) {
	w := newWorld(t)
	w.opt = func(o *Options) { o.Forks = 20 }
	w.run(hosts(6), "- hosts: all\n  gather_facts: no\n  vars: {own: '{{ inventory_hostname }}'}\n  tasks:\n"+
		// One after the other: the lock would be found otherwise.
		"    - {name: there, delegate_to: h1, sh: 'mkdir DIR/lock && sleep 0.02 && rmdir DIR/lock && echo {{ own }} >> DIR/log', register: r}\n"+
		"    - {name: here, delegate_to: localhost, find: '{{ r.rc }}'}\n"+
		"    - {name: nowhere, delegate_to: \"{{ 'no' ~ 'body' }}\", sh: 'true', when: own == 'h2'}\n")
	require.ElementsMatch(t, []string{"h1", "h2", "h3", "h4", "h5", "h6"}, w.lines("log"))
	require.Equal(t, "h1", w.result("there", "h3").Target)
	require.Empty(t, w.result("there", "h1").Target)
	require.Equal(t, event.Failed, w.result("nowhere", "h2").Status, "a wrong name is a failure, not an unreachable host")
	require.Contains(t, w.result("nowhere", "h2").Text, `"nobody" is not in the inventory`)
	require.False(t, w.rep.Unreachable)
	require.Equal(t, map[string]int{"h1": 1, "h2": 1, "h3": 1, "h4": 1, "h5": 1, "h6": 1}, w.dials)
}

func TestDelegateToDeadHost(t *testing.T) {
	w := newWorld(t)
	w.dial = dead("gone")
	w.run("h1\nh2\n[other]\ngone\n", "- hosts: h1:h2\n  gather_facts: no\n  tasks:\n    - {name: there, delegate_to: gone, sh: 'true', when: inventory_hostname == 'h1'}\n"+log)
	require.Equal(t, []string{"h2"}, w.lines("log"))
	e := w.result("there", "h1")
	require.Equal(t, event.Unreachable, e.Kind)
	require.Contains(t, e.Hint, "dayops ping gone", "the hint names the host that does not answer")
}

// A panic in a task is that host's failure.
func TestPanic(t *testing.T) {
	w := newWorld(t).run(hosts(2), "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: boom, boom: h1}\n"+log)
	require.Equal(t, []string{"h2"}, w.lines("log"))
	require.Contains(t, w.result("boom", "h1").Text, "panic: boom")
}

func TestEventsAreOneSequence(t *testing.T) {
	w := newWorld(t)
	w.dial = dead("h5")
	w.run(hosts(9), "- hosts: all\n  gather_facts: no\n  serial: 4\n  tasks:\n"+
		"    - {name: mixed, sh: 'test {{ item }} != b', loop: [a, b, c], when: inventory_hostname != 'h3', ignore_errors: \"{{ inventory_hostname == 'h2' }}\"}\n"+
		"    - {name: state, write: {path: 'DIR/f-{{ inventory_hostname }}', content: x}}\n")
	counts := map[string]*event.Counts{}
	at := func(h string) *event.Counts {
		if counts[h] == nil {
			counts[h] = &event.Counts{}
		}
		return counts[h]
	}
	for i, e := range w.events {
		require.EqualValues(t, i+1, e.Seq)
		switch {
		case e.Kind == event.Unreachable:
			at(e.Host).Unreachable++
		case e.Kind == event.Result && e.Step == "state" && e.Status == event.Changed:
			at(e.Host).OK++
			at(e.Host).Changed++
		}
	}
	for _, h := range []string{"h4", "h6", "h7", "h8", "h1"} {
		require.Equal(t, 1, w.counts(h).Failed, h)
		require.Zero(t, w.counts(h).Changed, h)
	}
	require.Equal(t, event.Counts{OK: 2, Changed: 2, Ignored: 1}, w.counts("h2"))
	require.Equal(t, event.Counts{OK: 1, Changed: 1, Skipped: 1}, w.counts("h3"))
	require.Equal(t, *at("h5"), w.counts("h5"))
	require.Zero(t, w.counts("h9"), "the second batch had no host left: the third is not begun")
	require.Equal(t, 3, w.rep.Changes, "as many as the recap's changed")
}
