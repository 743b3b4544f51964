package playbook

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

func (l *loader) steps(n *strictyaml.Node, name string, play int, handlers bool) []*Step {
	switch {
	case n == nil || n.Kind == strictyaml.Null:
		return nil
	case n.Kind != strictyaml.Seq:
		l.ms.Add(n.Mistake(name+" must be a list", `start every entry with "- "`))
		return nil
	}
	mark := ""
	if handlers {
		mark = "h"
	}
	var out []*Step
	for i, it := range n.Items {
		if s := l.step(it, handlers); s != nil {
			s.ID = fmt.Sprintf("%d.%s%d", play, mark, i+1)
			out = append(out, s)
		}
	}
	return out
}

// stepKeys are the keys of a step beside the task's own.
type stepKeys struct {
	Name         *strictyaml.Node     `yaml:"name"`
	When         *strictyaml.Node     `yaml:"when"`
	Loop         *strictyaml.Node     `yaml:"loop"`
	LoopControl  *loopControl         `yaml:"loop_control"`
	Register     string               `yaml:"register"`
	Notify       []*strictyaml.Node   `yaml:"notify"`
	Listen       []string             `yaml:"listen"`
	Tags         []string             `yaml:"tags" split:","`
	Vars         *strictyaml.Node     `yaml:"vars"`
	Become       *bool                `yaml:"become"`
	BecomeUser   *strictyaml.Node     `yaml:"become_user"`
	BecomeMethod *strictyaml.Node     `yaml:"become_method"`
	IgnoreErrors *strictyaml.Node     `yaml:"ignore_errors"`
	ChangedWhen  *strictyaml.Node     `yaml:"changed_when"`
	FailedWhen   *strictyaml.Node     `yaml:"failed_when"`
	NoLog        *strictyaml.Node     `yaml:"no_log"`
	Retries      *strictyaml.Node     `yaml:"retries"`
	Delay        *strictyaml.Node     `yaml:"delay"`
	Until        *strictyaml.Node     `yaml:"until"`
	Timeout      *strictyaml.Duration `yaml:"timeout"`
	RunOnce      *bool                `yaml:"run_once"`
	DelegateTo   *strictyaml.Node     `yaml:"delegate_to"`
	Environment  *strictyaml.Node     `yaml:"environment"`
	Throttle     *strictyaml.Node     `yaml:"throttle"`
	Approve      *strictyaml.Node     `yaml:"approve"`
}

type loopControl struct {
	LoopVar string `yaml:"loop_var" default:"item"`
}

func stepKeyNames() []string {
	var names []string
	for _, f := range strictyaml.Describe(reflect.TypeFor[stepKeys]()) {
		names = append(names, f.Name)
	}
	return names
}

func (l *loader) step(n *strictyaml.Node, handler bool) *Step {
	if n.Kind != strictyaml.Map {
		l.ms.Add(n.Mistake("a task must be a map, such as - copy: {src: a, dest: /b}", ""))
		return nil
	}
	whole := n
	if n = l.refuseWords(n, stepWords()); n == nil {
		return nil
	}
	known := strictyaml.Node{Kind: strictyaml.Map, Pos: n.Pos, Line: n.Line}
	s := &Step{At: whole, LoopVar: "item", Handler: handler, words: len(n.Pairs) < len(whole.Pairs)}
	for _, k := range whole.Keys() {
		s.loops = s.loops || strings.HasPrefix(k, "with_")
	}
	names := stepKeyNames()
	for _, p := range n.Pairs {
		if slices.Contains(names, p.Key) {
			known.Pairs = append(known.Pairs, p)
			s.loops = s.loops || p.Key == "loop"
		} else {
			s.keys = append(s.keys, p)
		}
	}
	var k stepKeys
	l.ms.AddErr(strictyaml.Decode(&known, &k, strictyaml.Options{Of: "a task"}))
	l.fill(s, &k, n)
	if len(s.keys) == 1 {
		s.setTask(s.keys[0])
	}
	return s
}

// setTask makes p the step's task. What its parameters lack is told at the key.
func (s *Step) setTask(p strictyaml.Pair) {
	s.Task, s.TaskAt, s.Params = taskName(p.Key), p.KeyAt, p.Value
	if p.Value.Kind == strictyaml.Map || p.Value.Kind == strictyaml.Null {
		c := *p.Value
		c.Pos, c.Line, c.Raw = p.KeyAt.Pos, p.KeyAt.Line, p.Key
		s.Params = &c
	}
}

