package setfact

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
)

func TestSetFact(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local, tasktest.Case{
		Name: "some", Params: "{a: 1, b: [x], c: {d: yes}}",
		After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
			require.Equal(t, map[string]any{"a": int64(1), "b": []any{"x"}, "c": map[string]any{"d": true}}, res["ansible_facts"])
		},
	})
}

func TestPlanNamesTheHost(t *testing.T) {
	p, err := Define().Plan([]task.AnyInput{{Host: "h", Target: "other", Params: Params{Facts: map[string]any{"a": "{{ b }}"}}, State: State{}}}, task.AnyInput{}.Now)
	require.NoError(t, err)
	require.Equal(t, map[string]map[string]any{"h": {"a": "{{ b }}"}}, p.Facts)
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{}":                          "names no variable",
		"{a: 1, cacheable: yes}":      "lives as long as the run",
		"{a-b: 1}":                    "no name of a variable",
		"{ansible_host: 10.0.0.1}":    "how to connect",
		"{ansible_become_user: root}": "how to connect",
		"{groups: 1}":                 "set by dayops itself",
	} {
		t.Run(params, func(t *testing.T) {
			n, err := strictyaml.Parse("f.yml", []byte(params))
			require.NoError(t, err)
			_, err = Define().Decode(n, nil)
			require.ErrorContains(t, err, want)
		})
	}
}
