package vars

import (
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// known finds names among refs, or among what their definitions read, that are
// unknown yet.
func (s *Scope) known(refs []Ref) error {
	return s.knownAmong(refs, map[string]bool{})
}

func (s *Scope) knownAmong(refs []Ref, seen map[string]bool) error {
	for _, r := range refs {
		if err := s.knownName(r, seen); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scope) knownName(r Ref, seen map[string]bool) error {
	if r.Name == "hostvars" && len(r.Path) >= 2 && s.context.HostVars != nil {
		if other := s.context.HostVars(r.Path[0]); other != nil {
			return other.knownName(Ref{Name: r.Path[1], Pos: r.Pos}, seen)
		}
		return nil
	}
	key := s.key(r.Name)
	s.mu.Lock()
	sound := s.sound[r.Name]
	s.mu.Unlock()
	if sound || seen[key] || isMagic(r.Name) {
		return nil
	}
	seen[key] = true
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
	if err := s.knownAmong(refs, seen); err != nil {
		return err
	}
	s.mu.Lock()
	s.sound[r.Name] = true
	s.mu.Unlock()
	return nil
}

// key tells a name of this host from the same name of another.
func (s *Scope) key(name string) string {
	host, _ := s.context.Magic["inventory_hostname"].(string)
	return host + "\x00" + name
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
