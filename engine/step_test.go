package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// play is one play on all hosts, facts off.
func play(steps ...string) string {
	return "- hosts: all\n  gather_facts: no\n  tasks:\n    - " + strings.Join(steps, "\n    - ") + "\n"
}

func TestLoop(t *testing.T) {
	w := newWorld(t).run("h1\n", play(
		"{name: items, sh: 'echo {{ item }} >> DIR/log; echo got {{ item }}; test {{ item }} != b', loop: [a, b, c], register: r, ignore_errors: yes}",
		"{name: seen, find: '{{ r.results | length }} {{ r.results[2].stdout }} {{ r.results[2].item }} {{ r.results[1].failed }} {{ r.failed }}'}",
		"{name: dict, sh: 'echo {{ pair.key }}={{ pair.value }}', loop: \"{{ {'x': 1, 'y': 2} | dict2items }}\", loop_control: {loop_var: pair}, register: d}",
		"{name: seen dict, find: '{{ d.results | map(attribute=\"stdout\") | join(\",\") }} {{ d.results[0].pair.key }}'}",
		"{name: empty, sh: 'true', loop: [], register: e}",
		"{name: seen empty, find: '{{ e.skipped }} {{ e.changed }} {{ e.results | length }}'}",
		"{name: some, sh: 'true', loop: [1, 2], when: 'item == 2', register: s}",
		"{name: seen some, find: '{{ s.skipped }} {{ s.changed }} {{ s.results[0].skipped }}'}",
		"{name: none, sh: 'true', loop: '{{ s.results[0].stdout_lines }}', when: 's.results[0] is not skipped'}",
	))
	require.Equal(t, []string{"a", "b", "c"}, w.lines("log"), "a failing item does not stop the loop")
	require.Equal(t, []string{"h1 3 got c c True True", "h1 x=1,y=2 x", "h1 True False 0", "h1 False True True"}, w.texts(event.Finding))
	require.Equal(t, []string{"items h1 changed (a)", "items h1 ignored (b)", "items h1 changed (c)"}, w.said()[:3])
	require.Equal(t, `{"key":"x","value":1}`, w.result("dict", "h1").Item)
	require.Equal(t, "the loop is empty", w.result("empty", "h1").Text)
	require.Equal(t, event.Skipped, w.result("none", "h1").Status, "a false condition comes before a loop that has no values")
	require.False(t, w.rep.Failed)
}

func TestRetries(t *testing.T) {
	w := newWorld(t).run("h1\n", play(
		"{name: until, sh: 'echo x >> DIR/log; wc -l < DIR/log', until: r.stdout | int == 3, retries: 5, delay: 0, register: r}",
		"{name: seen, find: '{{ r.attempts }}'}",
		"{name: until it works, sh: 'echo x >> DIR/two; test $(wc -l < DIR/two) = 2', retries: 1, delay: 0}",
		"{name: never, sh: 'echo no', until: never.stdout == 'yes', retries: 2, delay: 0, register: never, ignore_errors: yes}",
	))
	require.Equal(t, []string{"h1 3"}, w.texts(event.Finding))
	require.Equal(t, "`until` did not hold after 3 attempts", w.result("never", "h1").Text)
	require.Contains(t, w.texts(event.Note), "h1 not yet; the next of 5 more attempts is in 0s")
	require.False(t, w.rep.Failed)
}

