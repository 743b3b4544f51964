package engine

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// row is a plan of one host after the other: what each does, and its undo, stands in a log.
func row(dir string, order ...string) task.Plan {
	var p task.Plan
	for _, name := range order {
		sh := func(text string) []string { return []string{"/bin/sh", "-c", "cd " + dir + "; echo " + text} }
		host, what, _ := strings.Cut(name, "-")
		made := filepath.Join(dir, "made-"+name)
		p.Stages = append(p.Stages, task.Stage{Steps: []task.Step{{Host: host, Change: &change.Exec{
			Argv: sh("do-" + name + " >>log; touch " + made), Done: &change.Probe{Path: made}, Purpose: "do " + what, NoReturn: what == "forgood",
			Undo: []*change.Exec{{Argv: sh("undo-" + name + " >>log; rm " + made), Done: &change.Probe{Path: made, Absent: true}, Purpose: "undo " + what}},
		}}}})
	}
	return p
}

func inARow(t *testing.T, with func(*task.Plan, string), order ...string) (*world, *diary) {
	w := newWorld(t)
	w.tasks = append(w.tasks, scriptedTask(task.State, func(task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
		p := row(w.dir, order...)
		if with != nil {
			with(&p, w.dir)
		}
		return p, nil
	}))
	d := newDiary(w)
	d.begin("r1")
	w.run("h1\nh2\n", scriptedPlay)
	require.NoError(t, d.j.Close())
	return w, d
}

// What a plan of several hosts did is taken back in the opposite order, also
// across hosts: a member leaves the cluster on one host before it is stopped on another.
func TestUndoKeepsTheOrderOfHosts(t *testing.T) {
	w, d := inARow(t, nil, "h2-install", "h1-add", "h2-start", "h1-promote", "h1-config")
	rep := d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed || rep.Partial, w.all())
	require.Equal(t, strings.Fields("undo-h1-config undo-h1-promote undo-h2-start undo-h1-add undo-h2-install"), w.lines("log")[5:])
}

// A plan with a step of no return stays as it is, before and after it; the undo says so.
func TestUndoLeavesWhatGoesWithAStepOfNoReturn(t *testing.T) {
	w, d := inARow(t, nil, "h1-leader", "h1-forgood", "h2-stop")
	rep := d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.True(t, rep.Partial, w.all())
	require.Len(t, w.lines("log"), 3, "nothing is taken back")
	require.Contains(t, w.all(), "cannot be undone: do forgood (it is for good)")
	require.Contains(t, w.all(), "left alone, it goes with what cannot be undone: h2: do stop")
	require.Contains(t, w.all(), "left alone, it goes with what cannot be undone: h1: do leader")
	require.Equal(t, event.Partial, w.result("undo", "h1").Status)
	for _, e := range w.events {
		require.NotEqual(t, "h2", e.Host, "the plan may have parted with it: %v", e)
	}
}

// A step of no return of which nobody heard how it ended: its host tells whether
// it was made. Where that cannot be asked it stands.
func TestUndoAsksForAStepOfNoReturn(t *testing.T) {
	for name, c := range map[string]struct {
		gone bool // it was not made
		host string
		does []string
		says string
	}{
		"made":      {false, "", nil, "left alone, it goes with what cannot be undone: h2: do add"},
		"not made":  {true, "", []string{"undo-h2-add"}, ""},
		"not asked": {true, "h2", nil, "left alone: do add"},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := inARow(t, nil, "h2-add", "h1-forgood")
			journal := filepath.Join(w.dir, "state/runs/r1/journal.jsonl")
			text, err := os.ReadFile(journal)
			require.NoError(t, err)
			end := strings.LastIndex(string(text), `"kind":"done"`)
			end = strings.LastIndex(string(text[:end]), "\n") + 1
			require.NoError(t, os.WriteFile(journal, text[:end], 0o600))
			if c.gone {
				require.NoError(t, os.Remove(filepath.Join(w.dir, "made-h1-forgood")))
			}
			if c.host != "" {
				d.hosts = []string{c.host}
			}
			rep := d.undo("r1", "u1")
			require.NoError(t, d.j.Close())
			require.False(t, rep.Failed, w.all())
			require.Equal(t, c.does == nil, rep.Partial, w.all())
			require.Equal(t, append([]string{"do-h2-add", "do-h1-forgood"}, c.does...), w.lines("log"))
			require.Contains(t, w.all(), c.says)
		})
	}
}

// What must hold after a plan has been taken back is waited for: by a rollback, by
// one that is taken up, and by an undo.
func TestBackIsWaitedFor(t *testing.T) {
	holds := func(p *task.Plan, dir string) {
		p.Back = []task.Step{{Host: "h2", Change: &change.Wait{Path: filepath.Join(dir, "well"), Limit: 50 * time.Millisecond, Every: 10 * time.Millisecond, What: "h2 to be well"}}}
	}
	w, d := inARow(t, holds, "h1-one")
	require.False(t, w.rep.Failed, w.all())
	rep := d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.True(t, rep.Failed, "an undo")
	require.Contains(t, w.all(), "h2 to be well")
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "well"), nil, 0o600))
	rep = d.undo("r1", "u2")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed, w.all())

	fails := func(p *task.Plan, dir string) {
		holds(p, dir)
		p.OnFailure = task.Rollback
		p.Stages = append(p.Stages, task.Stage{Steps: []task.Step{{Host: "h1", Change: &change.Exec{Argv: []string{"false"}}}}})
	}
	w, d = inARow(t, fails, "h1-one")
	require.Contains(t, w.result("it", "h2").Text, "h2 to be well", "a rollback")
	m, err := d.h.Read("r1")
	require.NoError(t, err)
	require.Len(t, m.Plans[journal.Place{Step: "1.1"}].After, 1)
}

