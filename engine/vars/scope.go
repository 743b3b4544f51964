package vars

import (
	"errors"
	"slices"
	"strings"
	"sync"

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

// Template is Compile, remembering the result for the node as long as the
// Engine lives: give it nodes of the user's files, not ones made on the way.
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
	// called when a template reads hostvars, and should be cheap: keep the scopes.
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
	key := s.key(name)
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
		_, after, _ := strings.Cut(k, "\x00")
		names = append(names, after)
		text += after + " -> "
	}
	names = append(names, name)
	return &CycleError{Names: names, Mistake: n.Mistake("the variable needs itself: "+text+name, "give one of them another value")}
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
