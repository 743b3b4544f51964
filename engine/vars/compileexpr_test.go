package vars

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// A mistake in an expression once ended in a nil dereference.
func TestCompileExprTellsMistakes(t *testing.T) {
	for _, text := range []string{`a = "b"`, "a ==", "{{ a }}", "a | nofilter", "a is notest", ")", "'", "nofunction(1)"} {
		_, err := CompileExpr(&strictyaml.Node{Kind: strictyaml.Scalar, Value: text, Raw: text, Pos: source.Pos{File: "f", Line: 1, Col: 1}})
		require.IsType(t, source.List{}, err, text)
	}
}
