package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// fickle is a plan of three stages: a file, a command that can be taken back, one
// that fails on a host while "fail" is there. What it does stands in a log.
func fickle(dir string, with func(*task.Plan)) scripted {
	sh := func(text string) []string { return []string{"/bin/sh", "-c", "cd " + dir + "; " + text} }
	return func(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
		p := task.Plan{OnFailure: task.Rollback, Stages: []task.Stage{{Window: 1}, {Window: 1}, {}}}
		for _, h := range in.Hosts {
			do := func(n int, c change.Change) {
				p.Stages[n].Steps = append(p.Stages[n].Steps, task.Step{Host: h.Host, Change: c})
			}
			if a := h.State["a"]; !a.Exists {
				do(0, writing(h.Params.Dir+"/a", fileState{File: a}, "a"))
			}
			made := h.Params.Dir + "/b"
			undo := &change.Exec{Argv: sh("echo undo-" + h.Host + " >>log; rm " + made), Done: &change.Probe{Path: made, Absent: true}}
			do(1, &change.Exec{Argv: sh("echo do-" + h.Host + " >>log; touch " + made), Done: &change.Probe{Path: made}, Undo: []*change.Exec{undo}})
			last := &change.Exec{Argv: sh("[ ! -e fail ] || [ " + h.Host + " != h2 ] || exit 3; touch " + h.Params.Dir + "/c"), Done: &change.Probe{Path: h.Params.Dir + "/c"}, Purpose: "finish " + h.Host}
			if h.Host != "h1" {
				last.Undo = []*change.Exec{{Argv: sh("rm " + h.Params.Dir + "/c"), Done: &change.Probe{Path: h.Params.Dir + "/c", Absent: true}}}
			}
			do(2, last)
			p.Finally = append(p.Finally, task.Step{Host: h.Host, Change: &change.Exec{Argv: sh("echo end-" + h.Host + " >>log"), Done: &change.Probe{Path: dir + "/never"}}})
		}
		if with != nil {
			with(&p)
		}
		return p, nil
	}
}

func newFickle(t *testing.T, with func(*task.Plan)) (*world, *diary) {
	w := newWorld(t)
	w.tasks = append(w.tasks, scriptedTask(task.State, fickle(w.dir, with)))
	for i := range 3 {
		require.NoError(t, os.Mkdir(filepath.Join(w.dir, fmt.Sprint("h", i+1)), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "fail"), nil, 0o600))
	return w, newDiary(w)
}

// left lists what is on the hosts.
func (w *world) left() (out []string) {
	all, err := filepath.Glob(filepath.Join(w.dir, "h?", "*"))
	require.NoError(w.t, err)
	for _, p := range all {
		out = append(out, strings.TrimPrefix(p, w.dir+"/"))
	}
	return out
}

func one(o *Options) { o.Forks = 1 }

func (d *diary) with(set func(*Options)) {
	was := d.w.opt
	d.w.opt = func(o *Options) { was(o); set(o) }
}

const threeHosts = "h1\nh2\nh3\n"

// What a plan did is taken back when it fails: stage by stage backwards, one
// host after the other where it went so forwards, then Finally.
func TestRollback(t *testing.T) {
	w, d := newFickle(t, nil)
	d.begin("r1")
	d.with(one)
	w.run(threeHosts, scriptedPlay)
	require.Equal(t, strings.Fields("do-h1 do-h2 do-h3 undo-h3 undo-h2 undo-h1 end-h1 end-h2 end-h3"), w.lines("log"))
	require.Equal(t, []string{"h1/c"}, w.left(), "that command says of itself that nothing takes it back")
	require.True(t, w.rep.Failed)
	require.Zero(t, w.rep.Changes)
	require.Equal(t, "taken back, because the plan failed: h2: exit code 3", w.result("it", "h3").Text)
	require.Equal(t, "exit code 3; then: taken back", w.result("it", "h2").Text)
	require.Contains(t, w.result("it", "h1").Text, "NOT taken back here: finish h1 (dayops does not know what the command does)")
	found := strings.Join(w.texts(event.Finding), "\n")
	require.Contains(t, found, "h1 taken back: write "+w.dir+"/h1/a (new, 1 bytes)")
	require.Contains(t, found, "h1 not taken back: finish h1")

	// Nothing is left to go on with, or to take back.
	for range 2 {
		d.again("r1")
		w.run(threeHosts, scriptedPlay)
		require.True(t, w.result("it", "h1").Earlier)
		require.Equal(t, []string{"h1/c"}, w.left())
	}
	require.NoError(t, d.j.Close())
	rep := d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed)
	require.Equal(t, []string{"h1/c"}, w.left())
	require.Len(t, w.lines("log"), 9)

	// A retry is a new beginning.
	require.NoError(t, os.Remove(filepath.Join(w.dir, "fail")))
	d.j, d.m, _ = d.h.Resume("r1")
	w.opt = func(o *Options) { o.RunID = "r1"; d.set(o) }
	require.NoError(t, d.j.TakeUp(d.took(), d.m, FailedOn(d.m, []string{"h1", "h2", "h3"})))
	w.run(threeHosts, scriptedPlay)
	require.False(t, w.rep.Failed, w.all())
	require.Len(t, w.left(), 9)
	require.NoError(t, d.j.Close())
	d.undo("r1", "u2")
	require.Equal(t, []string{"h1/c"}, w.left())
}