// A plan that is made again is told what the run has made of it before.
func TestPlanKnowsWhatWasMade(t *testing.T) {
	w := newWorld(t)
	seen := map[string][]int{}
	w.tasks = append(w.tasks, scriptedTask(task.State, func(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
		for _, h := range in.Hosts {
			seen[h.Host] = append(seen[h.Host], len(h.Made))
		}
		p := row(w.dir, "h1-one", "h2-two")
		if _, err := os.Stat(filepath.Join(w.dir, "made-h2-two")); err == nil {
			p = task.Plan{}
		}
		return p, nil
	}))
	d := newDiary(w)
	d.begin("r1")
	d.with(func(o *Options) {
		one(o)
		stop := make(chan struct{})
		o.Stop = stop
		go func() {
			for len(w.lines("log")) == 0 {
				time.Sleep(time.Millisecond)
			}
			close(stop)
		}()
	})
	w.run("h1\nh2\n", scriptedPlay)
	d.again("r1")
	w.run("h1\nh2\n", scriptedPlay)
	require.False(t, w.rep.Failed, w.all())
	require.Equal(t, []string{"do-h1-one", "do-h2-two"}, w.lines("log"))
	require.Equal(t, []int{0, 0, 0, 1, 1, 0}, seen["h1"], "the look afterwards is of a run that owes nothing")
}

// A Wait of an earlier controller's Finally that does not come true keeps its
// host from nothing: the rest of the run may be about to bring it.
func TestPendingWaitIsNoFailure(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	d.begin("r1")
	raw, err := change.Encode(&change.Wait{Path: filepath.Join(w.dir, "f"), Limit: 30 * time.Millisecond, Every: 10 * time.Millisecond}, change.EncodeOptions{})
	require.NoError(t, err)
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Planned, At: journal.Place{Step: "1.1", Host: "h1"}, Now: time.Now(),
		Finally: []journal.Change{{Host: "h1", Kind: "wait", Summary: "wait", Data: raw}}}))
	d.again("r1")
	w.run("h1\n", play("{name: a, write: {path: DIR/f, content: \"a\\n\"}}"))
	require.False(t, w.rep.Failed, w.all())
	require.Equal(t, event.Changed, w.result("a", "h1").Status)
}

// A plan is kept with the time that it was made with: hosts are locked, and
// people asked, between that and its first change.
func TestPlanIsKeptWithItsTime(t *testing.T) {
	w := newWorld(t)
	var with []time.Time // the forecast's, the plan's, and the look afterwards
	w.tasks = append(w.tasks, scriptedTask(task.State, func(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
		with = append(with, in.Now.UTC())
		return task.Plan{Stages: row(w.dir, "h1-one").Stages}, nil
	}))
	d := newDiary(w)
	d.begin("r1")
	var ticks atomic.Int64
	d.with(func(o *Options) {
		one(o)
		o.Now = func() time.Time { return time.Unix(1_800_000_000+ticks.Add(1), 0).UTC() }
	})
	w.run("h1\nh2\n", scriptedPlay)
	require.NoError(t, d.j.Close())
	m, err := d.h.Read("r1")
	require.NoError(t, err)
	require.Contains(t, with, m.Plans[journal.Place{Step: "1.1"}].Now.UTC())
}

// Where the dead controller had the lock and nothing has to be taken back, the lock goes all the same.
func TestUndoLeavesNoLock(t *testing.T) {
	w := newWorld(t)
	d := newDiary(w)
	d.begin("r1")
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "inventory"), []byte("h1\n"), 0o600))
	c, err := local.Dialer{}.Dial(t.Context(), conn.Target{Name: "x", Kind: "local"})
	require.NoError(t, err)
	dead, err := guard.Acquire(t.Context(), c, "", guard.Owner{Run: "r1", User: "u", Host: "here", PID: 1}, guard.Options{Dir: filepath.Join(w.dir, "host")})
	require.NoError(t, err)
	write := &change.Write{Path: filepath.Join(w.dir, "never"), After: change.Content{Size: 1, SHA256: strings.Repeat("0", 64)}}
	raw, err := change.Encode(write, change.EncodeOptions{})
	require.NoError(t, err)
	inverse, err := change.Encode(&change.Remove{Path: write.Path}, change.EncodeOptions{})
	require.NoError(t, err)
	require.NoError(t, d.j.Append(journal.Record{Kind: journal.Intent, At: journal.Place{Step: "1.1", Host: "h1"}, ID: 1, Time: time.Now(),
		Change:  &journal.Change{Host: "h1", Kind: write.Kind(), Summary: write.Summary(), Data: raw},
		Inverse: []journal.Change{{Host: "h1", Kind: "remove", Summary: "remove", Data: inverse}}}))
	require.NoError(t, d.j.Close())

	d.extra = func(o *Options) { o.UndoneOn = []string{"h2"} }
	d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.FileExists(t, filepath.Join(dead.Dir, "lock"))
	d.extra = nil
	rep := d.undo("r1", "u2")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed || rep.Partial, w.all())
	require.NoFileExists(t, filepath.Join(dead.Dir, "lock"))
}
