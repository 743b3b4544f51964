package tasktest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Documented checks what a task says about itself: one sentence, every
// parameter and result key explained, an example that decodes.
func Documented(t *testing.T, reg *task.Registry, def *task.Definition) {
	require.Regexp(t, `^[A-Z][^\n]*\.$`, def.Doc, "Doc is one sentence")
	explained(t, "", def.Fields())
	explained(t, "result ", def.ResultFields())
	text, md := def.Text(), def.Markdown()
	for _, f := range def.Fields() {
		require.Contains(t, text, "  "+f.Name+" (")
		require.Contains(t, md, "`"+f.Name+"`")
	}
	example(t, reg, def)
}

func explained(t *testing.T, of string, fields []strictyaml.Field) {
	for _, f := range fields {
		require.NotEmpty(t, f.Doc, "%s%s is documented", of, f.Name)
		require.False(t, strings.HasSuffix(f.Doc, "."), "doc of %s%s ends without a full stop", of, f.Name)
		explained(t, of+f.Name+".", f.Fields)
	}
}

func documented(fields []strictyaml.Field, key string) bool {
	for _, f := range fields {
		if f.Name == key {
			return f.Doc != ""
		}
	}
	return false
}

// example decodes every step of the example.
func example(t *testing.T, reg *task.Registry, def *task.Definition) {
	n, err := strictyaml.Parse("example.yml", []byte(def.Example))
	require.NoError(t, err)
	require.Equal(t, strictyaml.Seq, n.Kind, "the example is a list of steps")
	used := false
	for _, step := range n.Items {
		var found *task.Definition
		for _, key := range step.Keys() {
			d := reg.Get(key)
			if d == nil {
				continue
			}
			require.Nil(t, found, "one task a step")
			found = d
			_, err := d.Decode(step.Get(key), func(n *strictyaml.Node) bool { return strings.Contains(n.Raw, "{{") })
			require.NoError(t, err)
		}
		require.NotNil(t, found, "a step names a task")
		used = used || found == def
	}
	require.True(t, used, "the example uses the task")
}
