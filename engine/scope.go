package engine

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// scope is what one step on one host can read by name, and the ways to read it.
type scope struct {
	*vars.Scope
	r  *run
	h  *host
	s  *playbook.BoundStep
	n  int           // place in the loop, from 0
	at journal.Place // where in the run it is read
}

// scope gives the names that a step reads on a host.
func (r *run) scope(h *host, s *playbook.BoundStep) *scope {
	sc := r.base(h)
	if s != nil && s.Vars != nil {
		sc = sc.With(vars.UserVars(vars.LevelTask, s.Vars))
		var own []string
		for _, p := range s.Vars.Pairs {
			own = append(own, p.Key)
		}
		r.opt.Redactor.Add(sc.Secrets(own...)...)
	}
	made := &scope{Scope: sc, r: r, h: h, s: s}
	if s != nil && s.Step != nil {
		made.at = journal.Place{Step: s.ID, Host: h.name()}
	}
	return made
}

// base is the host's scope in this play, without the step's own variables. The
// redactor learns what stands in it under names that say that it is secret;
// also of hosts that are only read through hostvars or delegated to.
func (r *run) base(h *host) *vars.Scope {
	sc, first := r.made(h)
	if first {
		r.opt.Redactor.Add(sc.Secrets(sc.Names()...)...)
	}
	return sc
}

// made gives the scope, made anew when the host or the run has learned
// something; first in this play, or not.
func (r *run) made(h *host) (sc *vars.Scope, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = h.secretsOf != r.play
	h.secretsOf = r.play
	if h.scope != nil && h.scopeOf == r.epoch && !first {
		return h.scope, false
	}
	layers := []vars.Layer{}
	for _, l := range r.opt.Inventory.Layers(h.name()) {
		layers = append(layers, vars.UserVars(vars.Level(l.Level), l.Vars))
	}
	if h.gathered {
		layers = append(layers, vars.Facts(h.facts.Ansible()))
	}
	layers = append(layers, vars.UserVars(vars.LevelPlay, r.play.Vars))
	for _, f := range r.play.VarsFiles {
		layers = append(layers, vars.UserVars(vars.LevelVarsFiles, f.Vars))
	}
	layers = append(layers, vars.HostData(vars.LevelSetFact, h.learned), vars.Unknown(maps.Clone(h.unknown)))
	layers = append(layers, vars.UserVars(vars.LevelExtra, r.opt.Extra))
	h.scope, h.scopeOf = r.templates.Scope(r.context(h), layers...), r.epoch
	return h.scope, first
}

// context gives the names that dayops itself defines.
func (r *run) context(h *host) vars.Context {
	m := r.opt.Inventory.Magic(h.name())
	dir, err := filepath.Abs(r.opt.Playbook.Dir)
	if err != nil {
		dir = r.opt.Playbook.Dir
	}
	m["playbook_dir"] = dir
	m["ansible_check_mode"], m["ansible_diff_mode"] = r.opt.Check && !r.shadows, r.opt.Diff
	m["ansible_play_name"] = r.play.Title()
	m["ansible_play_hosts_all"] = texts(r.play.Targets)
	left := []any{}
	for _, name := range r.play.Targets {
		if !r.gone[name] {
			left = append(left, name)
		}
	}
	m["ansible_play_hosts"], m["play_hosts"] = left, left
	m["ansible_play_batch"] = texts(names(r.batch))
	return vars.Context{Magic: m, Groups: r.opt.Inventory.GroupMap(), HostVars: func(name string) *vars.Scope {
		if !r.opt.Inventory.Has(name) {
			return nil
		}
		return r.base(r.host(name))
	}}
}

func texts(ss []string) []any {
	out := make([]any, len(ss))
	for i, s := range ss {
		out[i] = s
	}
	return out
}

// with adds a value that only this evaluation sees: a loop's item, a result under judgement.
func (sc *scope) with(name string, v any) *scope {
	c := *sc
	c.Scope = sc.With(vars.LoopVars(map[string]any{name: v}))
	return &c
}

// item is one value of the step's loop.
func (sc *scope) item(i int, v any) *scope {
	c := sc.with(sc.s.LoopVar, v)
	c.n, c.at.Item = i, i+1
	return c
}

func (sc *scope) node(n *strictyaml.Node) (*strictyaml.Node, error) { return sc.RenderNode(n) }

// text renders a scalar to text.
func (sc *scope) text(n *strictyaml.Node) (string, error) {
	t, err := sc.r.templates.Template(n)
	if err != nil {
		return "", err
	}
	return t.RenderText(sc.Scope)
}

// value evaluates an expression without braces.
func (sc *scope) value(n *strictyaml.Node) (any, error) {
	e, err := vars.CompileExpr(n)
	if err != nil {
		return nil, err
	}
	return e.Value(sc.Scope)
}

// all tells whether every condition holds.
func (sc *scope) all(ns []*strictyaml.Node) (bool, error) {
	for _, n := range ns {
		e, err := vars.CompileExpr(n)
		if err != nil {
			return false, err
		}
		if yes, err := e.True(sc.Scope); err != nil || !yes {
			return false, err
		}
	}
	return true, nil
}

