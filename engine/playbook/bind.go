package playbook

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/engine/vars"
)

// Env is what a playbook is bound against.
type Env struct {
	Inventory *inventory.Inventory // with the playbook's group_vars and host_vars
	// Incomplete says that the inventory had mistakes. What is not found may
	// stand in what could not be read, so it is not told.
	Incomplete bool
	Tasks      *task.Registry
	Extra      *strictyaml.Node // -e: a Map, or nil
	Facts      []string         // names that facts can have, without ansible_; nil: any
	Limit      []string         // hosts that --limit leaves; nil: all
	Tags       []string         // --tags; none: all
	SkipTags   []string
}

// Bind finds every name of the playbook: hosts, tasks, parameters, handlers,
// variables, files. The error is a source.List of everything that is wrong,
// and then there is no Bound. It connects to nothing and reads no files but
// vars_files and templates.
func Bind(pb *Playbook, env Env) (*Bound, error) {
	b := &binder{env: env, pb: pb, names: newNameTable(env)}
	bound := &Bound{Playbook: pb}
	for _, p := range pb.Plays {
		bound.Plays = append(bound.Plays, b.play(p))
	}
	b.anyHosts(bound)
	b.tagsKnown(pb)
	if pb.unasked && b.ms.Len() == 0 {
		b.mayBeUnasked(bound)
	}
	if err := b.ms.Err(); err != nil {
		return nil, err
	}
	bound.Warnings = append(b.misspelt(), b.unread()...)
	return bound, nil
}

type binder struct {
	env   Env
	pb    *Playbook
	ms    source.Mistakes
	names *nameTable
	play0 *BoundPlay // the one under way
}

func (b *binder) wrong(n *strictyaml.Node, text, hint string) { b.ms.Add(n.Mistake(text, hint)) }

func (b *binder) play(p *Play) *BoundPlay {
	bp := &BoundPlay{Play: p}
	b.play0 = bp
	b.names.enter(bp, b.targets(bp))
	b.varsFiles(bp)
	b.names.syntax(p.Vars, &b.ms)
	b.texts(nil, p.BecomeUser, p.Environment)
	b.handlerNames(p)
	for _, s := range p.Steps {
		if bs := b.step(s); bs.Def != nil && selected(slices.Concat(p.Tags, s.Tags), b.env.Tags, b.env.SkipTags) {
			bp.Steps = append(bp.Steps, bs)
		}
	}
	for _, s := range p.Handlers {
		if bs := b.step(s); bs.Def != nil {
			bp.Handlers = append(bp.Handlers, bs)
		}
	}
	return bp
}

// targets resolves `hosts`; false means that the pattern could not be read.
func (b *binder) targets(bp *BoundPlay) bool {
	n := bp.Hosts
	if n == nil {
		return false
	}
	n, ok := b.early(n, "hosts")
	if !ok {
		return false
	}
	pat, err := inventory.PatternAt(n)
	if err != nil {
		b.ms.AddErr(err)
		return false
	}
	hosts, unmatched := b.env.Inventory.Match(pat)
	for _, m := range unmatched {
		if !b.env.Incomplete || m.Hint != "" {
			b.ms.Add(m)
		}
	}
	if bp.Empty = "no hosts in " + pat.String(); b.env.Inventory.HasGroup(pat.String()) {
		bp.Empty = "group " + pat.String() + " is empty"
	}
	bp.Targets = hosts
	if b.env.Limit != nil {
		if bp.Targets = inventory.Limit(hosts, b.env.Limit); len(hosts) > 0 && len(bp.Targets) == 0 {
			bp.Empty = "--limit leaves no host of " + pat.String()
		}
	}
	if len(bp.Targets) > 0 {
		bp.Empty = ""
	}
	return len(unmatched) == 0
}

// anyHosts refuses a playbook that would do nothing anywhere.
func (b *binder) anyHosts(bound *Bound) {
	if len(bound.Plays) == 0 || b.ms.Len() > 0 || b.env.Incomplete || len(bound.HostNames()) > 0 {
		return
	}
	n := bound.Plays[0].Hosts
	if n == nil {
		return
	}
	if b.env.Limit != nil {
		b.wrong(n, "--limit leaves no host in any play", "")
		return
	}
	b.wrong(n, "no play has any hosts", "put hosts into these groups of the inventory; dayops inventory --graph shows them")
}

