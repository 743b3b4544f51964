package etcd

import (
	"fmt"
	"regexp"
	"strings"
)

// Bounds of a settings file.
const (
	MaxSettings = 256 << 10 // bytes
	maxVars     = 1000
)

var varName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)

// ParseEnvironmentFile reads systemd's EnvironmentFile syntax: comments with #
// or ;, quotes, backslashes, lines that go on after a backslash. Lines without
// a variable are passed over, as systemd does.
func ParseEnvironmentFile(s string) (map[string]string, error) {
	if len(s) > MaxSettings {
		return nil, fmt.Errorf("the settings are longer than %d bytes", MaxSettings)
	}
	vars := map[string]string{}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for s != "" {
		s = strings.TrimLeft(s, " \t\n")
		if s == "" {
			break
		}
		if s[0] == '#' || s[0] == ';' {
			_, s = line(s)
			continue
		}
		end := strings.IndexAny(s, "=\n")
		if end < 0 || s[end] == '\n' {
			_, s = line(s)
			continue
		}
		key := strings.TrimSpace(s[:end])
		value, rest := envValue(s[end+1:])
		s = rest
		if !varName.MatchString(key) {
			continue
		}
		if vars[key] = value; len(vars) > maxVars {
			return nil, fmt.Errorf("more than %d settings", maxVars)
		}
	}
	return vars, nil
}

func line(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, "\n")
	return first, rest
}

// envValue reads a value up to the end of its line; quotes may hold line breaks.
func envValue(s string) (value, rest string) {
	var b strings.Builder
	keep, quote := 0, byte(0) // blanks behind keep are dropped when the value ends there
	s = strings.TrimLeft(s, " \t")
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == 0 && c == '\n':
			return b.String()[:keep], s[i+1:]
		case quote != '\'' && c == '\\' && i+1 < len(s):
			i++
			switch {
			case s[i] == '\n': // goes on
			case quote == '"' && !strings.ContainsRune("\"\\`$", rune(s[i])):
				b.WriteByte('\\')
				b.WriteByte(s[i])
			default:
				b.WriteByte(s[i])
			}
			keep = b.Len()
		case quote == 0 && (c == '"' || c == '\''):
			quote, keep = c, b.Len()
		case c == quote:
			quote, keep = 0, b.Len()
		default:
			b.WriteByte(c)
			if quote != 0 || c != ' ' && c != '\t' {
				keep = b.Len()
			}
		}
	}
	return b.String()[:keep], ""
}

// Words splits a line as systemd does: blanks part, quotes and backslashes hold together.
func Words(s string) []string {
	var out []string
	var b strings.Builder
	in, quote := false, rune(0)
	escaped := false
	for _, c := range s {
		switch {
		case escaped:
			b.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, in = true, true
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if in {
				out = append(out, b.String())
				b.Reset()
			}
			in = false
		default:
			b.WriteRune(c)
			in = true
		}
	}
	if in {
		out = append(out, b.String())
	}
	return out
}

var envRef = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)

// Flags are etcd's options in a command line as ETCD_ settings. Variables are
// replaced from vars; an option whose variable is not known is left out. A
// program that a shell starts (bash -c "... etcd --name=...") is looked into.
func Flags(argv []string, vars map[string]string) map[string]string {
	const most = 500
	out := map[string]string{}
	var words []string
	for _, a := range argv[:min(len(argv), most)] {
		if strings.ContainsAny(a, " \t\n") && strings.Contains(a, "--") && !strings.HasPrefix(a, "--") {
			words = append(words, Words(a)...)
			continue
		}
		if name, ok := strings.CutPrefix(a, "$"); ok { // a word of its own stands for several
			if v, known := vars[strings.Trim(name, "{}")]; known {
				words = append(words, Words(v)...)
			}
			continue
		}
		words = append(words, a)
	}
	for i := 0; i < len(words); i++ {
		name, ok := strings.CutPrefix(words[i], "--")
		if !ok {
			continue
		}
		name, value, given := strings.Cut(name, "=")
		if !given {
			value = "true"
			if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
				i++
				value = words[i]
			}
		}
		if value, ok = expand(strings.Trim(value, `"'`), vars); ok {
			out["ETCD_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
		}
	}
	return out
}

func expand(s string, vars map[string]string) (string, bool) {
	known := true
	s = envRef.ReplaceAllStringFunc(s, func(ref string) string {
		v, ok := vars[strings.Trim(ref, "${}")]
		known = known && ok
		return v
	})
	return s, known
}
