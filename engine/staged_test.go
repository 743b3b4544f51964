package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/task"
)

// stagedTask makes something in a staging folder, uses it, and removes it in the end.
func stagedTask(dir string) *task.Definition {
	type params struct{}
	folder := filepath.Join(dir, change.StagingName(time.Unix(0, 0), 1))
	sh := func(script, done string) change.Change {
		return &change.Exec{Argv: []string{"/bin/sh", "-ec", script}, Staging: true, Done: &change.Probe{Path: done}}
	}
	return task.Define(task.Spec[params]{Name: "staged", Doc: "Stages.", Kind: func(params) task.Kind { return task.Action }},
		tiny[params, none]{plan: func(task.Input[params, none]) (task.Plan, error) {
			p := task.Do(&change.Dir{Path: folder, Staging: true}, sh("echo made >>"+dir+"/log; echo x >"+folder+"/file", folder+"/file"),
				sh("cat "+folder+"/file; echo used >>"+dir+"/log", folder+"/used"))
			p.Finally = []task.Step{{Change: &change.Remove{Path: folder, Staging: true}}}
			return p, nil
		}})
}

func staging(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, change.StagingGlob))
	require.NoError(t, err)
	return found
}

// Staging is no change, and a run that is taken up again after its Finally
// removed the folder makes what was in it anew.
func TestStagedIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.tasks = append(w.tasks, stagedTask(w.dir))
	d := newDiary(w)
	d.begin("r1")
	w.wrap = func(c conn.Conn) conn.Conn { return lost{c, "used"} }
	w.run("h1\n", play("{name: one, staged: {}}"))
	require.Equal(t, event.Unreached, w.result("one", "h1").Status)
	w.wrap = nil
	for i := range 2 {
		d.again("r1")
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "log"), nil, 0o600))
		w.events = nil
		w.run("h1\n", play("{name: one, staged: {}}"))
		require.Empty(t, staging(t, w.dir))
		if i == 0 {
			require.Equal(t, []string{"made", "used"}, w.lines("log"))
		}
	}
	require.Equal(t, event.OK, w.result("one", "h1").Status, w.all())
}
