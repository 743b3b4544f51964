package engine

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/task"
)

// clerk is a gate that writes down what it is asked.
type clerk struct {
	mu     sync.Mutex
	claims []Claim
	minds  func(Claim) bool  // nil: every change
	judge  func(Claim) error // nil: agrees
	hold   bool
}

func (k *clerk) Concerned(_ context.Context, c Claim) bool { return k.minds == nil || k.minds(c) }

func (k *clerk) Claim(_ context.Context, c Claim) (func(), error) {
	k.mu.Lock()
	k.claims = append(k.claims, c)
	k.mu.Unlock()
	if k.judge != nil {
		if err := k.judge(c); err != nil {
			return nil, err
		}
	}
	if k.hold {
		return func() {}, nil
	}
	return nil, nil
}

// made are the claims of the run itself, not of its forecast.
func (k *clerk) made() (out []Claim) {
	for _, c := range k.claims {
		if !c.Check {
			out = append(out, c)
		}
	}
	return out
}

func asked(t *testing.T, k *clerk) *world {
	return risky(t, approve(change.Disruptive), func(o *Options) { o.Gates = []Gate{k} })
}

// Steps, handlers and what is done in the end are asked for alike.
func TestGateHearsOfEverything(t *testing.T) {
	k := &clerk{hold: true}
	w := asked(t, k).run("[a]\nh1\nh2\n", `- hosts: all
  gather_facts: no
  tasks:
    - {name: step, risky: 'true', notify: handler}
    - {name: fin, risky: {cmd: 'true', finally: 'echo {{ inventory_hostname }} >> DIR/log'}}
  handlers:
    - {name: handler, risky: 'true'}
`)
	require.False(t, w.rep.Failed || w.rep.Refused, w.all())
	said := map[string]int{}
	for _, c := range k.made() {
		said[c.Step]++
	}
	require.Equal(t, map[string]int{"step": 2, "fin": 2, "handler": 2}, said)
	require.Len(t, w.lines("log"), 2)
}

// What a cluster task does in the end is asked for host by host, and no host
// keeps its turn from the next.
func TestGateHearsOfAClustersEnd(t *testing.T) {
	k := &clerk{hold: true}
	w := shaken(t, func(o *Options) { o.Gates = []Gate{k} }).run(threeMembers, shakes("", "cmd: 'true', last: 'echo HOST >> DIR/log'"))
	require.False(t, w.rep.Failed, w.all())
	require.ElementsMatch(t, []string{"m1", "m2", "m3"}, w.lines("log"))
	require.Len(t, k.made(), 6)
	for _, c := range k.made()[:3] {
		require.Len(t, c.Next, 1, "its own end")
	}
}

// A claim knows what its plan does afterwards.
func TestGateHearsWhatIsNext(t *testing.T) {
	k := &clerk{}
	w := shaken(t, func(o *Options) { o.Gates = []Gate{k} }).run(threeMembers, shakes("", "cmd: 'true'"))
	require.False(t, w.rep.Failed, w.all())
	for _, c := range k.claims {
		require.Empty(t, c.Next, "another host's steps are not its own")
	}
	one, two, three := &change.Exec{}, &change.Exec{}, &change.Exec{}
	steps := []task.Step{{Change: one}, {Host: "h2", Change: two}, {Host: "h1", Change: three}}
	before, next := around(steps, "h1", one)
	require.Equal(t, []change.Change{three}, next)
	require.Empty(t, before)
	before, next = around(steps, "h1", three)
	require.Empty(t, next)
	require.Equal(t, []change.Change{one}, before)
	before, next = around(steps, "h1", &change.Exec{Argv: []string{"not of it"}})
	require.Empty(t, append(before, next...))
}

// Where a gate holds nothing, and where it is no concern of its, hosts do not
// wait for one another.
func TestGateLetsBystandersGo(t *testing.T) {
	in := strings.ReplaceAll(strings.ReplaceAll(inside, "LOG", "log"), "0.15", "0.5")
	for _, k := range []*clerk{{}, {minds: func(Claim) bool { return false }, judge: func(Claim) error { return &GateError{Reason: "asked"} }}} {
		w := asked(t, k).run("[a]\nh1\nh2\nh3\n", "- hosts: all\n  gather_facts: no\n  throttle: 3\n  tasks: [{name: it, risky: {cmd: '"+in+"'}}]\n")
		require.False(t, w.rep.Failed || w.rep.Refused, w.all())
		require.Equal(t, 3, crowd(w.lines("log")), w.lines("log"))
	}
	k := &clerk{hold: true}
	w := asked(t, k).run("[a]\nh1\nh2\nh3\n", "- hosts: all\n  gather_facts: no\n  throttle: 3\n  tasks: [{name: it, risky: {cmd: '"+in+"'}}]\n")
	require.False(t, w.rep.Failed, w.all())
	require.Equal(t, 1, crowd(w.lines("log")), "what is held bars the others")
}

// heedful minds what is Safe too.
type heedful struct{ *clerk }

func (heedful) Minds(c change.Change) bool {
	e, ok := c.(*change.Exec)
	return ok && strings.Contains(strings.Join(e.Argv, " "), "precious")
}

