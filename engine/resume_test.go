package engine

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/task"
)

// diary gives runs of a world a journal.
type diary struct {
	w *world
	h *journal.History
	j *journal.Journal
	m *journal.Memory

	extra func(*Options) // of an undo, what else it is given; may be nil
	hosts []string       // of an undo; nil: all
}

func newDiary(w *world) *diary { return &diary{w: w, h: journal.Open(filepath.Join(w.dir, "state"))} }

func (d *diary) set(o *Options) {
	o.Journal, o.Memory = d.j, d.m
	o.HostDir = filepath.Join(d.w.dir, "host")
	o.Aside = filepath.Join(o.HostDir, "aside")
	o.Owner = guard.Owner{Run: o.RunID, User: "u", Host: "here", PID: 1, Start: time.Now()}
	o.OpenBlob = d.h.OpenBlob
}

// begin is a new run.
func (d *diary) begin(run string) {
	events, err := d.h.Begin(run)
	require.NoError(d.w.t, err)
	require.NoError(d.w.t, events.Close())
	d.j, err = d.h.Create(run)
	require.NoError(d.w.t, err)
	d.m = nil
	require.NoError(d.w.t, d.j.Append(journal.Record{Kind: journal.Began, Run: &journal.Run{ID: run}}))
	d.w.opt = func(o *Options) { o.RunID = run; d.set(o) }
}

// again takes up a run that ended as by a kill.
func (d *diary) again(run string) {
	require.NoError(d.w.t, d.j.Close())
	var err error
	d.j, d.m, err = d.h.Resume(run)
	require.NoError(d.w.t, err)
	d.w.opt = func(o *Options) { o.RunID = run; d.set(o) }
}

// stopAfter interrupts the run when a step has a result.
func (d *diary) stopAfter(step string) {
	set, stop := d.w.opt, make(chan struct{})
	d.w.opt = func(o *Options) { set(o); o.Stop = stop }
	d.w.emit = func(e event.Event) {
		if e.Kind == event.Result && e.Step == step {
			select {
			case <-stop:
			default:
				close(stop)
			}
		}
	}
}

func TestResumeGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	site := "- hosts: all\n  gather_facts: no\n  tasks:\n" +
		"    - {name: one, sh: 'echo one >>DIR/out; echo said', register: r, loop: [1, 2], notify: h}\n" +
		"    - {name: two, write: {path: DIR/f, content: \"{{ r.results[1].stdout }}\\n\"}}\n" +
		"    - {name: three, sh: 'echo three >>DIR/out'}\n" +
		"  handlers:\n    - {name: h, sh: 'echo h >>DIR/out'}\n"
	d.begin("r1")
	d.stopAfter("one")
	w.run("h1\n", site)
	require.True(t, w.rep.Interrupted)
	require.Equal(t, []string{"one", "one"}, w.lines("out"))
	w.emit = nil
	d.again("r1")
	w.run("h1\n", site)
	require.Equal(t, []string{"one", "one", "three", "h"}, w.lines("out"))
	require.Equal(t, []string{"said"}, w.lines("f"))
	require.NoFileExists(t, filepath.Join(w.dir, "host", "lock"))
	require.NoDirExists(t, filepath.Join(w.dir, "host", "runs", "r1"))
	require.Equal(t, 4, w.counts("h1").OK)

	d.again("r1") // everything is known
	w.run("h1\n", site)
	require.Equal(t, []string{"one", "one", "three", "h"}, w.lines("out"))
	require.True(t, w.result("three", "h1").Earlier)
}

func TestNothingIsDoneThatIsNotJournalled(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	d.begin("r1")
	require.NoError(t, d.j.Close()) // a disk that is full, say
	w.run("h1\n", play("{name: one, sh: 'echo one >>DIR/out'}"))
	require.Empty(t, w.lines("out"))
	require.Contains(t, w.result("one", "h1").Text, "journal of run r1 cannot be written")
}

func TestSomebodyElseHasTheHost(t *testing.T) {
	w := newWorld(t)
	c, err := local.Dialer{}.Dial(t.Context(), conn.Target{Name: "x", Kind: "local"})
	require.NoError(t, err)
	other, err := guard.Acquire(t.Context(), c, "", guard.Owner{Run: "other", User: "ann", Host: "desk", PID: 7}, guard.Options{Dir: filepath.Join(w.dir, "host")})
	require.NoError(t, err)
	d := newDiary(w)
	d.begin("r1")
	w.run("h1\n", play("{name: look, find: x}", "{name: one, sh: 'echo one >>DIR/out'}"))
	require.True(t, w.rep.Locked)
	require.Equal(t, event.OK, w.result("look", "h1").Status)
	require.Contains(t, w.result("one", "h1").Text, "locked by run other of ann@desk (pid 7")
	require.Equal(t, "locked by run other", w.result("one", "h1").Cause)
	require.Empty(t, w.lines("out"))
	require.NoError(t, other.Release(t.Context()))

	// Two names of one host are one host: the run shares its lock.
	d.begin("r2")
	w.run("h1\nh2\nh3\n", play("{name: one, sh: 'echo one >>DIR/out'}"))
	require.Len(t, w.lines("out"), 3)
	require.False(t, w.rep.Locked)
}

