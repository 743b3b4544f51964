package vars

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/source"
)

func TestMistakesOfTemplates(t *testing.T) {
	for _, c := range []struct{ tpl, want, hint string }{
		{"{{ a", `"{{" without "}}"`, ""},
		{"{% if a %}x", `no "endif" for this block`, ""},
		{"{% endif %}", `"endif" without its beginning`, ""},
		{"{# x", "comment without an end", `"#}"`},
		{"{{ }}", "empty {{ }}", ""},
		{"{{ a b }}", `unexpected "b" after the expression`, ""},
		{"{{ a | uper }}", `unknown filter "uper"`, `did you mean "upper"?`},
		{"{{ a is defned }}", `unknown test "defned"`, `did you mean "defined"?`},
		{"{{ a | map('uper') }}", `unknown filter "uper"`, `did you mean "upper"?`},
		{"{{ a | selectattr('x', 'defind') }}", `unknown test "defind"`, `did you mean "defined"?`},
		{"{{ rnge(3) }}", `unknown function "rnge"`, `did you mean "range"?`},
		{"{{ a.uper() }}", `unknown method "uper"`, `did you mean "upper"?`},
		{"{{ lookup('file', '/etc/passwd') }}", `unknown function "lookup"`, "read no files"},
		{"{{ query('env', 'HOME') }}", `unknown function "query"`, "read no files"},
		{"{{ now() }}", `unknown function "now"`, "no clock"},
		{"{% include '/etc/passwd' %}", `"include" is not supported`, "put the text"},
		{"{% extends 'x' %}", `"extends" is not supported`, "put the text"},
		{"{% import 'x' as y %}", `"import" is not supported`, "put the text"},
		{"{% from 'x' import y %}", `"from" is not supported`, "put the text"},
		{"{% fro i in x %}", `unknown tag "fro"`, `did you mean "for"?`},
		{"{{ a && b }}", `unexpected "&"`, `write "and"`},
		{"{{ !a }}", `unexpected "!"`, `write "not"`},
		{"{{ a = b }}", `unexpected "=" after the expression`, ""},
		{"{{ 'x }}", "string without an end", "close it with '"},
		{"{{ (a }}", `unexpected "}"`, ""},
		{"{{ a] }}", `unexpected "]"`, ""},
		{"{{ f(a b) }}", `expected ")", found "b"`, ""},
		{"{{ a[] }}", "empty brackets", ""},
		{"{{ a. }}", `expected a name after "."`, ""},
		{"{{ a + }}", "expected a value, found the end", ""},
		{"{{ dict(a=1, a=2) }}", `argument "a" is given twice`, ""},
		{"{% for x in y recursive %}{% endfor %}", "recursive loops", ""},
		{"{% set omit = 1 %}", `"omit" cannot be set`, ""},
		{"{% raw %}", "without {% endraw %}", ""},
		{"{{ " + strings.Repeat("(", 60) + "a" + strings.Repeat(")", 60) + " }}", "nested too deeply", ""},
		{"{{ " + strings.Repeat("not ", 60) + "a }}", "nested too deeply", ""},
		{strings.Repeat("{% if a %}", 60) + strings.Repeat("{% endif %}", 60), "nested too deeply", ""},
		{"{{ a " + strings.Repeat("+ 1 ", 1100) + "}}", "too long", ""},
		{"{{ 12abc }}", "a number runs into a name", ""},
		{"{{ 99999999999999999999 }}", "out of range", ""},
		{strings.Repeat("x", 70<<10) + "{{ a }}", "longer than 64 KiB", ""},
	} {
		_, err := Compile(text(c.tpl))
		var m *source.Mistake
		require.ErrorAs(t, err, &m, c.tpl)
		require.Contains(t, m.Text, c.want, c.tpl)
		require.Contains(t, m.Hint, c.hint, c.tpl)
		require.Equal(t, "p.yml", m.Pos.File)
	}
}

// The place of an error inside a scalar, as the caret shows it.
func TestMistakesHaveTheirPlace(t *testing.T) {
	root := yml(t, `plain: a {{ b | uper }} c
double: "a {{ b | uper }} c"
single: 'a {{ b | uper }} c'
escaped: "\ta {{ b | uper }} c"
after: "{{ b | uper }} \n \u0041"
literal: |
  one
  two {{ b | uper }}
folded: >
  one
  two {{ b | uper }}
unicode: "ä€ {{ b | uper }}"
`)
	for key, want := range map[string]source.Pos{
		"plain": {Line: 1, Col: 17}, "double": {Line: 2, Col: 19}, "single": {Line: 3, Col: 19}, "escaped": {Line: 4, Col: 10},
		"after": {Line: 5, Col: 16}, "literal": {Line: 8}, "folded": {Line: 9, Col: 9}, "unicode": {Line: 12, Col: 21},
	} {
		_, err := Compile(root.Get(key))
		var m *source.Mistake
		require.ErrorAs(t, err, &m, key)
		want.File = "vars.yml"
		require.Equal(t, want, m.Pos, key)
		if want.Col > 0 && m.Len == len("uper") {
			require.Equal(t, "uper", string([]rune(m.Line)[m.Pos.Col-1:][:4]), key)
		}
	}
	_, err := CompileFile("t.j2", "one\r\ntwo {{ x }}\n  {{ y | uper }}\n")
	require.EqualError(t, err, `t.j2:3:10: unknown filter "uper" (did you mean "upper"?)`)

	var e Engine
	tpl, err := CompileFile("t.j2", "one\n{% for i in [1] %}\n  {{ i.x.y }}{% endfor %}")
	require.NoError(t, err)
	_, err = tpl.RenderText(e.Scope(Context{}))
	require.EqualError(t, err, `t.j2:3:8: "i.x" is undefined (it is an integer)`)
}

