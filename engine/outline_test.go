package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// distant is a plan with a part on h2, which is not of the play: a file made
// there is brought to h1.
func distant(f task.Failure) scripted {
	return func(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
		p := task.Plan{OnFailure: f}
		var to, from string
		var at reader.File
		for _, h := range in.Hosts {
			if h.Reach {
				from = h.Params.Dir
			} else {
				to, at = h.Params.Dir, h.State["b"]
			}
		}
		made := from + "/a"
		if at.Exists {
			return p, nil
		}
		make := &change.Exec{Argv: []string{"/bin/sh", "-c", "echo key >" + made}, Done: &change.Probe{Path: made}, Purpose: "make it",
			Undo: []*change.Exec{{Argv: []string{"rm", made}, Done: &change.Probe{Path: made, Absent: true}}}}
		bring := &change.Transfer{FromPeer: "h2", FromPath: made, ToFile: to + "/b", Before: reader.File{Path: to + "/b"}}
		p.Stages = []task.Stage{
			{Name: "make", Steps: []task.Step{{Host: "h2", Change: make}}},
			{Name: "bring", Does: "what was made", Window: 1, Commit: true, Steps: []task.Step{{Host: "h1", Change: bring}}},
		}
		p.Finally = []task.Step{{Host: "h1", Change: &change.Wait{Path: to, Limit: time.Second}}}
		p.Findings = []task.Finding{{Head: "Quorum", Text: "1/1"}}
		return p, nil
	}
}

func newDistant(t *testing.T, f task.Failure) *world {
	w := newWorld(t, task.DefineCluster(task.Spec[planned]{Name: "scripted", Doc: "x", Reach: []string{"etcd"}, Kind: func(planned) task.Kind { return task.State }},
		task.ClusterTask[planned, map[string]reader.File](distant(f))))
	for _, h := range []string{"h1", "h2"} {
		require.NoError(t, os.Mkdir(filepath.Join(w.dir, h), 0o755))
	}
	return w
}

const (
	distantHosts = "h1\n[etcd]\nh2\n"
	distantPlay  = "- hosts: h1\n  gather_facts: no\n  tasks:\n    - {name: it, scripted: {dir: 'DIR/{{ inventory_hostname }}'}}\n"
)

// The plan of a cluster task is told by its stages, with those of hosts outside
// the play, and says what becomes of it on failure.
func TestOutlineOfAClusterPlan(t *testing.T) {
	w := newDistant(t, task.Rollback)
	w.opt = check
	w.run(distantHosts, distantPlay)
	require.Equal(t, []string{"it h1 changed", "it h2 changed"}, w.said(), w.all())
	var e event.Event
	for _, x := range w.events {
		if x.Kind == event.Stages {
			e = x
		}
	}
	require.Equal(t, "rollback", e.OnFailure)
	require.Equal(t, []string{"h1", "h2"}, e.Hosts)
	require.Equal(t, []event.Stage{{Name: "make", Hosts: []string{"h2"}}, {Name: "bring", Does: "what was made", Hosts: []string{"h1"}, Window: 1, Commit: true}}, e.Stages)
	brought := w.result("it", "h1").Changes
	require.Equal(t, []any{2, "b", 1}, []any{brought[0].Stage, brought[0].Unknown, brought[0].Until})
	require.Zero(t, brought[1].Stage, "in the end")
	require.Equal(t, 1, w.result("it", "h2").Changes[0].Stage)
	require.NoFileExists(t, filepath.Join(w.dir, "h2/a"))
}

// A saved plan has the parts of hosts outside the play: it once was applied
// without them, or not at all.
func TestSavedPlanOfHostsOutsideThePlay(t *testing.T) {
	w := newDistant(t, task.Stop)
	p := saved(t, w, distantHosts, distantPlay)
	require.Len(t, p.Steps, 2)
	require.Equal(t, "stop", p.Clusters[0].OnFailure)
	require.Equal(t, []string{"h1", "h2"}, p.Clusters[0].Hosts)
	require.Equal(t, "Quorum", p.Steps[0].Findings[0].Head)

	was := p.Clusters[0].OnFailure
	p.Clusters[0].OnFailure = "rollback"
	apply(w, p, change.Safe, distantHosts, distantPlay)
	require.True(t, w.rep.Stale, "what a failure means was approved")
	require.NoFileExists(t, filepath.Join(w.dir, "h2/a"))
	p.Clusters[0].OnFailure = was
	apply(w, p, change.Safe, distantHosts, distantPlay)
	require.False(t, w.rep.Failed || w.rep.Refused || w.rep.Stale, w.all())
	require.Equal(t, "key\n", w.text("h1/b"))
}
