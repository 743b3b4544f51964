package playbook

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// nameTable knows, while a playbook is bound from top to bottom, which names
// are defined at this place on which hosts.
type nameTable struct {
	env     Env
	engine  *vars.Engine
	play    *BoundPlay
	open    bool                                   // the play's hosts are not known: nothing can be said
	learned map[string]map[string]bool             // name -> hosts on which a step before registers or sets it
	host    map[string]map[string]*strictyaml.Node // inventory variables, by host
	facts   map[string]bool                        // hosts whose facts are known
	found   map[string]fromInventory               // what find has found in the inventory, in this play
	later   map[string]*strictyaml.Node            // what some step of the play sets -> that step
	read    map[string]bool                        // every name that something reads
}

func newNameTable(env Env) *nameTable {
	return &nameTable{env: env, engine: &vars.Engine{}, learned: map[string]map[string]bool{}, facts: map[string]bool{}, host: map[string]map[string]*strictyaml.Node{}, read: map[string]bool{}}
}

// enter begins a play.
func (t *nameTable) enter(p *BoundPlay, known bool) {
	t.play, t.open, t.later = p, !known || t.env.Incomplete || len(p.Targets) == 0, map[string]*strictyaml.Node{}
	t.found = map[string]fromInventory{}
	if p.GatherFacts == nil || *p.GatherFacts {
		t.gathered()
	}
	for _, s := range slices.Concat(p.Play.Steps, p.Play.Handlers) {
		for _, n := range sets(s) {
			t.later[n] = s.At
		}
	}
}

func (t *nameTable) gathered() {
	for _, h := range t.play.Targets {
		t.facts[h] = true
	}
}

// sets names what a step defines on its hosts. Before Bind has found the
// step's task, its only key tells.
func sets(s *Step) []string {
	var names []string
	if s.Register != "" {
		names = append(names, s.Register)
	}
	return append(names, setFacts(s)...)
}

func setFacts(s *Step) []string {
	if s.Task != "set_fact" || s.Params == nil {
		return nil
	}
	return slices.DeleteFunc(s.Params.Keys(), func(k string) bool { return k == "cacheable" })
}

// Sets names the variables that the step itself sets on a host, as set_fact
// does. Register is not among them.
func (s *BoundStep) Sets() []string { return setFacts(s.Step) }

// leave ends a step: what it sets is known from here on.
func (t *nameTable) leave(s *BoundStep) {
	if s.Def != nil && s.Def.Facts && s.DelegateTo == nil {
		t.gathered()
	}
	for _, name := range sets(s.Step) {
		if t.learned[name] == nil {
			t.learned[name] = map[string]bool{}
		}
		for _, h := range t.play.Targets {
			t.learned[name][h] = true
		}
	}
}

// syntax compiles the templates of a tree that may never be read.
func (t *nameTable) syntax(n *strictyaml.Node, ms *source.Mistakes) {
	ms.AddErr(t.engine.Check(n))
}

// local are names that only one step, or one part of it, knows.
type local struct {
	vars  *strictyaml.Node // `vars` of the step
	extra []string         // loop variable, its own register
}

// check reports the names among refs that are defined nowhere.
func (t *nameTable) check(refs []vars.Ref, l local, ms *source.Mistakes) {
	seen := map[string]bool{}
	for _, r := range refs {
		t.ref(r, nil, l, seen, ms)
	}
}

// ref checks one name; top is the name in the step through which it is read,
// nil for that one itself.
func (t *nameTable) ref(r vars.Ref, top *vars.Ref, l local, seen map[string]bool, ms *source.Mistakes) {
	t.read[r.Name] = true
	if r.Guarded || t.open {
		return
	}
	if m := t.path(r); m != nil {
		ms.Add(m)
		return
	}
	if slices.Contains(l.extra, r.Name) || vars.Reserved(r.Name) {
		return
	}
	if seen[r.Name] {
		m := r.Mistake(nil)
		m.Text, m.Hint = fmt.Sprintf("the variable %q needs itself", r.Name), "give one of the two another name"
		ms.Add(m)
		return
	}
	defs, missing := t.find(r.Name, l)
	if len(missing) > 0 {
		m := t.undefined(r, l, missing)
		if top != nil && m.Hint == "" {
			m.Hint = fmt.Sprintf("line %d of %s needs it through %s", top.Pos.Line, top.Pos.File, top.Name)
		}
		ms.Add(m)
		return
	}
	if top == nil {
		top = &r
	}
	seen[r.Name] = true
	for _, d := range defs {
		refs, err := t.engine.NamesIn(d)
		ms.AddErr(err)
		for _, inner := range refs {
			t.ref(inner, top, l, seen, ms)
		}
	}
	delete(seen, r.Name)
}

// find gives the nodes that define name, and the hosts on which nothing does.
func (t *nameTable) find(name string, l local) (defs []*strictyaml.Node, missing []string) {
	for _, m := range t.shared(l) {
		if n := m.Get(name); n != nil {
			return []*strictyaml.Node{n}, nil
		}
	}
	in, ok := t.found[name]
	if !ok {
		in = t.findInventory(name)
		t.found[name] = in
	}
	if t.isFact(strings.CutPrefix(name, "ansible_")) {
		in.missing = slices.DeleteFunc(slices.Clone(in.missing), func(h string) bool { return t.facts[h] })
	}
	if learned := t.learned[name]; len(learned) > 0 {
		in.missing = slices.DeleteFunc(slices.Clone(in.missing), func(h string) bool { return learned[h] })
	}
	return in.defs, in.missing
}

type fromInventory struct {
	defs    []*strictyaml.Node
	missing []string
}