func TestJudgement(t *testing.T) {
	w := newWorld(t).run("h1\n", play(
		"{name: quiet, sh: 'true', changed_when: no}",
		"{name: by output, sh: 'echo new', changed_when: \"'new' in r.stdout\", register: r}",
		"{name: forgiven, sh: 'exit 2', failed_when: 'f.rc not in [0, 2]', register: f, changed_when: false}",
		"{name: by both, sh: 'echo bad', failed_when: ['b.rc == 0', \"'bad' in b.stdout\"], register: b, ignore_errors: yes}",
		"{name: ignored, sh: 'exit 4', ignore_errors: yes, changed_when: false, register: i}",
		"{name: seen, find: '{{ i.rc }} {{ i is failed }} {{ i.failed }}'}",
		"{name: skipped, sh: 'true', when: [true, 'i.rc == 0'], register: s}",
		"{name: seen skipped, find: '{{ s is skipped }} {{ s.changed }}'}",
		"{name: set, set_fact: {a: '{{ i.rc }}', b: [1, 2]}}",
		"{name: seen set, find: '{{ a }} {{ b[1] }}'}",
		"{name: cannot be judged, sh: 'echo x >> DIR/log', failed_when: j.nothing == 1, register: j}",
	))
	for step, want := range map[string]event.Status{"quiet": event.OK, "by output": event.Changed, "forgiven": event.OK, "by both": event.Ignored,
		"ignored": event.Ignored, "skipped": event.Skipped, "set": event.OK, "cannot be judged": event.Failed} {
		require.Equal(t, want, w.result(step, "h1").Status, step)
	}
	require.Equal(t, []string{"h1 4 True True", "h1 True False", "h1 4 2"}, w.texts(event.Finding))
	require.Equal(t, []string{"x"}, w.lines("log"))
	require.NotNil(t, w.result("cannot be judged", "h1").RC, "what the step gave is still told")
	require.Equal(t, 2, w.counts("h1").Changed, "by output, and by both that is ignored as with Ansible")
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	start := time.Now()
	w := newWorld(t).run("h1\nh2\n", play(
		"{name: slow, sh: 'sleep 20; touch DIR/late', timeout: 1, ignore_errors: yes, failed_when: false}",
		// Each waits for the other's turn; that is not the task's own time.
		"{name: in turn, delegate_to: h1, sh: 'sleep 2.5', timeout: 4}",
	))
	require.Less(t, time.Since(start), 25*time.Second)
	e := w.result("slow", "h1")
	require.Equal(t, event.Ignored, e.Status, "failed_when does not talk a command away that did not end")
	require.Equal(t, "the task took longer than 1s", e.Text)
	require.Equal(t, "took too long", e.Cause)
	require.False(t, w.rep.Failed)
	require.NoFileExists(t, filepath.Join(w.dir, "late"))
}

func TestTimeoutIsOfEachAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run("h1\n", play("{name: again, sh: 'sleep 1.2; echo x >> DIR/log; test $(wc -l < DIR/log) = 3', timeout: 3, retries: 4, delay: 0}"))
	require.Len(t, w.lines("log"), 3)
	require.False(t, w.rep.Failed)
}

func TestEnvironment(t *testing.T) {
	w := newWorld(t).run("h1\n", "- hosts: all\n  gather_facts: no\n  environment: {A: play, B: '{{ inventory_hostname }}'}\n  tasks:\n"+
		"    - {name: env, sh: 'echo $A $B $C', environment: {A: step, C: '{{ 1 + 1 }}'}, register: r}\n")
	require.Equal(t, "step h1 2\n", w.result("env", "h1").Stdout)
}

func TestBecome(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t).run("h1\n", play(
		"{name: other, sh: id -un, become: yes, become_user: nobody}",
		"{name: root, sh: id -un, become: yes}",
		"{name: unknown, sh: id -un, become: yes, become_user: no-such-user}",
	))
	require.Equal(t, "nobody\n", w.result("other", "h1").Stdout)
	require.Equal(t, "root\n", w.result("root", "h1").Stdout)
	require.Equal(t, event.Failed, w.result("unknown", "h1").Status)
	require.Equal(t, "check become_user", w.result("unknown", "h1").Hint)
}

func TestNotConverged(t *testing.T) {
	w := newWorld(t).run("h1\n", "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: never, write: {path: DIR/f, content: x, never: yes}, notify: h}\n"+
		"  handlers:\n    - {name: h, sh: 'true'}\n")
	require.Contains(t, w.result("never", "h1").Text, "not converged")
	require.True(t, w.rep.NotConverged)
	require.False(t, w.rep.Failed)
	require.Equal(t, event.Changed, w.result("h", "h1").Status, "the change was made: its handler runs")
}

func TestStateTwice(t *testing.T) {
	w := newWorld(t)
	pb := play("{name: f, write: {path: DIR/f, content: x}}")
	require.Equal(t, event.Changed, w.run("h1\n", pb).result("f", "h1").Status)
	require.Equal(t, event.OK, w.run("h1\n", pb).result("f", "h1").Status)
	require.Zero(t, w.rep.Changes)
}
