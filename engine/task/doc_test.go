package task_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

var update = flag.Bool("update", false, "write the golden files anew")

type params struct {
	Path  string          `yaml:"path" required:"true" alias:"dest,name" doc:"absolute path on the host, or else a text that is long enough to need a second line on a page of 79 columns"`
	Mode  strictyaml.Mode `yaml:"mode" doc:"permissions"`
	State string          `yaml:"state" default:"present" enum:"present,absent" doc:"what is wanted | or not"`
	Items []item          `yaml:"items" doc:"things"`
	That  []task.Expr     `yaml:"that" doc:"expressions"`
}

type item struct {
	Name string `yaml:"name" required:"true" doc:"name of a thing"`
}

type result struct {
	Dest string `yaml:"dest" doc:"where it went"`
}

type nothing struct{}

func (nothing) Check(context.Context, task.Reader, params) (struct{}, error) { return struct{}{}, nil }
func (nothing) Plan(task.Input[params, struct{}]) (task.Plan, error)         { return task.Plan{}, nil }

type bare struct{}

func (bare) Check(context.Context, task.Reader, struct{}) (struct{}, error) { return struct{}{}, nil }
func (bare) Plan(task.Input[struct{}, struct{}]) (task.Plan, error)         { return task.Plan{}, nil }

func TestDocumentation(t *testing.T) {
	full := task.Define(task.Spec[params]{
		Name: "thing", Doc: "Does a thing.", FreeForm: "path", Result: result{},
		Long:    "A longer text that says what the thing is, why it is done, and what happens when it is done twice in a row.",
		Example: "- thing:\n    path: /x\n\n- thing: /y\n",
		Kind:    func(params) task.Kind { return task.State },
		MaxRisk: func(params) change.Risk { return change.Safe },
	}, nothing{})
	least := task.Define(task.Spec[struct{}]{Name: "least", Doc: "Does nothing.", Control: true}, bare{})
	for name, got := range map[string]string{
		"thing.txt": full.Text(), "thing.md": full.Markdown(), "least.txt": least.Text(), "least.md": least.Markdown(),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "doc", name)
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}
