package vars

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // a checksum that people ask for by name, not a defence
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

func codecFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"to_json": func(m *machine, in any, a *arguments) any { return m.toJSON(in, a, false) },
		"tojson":  func(m *machine, in any, a *arguments) any { return m.toJSON(in, a, false) },
		"to_nice_json": func(m *machine, in any, a *arguments) any {
			return m.toJSON(in, a, true)
		},
		"to_yaml":      func(m *machine, in any, a *arguments) any { return m.toYAML(in, a, 2) },
		"to_nice_yaml": func(m *machine, in any, a *arguments) any { return m.toYAML(in, a, 4) },
		"from_json":    filterFromJSON,
		"from_yaml":    filterFromYAML,
		"b64encode":    textFilter(func(s string) any { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"b64decode":    filterB64Decode,
		"hash":         filterHash,
		"checksum":     textFilter(func(s string) any { return digest("sha1", s) }),
		"sha1":         textFilter(func(s string) any { return digest("sha1", s) }),
		"md5":          textFilter(func(s string) any { return digest("md5", s) }),
		"urlencode":    textFilter(func(s string) any { return strings.ReplaceAll(url.PathEscape(s), "%2F", "/") }),
	}
}

func filterHash(m *machine, in any, a *arguments) any {
	s := m.str(in)
	m.charge(len(s) / bytesPerStep)
	return digest(a.str("hashtype", "sha1"), s)
}

func digest(kind, s string) string {
	var sum []byte
	switch b := []byte(s); kind {
	case "md5":
		x := md5.Sum(b) //nolint:gosec // see the import
		sum = x[:]
	case "sha1":
		x := sha1.Sum(b) //nolint:gosec // see the import
		sum = x[:]
	case "sha224":
		x := sha256.Sum224(b)
		sum = x[:]
	case "sha256":
		x := sha256.Sum256(b)
		sum = x[:]
	case "sha384":
		x := sha512.Sum384(b)
		sum = x[:]
	case "sha512":
		x := sha512.Sum512(b)
		sum = x[:]
	default:
		panic(fmt.Errorf("hash knows md5, sha1, sha224, sha256, sha384 and sha512, not %q", kind))
	}
	return hex.EncodeToString(sum)
}

func filterB64Decode(m *machine, in any, a *arguments) any {
	s := m.str(in)
	out, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	switch {
	case err != nil:
		panic(errors.New("b64decode: this is not base64"))
	case !utf8.Valid(out):
		panic(errors.New("b64decode: the content is not text"))
	}
	return string(out)
}

func (m *machine) toJSON(in any, a *arguments, nice bool) any {
	indent := a.int("indent", map[bool]int64{false: 0, true: 4}[nice])
	sortKeys := a.bool("sort_keys", nice)
	a.bool("ensure_ascii", true)
	var b bytes.Buffer
	m.writeJSON(&b, in, sortKeys, 0)
	if indent <= 0 {
		return b.String()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", strings.Repeat(" ", int(min(indent, 16)))); err != nil {
		panic(err)
	}
	return out.String()
}

// writeJSON writes as Python's json.dumps does: ", " and ": ", ASCII only.
func (m *machine) writeJSON(b *bytes.Buffer, v any, sortKeys bool, depth int) {
	m.charge(1)
	if depth > 2*maxDepth || b.Len() > maxString {
		panic(m.limit("a value is too large or nested too deeply for JSON"))
	}
	switch v := m.plain(m.use(v)).(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(strings.NewReplacer("inf", "Infinity", "nan", "NaN").Replace(formatFloat(v)))
	case string:
		m.charge(len(v) / 16)
		writeJSONString(b, v)
	case []any:
		b.WriteByte('[')
		for i, it := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			m.writeJSON(b, it, sortKeys, depth+1)
		}
		b.WriteByte(']')
	case *dict:
		keys := v.keys
		if sortKeys {
			keys = slices.Sorted(slices.Values(keys))
		}
		b.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				b.WriteString(", ")
			}
			writeJSONString(b, k)
			b.WriteString(": ")
			m.writeJSON(b, v.vals[k], sortKeys, depth+1)
		}
		b.WriteByte('}')
	default:
		panic(fmt.Errorf("%s has no JSON form", typeName(v)))
	}
}

func writeJSONString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r < ' ' || r > '~':
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

func filterFromJSON(m *machine, in any, a *arguments) any {
	s := m.str(in)
	m.charge(len(s) / 4)
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	v := m.readJSON(d, 0)
	if d.More() {
		panic(errors.New("from_json: there is more after the first value"))
	}
	return v
}

// readJSON keeps the order of keys and tells integers from floats.
func (m *machine) readJSON(d *json.Decoder, depth int) any {
	m.charge(1)
	t, err := d.Token()
	if err != nil || depth > 2*maxDepth {
		panic(errors.New("from_json: this is not JSON, or nested too deeply"))
	}
	switch t := t.(type) {
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i
		}
		f, _ := t.Float64()
		return f
	case json.Delim:
		if t == '[' {
			out := []any{}
			for d.More() {
				out = append(out, m.readJSON(d, depth+1))
			}
			m.closeJSON(d)
			return out
		}
		out := newDict(0)
		for d.More() {
			k, _ := m.readJSON(d, depth+1).(string)
			out.set(k, m.readJSON(d, depth+1))
		}
		m.closeJSON(d)
		return out
	}
	return t
}

func (m *machine) closeJSON(d *json.Decoder) {
	if _, err := d.Token(); err != nil {
		panic(errors.New("from_json: this is not JSON"))
	}
}

func filterFromYAML(m *machine, in any, a *arguments) any {
	s := m.str(in)
	m.charge(len(s))
	n, err := strictyaml.Parse("", []byte(s))
	if err != nil {
		var list source.List
		if errors.As(err, &list) {
			err = fmt.Errorf("line %d: %s", list[0].Pos.Line, list[0].Text)
		}
		panic(fmt.Errorf("from_yaml: %w", err))
	}
	return fromNode(n)
}

func regexEscape(s string) string {
	return regexp.QuoteMeta(s)
}
