package debug

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/tasktest"
)

func TestDebug(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{
			Name: "text", Params: "{msg: \"two\\nlines\\n\"}", Findings: []string{"ok: two", "ok: lines"},
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) { require.Equal(t, "two\nlines\n", res["msg"]) },
		},
		tasktest.Case{Name: "nothing", Params: "{}", Findings: []string{"ok: Hello world!"}},
		tasktest.Case{Name: "list", Params: "{msg: [1, a]}", Findings: []string{"ok: [", "ok:   1,", "ok:   \"a\"", "ok: ]"}},
		tasktest.Case{
			Name: "variable", Params: "{var: n}", Values: map[string]any{"n": int64(3)}, Findings: []string{"ok: n: 3"},
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) { require.Equal(t, int64(3), res["n"]) },
		},
		tasktest.Case{Name: "undefined", Params: "{var: n}", Values: map[string]any{"n": errors.New("n is undefined")}, Error: "n is undefined"},
	)
	n, err := strictyaml.Parse("f.yml", []byte("{msg: a, var: b}"))
	require.NoError(t, err)
	_, err = Define().Decode(n, nil)
	require.ErrorContains(t, err, "exclude each other")
}
