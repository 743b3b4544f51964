package assert

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/tasktest"
)

func TestAssert(t *testing.T) {
	values := map[string]any{"yes": true, "no": false, "zero": int64(0), "text": "x", "list": []any{}, "lost": errors.New("lost is undefined")}
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{
			Name: "holds", Params: "{that: [yes, text]}", Values: map[string]any{"true": true, "text": "x"},
			Findings: []string{"ok: All assertions passed"},
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Equal(t, map[string]any{"msg": "All assertions passed"}, res)
			},
		},
		tasktest.Case{Name: "one text", Params: "{that: text, success_msg: fine}", Values: values, Findings: []string{"ok: fine"}},
		tasktest.Case{Name: "quiet", Params: "{that: text, quiet: true}", Values: values},
		tasktest.Case{
			Name: "does not hold", Params: "{that: [text, zero, list], msg: too few}", Values: values, Findings: []string{"fail: too few"},
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Equal(t, map[string]any{"msg": "too few", "assertion": "zero", "evaluated_to": int64(0)}, res)
			},
		},
		tasktest.Case{Name: "empty list", Params: "{that: list}", Values: values, Findings: []string{"fail: Assertion failed"}},
		tasktest.Case{Name: "undefined", Params: "{that: [text, lost]}", Values: values, Error: "lost: lost is undefined"},
	)
	n, err := strictyaml.Parse("f.yml", []byte("{that: []}"))
	require.NoError(t, err)
	_, err = Define().Decode(n, nil)
	require.ErrorContains(t, err, "is empty")
}
