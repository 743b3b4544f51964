package vars

import (
	"strings"
	"testing"
	"time"
)

// FuzzTemplate: any text compiles or is refused, renders or fails, in time,
// within bounds, without a panic and without an error that has no place.
func FuzzTemplate(f *testing.F) {
	for _, t := range goldenTemplates(f) {
		f.Add(t)
	}
	for _, t := range bombs() {
		f.Add(t)
	}
	root := goldenVars(f)
	var e Engine
	s := e.Scope(Context{Groups: map[string][]string{"all": {"h"}}, HostVars: func(string) *Scope { return nil }}, UserVars(LevelPlay, root),
		HostData(LevelSetFact, map[string]any{"big": []any{int64(1), "x"}, "chunk": "xyz", "reg": map[string]any{"stdout": "{{ a }}{% raw %}"}}))
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		for _, compile := range []func() (*Template, error){
			func() (*Template, error) { return Compile(text(src)) },
			func() (*Template, error) { return compileExpr(text(src)) },
			func() (*Template, error) { return CompileFile("f", src) },
		} {
			c, err := compile()
			if err == nil {
				var v any
				v, err = c.Render(s)
				if out, ok := v.(string); ok && len(out) > maxFileOutput {
					t.Fatalf("%d bytes", len(out))
				}
			}
			if err != nil && (strings.Contains(err.Error(), "internal") || strings.Contains(err.Error(), "runtime error")) {
				t.Fatalf("%q: %v", src, err)
			}
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Fatalf("%q took %s", src, d)
		}
	})
}

// FuzzExtra: any -e is read or refused.
func FuzzExtra(f *testing.F) {
	for _, s := range []string{"a=1", `a="x y" b='z'`, "@f.yml", `{"a": 1}`, "a", "=", `a="`, "a={{ x y }} b=2", "[1]", "1a=2", `a=\ b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseExtra([]string{s}, func(string) ([]byte, error) { return []byte(s), nil })
		if err == nil {
			for _, p := range n.Pairs {
				if !validName(p.Key) {
					t.Fatalf("%q gives the name %q", s, p.Key)
				}
			}
		}
	})
}
