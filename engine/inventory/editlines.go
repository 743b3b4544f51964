package inventory

import (
	"strings"
)

// region is the lines of one entry: from..to-1, its first one indented so.
type region struct {
	from, to, indent int
	first            bool // nothing stands before it in its group
}

// taken is a copy of lines, with the indentation of the entry among them.
type taken struct {
	lines  []string
	indent int
}

// find gives the lines of an entry; ok is false when it shares them.
func (d *document) find(en entry) (region, bool) {
	if d.yaml != nil {
		return d.yamlEntry(en)
	}
	i := en.at.Line - 1
	if i < 0 || i >= len(d.lines) {
		return region{}, false
	}
	r := region{from: i, to: i + 1, first: true}
	for j := i - 1; j >= 0; j-- {
		text := strings.TrimSpace(d.lines[j])
		if iniSection.MatchString(text) {
			break
		}
		if text != "" && !d.comment(text) {
			r.first = false
			break
		}
	}
	return r, true
}

func (d *document) blank(i int) bool {
	return i >= 0 && i < len(d.lines) && strings.TrimSpace(d.lines[i]) == ""
}

// insert puts an entry at the end of a group's hosts; with roomy also where the
// group has none yet.
func (d *document) insert(group, near string, t taken, roomy bool) bool {
	if d.yaml != nil {
		return d.behindLast(group, t) || roomy && d.insertYAML(group, t)
	}
	return d.insertINI(group, near, t, roomy)
}

func (d *document) take(r region) taken {
	t := taken{indent: r.indent}
	for i := r.from; i < r.to; i++ {
		t.lines = append(t.lines, d.lines.Bare(i))
	}
	return t
}

// at gives the lines moved to another indentation.
func (t taken) at(indent int) []string {
	out := make([]string, len(t.lines))
	for i, s := range t.lines {
		out[i] = s
		switch by := indent - t.indent; {
		case strings.TrimSpace(s) == "":
		case by > 0:
			out[i] = strings.Repeat(" ", by) + s
		case by < 0:
			out[i] = s[min(-by, len(s)-len(strings.TrimLeft(s, " "))):]
		}
	}
	return out
}

func (d *document) comment(text string) bool {
	return strings.HasPrefix(text, "#") || d.yaml == nil && strings.HasPrefix(text, ";")
}

// commentsAbove tells how many lines of comment right above an entry are about
// it: those that name the host, and prose above an entry that stands alone. A
// heading of the whole group, or of several entries, and entries that are
// commented out stay.
func (d *document) commentsAbove(r region, host string) int {
	n, named, prose := 0, false, true
	for i := r.from - 1; i >= 0; i-- {
		line := d.lines.Bare(i)
		text := strings.TrimSpace(line)
		if !d.comment(text) || d.yaml != nil && len(line)-len(strings.TrimLeft(line, " ")) != r.indent {
			break
		}
		n++
		text = strings.Trim(text, "#; ")
		named = named || hasName(text, host)
		prose = prose && strings.Contains(text, " ") && !strings.ContainsAny(text, "=") && !strings.HasSuffix(text, ":") && !strings.Contains(text, ": ")
	}
	alone := r.to == len(d.lines) || strings.TrimSpace(d.lines[r.to]) == "" || d.comment(strings.TrimSpace(d.lines[r.to]))
	if named || !r.first && alone && prose {
		return n
	}
	return 0
}

// hasName tells whether a text has the name as a word of its own.
func hasName(text, name string) bool {
	for rest := text; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(name):]
		if (before == "" || !nameByte(before[len(before)-1])) && (after == "" || !nameByte(after[0]) || after[0] == '.' && (len(after) == 1 || !nameByte(after[1]))) {
			return true
		}
		rest = after
	}
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c >= 0x80
}

// insertINI puts the entry behind the last one of the group's last section that
// has hosts, below the heading of one that has none, or in a new section
// behind that of the group near.
func (d *document) insertINI(group, near string, t taken, roomy bool) bool {
	at, empty, end := -1, -1, -1
	section, state := "", "hosts"
	for i := range d.lines {
		text := strings.TrimSpace(strings.TrimPrefix(d.lines[i], "\ufeff"))
		if m := iniSection.FindStringSubmatch(text); m != nil {
			if section, state = m[1], m[2]; state == "" {
				state = "hosts"
			}
			if section == group && state == "hosts" {
				empty = i + 1
			}
		} else if section == group && state == "hosts" && text != "" && !d.comment(text) {
			at = i + 1
		}
		if section == near && state == "hosts" && text != "" && !d.comment(text) {
			end = i + 1
		}
	}
	lines := t.lines
	switch {
	case at >= 0:
	case !roomy:
		return false
	case empty >= 0:
		at = empty
	case end >= 0:
		at, lines = end, append([]string{"", "[" + group + "]"}, lines...)
	default:
		return false
	}
	d.changes = append(d.changes, change{at, at, lines})
	return true
}