func (t *nameTable) findInventory(name string) (out fromInventory) {
	seen := map[*strictyaml.Node]bool{}
	for _, h := range t.play.Targets {
		n := t.inventory(h)[name]
		if n == nil {
			out.missing = append(out.missing, h)
			continue
		}
		if !seen[n] && templated(n) {
			out.defs = append(out.defs, n)
		}
		seen[n] = true
	}
	return out
}

// templated tells whether any scalar of a tree is a template.
func templated(n *strictyaml.Node) (is bool) {
	eachScalar(n, func(s *strictyaml.Node) { is = is || vars.IsTemplate(s) })
	return is
}

func (t *nameTable) isFact(name string, prefixed bool) bool {
	return prefixed && !vars.ConnectionVariable("ansible_"+name) && (t.env.Facts == nil || slices.Contains(t.env.Facts, name))
}

// shared are the maps of variables that all hosts of the play have, the
// strongest first.
func (t *nameTable) shared(l local) []*strictyaml.Node {
	maps := []*strictyaml.Node{t.env.Extra, l.vars}
	for _, f := range slices.Backward(t.play.VarsFiles) {
		maps = append(maps, f.Vars)
	}
	return append(maps, t.play.Vars)
}

func (t *nameTable) inventory(host string) map[string]*strictyaml.Node {
	m := t.host[host]
	if m == nil {
		m = map[string]*strictyaml.Node{}
		for _, p := range t.env.Inventory.Vars(host).Pairs {
			m[p.Key] = p.Value
		}
		t.host[host] = m
	}
	return m
}

// path checks the constant parts of hostvars['x'], groups['y'] and
// ansible_facts.z.
func (t *nameTable) path(r vars.Ref) *source.Mistake {
	if len(r.Path) == 0 {
		return nil
	}
	m := *r.Mistake(nil)
	inv := t.env.Inventory
	switch {
	case r.Name == "hostvars" && !inv.Has(r.Path[0]):
		m.Text, m.Hint = fmt.Sprintf("hostvars: %q is not a host of the inventory", r.Path[0]), source.DidYouMean(r.Path[0], inv.Hosts())
	case r.Name == "groups" && !inv.HasGroup(r.Path[0]) && !dictMethod(r.Path[0]):
		m.Text, m.Hint = fmt.Sprintf("groups: the inventory has no group %q", r.Path[0]), source.DidYouMean(r.Path[0], inv.Groups())
	case r.Name == "ansible_facts" && !t.isFact(r.Path[0], true) && !dictMethod(r.Path[0]):
		m.Text, m.Hint = fmt.Sprintf("there is no fact %q", r.Path[0]), source.DidYouMean(r.Path[0], t.env.Facts)
	default:
		return nil
	}
	return &m
}

func dictMethod(name string) bool {
	return slices.Contains([]string{"get", "items", "keys", "values"}, name)
}

func (t *nameTable) undefined(r vars.Ref, l local, missing []string) *source.Mistake {
	m := r.Mistake(t.known(l))
	if len(missing) < len(t.play.Targets) {
		shown := missing
		if len(shown) > 5 {
			shown = append(slices.Clone(shown[:5]), "...")
		}
		m.Text = fmt.Sprintf("%q is undefined on %d of %d hosts: %s", r.Name, len(missing), len(t.play.Targets), strings.Join(shown, ", "))
		m.Hint = "define it for them too, or write " + r.Name + " | default(...)"
		return m
	}
	if name, ok := strings.CutPrefix(r.Name, "ansible_"); t.isFact(name, ok) {
		m.Hint = "facts are not gathered here: gather_facts is off"
	}
	if at := t.later[r.Name]; at != nil {
		m.Hint = fmt.Sprintf("a later task sets it, on line %d", at.Pos.Line)
	}
	if len(t.learned[r.Name]) > 0 {
		m.Hint = "a play before sets it, but on other hosts: hostvars[HOST]." + r.Name + " reads it there"
	}
	return m
}

func (t *nameTable) known(l local) []string {
	set := map[string]bool{}
	for _, m := range t.shared(l) {
		if m != nil {
			for _, k := range m.Keys() {
				set[k] = true
			}
		}
	}
	for _, h := range t.play.Targets {
		for k := range t.inventory(h) {
			set[k] = true
		}
	}
	for k := range t.learned {
		set[k] = true
	}
	for _, k := range t.env.Facts {
		set["ansible_"+k] = true
	}
	for _, k := range append([]string{"inventory_hostname", "group_names", "groups", "hostvars", "ansible_facts", "playbook_dir"}, l.extra...) {
		set[k] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// static is a host's scope of what the user's files say: names that a step
// sets are unknown in it.
func (t *nameTable) static(host string, l local) *vars.Scope {
	unknown := map[string]string{}
	for name := range t.learned {
		unknown[name] = "an earlier step"
	}
	for name := range t.later {
		unknown[name] = "a step"
	}
	for _, name := range l.extra {
		unknown[name] = "the loop"
	}
	layers := []vars.Layer{vars.UserVars(vars.LevelPlay, t.play.Vars), vars.UserVars(vars.LevelExtra, t.env.Extra), vars.UserVars(vars.LevelTask, l.vars), vars.Unknown(unknown)}
	for _, f := range t.play.VarsFiles {
		layers = append(layers, vars.UserVars(vars.LevelVarsFiles, f.Vars))
	}
	ctx := vars.Context{}
	if host != "" {
		inv := t.env.Inventory
		for _, il := range inv.Layers(host) {
			layers = append(layers, vars.UserVars(vars.Level(il.Level), il.Vars))
		}
		ctx.Magic, ctx.Groups = inv.Magic(host), inv.GroupMap()
	}
	return t.engine.Scope(ctx, layers...)
}