func (b *binder) varsFiles(bp *BoundPlay) {
	for _, at := range bp.Play.VarsFiles {
		n, ok := b.early(at, "a name in vars_files")
		if !ok || n.Kind != strictyaml.Scalar {
			continue
		}
		path := n.Raw
		if !filepath.IsAbs(path) {
			path = filepath.Join(b.pb.Dir, path)
		}
		data, err := source.ReadFile(path, strictyaml.MaxBytes)
		if err != nil {
			b.wrong(at, fmt.Sprintf("cannot read the vars file %s: %s", path, source.Reason(err)), orElse(source.DidYouMean(path, beside(path)), "it is looked for beside the playbook"))
			b.names.open = true
			continue
		}
		tree, err := strictyaml.Parse(path, data)
		b.ms.AddErr(err)
		switch {
		case err != nil:
			b.names.open = true
		case tree.Kind == strictyaml.Null:
			tree = &strictyaml.Node{Kind: strictyaml.Map, Pos: tree.Pos}
		case tree.Kind != strictyaml.Map:
			b.wrong(tree, "a vars file must be a map of names and values", "")
		}
		if tree == nil || tree.Kind != strictyaml.Map {
			continue
		}
		l := loader{}
		l.varNames(tree)
		b.ms.AddErr(l.ms.Err())
		b.names.syntax(tree, &b.ms)
		bp.VarsFiles = append(bp.VarsFiles, &VarsFile{Path: path, Vars: tree})
	}
}

func (b *binder) handlerNames(p *Play) {
	seen := map[string]*strictyaml.Node{}
	for _, h := range p.Handlers {
		switch {
		case h.Name == nil && len(h.Listen) == 0:
			b.wrong(h.At, "a handler without a name", "give it the name that notify: uses")
		case h.Name == nil:
		case seen[h.Name.Raw] != nil:
			b.wrong(h.Name, fmt.Sprintf("two handlers named %q", h.Name.Raw), fmt.Sprintf("the first is on line %d", seen[h.Name.Raw].Pos.Line))
		default:
			seen[h.Name.Raw] = h.Name
		}
	}
}

func (b *binder) step(s *Step) *BoundStep {
	bs := &BoundStep{Step: s, play: b.play0.Play}
	def := b.taskOf(s)
	bs.Def = def
	if def != nil {
		b.params(bs)
		if def.Cluster && s.Loop != nil {
			b.wrong(s.Loop, fmt.Sprintf("%s is planned once for all hosts and cannot be in a loop", s.Task), "give it a list, or write it twice")
		}
	}
	b.stepTexts(s)
	b.notified(s)
	if d := s.DelegateTo; d != nil && !vars.IsTemplate(d) && !b.env.Incomplete && !b.env.Inventory.Has(d.Raw) {
		b.wrong(d, fmt.Sprintf("delegate_to: %q is not a host of the inventory", d.Raw), orElse(source.DidYouMean(d.Raw, append(b.env.Inventory.Hosts(), "localhost")), "add it to the inventory, in no group that a play names"))
	}
	b.names.leave(bs)
	return bs
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (b *binder) notified(s *Step) {
	var known []string
	for _, h := range b.play0.Play.Handlers {
		if h.Name != nil {
			if vars.IsTemplate(h.Name) {
				return
			}
			known = append(known, h.Name.Raw)
		}
		known = append(known, h.Listen...)
	}
	for _, n := range s.Notify {
		if !vars.IsTemplate(n) && !slices.Contains(known, n.Raw) {
			hint := source.DidYouMean(n.Raw, known)
			if hint == "" && len(known) == 0 {
				hint = "this play has no handlers"
			}
			b.wrong(n, fmt.Sprintf("no handler is named %q", n.Raw), orElse(hint, "known: "+strings.Join(known, ", ")))
		}
	}
}

// mayBeUnasked refuses a built-in playbook that can do harm and was reached
// by a plain name, which may have been meant for a file.
func (b *binder) mayBeUnasked(bound *Bound) {
	for _, p := range bound.Plays {
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			if r := s.MaxRisk(); r > change.Safe {
				name := strings.TrimPrefix(b.pb.File, BuiltinPrefix)
				b.wrong(s.TaskAt, fmt.Sprintf("there is no file %s, and the built-in playbook of that name can do %s changes", name, r),
					fmt.Sprintf("if the built-in one is meant: dayops run %s%s", BuiltinPrefix, name))
				return
			}
		}
	}
}