// flag reads ignore_errors and no_log: a boolean, an expression, or a template of one.
func (sc *scope) flag(n *strictyaml.Node) (bool, error) {
	if n == nil {
		return false, nil
	}
	if !vars.IsTemplate(n) {
		return sc.all([]*strictyaml.Node{n})
	}
	r, err := sc.RenderNode(n)
	if err != nil {
		return false, err
	}
	var into struct {
		Flag bool `yaml:"flag"`
	}
	err = decodeOne(r, &into)
	return into.Flag, err
}

// hidden tells whether no_log holds. When that cannot be told, it does.
func (sc *scope) hidden() bool {
	hide, err := sc.flag(sc.s.NoLog)
	return hide || err != nil
}

// number reads retries and delay.
func (sc *scope) number(n *strictyaml.Node, set func(float64)) error {
	if n == nil {
		return nil
	}
	r, err := sc.RenderNode(n)
	if err != nil {
		return err
	}
	var into struct {
		Flag float64 `yaml:"flag"`
	}
	if err := decodeOne(r, &into); err != nil {
		return err
	}
	set(into.Flag)
	return nil
}

func decodeOne(n *strictyaml.Node, into any) error {
	m := &strictyaml.Node{Kind: strictyaml.Map, Pos: n.Pos, Line: n.Line, Pairs: []strictyaml.Pair{{Key: "flag", KeyAt: n, Value: n}}}
	return strictyaml.Decode(m, into, strictyaml.Options{})
}

// list gives the values of a loop.
func (sc *scope) list(n *strictyaml.Node) ([]any, error) {
	r, err := sc.RenderNode(n)
	if err != nil {
		return nil, err
	}
	if r.Kind != strictyaml.Seq {
		return nil, n.Mistake(fmt.Sprintf("loop wants a list, got %v", r.Any()), "write [item] for one item, x | dict2items for a mapping")
	}
	vs, _ := r.Any().([]any)
	return vs, nil
}

// file renders a template file.
func (sc *scope) file(name string, text []byte) ([]byte, error) {
	t, err := vars.CompileFile(name, string(text))
	if err != nil {
		return nil, err
	}
	s, err := t.RenderText(sc.Scope)
	return []byte(s), err
}

// connection reads the host's connection variables: the user's own layers only.
func (r *run) connection(h *host, sc *vars.Scope) (inventory.Connection, error) {
	own := sc.Connection()
	resolved := map[string]any{}
	for _, name := range own.Names() {
		if !vars.ConnectionVariable(name) {
			continue
		}
		v, ok, err := own.Lookup(name)
		if err != nil {
			return inventory.Connection{}, err
		}
		if ok {
			resolved[name] = v
		}
	}
	c, err := r.opt.Inventory.Connection(h.name(), resolved)
	if err != nil {
		return c, err
	}
	r.opt.Redactor.Add(c.Password.Reveal())
	r.opt.Redactor.Add(c.BecomePassword.Reveal())
	return c, nil
}

// account says as whom a step works on its target; "" is the login account. A
// variable beats the step, the step its play, the play the command line.
func (sc *scope) account(target *host) (string, error) {
	from := sc.Scope
	if target != sc.h {
		from = sc.r.base(target)
	}
	c, err := sc.r.connection(target, from)
	if err != nil {
		return "", err
	}
	become, user := sc.r.opt.Login.Become, sc.r.opt.Login.BecomeUser
	for _, level := range []struct {
		on   *bool
		user *strictyaml.Node
	}{{sc.r.play.Become, sc.r.play.BecomeUser}, {sc.s.Become, sc.s.BecomeUser}} {
		if level.on != nil {
			become = *level.on
		}
		if level.user != nil {
			if user, err = sc.text(level.user); err != nil {
				return "", err
			}
		}
	}
	if c.Become != nil {
		become = *c.Become
	}
	if c.BecomeUser != "" {
		user = c.BecomeUser
	}
	switch {
	case !become:
		return "", nil
	case user == "":
		return "root", nil
	}
	return user, nil
}

// environment is the play's, with the step's over it.
func (sc *scope) environment() (map[string]string, error) {
	env := map[string]string{}
	for _, n := range []*strictyaml.Node{sc.r.play.Environment, sc.s.Environment} {
		if n == nil {
			continue
		}
		r, err := sc.RenderNode(n)
		if err != nil {
			return nil, err
		}
		for _, p := range r.Pairs {
			env[p.Key] = text(p.Value)
		}
	}
	return env, nil
}

func text(n *strictyaml.Node) string {
	if s, ok := n.Value.(string); ok {
		return s
	}
	return n.Raw
}

// unknownName tells whether an error says that a name is set only by a step that has not run.
func unknownName(err error) (step string, ok bool) {
	var u *vars.UnknownError
	if errors.As(err, &u) {
		return u.Step, true
	}
	return "", false
}
