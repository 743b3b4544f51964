package vars

import "strings"

// bombs are templates that would run, or grow, without end.
func bombs() map[string]string {
	nest := func(n int, inner string) string {
		return strings.Repeat("{% for i in big %}", n) + inner + strings.Repeat("{% endfor %}", n)
	}
	return map[string]string{
		"nested loops":      nest(4, "{{ i }}"),
		"nested empty":      nest(4, ""),
		"range":             "{{ range(10**9) }}",
		"range sum":         "{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}",
		"repeat":            "{{ 'x' * 10**12 }}",
		"repeat list":       "{{ [1] * 10**12 }}",
		"negative repeat":   "{{ 'x' * -1 }}",
		"double text":       "{% set ns = namespace(s='xxxxxxxx') %}{% for i in big %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
		"double list":       "{% set ns = namespace(s=[1]) %}{% for i in big %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
		"nest list":         "{% set ns = namespace(s=[1]) %}{% for i in big %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
		"compare nested":    "{% set ns = namespace(s=[1]) %}{% for i in big %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s == ns.s }}",
		"hash nested":       "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ [ns.s] | unique }}",
		"flatten nested":    "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | flatten }}",
		"json nested":       "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | to_json }}",
		"merge nested":      "{% set ns = namespace(s={}) %}{% for i in range(40) %}{% set ns.s = {'a': ns.s, 'b': ns.s} %}{% endfor %}{{ ns.s | combine(ns.s, recursive=true) }}",
		"knot":              "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
		"knot json":         "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns | to_json }}",
		"knot compare":      "{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns == ns }}",
		"knot unique":       "{% set ns = namespace() %}{% set ns.me = [ns] %}{{ [ns] | unique }}",
		"macro for ever":    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"macro tree":        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
		"output":            "{% for i in big %}{% for j in big %}{{ chunk }}{% endfor %}{% endfor %}",
		"captured output":   "{% set x %}{% for i in big %}{% for j in big %}{{ chunk }}{% endfor %}{% endfor %}{% endset %}",
		"replace":           "{{ chunk | replace('x', chunk) | replace('x', chunk) }}",
		"regex replace":     "{{ chunk | regex_replace('x', chunk) | regex_replace('x', chunk) | regex_replace('x', chunk) }}",
		"regex findall":     "{{ (chunk * 1000) | regex_findall('') | length }}",
		"regex slow":        "{% for i in big %}{{ (chunk * 100) is search('(x+x+)+y') }}{% endfor %}",
		"regex wide":        "{% for i in big %}{{ (chunk * 100) is search('(((x{1,30}){1,30}){1,1})y') }}{% endfor %}",
		"sort":              "{% for i in big %}{{ big | sort | first }}{% endfor %}",
		"indent":            "{{ ('\\n' * 100000) | indent(1000, true, true) }}",
		"center":            "{{ 'x'.center(10**12) }}{{ 'x' | center(10**12) }}",
		"zfill":             "{{ 'x'.zfill(10**12) }}",
		"format":            "{{ '%999999999d' | format(1) }}",
		"join":              "{{ [chunk] * 10000 | int }}{{ ([chunk] * 100000) | join(chunk) }}",
		"split":             "{{ (chunk * 8000) | list | length }}",
		"in":                "{% for i in big %}{{ -1 in big }}{% endfor %}",
		"string in":         "{% for i in big %}{{ 'y' in chunk * 100 }}{% endfor %}",
		"upper":             "{% for i in big %}{{ chunk * 1000 | int | upper }}{% endfor %}",
		"rsplit":            "{{ (',' * 100000).rsplit(',', 100000) | length }}",
		"batch":             "{{ big | batch(10000, chunk) | list | length }}",
		"power":             "{{ 2 ** 100000000 }}",
		"power 1":           "{{ 1 ** 9000000000000000000 }}{{ (-1) ** 9000000000000000000 }}{{ 0 ** 9000000000000000000 }}",
		"chain of defaults": "{{ x" + strings.Repeat(" | default(x", 20) + strings.Repeat(")", 20) + " }}",
		"from_yaml":         "{{ ('[' * 100000) | from_yaml }}",
		"from_json":         "{{ ('[' * 100000) | from_json }}",
		"hash":              "{% for i in big %}{{ (chunk * 1000) | hash('sha512') }}{% endfor %}",
		"b64":               "{% for i in big %}{{ (chunk * 1000) | b64encode | b64encode }}{% endfor %}",
		"slices":            "{% for i in big %}{{ big[::-1][::2][9223372036854775807::-9223372036854775807] }}{% endfor %}",
		"versions":          "{% for i in big %}{{ (chunk * 100) is version('1.' * 1000 + '1', '<') }}{% endfor %}",
		"quote":             "{% for i in big %}{{ (chunk * 1000) | quote }}{{ [chunk * 1000] }}{% endfor %}",
		"yaml":              "{% for i in big %}{{ [chunk * 1000] | to_yaml }}{% endfor %}",
	}
}
