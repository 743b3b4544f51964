//go:build crash

package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/task"
)

const killDir = "DAYOPS_KILL_DIR"

// enlisting adds the control machine's part to a plan, before the stage that fails.
func enlisting(w *world) func(*task.Plan) {
	return func(p *task.Plan) {
		for _, st := range p.Stages[2].Steps {
			e := st.Change.(*change.Exec)
			c := filepath.Join(w.dir, st.Host, "c")
			e.Undo = []*change.Exec{{Argv: []string{"rm", c}, Done: &change.Probe{Path: c, Absent: true}}}
		}
		f, err := inventoryFile(filepath.Join(w.dir, "inventory"))
		if err != nil || strings.Contains(f.Text, "# here") {
			return
		}
		st := task.Stage{Steps: []task.Step{{Host: task.ControlMachine, Change: writing(f.Path, fileState{f.File, []byte(f.Text)}, f.Text+"# here\n")}}}
		p.Stages = []task.Stage{p.Stages[0], p.Stages[1], st, p.Stages[2]}
	}
}

// TestKilledChild is a controller: it begins the run, or takes it up.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		t.Skip("needs " + killDir + ": it is the process that TestRollbackKilled kills")
	}
	w := &world{t: t, dir: dir, dials: map[string]int{}, keepInventory: true}
	w.tasks = []*task.Definition{scriptedTask(task.State, fickle(dir, enlisting(w)))}
	d := newDiary(w)
	var err error
	d.j, d.m, err = d.h.Resume("r1")
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.begin("r1")
	case errors.Is(err, journal.ErrNotBegun):
		fmt.Println("NOT BEGUN")
		return
	default:
		require.NoError(t, err)
		require.NoError(t, d.j.TakeUp(d.took(), d.m, nil))
		w.opt = func(o *Options) { o.RunID = "r1"; d.set(o) }
	}
	w.run(threeHosts, scriptedPlay)
	require.Empty(t, d.j.Close())
	fmt.Println("ENDED", w.rep.Failed)
	if !w.rep.Failed {
		fmt.Println(w.all())
	}
}

// controller runs TestKilledChild; killed tells that it was.
func controller(t *testing.T, dir, point string) (said string, killed bool) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), killDir+"="+dir, "DAYOPS_CRASH="+point)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		return string(out), true
	}
	require.NoError(t, err, "%s", out)
	return string(out), false
}

// TestRollbackKilled kills controllers at writes of the journal, also those that
// take the run up: all that the plan did is taken back in the end, here too.
func TestRollbackKilled(t *testing.T) {
	chain := func(first, next string) (kills int) {
		dir := t.TempDir()
		for i := range 3 {
			require.NoError(t, os.Mkdir(filepath.Join(dir, fmt.Sprint("h", i+1)), 0o755))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "fail"), nil, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "inventory"), []byte(threeHosts), 0o600))
		said, on := controller(t, dir, first)
		for on {
			require.Less(t, kills, 300, "it comes to no end")
			kills++
			said, on = controller(t, dir, next)
		}
		w := &world{t: t, dir: dir}
		story := fmt.Sprintf("%s, then %s (%d kills): %s\n%s", first, next, kills, said, w.text("log"))
		require.Empty(t, w.left(), story)
		require.Equal(t, threeHosts, w.text("inventory"), story)
		if !strings.Contains(said, "NOT BEGUN") {
			require.Contains(t, said, "ENDED true", story)
		}
		return kills
	}
	every := 7
	if os.Getenv("DAYOPS_SOAK") == "1" {
		every = 1
	}
	kinds, kills, n := []string{"before", "after", "half"}, 0, 2
	for ; ; n += every {
		k := chain(fmt.Sprintf("%s:%d", kinds[n%3], n), "")
		if kills += k; k == 0 {
			break
		}
	}
	for _, next := range []string{"before:9", "after:8", "half:11"} {
		kills += chain("after:30", next)
	}
	t.Logf("%d writes in a run, %d kills", n, kills)
}
