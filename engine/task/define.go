package task

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Spec describes a task to people and to the engine.
type Spec[P any] struct {
	Name     string              // key in a playbook: "copy"
	Doc      string              // one sentence
	Long     string              // more, for `dayops doc NAME`
	Example  string              // YAML list of steps; a test binds it
	FreeForm string              // parameter that a plain text stands for: command's "cmd"
	Kind     func(P) Kind        // nil: always State
	MaxRisk  func(P) change.Risk // bounds every plan for these parameters; nil: always Safe
	Facts    bool                // Plan reads Input.Facts
	Control  bool                // needs no connection: debug, assert, set_fact
	Reach    []string            // of a ClusterTask: groups read beyond play, batch and --limit
	Result   any                 // zero value of what Result returns, for documentation
}

// Definition is a task with its types erased, as the engine holds it.
type Definition struct {
	Name, Doc, Long, Example, FreeForm string
	Facts, Control, Cluster            bool
	Reach                              []string

	params reflect.Type
	result any
	kind   func(any) Kind
	risk   func(any) change.Risk
	kinds  bool // the parameters decide about the kind
	risks  bool // and about the risk
	check  func(context.Context, Reader, any) (any, error)
	plan   func([]AnyInput, time.Time) (Plan, error)
	made   func(AnyInput, Outcome) any
	verify func(context.Context, Reader, AnyInput, Outcome) ([]Finding, error)
}

// AnyInput is HostInput with its types erased.
type AnyInput struct {
	Host, Target string
	Params       any // what Decode returned
	Facts        facts.Host
	State        any // what Check returned; nil with Err
	Now          time.Time
	Groups       []string
	Reach        bool
	Err          error
	Inventory    []InventoryFile // of a cluster task: the same for every host
	Made         []change.Change // of a cluster task
}

// Define makes a Definition of a Task. Authors write no casts.
func Define[P, S any](spec Spec[P], t Task[P, S]) *Definition {
	d := define(spec)
	d.check = checker[P, S](t.Check)
	d.plan = func(ins []AnyInput, _ time.Time) (Plan, error) {
		if len(ins) != 1 {
			return Plan{}, fmt.Errorf("a host task is planned for one host, not %d", len(ins))
		}
		return t.Plan(typed[P, S](ins[0]))
	}
	optional[P, S](d, t)
	return d
}

// DefineCluster makes a Definition of a ClusterTask.
func DefineCluster[P, S any](spec Spec[P], t ClusterTask[P, S]) *Definition {
	d := define(spec)
	d.Cluster = true
	d.check = checker[P, S](t.Check)
	d.plan = func(ins []AnyInput, now time.Time) (Plan, error) {
		c := ClusterInput[P, S]{Now: now}
		for _, in := range ins {
			c.Inventory = in.Inventory
			c.Hosts = append(c.Hosts, HostInput[P, S]{Input: typed[P, S](in), Groups: in.Groups, Reach: in.Reach, Err: in.Err, Made: in.Made})
		}
		return t.Plan(c)
	}
	optional[P, S](d, t)
	return d
}

func define[P any](spec Spec[P]) *Definition {
	return &Definition{
		Name: spec.Name, Doc: spec.Doc, Long: spec.Long, Example: spec.Example, FreeForm: spec.FreeForm,
		Facts: spec.Facts, Control: spec.Control, Reach: spec.Reach,
		params: reflect.TypeFor[P](), result: spec.Result, kinds: spec.Kind != nil, risks: spec.MaxRisk != nil,
		kind: func(p any) Kind {
			if spec.Kind == nil {
				return State
			}
			return spec.Kind(p.(P))
		},
		risk: func(p any) change.Risk {
			if spec.MaxRisk == nil {
				return change.Safe
			}
			return spec.MaxRisk(p.(P))
		},
	}
}

func checker[P, S any](check func(context.Context, Reader, P) (S, error)) func(context.Context, Reader, any) (any, error) {
	return func(ctx context.Context, r Reader, p any) (any, error) { return check(ctx, r, p.(P)) }
}

func optional[P, S any](d *Definition, t any) {
	if r, ok := t.(Resulter[P, S]); ok {
		d.made = func(in AnyInput, out Outcome) any { return r.Result(typed[P, S](in), out) }
	}
	if v, ok := t.(Verifier[P, S]); ok {
		d.verify = func(ctx context.Context, r Reader, in AnyInput, out Outcome) ([]Finding, error) {
			return v.Verify(ctx, r, typed[P, S](in), out)
		}
	}
}

func typed[P, S any](in AnyInput) Input[P, S] {
	s, _ := in.State.(S)
	p, _ := in.Params.(P)
	return Input[P, S]{Host: in.Host, Target: in.Target, Params: p, Facts: in.Facts, State: s, Now: in.Now}
}

// Decode reads parameters. template tells which scalars are taken unread
// because they hold a template; nil for rendered parameters, which are also
// validated. The result is a P; the error is a source.List.
func (d *Definition) Decode(n *strictyaml.Node, template func(*strictyaml.Node) bool) (any, error) {
	n = d.freeForm(n)
	p := reflect.New(d.params)
	templated := false
	opt := strictyaml.Options{Of: d.Name}
	if template != nil {
		opt.Template = func(n *strictyaml.Node) bool {
			is := template(n)
			templated = templated || is
			return is
		}
	}
	if err := strictyaml.Decode(n, p.Interface(), opt); err != nil {
		return nil, err
	}
	if !templated {
		if err := validate(n, p.Interface()); err != nil {
			return nil, err
		}
	}
	return p.Elem().Interface(), nil
}

func (d *Definition) freeForm(n *strictyaml.Node) *strictyaml.Node {
	if d.FreeForm == "" || n == nil || n.Kind != strictyaml.Scalar {
		return n
	}
	m := &strictyaml.Node{Kind: strictyaml.Map, Pos: n.Pos, Line: n.Line}
	m.Pairs = []strictyaml.Pair{{Key: d.FreeForm, KeyAt: n, Value: n}}
	return m
}

func validate(n *strictyaml.Node, p any) error {
	if v, ok := p.(Validator); ok {
		if err := v.Validate(); err != nil {
			return n.Mistake(err.Error(), "")
		}
	}
	return nil
}

// Fields documents the parameters.
func (d *Definition) Fields() []strictyaml.Field { return strictyaml.Describe(d.params) }

// ResultFields documents what register sees of this task's own; nil without a Resulter.
func (d *Definition) ResultFields() []strictyaml.Field {
	if d.result == nil {
		return nil
	}
	return strictyaml.Describe(reflect.TypeOf(d.result))
}

// Kind and MaxRisk take what Decode returned.
func (d *Definition) Kind(params any) Kind           { return d.kind(params) }
func (d *Definition) MaxRisk(params any) change.Risk { return d.risk(params) }

// Check reads one host; the state goes into AnyInput.State.
func (d *Definition) Check(ctx context.Context, r Reader, params any) (any, error) {
	return d.check(ctx, r, params)
}

// Plan plans a host task for one input, a cluster task for all.
func (d *Definition) Plan(ins []AnyInput, now time.Time) (Plan, error) { return d.plan(ins, now) }

// Result is the struct of the task's own result keys, or nil.
func (d *Definition) Result(in AnyInput, out Outcome) any {
	if d.made == nil || in.Err != nil {
		return nil
	}
	return d.made(in, out)
}

// Verify proves an Action's result, where the task can.
func (d *Definition) Verify(ctx context.Context, r Reader, in AnyInput, out Outcome) ([]Finding, error) {
	if d.verify == nil {
		return nil, nil
	}
	return d.verify(ctx, r, in, out)
}
