package shell

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/tasktest"
)

const opaque = "nobody knows what a command does"

func TestShell(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{
			Name: "free form", Params: "printf 'b\\na\\n' | sort; echo no >&2", Changes: "exec", Unforeseen: opaque,
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Equal(t, "a\nb", res["stdout"])
				require.Equal(t, []string{"a", "b"}, res["stdout_lines"])
				require.Equal(t, "no", res["stderr"])
				require.Equal(t, "printf 'b\\na\\n' | sort; echo no >&2", res["cmd"])
			},
		},
		tasktest.Case{
			Name: "another shell", Params: "{cmd: 'set -o pipefail; false | cat', executable: /bin/bash}", Changes: "exec", Unforeseen: opaque,
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) { require.Equal(t, 1, res["rc"]) },
		},
		tasktest.Case{Name: "creates", Params: "{cmd: 'echo a > x', chdir: DIR, creates: x}", Changes: "exec", Unforeseen: opaque, Again: true},
	)
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{}":                         `missing "cmd"`,
		"{cmd: ' '}":                 "empty",
		"echo a > x chdir=/tmp":      "`chdir:` as keys",
		"{cmd: a, executable: bash}": "absolute",
		"{cmd: a, argv: [b]}":        `unknown key "argv"`,
	} {
		t.Run(params, func(t *testing.T) {
			n, err := strictyaml.Parse("f.yml", []byte(params))
			require.NoError(t, err)
			_, err = Define().Decode(n, nil)
			require.ErrorContains(t, err, want)
		})
	}
}
