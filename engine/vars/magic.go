package vars

import (
	"errors"
	"slices"

	"github.com/dayops/dayops/engine/source"
)

// magic gives what dayops itself defines.
func (s *Scope) magic(name string) (any, bool) {
	if !isMagic(name) {
		return nil, false
	}
	s.mu.Lock()
	v, ok := s.values[name]
	s.mu.Unlock()
	if ok {
		return v, true
	}
	v, ok = s.makeMagic(name)
	if ok {
		s.mu.Lock()
		s.values[name] = v
		s.mu.Unlock()
	}
	return v, ok
}

func (s *Scope) makeMagic(name string) (any, bool) {
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

func (h *hostVars) attr(m *machine, host string) (any, bool) {
	s, ok := m.hosts[host]
	if !ok && h.s.context.HostVars != nil {
		m.charge(100)
		s = h.s.context.HostVars(host)
		if m.hosts == nil {
			m.hosts = map[string]*Scope{}
		}
		m.hosts[host] = s
	}
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
	if e.Mistake != nil && e.Mistake.Pos != (source.Pos{}) {
		return `its own value, at ` + e.Mistake.Pos.String() + `, needs "` + e.Name + `"`
	}
	return `its own value needs "` + e.Name + `"`
}
