package event

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every kind that the code knows is documented, but Progress, which is never written.
func TestDocHasEveryKind(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Kind" {
				name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				require.NoError(t, err)
				known[name] = true
			}
		}
	}
	delete(known, string(Progress))
	for _, k := range kindDocs() {
		require.True(t, known[string(k.Kind)], k.Kind)
		delete(known, string(k.Kind))
	}
	require.Empty(t, known, "not documented")
	require.Contains(t, Doc(), "unreachable")
}