// lost is a connection that breaks when the command with a word in it has ended.
type lost struct {
	conn.Conn
	word string
}

func (l lost) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	res, err := l.Conn.Run(ctx, c)
	if c.Guard != nil && strings.Contains(strings.Join(c.Argv, " "), l.word) {
		return conn.Result{}, &conn.LostError{Host: "h1", Doing: "a command", Err: io.ErrUnexpectedEOF}
	}
	return res, err
}

func TestResumeFindsWhatWasBegun(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	site := play("{name: one, sh: 'echo one >>DIR/out; echo said; exit 3', register: r, failed_when: r.rc != 3}", "{name: two, write: {path: DIR/f, content: '{{ r.stdout }}'}}")
	d.begin("r1")
	w.wrap = func(c conn.Conn) conn.Conn { return lost{c, "said"} }
	w.run("h1\n", site)
	require.Equal(t, event.Unreached, w.result("one", "h1").Status)
	w.wrap = nil
	d.again("r1")
	require.Len(t, d.m.InDoubt(), 1)
	w.run("h1\n", site)
	require.Equal(t, []string{"one"}, w.lines("out"))
	require.Equal(t, []string{"said"}, w.lines("f"))
}

func TestWhatCannotBeKnownIsNamed(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	site := play("{name: one, sh: 'echo one >>DIR/out; kill -9 $PPID $$', register: r}", "{name: two, write: {path: DIR/f, content: x}}")
	d.begin("r1")
	w.wrap = func(c conn.Conn) conn.Conn { return lost{c, "echo one"} }
	w.run("h1\n", site)
	w.wrap = nil
	d.again("r1")
	w.run("h1\n", site)
	require.True(t, w.rep.Failed)
	e := w.result("resume", "h1")
	require.Contains(t, e.Text, "change 1, run /bin/sh")
	require.Contains(t, e.Hint, "dayops resume r1 --done 1")
	require.Empty(t, w.lines("f"))
	require.Equal(t, []string{"one"}, w.lines("out"))

	d.again("r1")
	set := w.opt
	w.opt = func(o *Options) { set(o); o.Answers = map[int64]Answer{1: AnswerDone} }
	w.run("h1\n", site)
	require.Equal(t, []string{"x"}, w.lines("f"))
	require.Equal(t, []string{"one"}, w.lines("out"))
}

func TestResumeDoesWhatMustBeDoneInTheEnd(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	d.begin("r1")
	at := journal.Place{Step: "1.1", Host: "h1"}
	start := &change.Exec{Argv: []string{"/bin/sh", "-c", "echo started >>" + w.dir + "/out"}}
	raw, err := change.Encode(start, change.EncodeOptions{Content: true})
	require.NoError(t, err)
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Planned, At: at, Now: time.Now(),
		Finally: []journal.Change{{Host: "h1", Kind: "exec", Summary: "start", Data: raw}}}))
	d.again("r1")
	w.run("h1\n", play("{name: one, sh: 'echo one >>DIR/out'}"))
	require.Equal(t, []string{"started", "one"}, w.lines("out"))
}

// What a host got in doubt is compared with the file of another host, before
// that one puts the file away.
func TestResumeLooksBeforeItPutsAway(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	d.begin("r1")
	staging, to := filepath.Join(w.dir, "staging"), filepath.Join(w.dir, "key")
	require.NoError(t, os.Mkdir(staging, 0o700))
	from := filepath.Join(staging, "key")
	for _, f := range []string{from, to} {
		require.NoError(t, os.WriteFile(f, []byte("a key\n"), 0o600))
	}
	kept := func(host string, c change.Change) journal.Change {
		raw, err := change.Encode(c, change.EncodeOptions{Content: true})
		require.NoError(t, err)
		return journal.Change{Host: host, Kind: c.Kind(), Summary: c.Summary(), Data: raw}
	}
	move := kept("h2", &change.Transfer{FromPeer: "h1", FromPath: from, ToFile: to})
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Planned, At: journal.Place{Step: "1.1"}, Now: time.Now(),
		Finally: []journal.Change{kept("h1", &change.Exec{Argv: []string{"rm", "-r", staging}})}}))
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Intent, At: journal.Place{Step: "1.1"}, ID: 1, Time: time.Now(), Change: &move}))
	d.again("r1")
	set := w.opt
	w.opt = func(o *Options) { set(o); o.Forks = 1 }
	w.run("h1\nh2\n", play("{name: one, sh: 'true'}"))
	require.False(t, w.rep.Failed, w.events)
	require.NoDirExists(t, staging)
	m, err := d.h.Read("r1")
	require.NoError(t, err)
	require.Equal(t, journal.Done, m.Steps[0].State)
	require.False(t, m.Steps[0].Again)
}