// A host that is lost over a rollback keeps the others from nothing, and a
// resume goes on with it there.
func TestRollbackIsResumed(t *testing.T) {
	for _, host := range []string{"h1", "h2", "h3"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			w, d := newFickle(t, nil)
			d.begin("r1")
			word := "echo undo-" + host
			w.wrap = func(c conn.Conn) conn.Conn { return lost{c, word} }
			w.run(threeHosts, scriptedPlay)
			require.True(t, w.rep.Unreachable)
			require.Contains(t, w.left(), host+"/a")
			require.Len(t, w.left(), 2, w.left())
			w.wrap = nil
			require.NoError(t, os.Remove(filepath.Join(w.dir, "fail")), "it would succeed now, but is not done forward again")
			d.again("r1")
			require.Len(t, d.m.InDoubt(), 1)
			w.run(threeHosts, scriptedPlay)
			require.Equal(t, []string{"h1/c"}, w.left())
			require.True(t, w.rep.Failed)
			require.Contains(t, w.result("it", host).Text, "taken back")
			require.Equal(t, 1, strings.Count(strings.Join(w.lines("log"), " "), "undo-"+host))
			d.again("r1")
			require.Empty(t, d.m.InDoubt())
			w.run(threeHosts, scriptedPlay)
			require.Equal(t, []string{"h1/c"}, w.left())
		})
	}
}

// Of several tries that were taken back the last one is told, every time.
func TestRollbackOfTriesIsTold(t *testing.T) {
	back := map[journal.Place]string{{Step: "1.1", Host: "h2", Try: 9}: "another host", {Step: "1.2", Host: "h1", Try: 9}: "another step", {Step: "1.1", Host: "h1", Item: 2, Try: 9}: "another item"}
	for try := 1; try <= 8; try++ {
		back[journal.Place{Step: "1.1", Host: "h1", Try: try}] = fmt.Sprintf("try %d", try)
	}
	r := &run{opt: Options{Memory: &journal.Memory{Rollbacks: back}}}
	for range 50 {
		var told *RolledBackError
		require.ErrorAs(t, r.tookBack(journal.Place{Step: "1.1", Host: "h1"}), &told)
		require.Equal(t, "try 8", told.Why)
	}
	require.NoError(t, r.tookBack(journal.Place{Step: "1.1", Host: "h3"}))
	cut := errors.New("lost")
	at := journal.Place{Step: "1.1", Host: "h1", Try: 8}
	r.back = map[journal.Place]*rollback{at: {on: map[string]*RolledBackError{"h1": {Why: "try 8"}}, cut: map[string]error{"h1": cut}}}
	require.ErrorIs(t, r.tookBack(journal.Place{Step: "1.1", Host: "h1"}), cut)
}

// took is the record of a controller that takes the run up.
func (d *diary) took() journal.Record { return journal.Record{Run: &d.m.Run} }

// What somebody changed since stays, and what was done before it on that host.
func TestRollbackLeavesWhatIsNotItsOwn(t *testing.T) {
	w, d := newFickle(t, func(p *task.Plan) {
		p.Stages[2].Steps[0].Change.(*change.Exec).Argv[2] += "; echo mine >" + p.Stages[2].Steps[0].Host + "/a"
	})
	d.begin("r1")
	d.with(one)
	w.run(threeHosts, scriptedPlay)
	require.Equal(t, []string{"h1/a", "h1/c"}, w.left())
	require.Contains(t, w.result("it", "h1").Text, "h1/a is not as planned: content was")
}

