package planfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Difference is one thing that a saved plan stands on and that has moved.
type Difference struct {
	Where string // a host, or "this machine"
	What  string // "/etc/foo: sha256", "step \"restart\"", "group_vars/all.yml"
	Was   string
	Is    string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s %s was %s, is %s", d.Where, d.What, d.Was, d.Is)
}

// Here is Where of files of the control machine.
const Here = "this machine"

const none = "not there"

// Inputs compares files of the control machine.
func Inputs(was, is []Input) []Difference {
	a, b := byPath(was), byPath(is)
	var out []Difference
	for _, p := range keys(a, b) {
		x, inA := a[p]
		y, inB := b[p]
		if inA && inB && x == y {
			continue
		}
		d := Difference{Where: Here, What: p, Was: none, Is: none}
		if inA {
			d.What, d.Was = x.What+" "+p, short(x)
		}
		if inB {
			d.What, d.Is = y.What+" "+p, short(y)
		}
		out = append(out, d)
	}
	return out
}

func short(i Input) string {
	if i.SHA256 != "" {
		return "sha256 " + i.SHA256[:12]
	}
	return "hmac " + i.HMAC[:12]
}

func byPath(in []Input) map[string]Input {
	m := map[string]Input{}
	for _, i := range in {
		m[i.Path] = i
	}
	return m
}

