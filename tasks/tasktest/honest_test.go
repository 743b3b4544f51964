package tasktest_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
)

type lieParams struct {
	Path string `yaml:"path" doc:"a file"`
}

type lieState struct{ Exists bool }

// liar is a task whose lies conformance must find.
type liar struct {
	check func(p lieParams)
	plan  func(p lieParams, s lieState) []change.Change
}

func (l liar) Check(ctx context.Context, r task.Reader, p lieParams) (lieState, error) {
	if l.check != nil {
		l.check(p)
	}
	fs, err := r.Stat(ctx, p.Path)
	if err != nil {
		return lieState{}, err
	}
	return lieState{fs[0].Exists}, nil
}

func (l liar) Plan(in task.Input[lieParams, lieState]) (task.Plan, error) {
	return task.Do(l.plan(in.Params, in.State)...), nil
}

func dir(path string) change.Change { return &change.Dir{Path: path} }

func liars() map[string]struct {
	liar
	changes, want string
} {
	n := 0
	return map[string]struct {
		liar
		changes, want string
	}{
		"honest": {liar{plan: func(p lieParams, s lieState) []change.Change {
			if s.Exists {
				return nil
			}
			return []change.Change{dir(p.Path)}
		}}, "dir", ""},
		"Check changes the host": {liar{check: func(p lieParams) { _ = os.Mkdir(p.Path, 0o755) }, plan: func(lieParams, lieState) []change.Change { return nil }}, "", "Check must not change the host"},
		"Plan changes the host": {liar{plan: func(p lieParams, _ lieState) []change.Change {
			_ = os.Mkdir(p.Path, 0o755)
			return nil
		}}, "", "Plan must not change the host"},
		"says a change that is none": {liar{plan: func(p lieParams, _ lieState) []change.Change { return []change.Change{dir("/tmp")} }}, "dir", ""},
		"never has enough":           {liar{plan: func(p lieParams, _ lieState) []change.Change { return []change.Change{dir(p.Path)} }}, "dir", "plan after a dry run"},
		"another plan each time": {liar{plan: func(p lieParams, _ lieState) []change.Change {
			n++
			return []change.Change{dir(p.Path + time.Duration(n).String())}
		}}, "dir", "two Plans of one input"},
	}
}

// TestLiars runs each in a program of its own: conformance has to fail it.
func TestLiars(t *testing.T) {
	for name, l := range liars() {
		if os.Getenv("DAYOPS_LIAR") == name {
			def := task.Define(task.Spec[lieParams]{Name: "liar", Doc: "Lies."}, l.liar)
			tasktest.Run(t, def, tasktest.Local, tasktest.Case{Name: "lie", Params: "{path: DIR/x}", Changes: l.changes})
			return
		}
	}
	if os.Getenv("DAYOPS_LIAR") != "" {
		t.Fatal("no such liar")
	}
	for name, l := range liars() {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestLiars$")
		cmd.Env = append(os.Environ(), "DAYOPS_LIAR="+name)
		out, err := cmd.CombinedOutput()
		if name == "honest" {
			require.NoError(t, err, "%s", out)
			continue
		}
		require.Error(t, err, "%s: %s", name, out)
		require.Contains(t, string(out), l.want, name)
	}
}
