package vars

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

// toYAML writes block style with quoted strings where plain text would be read
// as something else. Keys are sorted as PyYAML does by default.
func (m *machine) toYAML(in any, a *arguments, indent int) any {
	indent = int(min(8, max(2, a.int("indent", int64(indent)))))
	sortKeys := a.bool("sort_keys", true)
	a.int("width", 0)
	var b bytes.Buffer
	m.writeYAML(&b, in, sortKeys, indent, 0)
	s := b.String()
	return strings.TrimPrefix(s, "\n")
}

func (m *machine) writeYAML(b *bytes.Buffer, v any, sortKeys bool, indent, depth int) {
	m.charge(1)
	if depth > 2*maxDepth || b.Len() > maxString {
		panic(m.limit("a value is too large or nested too deeply for YAML"))
	}
	margin := strings.Repeat(" ", indent*depth)
	switch v := m.plain(m.use(v)).(type) {
	case []any:
		if len(v) == 0 {
			b.WriteString(lead(depth) + "[]\n")
			return
		}
		b.WriteByte('\n')
		for _, it := range v {
			b.WriteString(margin + "-")
			if d, ok := m.plain(m.use(it)).(*dict); ok && len(d.keys) > 0 {
				// The first key stands beside the dash.
				var inner bytes.Buffer
				m.writeYAML(&inner, d, sortKeys, indent, depth+1)
				b.WriteString(strings.Repeat(" ", indent-1) + strings.TrimLeft(inner.String(), "\n "))
				continue
			}
			m.writeYAML(b, it, sortKeys, indent, depth+1)
		}
	case *dict:
		if len(v.keys) == 0 {
			b.WriteString(lead(depth) + "{}\n")
			return
		}
		keys := v.keys
		if sortKeys {
			keys = slices.Sorted(slices.Values(keys))
		}
		b.WriteByte('\n')
		for _, k := range keys {
			m.charge(10 + len(k)/bytesPerStep)
			b.WriteString(margin + yamlText(k) + ":")
			m.writeYAML(b, v.vals[k], sortKeys, indent, depth+1)
		}
	default:
		b.WriteString(lead(depth) + m.yamlScalar(v) + "\n")
	}
}

func lead(depth int) string {
	if depth > 0 {
		return " "
	}
	return ""
}

func (m *machine) yamlScalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatFloat(v)
	case string:
		m.charge(10 + len(v)/16)
		return yamlText(v)
	}
	panic(fmt.Errorf("%s has no YAML form", typeName(v)))
}

var plainYAML = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@+ -]*$`)

// yamlText is plain when it would be read back as the same string.
func yamlText(s string) string {
	if len(s) < 200 && plainYAML.MatchString(s) && strings.TrimSpace(s) == s {
		if n, err := strictyaml.Parse("", []byte(s+"\n")); err == nil && n.Kind == strictyaml.Scalar && n.Value == s {
			return s
		}
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0xfeff }) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b bytes.Buffer
	writeJSONString(&b, s)
	return b.String()
}