func keys[V any](a, b map[string]V) []string {
	all := map[string]V{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// Hosts compares who answers.
func Hosts(was, is []Host) []Difference {
	index := func(hs []Host) map[string]Host {
		m := map[string]Host{}
		for _, h := range hs {
			m[h.Name] = h
		}
		return m
	}
	a, b := index(was), index(is)
	var out []Difference
	for _, name := range keys(a, b) {
		x, inA := a[name]
		y, inB := b[name]
		switch {
		case !inA:
			out = append(out, Difference{name, "the host", "not in the plan", "here"})
		case !inB:
			out = append(out, Difference{name, "the host", "here", "not in the run"})
		default:
			for _, f := range [][3]string{{"machine id", x.Machine, y.Machine}, {"operating system", x.OS, y.OS}, {"architecture", x.Arch, y.Arch}} {
				if f[1] != f[2] {
					out = append(out, Difference{name, f[0], orNone(f[1]), orNone(f[2])})
				}
			}
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// Steps compares what was seen and what would be done, volatile facts aside.
func Steps(was, is []Step) []Difference {
	b := map[Key]*Step{}
	for i := range is {
		b[is[i].Key()] = &is[i]
	}
	var out []Difference
	for i := range was {
		s := &was[i]
		now := b[s.Key()]
		delete(b, s.Key())
		if now == nil {
			out = append(out, Difference{s.Host, s.title(), s.says(), "not reached"})
			continue
		}
		out = append(out, s.differs(now)...)
	}
	for i := range is {
		if s := &is[i]; b[s.Key()] != nil {
			out = append(out, Difference{s.Host, s.title(), "not reached", s.says()})
		}
	}
	return out
}

// Clusters compares in which order and windows, and what becomes of it on failure.
func Clusters(was, is []Cluster) []Difference {
	index := func(cs []Cluster) map[string]Cluster {
		m := map[string]Cluster{}
		for _, c := range cs {
			m[fmt.Sprintf("step %s on %s", c.ID, strings.Join(c.Hosts, ", "))] = c
		}
		return m
	}
	a, b := index(was), index(is)
	var out []Difference
	for _, name := range keys(a, b) {
		x, y := a[name], b[name]
		if x.OnFailure != y.OnFailure {
			out = append(out, Difference{Here, name + ", on failure", orNone(x.OnFailure), orNone(y.OnFailure)})
		}
		if p, q := x.says(), y.says(); p != q || len(x.Stages) != len(y.Stages) {
			out = append(out, Difference{Here, name + ", stages", p, q})
		} else {
			for i, st := range x.Stages {
				if is := y.Stages[i].Does; st.Does != is {
					out = append(out, Difference{Here, name + ", stage " + st.Name + shown("does"), brief(st.Does), brief(is)})
				}
			}
		}
	}
	return out
}

// says lists the stages, so that two plans can be told apart.
func (c Cluster) says() string {
	var out []string
	for _, s := range c.Stages {
		t := fmt.Sprintf("%s on %s", s.Name, strings.Join(s.Hosts, ", "))
		if s.Window > 0 {
			t += fmt.Sprintf(" (%d at once)", s.Window)
		}
		if s.Commit {
			t += " (stays)"
		}
		out = append(out, t)
	}
	return strings.Join(out, "; ")
}

func (s *Step) title() string {
	if s.Item != "" {
		return fmt.Sprintf("step %q (%s)", s.Step, s.Item)
	}
	return fmt.Sprintf("step %q", s.Step)
}

// says is what the step would do, in a few words.
func (s *Step) says() string {
	var c []string
	for _, x := range s.Changes {
		c = append(c, x.Summary)
	}
	switch {
	case len(c) > 2:
		return fmt.Sprintf("%s and %d more", c[0], len(c)-1)
	case len(c) > 0:
		return strings.Join(c, ", ")
	case s.Status == "unknown":
		return fmt.Sprintf("unknown until %q", s.Unknown)
	case s.Status == "ok":
		return "no change"
	}
	return s.Status
}

// differs names what of a step has moved: what was seen, else what would be done.
func (s *Step) differs(now *Step) []Difference {
	at := s.Host
	if s.Target != "" {
		at = s.Target
	}
	var out []Difference
	add := func(what, was, is string) { out = append(out, Difference{at, what, was, is}) }
	switch {
	case s.Target != now.Target:
		add(s.title()+" happens on", orNone(s.Target), orNone(now.Target))
	case s.Sealed != now.Sealed:
		add(s.title()+": what was seen (not shown)", "one thing", "another")
	default:
		for _, d := range observed(s.title(), s.Observed, now.Observed) {
			add(d[0], d[1], d[2])
		}
	}
	if out == nil && !s.Same(now) {
		was, is := s.says(), now.says()
		if was == is {
			was, is = was+" "+s.digests(), is+" "+now.digests()
		}
		add(s.title(), was, is)
	}
	if out == nil {
		// The same would be done, but who reviewed the plan was told something else.
		for _, t := range s.shows(now) {
			if t[1] != t[2] {
				add(s.title()+shown(t[0]), brief(t[1]), brief(t[2]))
			}
		}
	}
	return out
}

// shown names a text of the file that is another one when it is planned anew.
func shown(what string) string { return ": what the plan shows (" + what + ")" }

// shows pairs the texts of two forecasts that would do the same, as [what, was, is].
func (s *Step) shows(now *Step) [][3]string {
	out := [][3]string{{"play", s.Play, now.Play}, {"step", s.Step, now.Step}, {"task", s.Task, now.Task}, {"item", s.Item, now.Item},
		{"handler", strconv.FormatBool(s.Handler), strconv.FormatBool(now.Handler)}}
	for i, c := range s.Changes {
		n := now.Changes[i]
		out = append(out, [][3]string{{"summary", c.Summary, n.Summary}, {"diff", c.Diff, n.Diff}, {"undo", c.Undo, n.Undo}, {"why", c.Why, n.Why},
			{"stage", strconv.Itoa(c.Stage), strconv.Itoa(n.Stage)}, {"unknown", c.Unknown, n.Unknown}, {"until", strconv.Itoa(c.Until), strconv.Itoa(n.Until)}}...)
	}
	return out
}

func (s *Step) digests() string {
	var out []string
	for _, c := range s.Changes {
		d := strings.TrimPrefix(c.Digest, Sealed)
		out = append(out, d[:min(12, len(d))])
	}
	return "(" + strings.Join(out, " ") + ")"
}

// Same tells whether two forecasts of a step would do the same.
func (s *Step) Same(now *Step) bool {
	if s.Status != now.Status || s.Unknown != now.Unknown || s.MaxRisk != now.MaxRisk || len(s.Changes) != len(now.Changes) {
		return false
	}
	for i := range s.Changes {
		a, b := s.Changes[i], now.Changes[i]
		if a.Kind != b.Kind || a.Host != b.Host || a.Risk != b.Risk || a.Digest != b.Digest {
			return false
		}
	}
	return true
}

// maxNamed bounds how many facts of one step are named.
const maxNamed = 8

// observed names the leaves in which two observations differ, as [what, was, is].
func observed(title string, was, is json.RawMessage) [][3]string {
	if bytes.Equal(compact(was), compact(is)) {
		return nil
	}
	var a, b any
	if decode(was, &a) != nil || decode(is, &b) != nil {
		return [][3]string{{title + ": what was seen", "one thing", "another"}}
	}
	var out [][3]string
	leaves(title, "", a, b, &out)
	return out
}

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

func decode(raw json.RawMessage, to *any) error {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(to)
}

// leaves walks both at once. of is the path or name of the thing that is spoken of.
func leaves(of, at string, a, b any, out *[][3]string) {
	if len(*out) >= maxNamed {
		return
	}
	ma, okA := a.(map[string]any)
	mb, okB := b.(map[string]any)
	if okA && b == nil || okB && a == nil {
		okA, okB = true, true
	}
	if okA && okB {
		of = nameIn(ma, mb, of)
		if x, y := ma["Exists"], mb["Exists"]; ma != nil && mb != nil && x != y {
			*out = append(*out, [3]string{of + ": Exists", brief(x), brief(y)})
			return
		}
		for _, k := range keys(ma, mb) {
			leaves(of, strings.TrimPrefix(at+"."+k, "."), ma[k], mb[k], out)
		}
		return
	}
	la, okA := a.([]any)
	lb, okB := b.([]any)
	if okA && okB && len(la) == len(lb) {
		for i := range la {
			leaves(of, at+"["+strconv.Itoa(i)+"]", la[i], lb[i], out)
		}
		return
	}
	if x, y := brief(a), brief(b); x != y {
		*out = append(*out, [3]string{of + ": " + last(at), x, y})
	}
}

// nameIn is what a record calls itself.
func nameIn(a, b map[string]any, of string) string {
	for _, m := range []map[string]any{a, b} {
		for _, k := range []string{"Path", "path", "Name", "name"} {
			if s, ok := m[k].(string); ok && s != "" {
				return s
			}
		}
	}
	return of
}

func last(at string) string { return at[strings.LastIndexByte(at, '.')+1:] }

func brief(v any) string {
	if v == nil {
		return none
	}
	s, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		s = string(raw)
	}
	if s == "" {
		return `""`
	}
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}
