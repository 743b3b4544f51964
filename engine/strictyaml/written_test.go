package strictyaml_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
)

// A scalar's place in the text is that of the scalar: read alone it is the
// same value.
func FuzzParseWritten(f *testing.F) {
	for _, s := range []string{"a: [b, 'c''d', \"e\\\"f\"]\n", "\ufeffé: ü # x\r\nk: &k {x: *k}\r\n", "- |\n  a\n- b\n  c\n- !!str 1\n-\n", "{\"a\": [1, ~, \"x\"]}", "? a\n: b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := strictyaml.ParseWritten("f", text)
		if err != nil {
			return
		}
		var walk func(w *strictyaml.Written)
		walk = func(w *strictyaml.Written) {
			for _, k := range w.Keys {
				walk(k)
			}
			for _, it := range w.Items {
				walk(it)
			}
			if w.Kind == strictyaml.Scalar && w.End >= 0 {
				got := text[w.Start:w.End]
				require.NotContains(t, got, "\n")
				if w.Style == 0 {
					require.Equal(t, w.Value, got)
					return
				}
				n, err := strictyaml.Parse("f", []byte(got))
				require.NoError(t, err, "%q", got)
				require.Equal(t, w.Value, n.Raw, "%q", got)
			}
		}
		walk(w)
	})
}
