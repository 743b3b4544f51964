package pause

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/tasktest"
)

func TestPause(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local, tasktest.Case{Name: "a second", Params: "{seconds: 1}", Changes: "wait",
		After: func(t *testing.T, _ *tasktest.Host, res map[string]any) { require.Equal(t, 1, res["delta"]) }})
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{}":                             `give "seconds"`,
		"{seconds: -1}":                  "at most 24 hours",
		"{minutes: 2000}":                "at most 24 hours",
		"{minutes: 1000000000000000000}": "at most 24 hours",
		"{prompt: yes}":                  "unknown key",
	} {
		n, err := strictyaml.Parse("f.yml", []byte(params))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, params)
	}
}
