package vars

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Bounds of a template's text, and of the text that it makes.
const (
	maxExprSource = 64 << 10
	maxFileSource = 1 << 20
	maxExprOutput = 1 << 20
	maxFileOutput = 8 << 20
)

// Template is a compiled text with {{ }} or {% %}. It is immutable and safe
// for concurrent use.
type Template struct {
	place  placer
	nodes  []nodes.Node     // of a text
	expr   nodes.Expression // of a bare expression, or of a text that is one {{ }}
	spaced bool             // white space stands around that one {{ }}
	maxOut int
	refs   []Ref
}

// IsTemplate tells whether a scalar holds a template: text with {{, {% or {#
// that is not tagged !unsafe. It is the Template option for strictyaml.Decode.
func IsTemplate(n *strictyaml.Node) bool {
	if n == nil || n.Kind != strictyaml.Scalar || n.Tag == unsafeTag {
		return false
	}
	s, ok := n.Value.(string)
	return ok && nextTag(s, 0) >= 0
}

const unsafeTag = "!unsafe"

// Compile reads the template in a scalar. Text without any tag gives a
// template that renders to itself; a scalar that is not a string renders to
// its value. The error is a *source.Mistake.
func Compile(n *strictyaml.Node) (*Template, error) {
	s, ok := n.Value.(string)
	if !ok || n.Tag == unsafeTag {
		return &Template{place: placer{node: n}, expr: &constant{n.Any()}}, nil
	}
	t := &Template{place: placer{node: n, src: s}, maxOut: maxExprOutput}
	if err := t.compile(s, maxExprSource); err != nil {
		return nil, err
	}
	return t, nil
}

// CompileFile reads a template file, as the template task takes it. Line ends
// become \n. The error is a *source.Mistake in file.
func CompileFile(file, text string) (*Template, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	t := &Template{place: placer{file: file, src: text}, maxOut: maxFileOutput}
	if err := t.compile(text, maxFileSource); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Template) compile(src string, limit int) (err error) {
	defer func() { err = t.place.recovered(recover(), err) }()
	if len(src) > limit {
		return t.place.mistake(&syntaxError{text: fmt.Sprintf("the template is longer than %d KiB", limit>>10)})
	}
	toks, serr := lexTemplate(src)
	if serr != nil {
		return t.place.mistake(serr)
	}
	tpl, err := parseTemplate(toks)
	if err != nil {
		return t.place.mistake(asSyntax(err))
	}
	t.nodes = tpl.Nodes
	t.lone()
	refs, serr := readNames(t.nodes, &t.place)
	if serr != nil {
		return t.place.mistake(serr)
	}
	t.refs = refs
	return nil
}

// asSyntax finds our error inside gonja's wrappings.
func asSyntax(err error) *syntaxError {
	var ours *syntaxError
	if errors.As(err, &ours) {
		return ours
	}
	return &syntaxError{text: "template: " + err.Error()}
}

// lone notices a text that is one {{ expr }}: it gives expr's own value.
func (t *Template) lone() {
	var out *outputNode
	for _, n := range t.nodes {
		switch n := n.(type) {
		case *nodes.Data:
			if strings.TrimSpace(n.Data.Val) != "" {
				return
			}
			t.spaced = true
		case *nodes.ControlStructureBlock:
			o, ok := n.ControlStructure.(*outputNode)
			if !ok || out != nil {
				return
			}
			out = o
		}
	}
	if out != nil {
		t.expr = out.Value
	}
}

// Names lists the variables that the template reads, in the order of the text.
func (t *Template) Names() []Ref { return t.refs }

// Pos is where the template stands.
func (t *Template) Pos() source.Pos { return t.place.pos() }

// Render gives plain data: a text that is one {{ expr }} gives expr's own value
// (a list, a number, ...), any other text a string. Errors: *UndefinedError,
// *UnknownError, *CycleError, all with a place, or a *source.Mistake. The value
// of {{ omit }} is Omit.
func (t *Template) Render(s *Scope) (any, error) {
	if err := s.known(t.refs); err != nil {
		return nil, err
	}
	m := s.machine()
	v, err := t.run(m)
	if err != nil {
		return nil, err
	}
	return t.export(m, v)
}

// RenderText is Render for a whole file: always a string.
func (t *Template) RenderText(s *Scope) (string, error) {
	if err := s.known(t.refs); err != nil {
		return "", err
	}
	m := s.machine()
	v, err := t.protect(func() any { return t.text(m) })
	if err != nil {
		return "", err
	}
	return v.(string), nil
}

// run evaluates within m, whatever template m is in.
func (t *Template) run(m *machine) (any, error) {
	return t.protect(func() any {
		if t.expr == nil {
			return t.text(m)
		}
		v := m.isolated(func() any { return m.value(t.expr) })
		switch v.(type) {
		case []any, *dict, object, omitted:
			return v
		}
		if t.spaced {
			return t.text(m)
		}
		return v
	})
}

func (t *Template) text(m *machine) string {
	out, max := m.out, m.maxOut
	m.out, m.maxOut = newOut(), t.maxOut
	defer func() { m.out, m.maxOut = out, max }()
	return m.isolated(func() any { m.exec(t.nodes); return m.out.String() }).(string)
}

// isolated runs f without the locals of the template around.
func (m *machine) isolated(f func() any) any {
	locals := m.locals
	m.locals = &frame{vars: map[string]any{}}
	defer func() { m.locals = locals }()
	return f()
}

// protect turns panics into placed errors; a bug in us or in gonja too.
func (t *Template) protect(f func() any) (v any, err error) {
	defer func() { err = t.place.recovered(recover(), err) }()
	return f(), nil
}

// export turns a value into plain data, checking that no part is undefined.
func (t *Template) export(m *machine, v any) (any, error) {
	return t.protect(func() any { return m.export(v, 0) })
}

func (m *machine) export(v any, depth int) any {
	m.charge(1)
	if depth > 2*maxDepth {
		panic(m.limit("a value is nested too deeply"))
	}
	switch v := m.plain(m.use(v)).(type) {
	case []any:
		out := make([]any, 0, len(v))
		for _, it := range v {
			if x := m.export(it, depth+1); x != Omit {
				out = append(out, x)
			}
		}
		return out
	case *dict:
		out := make(map[string]any, len(v.keys))
		for _, k := range v.keys {
			if x := m.export(v.vals[k], depth+1); x != Omit {
				out[k] = x
			}
		}
		return out
	case omitted:
		return Omit
	case nil, bool, int64, float64, string:
		return v
	default:
		panic(fmt.Errorf("%s is not data", typeName(v)))
	}
}

// Omit is what Render gives for {{ omit }}: the parameter is to be left out.
// RenderNode does that by itself.
const Omit omitMark = "omit"

type omitMark string

// constant is a value that needs no evaluation.
type constant struct{ v any }

func (c *constant) Position() *tokens.Token { return &tokens.Token{} }
func (c *constant) String() string          { return "constant" }

// loneName gives the name when a template is just {{ name }}.
func (t *Template) loneName() (string, bool) {
	n, ok := t.expr.(*nodes.Name)
	if !ok || t.spaced {
		return "", false
	}
	return n.Name.Val, true
}
