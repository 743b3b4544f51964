package vars

import (
	"errors"
	"slices"
	"sync"

	"github.com/nikolalohinski/gonja/v2/nodes"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Engine keeps compiled templates of the user's files. The zero Engine is
// ready; it is safe for concurrent use.
type Engine struct {
	compiled sync.Map // *strictyaml.Node -> compiled
}

type compiled struct {
	t   *Template
	err error
}

// Template is Compile, remembering the result for the node.
func (e *Engine) Template(n *strictyaml.Node) (*Template, error) {
	if c, ok := e.compiled.Load(n); ok {
		return c.(compiled).t, c.(compiled).err
	}
	t, err := Compile(n)
	e.compiled.Store(n, compiled{t, err})
	return t, err
}

// Context is what a host's scope has besides variables.
type Context struct {
	// Magic are values of reserved names: those of inventory.Magic, playbook_dir,
	// ansible_check_mode, ansible_play_hosts, ... Plain data.
	Magic map[string]any
	// Groups is the value of groups; hostvars lists the hosts of all.
	Groups map[string][]string
	// HostVars gives the scope of any inventory host, nil for other names. It is
	// called only when a template reads hostvars.
	HostVars func(host string) *Scope
}

// Scope resolves names for one host. It is immutable and safe for concurrent
// use; a variable is evaluated when it is first read, and remembered.
type Scope struct {
	engine  *Engine
	context Context
	layers  []Layer // from low to high

	mu     sync.Mutex
	values map[string]any
	sound  map[string]bool // names found to depend on nothing unknown
}

// Scope makes a scope of the given layers, in any order.
func (e *Engine) Scope(c Context, layers ...Layer) *Scope {
	s := &Scope{engine: e, context: c, layers: slices.Clone(layers), values: map[string]any{}, sound: map[string]bool{}}
	slices.SortStableFunc(s.layers, func(a, b Layer) int { return int(a.level - b.level) })
	return s
}

// With is the scope with more layers; within a level they win over those that
// are there.
func (s *Scope) With(layers ...Layer) *Scope {
	return s.engine.Scope(s.context, slices.Concat(s.layers, layers)...)
}

// Connection is the scope for reading connection variables: the user's own
// layers alone, so that nothing from a host reaches them even by a template.
func (s *Scope) Connection() *Scope {
	var own []Layer
	for _, l := range s.layers {
		if l.user != nil {
			own = append(own, l)
		}
	}
	c := s.context
	c.HostVars = func(host string) *Scope {
		if s.context.HostVars == nil {
			return nil
		}
		if h := s.context.HostVars(host); h != nil {
			return h.Connection()
		}
		return nil
	}
	return s.engine.Scope(c, own...)
}

// Names lists every name that can be read, sorted.
func (s *Scope) Names() []string {
	set := map[string]bool{}
	for _, l := range s.layers {
		for k := range l.user {
			set[k] = true
		}
		for k := range l.data {
			set[k] = true
		}
		for k := range l.steps {
			set[k] = true
		}
	}
	for k := range s.context.Magic {
		set[k] = true
	}
	for _, k := range []string{"hostvars", "groups", "omit", "vars", factsName} {
		set[k] = true
	}
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Lookup gives the value of a name as plain data. ok is false when nothing
// defines it. The errors are those of Template.Render.
func (s *Scope) Lookup(name string) (value any, ok bool, err error) {
	if err := s.known([]Ref{{Name: name}}); err != nil {
		return nil, true, err
	}
	m := s.machine()
	t := &Template{}
	v, err := t.protect(func() any {
		v, err := s.resolve(m, name)
		if err != nil {
			panic(err)
		}
		return m.export(v, 0)
	})
	if errors.Is(err, errNotFound) {
		return nil, false, nil
	}
	return v, true, err
}

// Has tells whether anything defines the name, without evaluating it.
func (s *Scope) Has(name string) bool {
	if isMagic(name) {
		_, ok := s.context.Magic[name]
		return ok || slices.Contains([]string{"hostvars", "groups", "omit", "vars", factsName}, name)
	}
	return s.find(name) != nil
}

// Definition gives the node that defines the name in the user's files, and
// its level; nil when host data or nothing does.
func (s *Scope) Definition(name string) (*strictyaml.Node, Level) {
	if l := s.find(name); l != nil && l.user != nil {
		return l.user[name], l.level
	}
	return nil, 0
}

// find gives the highest layer that has the name.
func (s *Scope) find(name string) *Layer {
	for i := range slices.Backward(s.layers) {
		l := &s.layers[i]
		if l.user[name] != nil {
			return l
		}
		if _, ok := l.data[name]; ok {
			return l
		}
		if _, ok := l.steps[name]; ok {
			return l
		}
	}
	return nil
}

var errNotFound = errors.New("no such variable")

func (s *Scope) machine() *machine {
	return &machine{scope: s, tables: builtin, locals: &frame{vars: map[string]any{}}, out: newOut(), maxOut: maxExprOutput}
}

// resolve gives the value of a name within m.
func (s *Scope) resolve(m *machine, name string) (any, error) {
	m.charge(1)
	if v, ok := s.magic(name); ok {
		return v, nil
	}
	l := s.find(name)
	if l == nil || isMagic(name) && name != factsName {
		return nil, errNotFound
	}
	if step, ok := l.steps[name]; ok {
		return nil, &UnknownError{Name: name, Step: step}
	}
	if l.user == nil {
		return l.data[name], nil
	}
	return s.user(m, name, l.user[name])
}

// user evaluates a variable that the user defined.
func (s *Scope) user(m *machine, name string, n *strictyaml.Node) (any, error) {
	s.mu.Lock()
	v, ok := s.values[name]
	s.mu.Unlock()
	if ok {
		return v, nil
	}
	key := name
	if host, ok := s.context.Magic["inventory_hostname"].(string); ok {
		key = host + "\x00" + name
	}
	if i := slices.Index(m.solving, key); i >= 0 {
		return nil, cycle(m.solving[i:], name, n)
	}
	m.solving = append(m.solving, key)
	outer := m.scope
	m.scope = s
	defer func() {
		m.scope = outer
		m.solving = m.solving[:len(m.solving)-1]
	}()
	v, err := s.tree(m, n)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.values[name] = v
	s.mu.Unlock()
	return v, nil
}

func cycle(path []string, name string, n *strictyaml.Node) error {
	var names []string
	text := ""
	for _, k := range path {
		_, after := cutHost(k)
		names = append(names, after)
		text += after + " -> "
	}
	names = append(names, name)
	return &CycleError{Names: names, Mistake: n.Mistake("the variable needs itself: "+text+name, "give one of them another value")}
}

func cutHost(key string) (host, name string) {
	for i := range key {
		if key[i] == 0 {
			return key[:i], key[i+1:]
		}
	}
	return "", key
}

// tree evaluates the templates in n.
func (s *Scope) tree(m *machine, n *strictyaml.Node) (any, error) {
	m.charge(1)
	if n == nil {
		return nil, nil
	}
	if n.Tag == unsafeTag {
		return fromNode(n), nil
	}
	switch n.Kind {
	case strictyaml.Map:
		d := newDict(len(n.Pairs))
		for _, p := range n.Pairs {
			v, err := s.tree(m, p.Value)
			if err != nil {
				return nil, err
			}
			if _, skip := v.(omitted); !skip {
				d.set(p.Key, v)
			}
		}
		return d, nil
	case strictyaml.Seq:
		l := make([]any, 0, len(n.Items))
		for _, it := range n.Items {
			v, err := s.tree(m, it)
			if err != nil {
				return nil, err
			}
			if _, skip := v.(omitted); !skip {
				l = append(l, v)
			}
		}
		return l, nil
	}
	if !IsTemplate(n) {
		return n.Any(), nil
	}
	t, err := s.engine.Template(n)
	if err != nil {
		return nil, err
	}
	return t.run(m)
}

// magic gives what dayops itself defines.
func (s *Scope) magic(name string) (any, bool) {
	switch name {
	case "omit":
		return omitted{}, true
	case "hostvars":
		return &hostVars{s}, true
	case "vars":
		return &scopeView{s}, true
	case "groups":
		d := map[string]any{}
		for g, hosts := range s.context.Groups {
			l := make([]any, len(hosts))
			for i, h := range hosts {
				l[i] = h
			}
			d[g] = l
		}
		return fromPlain(d), true
	case factsName:
		if l := s.find(name); l == nil {
			return newDict(0), true
		}
		return nil, false
	}
	if v, ok := s.context.Magic[name]; ok {
		return fromPlain(v), true
	}
	return nil, false
}

// hostVars is the variable of that name: host to scope.
type hostVars struct{ s *Scope }

func (h *hostVars) attr(_ *machine, host string) (any, bool) {
	if h.s.context.HostVars == nil {
		return nil, false
	}
	s := h.s.context.HostVars(host)
	if s == nil {
		return nil, false
	}
	return &scopeView{s}, true
}

func (h *hostVars) names(*machine) []string { return h.s.context.Groups["all"] }

// scopeView shows a whole scope as a dictionary.
type scopeView struct{ s *Scope }

func (v *scopeView) attr(m *machine, name string) (any, bool) {
	x, err := v.s.resolve(m, name)
	var undef *UndefinedError
	switch {
	case errors.Is(err, errNotFound):
		return nil, false
	case errors.As(err, &undef):
		return &undefined{name: name, hint: causeHint(undef)}, true
	case err != nil:
		panic(err)
	}
	return x, true
}

func (v *scopeView) names(*machine) []string {
	return slices.DeleteFunc(v.s.Names(), func(n string) bool { return n == "vars" || n == "hostvars" || n == "omit" })
}

func causeHint(e *UndefinedError) string {
	if e.Mistake != nil && e.Mistake.Pos != noPos {
		return `its own value, at ` + e.Mistake.Pos.String() + `, needs "` + e.Name + `"`
	}
	return `its own value needs "` + e.Name + `"`
}

// known finds names among refs, or among what their definitions read, that are
// unknown yet.
func (s *Scope) known(refs []Ref) error {
	for _, r := range refs {
		if err := s.knownName(r, map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scope) knownName(r Ref, seen map[string]bool) error {
	if r.Name == "hostvars" && len(r.Path) >= 2 && s.context.HostVars != nil {
		if other := s.context.HostVars(r.Path[0]); other != nil {
			err := other.known([]Ref{{Name: r.Path[1], Pos: r.Pos}})
			return err
		}
		return nil
	}
	s.mu.Lock()
	sound := s.sound[r.Name]
	s.mu.Unlock()
	if sound || seen[r.Name] || isMagic(r.Name) {
		return nil
	}
	seen[r.Name] = true
	l := s.find(r.Name)
	switch {
	case l == nil:
		return nil
	case l.steps != nil:
		return &UnknownError{Name: r.Name, Step: l.steps[r.Name], Pos: r.Pos}
	case l.user == nil:
		return nil
	}
	refs, err := s.engine.NamesIn(l.user[r.Name])
	if err != nil {
		return err
	}
	for _, inner := range refs {
		if err := s.knownName(inner, seen); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.sound[r.Name] = true
	s.mu.Unlock()
	return nil
}

// NamesIn lists the variables that the templates in a tree read. The error is
// a source.List of the templates that are wrong.
func (e *Engine) NamesIn(n *strictyaml.Node) ([]Ref, error) {
	var refs []Ref
	var ms source.Mistakes
	e.namesIn(n, &refs, &ms)
	return refs, ms.Err()
}

func (e *Engine) namesIn(n *strictyaml.Node, refs *[]Ref, ms *source.Mistakes) {
	if n == nil || n.Tag == unsafeTag {
		return
	}
	for _, p := range n.Pairs {
		e.namesIn(p.Value, refs, ms)
	}
	for _, it := range n.Items {
		e.namesIn(it, refs, ms)
	}
	if !IsTemplate(n) {
		return
	}
	t, err := e.Template(n)
	if err != nil {
		ms.AddErr(err)
		return
	}
	*refs = append(*refs, t.Names()...)
}

// Check compiles every template in a tree.
func (e *Engine) Check(n *strictyaml.Node) error {
	_, err := e.NamesIn(n)
	return err
}

// loneName gives the name when a template is just {{ name }}.
func (t *Template) loneName() (string, bool) {
	n, ok := t.expr.(*nodes.Name)
	if !ok || t.spaced {
		return "", false
	}
	return n.Name.Val, true
}
