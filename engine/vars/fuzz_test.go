package vars

import (
	"strings"
	"testing"
	"time"
)

// FuzzTemplate: any text compiles or is refused, renders or fails, in time,
// within bounds, without a panic and without an error that has no place.
func FuzzTemplate(f *testing.F) {
	for kind := range uint8(3) {
		for _, t := range goldenTemplates(f) {
			f.Add(kind, t)
		}
		for _, t := range bombs() {
			f.Add(kind, t)
		}
	}
	root := goldenVars(f)
	var e Engine
	s := e.Scope(Context{Groups: map[string][]string{"all": {"h"}}, HostVars: func(string) *Scope { return nil }}, UserVars(LevelPlay, root),
		HostData(LevelSetFact, map[string]any{"big": []any{int64(1), "x"}, "chunk": "xyz", "reg": map[string]any{"stdout": "{{ a }}{% raw %}"}}))
	f.Fuzz(func(t *testing.T, kind uint8, src string) {
		start := time.Now()
		var c *Template
		var err error
		switch kind % 3 {
		case 0:
			c, err = Compile(text(src))
		case 1:
			c, err = compileExpr(text(src))
		default:
			c, err = CompileFile("f", src)
		}
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
		if d := time.Since(start); d > 8*time.Second { // Go's fuzzer ends a worker after 10 s and says nothing of the input
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