// What the plan of a cluster did in the end is not done again by a later resume.
func TestResumeLeavesWhatAClusterHasDone(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	d.begin("r1")
	var finally []journal.Change
	for _, h := range []string{"h1", "h2"} {
		start := &change.Exec{Argv: []string{"/bin/sh", "-c", "echo started-" + h + " >>" + w.dir + "/out"}}
		raw, err := change.Encode(start, change.EncodeOptions{Content: true})
		require.NoError(t, err)
		finally = append(finally, journal.Change{Host: h, Kind: "exec", Summary: "start", Data: raw})
	}
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Planned, At: journal.Place{Step: "1.1"}, Now: time.Now(), Finally: finally}))
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Finished, At: journal.Place{Step: "1.1", Host: "h1"}, Result: []byte(`{"Status":"changed"}`)}))
	d.again("r1")
	w.run("h1\nh2\n", play("{name: one, sh: 'true'}"))
	require.Equal(t, []string{"started-h2"}, w.lines("out"))
}

func TestRetryOfWhatFailed(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	site := play("{name: one, sh: 'echo one-{{ inventory_hostname }} >>DIR/out'}", "{name: two, sh: 'test -e DIR/there && echo two-{{ inventory_hostname }} >>DIR/out', when: \"inventory_hostname == 'h2'\"}")
	d.begin("r1")
	w.run("h1\nh2\n", site)
	require.True(t, w.rep.Failed)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "there"), nil, 0o600))
	d.again("r1")
	require.NoError(t, d.j.TakeUp(journal.Record{Run: &d.m.Run}, d.m, FailedOn(d.m, []string{"h2"})))
	w.run("h1\nh2\n", site)
	require.False(t, w.rep.Failed)
	require.ElementsMatch(t, []string{"one-h1", "one-h2", "two-h2"}, w.lines("out"))
}

// undo runs what takes back run.
func (d *diary) undo(run, as string, force ...string) Report {
	w := d.w
	m, err := d.h.Read(run)
	require.NoError(w.t, err)
	bound, err := Undo(m, UndoOptions{Hosts: d.hosts, Force: force, OpenBlob: func(name string) (io.ReadCloser, error) { return d.h.OpenBlob(run, name) }})
	require.NoError(w.t, err)
	inv, err := inventory.Load([]string{filepath.Join(w.dir, "inventory")})
	require.NoError(w.t, err)
	d.begin(as)
	w.events = nil
	opt := Options{RunID: as, Undone: m, Playbook: bound, Inventory: inv, Dialer: w, Sink: w, Redactor: &secret.Redactor{}, Now: time.Now,
		ExitCode: func(Report) (int, string) { return 0, "" }, Stop: make(chan struct{})}
	d.set(&opt)
	if d.extra != nil {
		d.extra(&opt)
	}
	return Run(w.t.Context(), opt)
}

func TestUndo(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	file := filepath.Join(w.dir, "f")
	require.NoError(t, os.WriteFile(file, []byte("old\n"), 0o640))
	d.begin("r1")
	w.run("h1\n", play("{name: a, write: {path: DIR/f, content: \"a\\n\"}}", "{name: b, write: {path: DIR/f, content: \"b\\n\"}}",
		"{name: new, write: {path: DIR/new, content: n}}", "{name: other, write: {path: DIR/other, content: n}}", "{name: cmd, sh: 'true'}"))
	require.NoError(t, d.j.Close())
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "other"), []byte("mine"), 0o600))

	rep := d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed)
	require.Equal(t, []string{"old"}, w.lines("f"))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	require.NoFileExists(t, filepath.Join(w.dir, "new"))
	require.Equal(t, []string{"mine"}, w.lines("other"))
	found := strings.Join(w.texts(event.Finding), "\n")
	require.Contains(t, found, "left alone, somebody changed it since: remove "+w.dir+"/other")
	require.Contains(t, found, "cannot be undone: run /bin/sh -c true")

	rep = d.undo("r1", "u2", w.dir+"/other")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed)
	require.NoFileExists(t, filepath.Join(w.dir, "other"))

	rep = d.undo("u1", "u3") // an undo is a run like others
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed)
	require.Equal(t, []string{"b"}, w.lines("f"))
	require.Equal(t, []string{"n"}, w.lines("new"))
}

func TestKeptResultComesBack(t *testing.T) {
	code := result{status: event.Changed, changed: true, attempts: 2, own: map[string]any{"n": int64(3), "f": 1.5, "l": []any{int64(1)}},
		facts: map[string]any{"x": int64(7)}, outcome: task.Outcome{Changed: true, Steps: []change.Outcome{{Changed: true, Exec: &conn.Result{Code: 3,
			Stdout: conn.Capture{Head: []byte("a\x00\xff")}}}}}}
	raw, err := json.Marshal(kept(&code))
	require.NoError(t, err)
	at := journal.Place{Step: "1.1", Host: "h"}
	r := &run{opt: Options{Memory: &journal.Memory{Results: map[journal.Place]json.RawMessage{at: raw}}}}
	back, ok := r.recall(at)
	require.True(t, ok)
	require.Equal(t, code.registered(), back.registered())
	require.Equal(t, code.facts, back.facts)
}
