package playbook

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/dayops/dayops/engine/localfile"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// early renders a text that must be known before there are hosts, from the
// play's own vars and -e.
func (b *binder) early(n *strictyaml.Node, what string) (*strictyaml.Node, bool) {
	if !templated(n) {
		return n, true
	}
	t := *b.names
	t.play = &BoundPlay{Play: b.play0.Play}
	out, err := t.static("", local{}).RenderNode(n)
	if err != nil {
		m := n.Mistake("", "")
		if !errors.As(err, &m) {
			m.Text = err.Error()
		}
		c := *m
		c.Hint = orElse(c.Hint, what+" can use the play's vars and -e only")
		b.ms.Add(&c)
		return nil, false
	}
	return out, true
}

func localOf(s *Step) local {
	if s == nil {
		return local{}
	}
	l := local{vars: s.Vars}
	if s.loops {
		l.extra = append(l.extra, s.LoopVar)
	}
	return l
}

// texts checks the templates in trees that a step's host will render.
func (b *binder) texts(s *Step, trees ...*strictyaml.Node) {
	for _, n := range trees {
		refs, err := b.names.engine.NamesIn(n)
		b.ms.AddErr(err)
		b.names.check(refs, localOf(s), &b.ms)
	}
}

// expressions checks conditions; more are the names that these see besides.
func (b *binder) expressions(s *Step, n *strictyaml.Node, more ...string) {
	e, err := vars.CompileExpr(n)
	if err != nil {
		b.ms.AddErr(err)
		return
	}
	l := localOf(s)
	l.extra = append(slices.Clone(l.extra), more...)
	b.names.check(e.Names(), l, &b.ms)
}

// stepTexts checks every template and expression of a step but its parameters.
func (b *binder) stepTexts(s *Step) {
	own := []string{}
	if s.Register != "" {
		own = append(own, s.Register)
	}
	if s.Loop != nil {
		outer := *s
		outer.loops = false
		b.texts(&outer, s.Loop)
	}
	b.names.syntax(s.Vars, &b.ms)
	b.texts(s, s.Name, s.BecomeUser, s.IgnoreErrors, s.NoLog, s.Retries, s.Delay, s.DelegateTo, s.Environment)
	b.texts(s, s.Notify...)
	for _, n := range s.When {
		b.expressions(s, n)
	}
	for _, n := range slices.Concat(s.Until, s.ChangedWhen, s.FailedWhen) {
		b.expressions(s, n, own...)
	}
}

// localFile checks that a file which a parameter names is there.
func (b *binder) localFile(name *strictyaml.Node, file, sub string) (string, bool) {
	path, _, err := localfile.Find(b.pb.Dir, sub, file)
	if err == nil {
		return path, true
	}
	places := append(entries(b.pb.Dir, sub), entries(b.pb.Dir, "")...)
	b.ms.Add(name.Mistake("cannot read the file "+file+": "+source.Reason(err), orElse(source.DidYouMean(file, places), "it is looked for in "+filepath.Join(b.pb.Dir, sub)+" and in "+b.pb.Dir)))
	return "", false
}

func entries(dir, sub string) []string {
	list, _ := os.ReadDir(filepath.Join(dir, sub))
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// templateFile checks a file that the template task renders.
func (b *binder) templateFile(s *Step, at *strictyaml.Node, name string) {
	path, ok := b.localFile(at, name, "templates")
	if !ok {
		return
	}
	data, err := source.ReadFile(path, strictyaml.MaxBytes)
	if err != nil {
		b.wrong(at, "cannot read the template "+path+": "+source.Reason(err), "")
		return
	}
	t, err := vars.CompileFile(path, string(data))
	if err != nil {
		b.ms.AddErr(err)
		return
	}
	b.names.check(t.Names(), localOf(s), &b.ms)
}