// A Wait and an Until that run out are failures too; an interrupt is none.
func TestRollbackWhen(t *testing.T) {
	never := &change.Wait{Path: "/nonexistent/x", Limit: 30 * time.Millisecond, Every: 10 * time.Millisecond}
	for name, with := range map[string]func(*task.Plan){
		"wait":  func(p *task.Plan) { p.Stages[2].Steps[2].Change = never },
		"until": func(p *task.Plan) { p.Stages[1].Until = never },
	} {
		w, d := newFickle(t, with)
		require.NoError(t, os.Remove(filepath.Join(w.dir, "fail")))
		d.begin("r1")
		d.with(one)
		w.run(threeHosts, scriptedPlay)
		require.NotContains(t, strings.Join(w.left(), " "), "/b", name)
		require.Contains(t, w.all(), "waited 30ms for", name)
	}
	stop := make(chan struct{})
	w, d := newFickle(t, func(p *task.Plan) {
		p.Stages[0].Until = &change.Wait{Delay: 300 * time.Millisecond, Limit: time.Second}
	})
	d.begin("r1")
	d.with(func(o *Options) { o.Stop, o.Forks = stop, 1 })
	go func() {
		for len(w.left()) == 0 {
			time.Sleep(time.Millisecond)
		}
		close(stop)
	}()
	w.run(threeHosts, scriptedPlay)
	require.True(t, w.rep.Interrupted)
	require.Equal(t, []string{"h1/a"}, w.left())
}

// witness is a gate that notes what it is asked, and may refuse one host.
type witness struct {
	asked  []string
	refuse string
}

func (q *witness) Claim(_ context.Context, c Claim) (func(), error) {
	q.asked = append(q.asked, c.Host+" "+c.Undoes)
	if c.Host == q.refuse {
		return nil, &GateError{Reason: "no, not " + c.Host}
	}
	return nil, nil
}

// A rollback passes the gates, which are told whose change is taken back.
func TestRollbackPassesGates(t *testing.T) {
	q := &witness{}
	w, d := newFickle(t, func(p *task.Plan) {
		for _, st := range p.Stages[1].Steps {
			st.Change.(*change.Exec).Undo[0].Class = change.Disruptive
		}
	})
	d.begin("r1")
	d.with(func(o *Options) { o.Gates, o.Forks = []Gate{q}, 1 })
	w.run(threeHosts, scriptedPlay)
	require.Equal(t, []string{"h3 script", "h2 script", "h1 script"}, q.asked)
	q.refuse, q.asked = "h2", nil
	w, d = newFickle(t, func(p *task.Plan) { p.Stages[1].Steps[1].Change.(*change.Exec).Undo[0].Class = change.Disruptive })
	d.begin("r1")
	d.with(func(o *Options) { o.Gates = []Gate{q} })
	w.run(threeHosts, scriptedPlay)
	require.Equal(t, []string{"h1/c", "h2/a", "h2/b"}, w.left())
	require.Contains(t, w.result("it", "h2").Text, "no, not h2")
}

// A plan of one host is taken back in the same way.
func TestRollbackOfOneHost(t *testing.T) {
	for _, word := range []string{"", "rm "} {
		d0 := task.Define(task.Spec[planned]{Name: "solo", Doc: "Fails.", Kind: func(planned) task.Kind { return task.Action }}, tiny[planned, none]{plan: func(in task.Input[planned, none]) (task.Plan, error) {
			made := in.Params.Dir + "/made"
			p := task.Do(&change.Exec{Argv: []string{"touch", made}, Done: &change.Probe{Path: made}, Undo: []*change.Exec{{Argv: []string{"sh", "-c", "rm " + made}, Done: &change.Probe{Path: made, Absent: true}}}},
				&change.Exec{Argv: []string{"false"}})
			p.OnFailure = task.Rollback
			return p, nil
		}})
		w := newWorld(t, d0)
		site := play("{name: it, solo: {dir: DIR}}")
		w.run("h1\n", site)
		require.Contains(t, w.result("it", "h1").Text, "needs a journal")
		require.NoFileExists(t, filepath.Join(w.dir, "made"))
		d := newDiary(w)
		d.begin("r1")
		if word != "" {
			w.wrap = func(c conn.Conn) conn.Conn { return lost{c, word} }
		}
		w.run("h1\n", site)
		require.NoFileExists(t, filepath.Join(w.dir, "made"))
		w.wrap = nil
		d.again("r1")
		w.run("h1\n", site)
		require.Contains(t, w.result("it", "h1").Text, "taken back")
		require.NoFileExists(t, filepath.Join(w.dir, "made"))
	}
}
