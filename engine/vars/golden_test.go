package vars

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
)

const goldenFile = "testdata/jinja2.json"

type goldenCase struct{ Template, Want string }

// goldenCases are what Jinja2 3.1 itself gives (StrictUndefined, trim_blocks,
// keep_trailing_newline, as Ansible sets them).
func goldenCases(t testing.TB) []goldenCase {
	raw, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	var file struct{ Cases []goldenCase }
	require.NoError(t, json.Unmarshal(raw, &file))
	require.Greater(t, len(file.Cases), 60)
	return file.Cases
}

func goldenTemplates(t testing.TB) (out []string) {
	for _, c := range goldenCases(t) {
		out = append(out, c.Template)
	}
	return out
}

func goldenVars(t testing.TB) *strictyaml.Node {
	raw, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	root, err := strictyaml.Parse(goldenFile, raw)
	require.NoError(t, err)
	return root.Get("vars")
}

func TestAsJinja2(t *testing.T) {
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, goldenVars(t)))
	for _, c := range goldenCases(t) {
		tpl, err := CompileFile("case", c.Template)
		if err != nil {
			t.Errorf("%s\n\t%v", c.Template, err)
			continue
		}
		got, err := tpl.RenderText(s)
		if err != nil {
			t.Errorf("%s\n\t%v", c.Template, err)
			continue
		}
		if got != c.Want {
			t.Errorf("%s\n got %q\nwant %q", c.Template, got, c.Want)
		}
	}
}