// A gate that minds some Safe changes is asked about these, in a dry run and in
// the run; others are not asked about them.
func TestGateMindsWhatIsSafe(t *testing.T) {
	const pb = "- hosts: all\n  gather_facts: no\n  tasks:\n" +
		"    - {name: first, risky: {cmd: 'echo x >> DIR/log', risk: safe}}\n    - {name: second, risky: {cmd: 'echo precious >> DIR/log', risk: safe}}\n"
	refuse := func(Claim) error { return &GateError{Gate: "quorum", Reason: "not that"} }
	plain, k := &clerk{judge: refuse}, &clerk{judge: refuse, hold: true}
	both := func(o *Options) { o.Gates = []Gate{plain, heedful{k}} }
	w := risky(t, both).run("[a]\nh1\n", pb)
	require.True(t, w.rep.Refused, w.all())
	require.Equal(t, []string{"x"}, w.lines("log"))
	require.Contains(t, w.all(), "quorum: not that")
	require.Empty(t, plain.claims)
	require.Len(t, k.claims, 1)
	w = risky(t, check, both).run("[a]\nh1\n", pb)
	require.True(t, w.rep.Refused)
	require.Contains(t, w.all(), "quorum: not that")
	require.Empty(t, plain.claims)
	require.Len(t, k.claims, 2)

	// It may hold its claim, which bars other hosts.
	k.judge, k.claims = nil, nil
	in := strings.ReplaceAll(strings.ReplaceAll(inside, "LOG", "log"), "0.15", "0.3")
	w = risky(t, both).run("[a]\nh1\nh2\nh3\n", "- hosts: all\n  gather_facts: no\n  tasks: [{name: it, risky: {cmd: ': precious; "+in+"', risk: safe}}]\n")
	require.False(t, w.rep.Failed || w.rep.Refused, w.all())
	require.Len(t, k.claims, 3)
	require.Equal(t, 1, crowd(w.lines("log")))
}

// What a gate says of a change that it agrees to is shown by a dry run and by the run.
func TestGateWarns(t *testing.T) {
	k := &clerk{judge: func(c Claim) error { c.Warn("stands still", "wait"); return nil }}
	pb := "- hosts: all\n  gather_facts: no\n  tasks: [{name: it, risky: 'true'}]\n"
	w := asked(t, k).run("h1\n", pb)
	require.Equal(t, 1, strings.Count(w.all(), `"text":"stands still"`))
	w = risky(t, check, func(o *Options) { o.Gates = []Gate{k} }).run("h1\n", pb)
	require.Contains(t, strings.Join(w.texts(event.Finding), "\n"), "stands still")
	require.False(t, w.rep.Refused)
}

// An undo is asked for change by change, and says what made each.
func TestGateHearsOfAnUndo(t *testing.T) {
	k := &clerk{judge: func(c Claim) error {
		if c.Undoes != "restore" {
			return &GateError{Gate: "quorum", Reason: "not that one", Hint: "look"}
		}
		return nil
	}}
	w := risky(t)
	d := newDiary(w)
	d.begin("r1")
	for i, of := range []string{"restore", "risky"} {
		raw := func(c change.Change) []byte {
			data, err := change.Encode(c, change.EncodeOptions{Content: true})
			require.NoError(t, err)
			return data
		}
		made := journal.Change{Host: "h1", Task: of, Kind: "exec", Summary: of, Data: raw(&change.Exec{Argv: []string{"true"}})}
		back := journal.Change{Host: "h1", Kind: "exec", Data: raw(&change.Exec{Argv: []string{"/bin/sh", "-c", "echo " + of + " >> " + w.dir + "/out"}, Class: change.Disruptive,
			Done: &change.Probe{Path: "/nonexistent"}})}
		id := int64(i + 1)
		require.NoError(t, d.j.Append(journal.Record{Kind: journal.Intent, ID: id, Time: time.Now(), At: journal.Place{Step: "1.1", Host: "h1"}, Change: &made, Inverse: []journal.Change{back}}))
		require.NoError(t, d.j.Append(journal.Record{Kind: journal.Done, ID: id, Time: time.Now(), Outcome: []byte(`{"changed":true}`)}))
	}
	w.run("h1\n", "- hosts: all\n  gather_facts: no\n  tasks: []\n")
	require.NoError(t, d.j.Close())
	d.extra = func(o *Options) { o.Gates, o.Approve = []Gate{k}, change.Disruptive }
	rep := d.undo("r1", "u1")
	require.True(t, rep.Refused, "the last change of the run is the first to be taken back")
	require.Contains(t, w.all(), "not that one")
	require.Empty(t, w.lines("out"))
	var of []string
	for _, c := range k.claims {
		of = append(of, c.Undoes)
	}
	require.Equal(t, []string{"risky", "restore"}, of, "both are asked for in the forecast")
}

// What a killed controller left to be done in the end is asked for too.
func TestGateHearsOfWhatIsLeftOver(t *testing.T) {
	k := &clerk{judge: func(Claim) error { return &GateError{Gate: "quorum", Reason: "not now"} }}
	w := risky(t)
	d := newDiary(w)
	d.begin("r1")
	stop := &change.Exec{Argv: []string{"/bin/sh", "-c", "echo stopped >>" + w.dir + "/out"}, Class: change.Disruptive, Done: &change.Probe{Path: "/nonexistent"}}
	raw, err := change.Encode(stop, change.EncodeOptions{Content: true})
	require.NoError(t, err)
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Planned, At: journal.Place{Step: "1.1", Host: "h1"}, Now: time.Now(),
		Finally: []journal.Change{{Host: "h1", Kind: "exec", Summary: "stop", Data: raw}}}))
	d.again("r1")
	set := w.opt
	w.opt = func(o *Options) { set(o); o.Gates, o.Approve = []Gate{k}, change.Disruptive }
	w.run("h1\n", "- hosts: all\n  gather_facts: no\n  tasks: [{name: it, risky: {cmd: 'true', risk: safe}}]\n")
	require.Len(t, k.claims, 1)
	require.Equal(t, "risky", k.claims[0].Task)
	require.Empty(t, w.lines("out"))
	require.Contains(t, w.all(), "quorum: not now")
}
