package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/strictyaml"
)

// ListJSON renders the whole inventory in the shape of `ansible-inventory
// --list`: groups with hosts and children, and the variables of every host
// under _meta. Templates are shown as they are written, passwords are masked.
func (inv *Inventory) ListJSON() []byte {
	out := map[string]any{}
	inv.listGroup(out, inv.groups["all"], map[string]bool{})
	hostvars := map[string]any{}
	for _, name := range inv.members["all"] {
		if vars := shown(inv.Vars(name)); len(vars) > 0 {
			hostvars[name] = vars
		}
	}
	out["_meta"] = map[string]any{"hostvars": hostvars}
	return toJSON(out)
}

func (inv *Inventory) listGroup(out map[string]any, g *Group, seen map[string]bool) {
	m := map[string]any{}
	if g.Name != "all" && len(g.hosts) > 0 {
		m["hosts"] = hostNames(g.hosts)
	}
	var children []string
	for _, c := range g.children {
		children = append(children, c.Name)
		if !seen[c.Name] {
			seen[c.Name] = true
			inv.listGroup(out, c, seen)
		}
	}
	if len(children) > 0 {
		m["children"] = children
	}
	if len(m) > 0 {
		out[g.Name] = m
	}
}

func hostNames(hosts []*Host) []string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	return names
}

// HostJSON renders the variables of one host as `ansible-inventory --host`
// does. The host must be one that Has knows.
func (inv *Inventory) HostJSON(host string) []byte { return toJSON(shown(inv.Vars(host))) }

// HostOrigins renders the variables of one host with the layer and the place
// that each comes from, one in a line, sorted by precedence and place.
func (inv *Inventory) HostOrigins(host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: groups %s\n", host, strings.Join(inv.GroupsOf(host), ", "))
	wins := map[string]*strictyaml.Node{}
	for _, p := range inv.Vars(host).Pairs {
		wins[p.Key] = p.Value
	}
	for _, l := range inv.Layers(host) {
		fmt.Fprintf(&b, "  # %s: %s\n", l.Level, l.Name)
		for _, p := range l.Vars.Pairs {
			note := ""
			if wins[p.Key] != p.Value {
				note = "  (replaced below)"
			}
			fmt.Fprintf(&b, "  %s: %s  # %s%s\n", p.Key, compact(shownValue(p.Key, p.Value)), p.Value.Pos, note)
		}
	}
	return b.String()
}

// Graph renders the tree of groups below top as `ansible-inventory --graph`
// does; with vars also the variables of each host (its own only) and group.
// The group must exist. A group is shown under each of its parents; past
// graphLimit bytes it is not unfolded again.
func (inv *Inventory) Graph(top string, vars bool) string {
	var b strings.Builder
	inv.graph(&b, inv.groups[top], 0, vars)
	return b.String()
}

const graphLimit = 16 << 20

func (inv *Inventory) graph(b *strings.Builder, g *Group, depth int, vars bool) {
	graphLine(b, "@"+g.Name+":", depth)
	if b.Len() > graphLimit {
		return
	}
	for _, c := range g.children {
		inv.graph(b, c, depth+1, vars)
	}
	if g.Name != "all" {
		for _, h := range g.hosts {
			graphLine(b, h.Name, depth+1)
			if vars {
				graphVars(b, inv.Vars(h.Name), depth+2)
			}
		}
	}
	if vars {
		graphVars(b, g.vars.node(), depth+1)
	}
}

func graphLine(b *strings.Builder, text string, depth int) {
	if depth > 0 {
		b.WriteString(strings.Repeat("  |", depth) + "--")
	}
	b.WriteString(text + "\n")
}

func graphVars(b *strings.Builder, vars *strictyaml.Node, depth int) {
	if vars == nil {
		return
	}
	m := shown(vars)
	for _, k := range sortedKeys(m) {
		graphLine(b, fmt.Sprintf("{%s = %s}", k, compact(m[k])), depth)
	}
}

// shown gives plain data with passwords masked.
func shown(vars *strictyaml.Node) map[string]any {
	m := make(map[string]any, len(vars.Pairs))
	for _, p := range vars.Pairs {
		m[p.Key] = shownValue(p.Key, p.Value)
	}
	return m
}

func shownValue(name string, v *strictyaml.Node) any {
	return masked(v.Any(), secret.Name(name))
}

// masked masks what stands under a secret name, at any depth.
func masked(v any, hide bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, it := range v {
			out[k] = masked(it, hide || secret.Name(k))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, it := range v {
			out[i] = masked(it, hide)
		}
		return out
	case nil:
		return nil
	}
	if hide {
		return secret.Mask
	}
	return v
}

func toJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	if err := e.Encode(pythonFloats(v)); err != nil {
		return []byte(fmt.Sprintf("{\"error\": %q}\n", err)) // cannot happen: v is plain data
	}
	return b.Bytes()
}

func compact(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if s, ok := v.(string); ok && printableText(s) {
		return s
	}
	if err := e.Encode(pythonFloats(v)); err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func printableText(s string) bool {
	return s != "" && strconv.Quote(s) == `"`+s+`"` && strings.TrimSpace(s) == s
}

// pythonFloats writes 1.0 as Python does, not as 1, so that a program that
// reads the list sees the same type; what JSON cannot hold becomes text.
func pythonFloats(v any) any {
	switch v := v.(type) {
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return s
		}
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return json.Number(s)
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, it := range v {
			m[k] = pythonFloats(it)
		}
		return m
	case []any:
		s := make([]any, len(v))
		for i, it := range v {
			s[i] = pythonFloats(it)
		}
		return s
	}
	return v
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
