package secret

import (
	"regexp"
	"strings"
)

// keyed finds a name and what divides it from its value, in YAML, JSON, INI
// files and command lines.
var keyed = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_-]*)(["']?\s*[:=]\s*)`)

// header is what YAML writes where the value itself begins on the next line.
var header = regexp.MustCompile(`^(![A-Za-z]*\s*)?([|>][0-9+-]*)?\s*$`)

// Line returns a line of somebody's file with Mask for the values whose names
// are secret (see Name) or nearly so, and where in the result the byte at offset at is. A
// value that is only a reference, "{{ name }}" or "${NAME}", or one like yes and none, is left. What it cannot tell
// apart it masks to the end of the line.
func Line(line string, at int) (string, int) {
	for from := 0; from < len(line); {
		m := keyed.FindStringSubmatchIndex(line[from:])
		if m == nil {
			break
		}
		name, divider, start := line[from+m[2]:from+m[3]], line[from+m[4]:from+m[5]], from+m[5]
		from = start
		if !like(name) {
			continue
		}
		end := start + valueLength(line[start:], divider, flow(line[:start]))
		if v := line[start:end]; header.MatchString(v) || reference(v) || plainValue(v) {
			from = end
			continue
		}
		switch {
		case at >= end:
			at += len(Mask) - (end - start)
		case at > start:
			at = start
		}
		line = line[:start] + Mask + line[end:]
		from = start + len(Mask)
	}
	return line, at
}

// like is Name, and takes misspelt names, plurals and names in camel case too: it
// is such names that excerpts show, and that files have.
func like(name string) bool {
	name = strings.Trim(strings.ToLower(camel.ReplaceAllString(strings.ReplaceAll(name, "-", "_"), "${1}_${2}")), "_")
	if place(name) || strings.HasSuffix(name, "initial_cluster_token") { // etcd's, which is a name and no secret
		return false
	}
	return Name(name) || Name(strings.TrimSuffix(name, "s")) || strings.Contains(name, "passw") || strings.Contains(name, "pasw") ||
		strings.HasSuffix(name, "requirepass") || strings.HasSuffix(name, "rootpw") || strings.HasSuffix(name, "bindpw")
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// plainValue tells whether a value only switches something, or there is none.
func plainValue(v string) bool {
	switch strings.ToLower(strings.Trim(v, " \t,;\"'")) {
	case "", "yes", "no", "true", "false", "on", "off", "none", "null", "~", "...", Mask:
		return true
	}
	return false
}

// flow tells whether what follows text stands inside { } or [ ].
func flow(text string) bool {
	return strings.Count(text, "{")+strings.Count(text, "[") > strings.Count(text, "}")+strings.Count(text, "]")
}

// valueLength is how much of text is the value that it begins with.
func valueLength(text, divider string, flow bool) int {
	if text == "" {
		return 0
	}
	end := -1
	switch first := text[0]; {
	case first == '"' || first == '\'':
		end = quoted(text)
	case first == '[' || first == '{':
	case strings.TrimSpace(divider) != divider && strings.Contains(divider, "="): // "name = value", all of the line
	case strings.Contains(divider, "="):
		end = strings.IndexAny(text, " \t")
	case flow:
		end = strings.IndexAny(text, ",}]")
	}
	if end < 0 {
		return len(text)
	}
	return end
}

// quoted is the length of the quoted value that text begins with, or -1.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && text[0] == '"':
			i++
		case text[i] == text[0] && i+1 < len(text) && text[i+1] == text[0]: // '' in YAML
			i++
		case text[i] == text[0]:
			return i + 1
		}
	}
	return -1
}

var shellWord = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

// reference tells whether a value names another variable and says no more.
func reference(v string) bool {
	if len(v) > 1 && (v[0] == '"' || v[0] == '\'') {
		v = v[1 : len(v)-1]
	}
	if shellWord.MatchString(v) {
		return true
	}
	inner, opens := strings.CutPrefix(strings.TrimSpace(v), "{{")
	inner, closes := strings.CutSuffix(inner, "}}")
	return opens && closes && !strings.ContainsAny(inner, `{}"'`)
}
