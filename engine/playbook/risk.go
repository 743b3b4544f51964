package playbook

import (
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// MaxRisk bounds every change that the step can plan on its play's hosts.
// Where a parameter holds a template that cannot be rendered before the run,
// it is the highest that any value of a bool or of a closed list gives.
func (s *BoundStep) MaxRisk() change.Risk { return s.risk }

// MaxRisk is the highest of all steps and handlers.
func (b *Bound) MaxRisk() change.Risk {
	r := change.Safe
	for _, p := range b.Plays {
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			r = max(r, s.risk)
		}
	}
	return r
}

// maxTries bounds the combinations of values that are tried for the risk.
const maxTries = 256

// riskOf finds the bound of a step whose parameters are sound; literal is what
// they decoded to.
func (b *binder) riskOf(s *BoundStep, literal any) change.Risk {
	var open []string // parameters that hold a template
	for _, p := range paramPairs(s.Params) {
		if templated(p.Value) {
			open = append(open, p.Key)
		}
	}
	if s.Params != nil && s.Params.Kind == strictyaml.Scalar && templated(s.Params) {
		open = []string{s.Def.FreeForm}
	}
	if len(open) == 0 {
		return s.Def.MaxRisk(literal)
	}
	risk := b.highest(s, open, literal)
	if risk > change.Safe {
		if r, ok := b.rendered(s); ok {
			return r
		}
	}
	return risk
}

// highest tries the values that the open parameters can have.
func (b *binder) highest(s *BoundStep, open []string, literal any) change.Risk {
	tries := []*strictyaml.Node{s.Params}
	for _, f := range s.Def.Fields() {
		values := candidates(f)
		for _, key := range append([]string{f.Name}, f.Aliases...) {
			if !slices.Contains(open, key) || len(tries)*len(values) > maxTries {
				continue
			}
			var next []*strictyaml.Node
			for _, t := range tries {
				for _, v := range values {
					next = append(next, with(t, key, v))
				}
			}
			tries = next
		}
	}
	if plain := s.literals(open); plain != nil {
		tries = append(tries, plain)
	}
	risk := s.Def.MaxRisk(literal)
	for _, t := range tries {
		if p, err := s.Def.Decode(t, vars.IsTemplate); err == nil {
			risk = max(risk, s.Def.MaxRisk(p))
		}
	}
	return risk
}

var inTemplate = regexp.MustCompile(`(?s)\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}`)

// literals are the parameters with what stands around templates: in
// "systemctl restart {{ unit }}" the first two words are known. What a template
// gives is a word that nobody can know, as a shell's variable. nil: there are no such.
func (s *BoundStep) literals(open []string) *strictyaml.Node {
	n := s.Params
	if n != nil && n.Kind == strictyaml.Scalar {
		if text, ok := around(n); ok {
			return strictyaml.FromAny(text, n.Pos)
		}
		return nil
	}
	for _, p := range paramPairs(s.Params) {
		if !slices.Contains(open, p.Key) || p.Value.Kind != strictyaml.Scalar {
			continue
		}
		if text, ok := around(p.Value); ok {
			n = with(n, p.Key, text)
		}
	}
	if n == s.Params {
		return nil
	}
	return n
}

func around(n *strictyaml.Node) (string, bool) {
	const unknown = "$unknown"
	text := strings.TrimSpace(inTemplate.ReplaceAllLiteralString(n.Raw, unknown))
	return text, text != unknown && strings.Contains(text, unknown)
}

func paramPairs(n *strictyaml.Node) []strictyaml.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

func candidates(f strictyaml.Field) []any {
	if f.Type == "bool" {
		return []any{false, true}
	}
	var out []any
	for _, e := range f.Enum {
		out = append(out, e)
	}
	if len(out) == 0 {
		return []any{nil}
	}
	return out
}

// with is the map n with another value for key; nil leaves it.
func with(n *strictyaml.Node, key string, v any) *strictyaml.Node {
	if v == nil {
		return n
	}
	c := *n
	c.Pairs = slices.Clone(n.Pairs)
	for i := range c.Pairs {
		if c.Pairs[i].Key == key {
			c.Pairs[i].Value = strictyaml.FromAny(v, c.Pairs[i].Value.Pos)
		}
	}
	return &c
}

// maxRendered bounds the hosts for which parameters are rendered in advance.
const maxRendered = 500

// rendered finds the risk when the user's files alone decide every parameter
// on every host.
func (b *binder) rendered(s *BoundStep) (change.Risk, bool) {
	risk := change.Safe
	if len(b.play0.Targets) > maxRendered {
		return 0, false
	}
	for _, h := range b.play0.Targets {
		n, err := b.names.static(h, localOf(s.Step)).RenderNode(s.Params)
		if err != nil {
			return 0, false
		}
		p, err := s.Def.Decode(n, nil)
		if err != nil {
			return 0, false
		}
		risk = max(risk, s.Def.MaxRisk(p))
	}
	return risk, len(b.play0.Targets) > 0
}
