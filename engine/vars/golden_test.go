package vars

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
)

// testdata/jinja2.json holds what Jinja2 3.1 itself gives (StrictUndefined,
// trim_blocks, keep_trailing_newline, as Ansible sets them).
func TestAsJinja2(t *testing.T) {
	raw, err := os.ReadFile("testdata/jinja2.json")
	require.NoError(t, err)
	root, err := strictyaml.Parse("testdata/jinja2.json", raw)
	require.NoError(t, err)
	var file struct {
		Cases []struct{ Template, Want string }
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, root.Get("vars")))
	require.Greater(t, len(file.Cases), 50)
	for _, c := range file.Cases {
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