func TestMistakesWhenRendering(t *testing.T) {
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, "a: 1\ns: x\nl: [1, 2]\nd: {key: v}")))
	for tpl, want := range map[string]string{
		"{{ a + s }}":                    "cannot add an integer and a string",
		"{{ s * 1.5 }}":                  "cannot compute a string * a float",
		"{{ a / 0 }}":                    "division by zero",
		"{{ a < s }}":                    "cannot order an integer and a string",
		"{{ d.kye }}":                    `"d.kye" is undefined (did you mean "key"?)`,
		"{{ d['kye'] }}":                 `"d['kye']" is undefined (did you mean "key"?)`,
		"{{ l[5] }}":                     "is undefined (it is a list of 2)",
		"{{ a.x }}":                      `"a.x" is undefined (it is an integer)`,
		"{{ l.append(3) }}":              `a list has no method "append"; values are not changed in place`,
		"{{ d.update({}) }}":             "use combine",
		"{{ nope }}":                     `"nope" is undefined`,
		"{{ nope | mandatory('say x')}}": `"nope" is undefined (say x)`,
		"{{ [nope] }}":                   `"nope" is undefined`,
		"x{{ [nope] }}":                  `"nope" is undefined`,
		"{{ nope == 1 }}":                `"nope" is undefined`,
		"{{ l | first(1) }}":             "too many arguments",
		"{{ l | sort(foo=1) }}":          `unknown argument "foo"`,
		"{{ s | replace('x') }}":         `the argument "new" is missing`,
		"{{ a | length }}":               "an integer has no length",
		"{{ a | join }}":                 "an integer is not a list",
		"{{ 'x{{' | from_json }}":        "from_json: this is not JSON",
		"{{ 'a: b: c' | from_yaml }}":    "from_yaml: line 1",
		"{{ '$$' | b64decode }}":         "b64decode: this is not base64",
		"{{ s | hash('crc') }}":          "hash knows",
		"{{ s | regex_search('(') }}":    "the pattern is wrong",
		"{{ s is search('(?=x)') }}":     "lookaround",
		"{{ s is version('1', 'zz') }}":  `unknown operator "zz"`,
		"{{ a is failed }}":              "takes a registered result",
		"a {{ omit }}":                   "omit cannot be part of a text",
		"{{ [] | first }}":               "an item of an empty list is undefined",
		"{% set a.b = 1 %}":              `"a" is not a namespace`,
		"{% set x, y = [1] %}":           "2 names for 1 values",
		"{{ 9223372036854775807 + 1 }}":  "grows too large",
		"{{ s() }}":                      `unknown function "s"`,
	} {
		require.Contains(t, renderErr(t, s, tpl).Error(), want, tpl)
	}
}

func TestConditions(t *testing.T) {
	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, "yes_text: 'false'\nflag: true\nn: 0\nl: [1]\nblock: \"{{ flag }}\"")),
		HostData(LevelSetFact, map[string]any{"r": map[string]any{"rc": 0, "failed": false, "changed": true, "stdout": "a\nb"}}))
	root := yml(t, `
t1: flag
t2: true
t3: [flag, "n == 0"]
t4: r is succeeded and r is changed and r is not skipped
t5: l
t6: yes_text | bool or flag
t7: nope is not defined or nope.x
t8: |
  flag and
  n == 0
  or nope
t9: "'x' in 'xyz' and not 'q' in 'xyz'"
t10: r.stdout.split('\n') | length == 2
t11: block
f1: n
f2: [flag, n]
f3: false
f4: not flag
f5: r.rc != 0
f6: yes_text | bool
f7: "nope | default(false)"
`)
	for _, p := range root.Pairs {
		c, err := CompileExpr(p.Value)
		require.NoError(t, err, p.Key)
		got, err := c.True(s)
		require.NoError(t, err, p.Key)
		require.Equal(t, p.Key[0] == 't', got, p.Key)
	}
	for in, want := range map[string]string{
		"x: yes_text":         "vars.yml:1:4: the condition gives the text 'false', neither true nor false",
		"x: r.stdout":         "| bool",
		"x: nope":             `vars.yml:1:4: "nope" is undefined`,
		"x: \"{{ flag }}\"":   "vars.yml:1:5: a condition is an expression already (write it without {{ }})",
		"x: flag == '{{ n":    "string without an end",
		"x: flag and":         "something is missing at the end",
		"x:":                  "an empty condition",
		"x: {a: b}":           "must be an expression",
		"x: flag is defined)": `unexpected ")"`,
		"x: flag = true":      `unexpected "=" after the expression`,
	} {
		c, err := CompileExpr(yml(t, in).Get("x"))
		if err == nil {
			_, err = c.True(s)
		}
		require.ErrorContains(t, err, want, in)
	}
}
