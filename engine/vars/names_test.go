package vars

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	for tpl, want := range map[string]string{
		"{{ a.b[c].d }}":                            "c a.b",
		"{{ a['x'].y[0] }}":                         "a.x.y",
		"{{ hostvars['h1'].ip }}":                   "hostvars.h1.ip",
		"{{ a | default(b) }}":                      "a? b",
		"{{ a.b.c | default(omit) | upper }}":       "a.b.c? omit",
		"{{ a | upper | default('x') }}":            "a",
		"{% if a is defined %}{{ a.x }}{% endif %}": "a? a.x?",
		"{{ a if b else c }}":                       "b a c",
		"{{ x }}{% set x = y %}{{ x }}":             "x y",
		"{% for i, j in a if i > m %}{{ i }}{{ j }}{{ loop.index }}{{ k }}{% else %}{{ i }}{% endfor %}": "a m k i",
		"{% macro f(p, q=d) %}{{ p }}{{ q }}{{ r }}{% endmacro %}{{ f(s) }}{{ p }}":                      "d r s p",
		"{% with w = v %}{{ w }}{% endwith %}{{ w }}":                                                    "v w",
		"{% filter replace(a, b) %}{{ c }}{% endfilter %}":                                               "c a b",
		"{% set b %}{{ c }}{% endset %}{{ b }}":                                                          "c",
		"{% if c %}{% set v = 1 %}{% endif %}{{ v }}":                                                    "c v?",
		"{% if c %}{% set v = 1 %}{% else %}{% set v = 2 %}{% endif %}{{ v }}":                           "c",
		"{% for i in [1] %}{% set v = i %}{% endfor %}{{ v }}":                                           "v",
		"{{ [a, {b: c, 'k': d}, (e, f)] }}":                                                              "a b c d e f",
		"{{ a[b:c:d] }}":                                                                                 "a b c d",
		"{{ -a + b ~ c * d ** e }}":                                                                      "a b c d e",
		"{{ a < b < c and not d or e in f }}":                                                            "a b c d e f",
		"{{ a is in b }}{{ a is version(v, operator=o) }}":                                               "a b a v o",
		"{{ a.split(b) | map('replace', c, d) | selectattr('x', 'eq', e) | list }}":                      "a b c d e",
		"{{ range(n) }}{{ dict(k=v) }}":                                                                  "n v",
		"{% set ns = namespace(x=a) %}{% set ns.x = b %}{{ ns.x }}":                                      "a b",
		"{% raw %}{{ a }}{% endraw %}{# {{ b }} #}":                                                      "",
		"{{ (a | first).x }}":                                                                            "a",
		"{{ (a or {}).x | default(1) }}":                                                                 "a",
	} {
		c, err := Compile(text(tpl))
		require.NoError(t, err, tpl)
		var got []string
		for _, r := range c.Names() {
			s := strings.Join(append([]string{r.Name}, r.Path...), ".")
			if r.Guarded {
				s += "?"
			}
			got = append(got, s)
		}
		require.Equal(t, want, strings.Join(got, " "), tpl)
	}
}

func TestRefMistake(t *testing.T) {
	n := yml(t, `x: "a {{ inventory_hostnam }}"`)
	c, err := Compile(n.Get("x"))
	require.NoError(t, err)
	require.EqualError(t, c.Names()[0].Mistake([]string{"inventory_hostname"}), `vars.yml:1:10: "inventory_hostnam" is undefined (did you mean "inventory_hostname"?)`)
}

// Everything that the parser can make is known to the reader of names and to
// the evaluator: a node of an unknown type must be an error, not be passed over.
func TestUnknownNodesAreErrors(t *testing.T) {
	known := []nodes.Node{
		&nodes.None{}, &nodes.String{}, &nodes.Integer{}, &nodes.Float{}, &nodes.Bool{}, &nodes.List{}, &nodes.Tuple{}, &nodes.Dict{},
		&nodes.Name{}, &nodes.GetAttribute{}, &nodes.GetItem{}, &nodes.GetSlice{}, &nodes.Call{}, &nodes.FilteredExpression{},
		&nodes.TestExpression{}, &nodes.Negation{}, &nodes.UnaryExpression{}, &nodes.BinaryExpression{},
		&compareExpr{}, &condExpr{}, &bodyNode{}, &constant{}, &nodes.Data{}, &nodes.ControlStructureBlock{}, &rawNode{}, &outputNode{}, &ifNode{}, &forNode{},
		&setNode{}, &macroNode{}, &withNode{}, &filterNode{},
	}
	// Gonja's other nodes never come out of our parser; should they, they are refused.
	for _, n := range []nodes.Node{&nodes.Variable{}, &nodes.Error{}, &nodes.Pair{}, &nodes.Output{}, &nodes.Comment{}} {
		for _, k := range known {
			require.NotEqual(t, reflect.TypeOf(k), reflect.TypeOf(n))
		}
		_, err := readNames([]nodes.Node{n}, &placer{})
		require.ErrorContains(t, err, "internal: no reading of names in")
		_, err = readNames([]nodes.Node{&outputNode{Value: n}}, &placer{})
		require.ErrorContains(t, err, "internal: no reading of names in")
		require.Panics(t, func() { (&Engine{}).Scope(Context{}).machine().eval(n) })
		require.Panics(t, func() { (&Engine{}).Scope(Context{}).machine().execOne(n) })
	}
}

// Over the golden corpus: whatever evaluation asks the scope for has been
// announced by Names.
func TestNamesCoverWhatIsRead(t *testing.T) {
	root := goldenVars(t)
	var e Engine
	for _, tpl := range goldenTemplates(t) {
		c, err := CompileFile("x", tpl)
		require.NoError(t, err)
		only := map[string]bool{}
		for _, r := range c.Names() {
			only[r.Name] = true
		}
		narrow := *root
		narrow.Pairs = nil
		for _, p := range root.Pairs {
			if only[p.Key] {
				narrow.Pairs = append(narrow.Pairs, p)
			}
		}
		all, err1 := c.RenderText(e.Scope(Context{}, UserVars(LevelPlay, root)))
		few, err2 := c.RenderText(e.Scope(Context{}, UserVars(LevelPlay, &narrow)))
		require.Equal(t, fmt.Sprint(all, err1), fmt.Sprint(few, err2), tpl)
	}
}
