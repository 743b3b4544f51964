package vars

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// str is Python's str(), but that None prints as nothing, as Ansible has it.
func (m *machine) str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	var b strings.Builder
	m.repr(&b, v, 0)
	return b.String()
}

// repr is Python's repr() of plain data.
func (m *machine) repr(b *strings.Builder, v any, depth int) {
	m.charge(1)
	if depth > 2*maxDepth {
		panic(m.limit("a value is nested too deeply to print"))
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(map[bool]string{true: "True", false: "False"}[v])
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(formatFloat(v))
	case string:
		m.charge(len(v) / 16)
		b.WriteString(pyQuote(v))
	case []any:
		b.WriteByte('[')
		for i, it := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			m.repr(b, m.use(it), depth+1)
		}
		b.WriteByte(']')
	case *dict:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(pyQuote(k) + ": ")
			m.repr(b, m.use(v.vals[k]), depth+1)
		}
		b.WriteByte('}')
	case object:
		m.repr(b, m.materialise(v), depth)
	case *namespace:
		m.repr(b, v.dict, depth)
	case omitted:
		panic(fmt.Errorf("omit cannot be part of a text: it only stands alone, as default(omit)"))
	default:
		panic(fmt.Errorf("%s cannot be printed", typeName(v)))
	}
}

func pyQuote(s string) string {
	q := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = `"`
	}
	var b strings.Builder
	b.WriteString(q)
	for _, r := range s {
		switch {
		case r == '\\', q == "'" && r == '\'':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString(q)
	return b.String()
}