func (l *loader) fill(s *Step, k *stepKeys, n *strictyaml.Node) {
	l.become(k.BecomeMethod)
	s.Name = l.text(k.Name, "name")
	s.When, s.Until = l.expressions(k.When, "when"), l.expressions(k.Until, "until")
	s.ChangedWhen, s.FailedWhen = l.expressions(k.ChangedWhen, "changed_when"), l.expressions(k.FailedWhen, "failed_when")
	s.Loop = l.loop(k.Loop)
	if k.LoopControl != nil {
		if at := n.Get("loop_control"); s.Loop == nil {
			l.ms.Add(at.Mistake("loop_control without loop", ""))
		} else if l.varName(k.LoopControl.LoopVar, at.Get("loop_var"), "a loop variable") {
			s.LoopVar = k.LoopControl.LoopVar
		}
	}
	if at := n.Get("register"); at != nil && l.varName(k.Register, at, "a register") {
		s.Register = k.Register
	}
	for _, it := range k.Notify {
		if it = l.text(it, "notify"); it != nil {
			s.Notify = append(s.Notify, it)
		}
	}
	s.Listen = k.Listen
	if at := n.Get("listen"); at != nil && !s.Handler {
		l.ms.Add(at.Mistake("listen belongs to a handler, not to a task", "did you mean notify?"))
	}
	s.Tags = l.tags(k.Tags, n.Get("tags"))
	s.Vars = l.mapping(k.Vars, "vars")
	l.varNames(s.Vars)
	s.Become, s.BecomeUser = k.Become, l.text(k.BecomeUser, "become_user")
	s.IgnoreErrors, s.NoLog = l.scalar(k.IgnoreErrors, "ignore_errors"), l.scalar(k.NoLog, "no_log")
	s.Retries, s.Delay = l.number(k.Retries, "retries"), l.number(k.Delay, "delay")
	if k.Timeout != nil {
		if s.Timeout = k.Timeout.Std(); s.Timeout < time.Second {
			l.ms.Add(n.Get("timeout").Mistake("timeout must be at least one second", ""))
		}
	}
	s.RunOnce = k.RunOnce
	s.DelegateTo = l.text(k.DelegateTo, "delegate_to")
	s.Environment = l.mapping(k.Environment, "environment")
	s.Throttle, s.Approve = l.throttle(k.Throttle), l.approve(k.Approve)
}

func (l *loader) loop(n *strictyaml.Node) *strictyaml.Node {
	if n == nil || n.Kind == strictyaml.Seq || n.Kind == strictyaml.Scalar && vars.IsTemplate(n) {
		return n
	}
	hint := "write a list"
	if n.Kind == strictyaml.Scalar && identifier.MatchString(n.Raw) {
		hint = fmt.Sprintf(`write loop: "{{ %s }}" if a variable is meant`, n.Raw)
	}
	l.ms.Add(n.Mistake("loop must be a list, or a template that gives one", hint))
	return nil
}

// expressions takes one expression or a list of them.
func (l *loader) expressions(n *strictyaml.Node, name string) []*strictyaml.Node {
	if n == nil {
		return nil
	}
	items := []*strictyaml.Node{n}
	if n.Kind == strictyaml.Seq {
		items = n.Items
	}
	var out []*strictyaml.Node
	for _, it := range items {
		switch {
		case it.Kind != strictyaml.Scalar || it.Raw == "":
			l.ms.Add(it.Mistake(name+" must be an expression or a list of them", ""))
		default:
			out = append(out, it)
		}
	}
	return out
}

func (l *loader) scalar(n *strictyaml.Node, name string) *strictyaml.Node {
	if n == nil {
		return nil
	}
	if _, isBool := n.Value.(bool); n.Kind == strictyaml.Scalar && (isBool || vars.IsTemplate(n)) {
		return n
	}
	l.ms.Add(n.Mistake(name+" must be yes or no, or a template", ""))
	return nil
}

func (l *loader) number(n *strictyaml.Node, name string) *strictyaml.Node {
	if n == nil || n.Kind == strictyaml.Scalar && vars.IsTemplate(n) {
		return n
	}
	var v struct {
		N uint16 `yaml:"n"`
	}
	one := &strictyaml.Node{Kind: strictyaml.Map, Pairs: []strictyaml.Pair{{Key: "n", KeyAt: n, Value: n}}}
	if strictyaml.Decode(one, &v, strictyaml.Options{}) != nil {
		l.ms.Add(n.Mistake(name+" must be a whole number from 0 to 65535", ""))
		return nil
	}
	return n
}
