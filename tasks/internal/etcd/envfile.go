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

// Assignment is one NAME=VALUE of an EnvironmentFile. Offsets are bytes of the text.
type Assignment struct {
	Name  string
	Value string // without its quotes
	Start int    // the first byte of the name
	From  int    // the first byte of the value as written
	To    int    // behind it, before the line's end
}

// ParseEnvironmentFile reads systemd's EnvironmentFile syntax: comments with #
// or ;, quotes, backslashes, lines that go on after a backslash. Lines without
// a variable are passed over, as systemd does.
func ParseEnvironmentFile(s string) (map[string]string, error) {
	list, err := Assignments(s)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	for _, a := range list {
		vars[a.Name] = a.Value
	}
	return vars, nil
}

// Assignments lists those of an EnvironmentFile in order: the last one of a
// name is the one that counts.
func Assignments(s string) ([]Assignment, error) {
	if len(s) > MaxSettings {
		return nil, fmt.Errorf("the settings are longer than %d bytes", MaxSettings)
	}
	var out []Assignment
	for at := 0; at < len(s); {
		if strings.IndexByte(" \t\r\n", s[at]) >= 0 {
			at++
			continue
		}
		end := strings.IndexAny(s[at:], "=\n")
		if s[at] == '#' || s[at] == ';' || end < 0 || s[at+end] == '\n' {
			if at += strings.IndexByte(s[at:]+"\n", '\n'); at < len(s) {
				at++
			}
			continue
		}
		a := Assignment{Name: strings.TrimRight(s[at:at+end], " \t\r"), Start: at, From: at + end + 1}
		for a.From < len(s) && (s[a.From] == ' ' || s[a.From] == '\t') {
			a.From++
		}
		var n int
		a.Value, n = envValue(s[a.From:])
		a.To, at = a.From+n, a.From+n
		if strings.HasSuffix(s[a.From:a.To], "\r") && strings.HasPrefix(s[at:], "\n") {
			a.To--
		}
		if !varName.MatchString(a.Name) {
			continue
		}
		if out = append(out, a); len(out) > maxVars {
			return nil, fmt.Errorf("more than %d settings", maxVars)
		}
	}
	return out, nil
}

// envValue reads a value and gives the length of its text up to the end of
// its line; quotes may hold line breaks.
func envValue(s string) (value string, n int) {
	var b strings.Builder
	keep, quote := 0, byte(0) // blanks behind keep are dropped when the value ends there
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case strings.HasPrefix(s[i:], "\r\n"): // as if the \r were not there
		case quote == 0 && c == '\n':
			return b.String()[:keep], i
		case quote != '\'' && c == '\\' && i+1 < len(s):
			i++
			switch {
			case s[i] == '\n': // goes on
			case strings.HasPrefix(s[i:], "\r\n"):
				i++
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
	return b.String()[:keep], len(s)
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
