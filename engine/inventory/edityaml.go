package inventory

import (
	"regexp"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

// yamlDoc is where the groups of a YAML inventory stand in its text. Groups
// behind an alias are not among them.
type yamlDoc struct {
	groups []yamlPlace
	step   int // of indentation
}

// yamlPlace is one place at which a group stands.
type yamlPlace struct {
	name              string
	key, value        *strictyaml.Written
	hostsKey, hostsAt *strictyaml.Written // nil: no hosts
}

func readYAMLDoc(f File) (*yamlDoc, error) {
	root, err := strictyaml.ParseWritten(f.Path, f.Text)
	if err != nil {
		return nil, err
	}
	d := &yamlDoc{step: 2}
	d.collect(root)
	for _, p := range d.groups {
		if p.hostsKey != nil && p.hostsKey.Line > p.key.Line {
			d.step = max(1, column(f.Text, p.hostsKey)-column(f.Text, p.key))
			break
		}
	}
	return d, nil
}

func (d *yamlDoc) collect(m *strictyaml.Written) {
	if m == nil || m.Kind != strictyaml.Map || m.Tied {
		return
	}
	for i, key := range m.Keys {
		p := yamlPlace{name: key.Value, key: key, value: m.Items[i]}
		if key.Tied || p.value.Tied {
			continue
		}
		p.hostsKey, p.hostsAt = p.value.Get("hosts")
		d.groups = append(d.groups, p)
		_, children := p.value.Get("children")
		d.collect(children)
	}
}

// column is how many bytes stand before a node in its line.
func column(text string, w *strictyaml.Written) int {
	return w.Start - strings.LastIndexByte(text[:w.Start], '\n') - 1
}

// opens tells whether a key begins its line, with blanks before it only.
func (d *document) opens(key *strictyaml.Written) bool {
	col := column(d.file.Text, key)
	return !key.Tied && strings.Trim(d.lines[key.Line][:col], " ") == ""
}

// block gives the lines of a key and its value, with the deeper comments below.
func (d *document) block(key, value *strictyaml.Written) region {
	r := region{from: key.Line, to: max(lastLine(value), key.Line) + 1, indent: column(d.file.Text, key)}
	for i := r.to; i < len(d.lines); i++ {
		line := d.lines.Bare(i)
		text := strings.TrimLeft(line, " ")
		if text == "" {
			continue
		}
		if len(line)-len(text) <= r.indent {
			break
		}
		r.to = i + 1
	}
	return r
}

// lastLine is the last line on which something of a tree begins.
func lastLine(w *strictyaml.Written) int {
	last := 0
	if !w.Empty() {
		last = w.Line
	}
	for _, k := range w.Keys {
		last = max(last, k.Line)
	}
	for _, it := range w.Items {
		last = max(last, lastLine(it))
	}
	return last
}

func (d *document) yamlEntry(en entry) (region, bool) {
	for _, p := range d.yaml.groups {
		if p.name != en.group || p.hostsAt == nil || p.hostsAt.Kind != strictyaml.Map || p.hostsAt.Style != 0 || p.hostsAt.Tied || p.hostsAt.Merges() {
			continue
		}
		for i, key := range p.hostsAt.Keys {
			if key.Value == en.text && key.Line == en.at.Line-1 && d.opens(key) && key.Line > p.hostsKey.Line {
				r := d.block(key, p.hostsAt.Items[i])
				r.first = i == 0
				return r, true
			}
		}
	}
	return region{}, false
}

// bareKey is a key's line behind the key: nothing, or an empty map, and a comment.
var bareKey = regexp.MustCompile(`^( *:)(?: *\{ *\})?( *(?: #.*)?)$`)

// places lists where a group stands in block style.
func (d *document) places(group string) (out []yamlPlace) {
	for _, p := range d.yaml.groups {
		if p.name == group && d.opens(p.key) && p.value.Style == 0 {
			out = append(out, p)
		}
	}
	return out
}

// behindLast puts the entry behind the last host of the group.
func (d *document) behindLast(group string, t taken) bool {
	for _, p := range d.places(group) {
		if h := p.hostsAt; h != nil && h.Kind == strictyaml.Map && h.Style == 0 && !h.Tied && !h.Merges() && len(h.Keys) > 0 {
			n := len(h.Keys) - 1
			if d.opens(h.Keys[n]) {
				r := d.block(h.Keys[n], h.Items[n])
				d.changes = append(d.changes, change{r.to, r.to, t.at(r.indent)})
				return true
			}
		}
	}
	return false
}

// insertYAML puts the entry where the group has room for hosts.
func (d *document) insertYAML(group string, t taken) bool {
	places := d.places(group)
	for _, p := range places { // below an empty hosts:
		if p.hostsKey != nil && d.under(p.hostsKey, p.hostsAt, func(indent int) []string { return t.at(indent) }) {
			return true
		}
	}
	hosts := func(indent int) []string {
		return append([]string{strings.Repeat(" ", indent) + "hosts:"}, t.at(indent+d.yaml.step)...)
	}
	for _, p := range places { // beside vars or children
		if n := len(p.value.Keys) - 1; p.hostsKey == nil && p.value.Kind == strictyaml.Map && n >= 0 && !p.value.Merges() && d.opens(p.value.Keys[n]) {
			r := d.block(p.value.Keys[n], p.value.Items[n])
			d.changes = append(d.changes, change{r.to, r.to, hosts(r.indent)})
			return true
		}
	}
	for _, p := range d.yaml.groups { // below an empty group; {} is no block
		if p.name == group && p.hostsKey == nil && d.under(p.key, p.value, hosts) {
			return true
		}
	}
	return false
}

// under puts lines below a key without a value.
func (d *document) under(key, value *strictyaml.Written, lines func(indent int) []string) bool {
	empty := value.Empty() || value.Kind == strictyaml.Map && value.Style == '{' && len(value.Keys) == 0
	if !empty || key.End < 0 || value.Tied || !d.opens(key) {
		return false
	}
	start := key.Start - column(d.file.Text, key)
	line := d.lines.Bare(key.Line)
	m := bareKey.FindStringSubmatch(line[key.End-start:])
	if m == nil {
		return false
	}
	r := d.block(key, &strictyaml.Written{})
	if bare := line[:key.End-start] + m[1] + m[2]; bare != line {
		d.changes = append(d.changes, change{key.Line, key.Line + 1, []string{strings.TrimRight(bare, " ")}})
	}
	d.changes = append(d.changes, change{r.to, r.to, lines(r.indent + d.yaml.step)})
	return true
}
