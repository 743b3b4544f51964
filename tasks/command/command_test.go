package command

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

const opaque = "nobody knows what a command does"

func TestCommand(t *testing.T) {
	remote.Run(t, Define(),
		tasktest.Case{
			Name: "free form", Params: "printf '%s|' \"a b\" c", Changes: "exec", Unforeseen: opaque,
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Equal(t, []string{"printf", "%s|", "a b", "c"}, res["cmd"])
				require.Equal(t, 0, res["rc"])
				require.Equal(t, "a b|c|", res["stdout"])
				require.Equal(t, []string{"a b|c|"}, res["stdout_lines"])
				require.Equal(t, "", res["stderr"])
				require.Equal(t, "0:00:01.000000", res["delta"])
			},
		},
		tasktest.Case{
			Name: "argv, folder, input", Wire: true, Params: "{argv: [sh, -c, 'pwd; cat; exit 3'], chdir: DIR, stdin: hello}", Changes: "exec", Unforeseen: opaque,
			After: func(t *testing.T, h *tasktest.Host, res map[string]any) {
				require.Equal(t, 3, res["rc"])
				require.Equal(t, h.Dir+"\nhello", res["stdout"])
			},
		},
		tasktest.Case{
			Name: "no shell", Params: "{cmd: 'echo a | wc > DIR/x'}", Changes: "exec", Unforeseen: opaque,
			Findings: []string{"warn: | is a plain word to echo: no shell reads it"},
		},
		tasktest.Case{
			Name: "no variables", Params: "{cmd: 'echo $HOME'}", Changes: "exec", Unforeseen: opaque,
			Findings: []string{"warn: $HOME is not expanded: no shell reads it"},
			After:    func(t *testing.T, _ *tasktest.Host, res map[string]any) { require.Equal(t, "$HOME", res["stdout"]) },
		},
		tasktest.Case{Name: "creates, not there", Params: "{cmd: touch DIR/x, creates: DIR/x}", Changes: "exec", Unforeseen: opaque, Again: true},
		tasktest.Case{Name: "creates, a link to nowhere", Params: "{cmd: touch DIR/x, creates: DIR/x}", Again: true,
			Prepare: func(t *testing.T, h *tasktest.Host) { require.NoError(t, os.Symlink("none", h.Dir+"/x")) }},
		tasktest.Case{
			Name: "creates, there", Params: "{cmd: touch x, creates: x, chdir: DIR}", Again: true,
			Prepare: func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Dir+"/x", "", 0o600) },
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Equal(t, 0, res["rc"])
				require.Equal(t, "skipped, since x exists", res["stdout"])
			},
		},
		tasktest.Case{Name: "removes, not there", Params: "{cmd: rm DIR/x, removes: DIR/x}", Again: true},
		tasktest.Case{
			Name: "removes, there", Params: "{cmd: rm DIR/x, removes: DIR/x}", Changes: "exec", Unforeseen: opaque, Again: true,
			Prepare: func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Dir+"/x", "", 0o600) },
		},
		tasktest.Case{Name: "check says no", Params: "{cmd: mkdir DIR/d, check: [test, -d, DIR/d]}", Changes: "exec", Unforeseen: opaque, Again: true},
		tasktest.Case{Name: "check says yes", Params: "{cmd: mkdir DIR/d, check: test -d DIR}", Again: true},
	)
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{}":                            `give "cmd" or "argv"`,
		"{cmd: a, argv: [b]}":           `one of them`,
		"{cmd: \"a 'b\"}":               "single quote",
		"touch x creates=/x":            "`creates:` as keys",
		"{cmd: a, chdir: x}":            "absolute",
		"{cmd: a, creates: x}":          "absolute",
		"{cmd: a, creates: /x/*}":       "not a pattern",
		"{cmd: a, check: [rm, -rf, /]}": "read-only",
		"{cmd: a, risk: high}":          "must be one of safe",
		"{cmd: a, warn: false}":         `unknown key "warn"`,
		"{argv: ['']}":                  "empty",
	} {
		t.Run(params, func(t *testing.T) {
			n, err := strictyaml.Parse("f.yml", []byte(params))
			require.NoError(t, err)
			_, err = Define().Decode(n, nil)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestRisk(t *testing.T) {
	n, err := strictyaml.Parse("f.yml", []byte("{cmd: reboot, risk: disruptive}"))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	require.Equal(t, change.Disruptive, Define().MaxRisk(p))
}
