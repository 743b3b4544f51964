package vars

import (
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Nodes that gonja has not, or that hide their parts. Expressions otherwise
// use gonja's nodes.

// condExpr is `Then if Cond else Else`; Else may be nil.
type condExpr struct {
	at               *tokens.Token
	Cond, Then, Else nodes.Expression
}

func (n *condExpr) Position() *tokens.Token { return n.at }
func (n *condExpr) String() string          { return "if-else" }

// compareExpr is a chain `First op Rest[0] op Rest[1]`.
type compareExpr struct {
	First nodes.Expression
	Ops   []compareOp
	Rest  []nodes.Expression
}

type compareOp struct {
	at  *tokens.Token
	not bool // "not in"
}

func (n *compareExpr) Position() *tokens.Token { return n.Ops[0].at }
func (n *compareExpr) String() string          { return n.Ops[0].at.Val }

// outputNode is {{ Value }}.
type outputNode struct {
	at    *tokens.Token
	Value nodes.Expression
}

// ifNode is {% if %}: Else belongs to no condition and may be nil.
type ifNode struct {
	at    *tokens.Token
	Conds []nodes.Expression
	Then  []*nodes.Wrapper
	Else  *nodes.Wrapper
}

// forNode is {% for Targets in Over if Cond %}.
type forNode struct {
	at         *tokens.Token
	Targets    []string
	Over, Cond nodes.Expression
	Recursive  bool
	Body, Else *nodes.Wrapper
}

// setNode is {% set Targets = Value %}, {% set ns.Attr = Value %} or, with
// Body, {% set x %}...{% endset %}.
type setNode struct {
	at      *tokens.Token
	Targets []string
	Attr    string
	Value   nodes.Expression
	Body    *nodes.Wrapper
}

// macroNode is {% macro Name(Params) %}.
type macroNode struct {
	at     *tokens.Token
	Name   string
	Params []param
	Body   *nodes.Wrapper
}

// withNode is {% with a = 1 %}.
type withNode struct {
	at     *tokens.Token
	Params []param
	Body   *nodes.Wrapper
}

type param struct {
	Name    string
	Default nodes.Expression // nil: none
}

// filterNode is {% filter upper %}: Value is the filter chain around a bodyNode.
type filterNode struct {
	at    *tokens.Token
	Value nodes.Expression
	Body  *nodes.Wrapper
}

// bodyNode stands for the rendered body inside a filterNode's chain.
type bodyNode struct{ at *tokens.Token }

// rawNode is text that is not looked at.
type rawNode struct {
	at   *tokens.Token
	Text string
}

func (n *outputNode) Position() *tokens.Token { return n.at }
func (n *ifNode) Position() *tokens.Token     { return n.at }
func (n *forNode) Position() *tokens.Token    { return n.at }
func (n *setNode) Position() *tokens.Token    { return n.at }
func (n *macroNode) Position() *tokens.Token  { return n.at }
func (n *withNode) Position() *tokens.Token   { return n.at }
func (n *filterNode) Position() *tokens.Token { return n.at }
func (n *bodyNode) Position() *tokens.Token   { return n.at }
func (n *rawNode) Position() *tokens.Token    { return n.at }

func (n *outputNode) String() string { return "output" }
func (n *ifNode) String() string     { return "if" }
func (n *forNode) String() string    { return "for" }
func (n *setNode) String() string    { return "set" }
func (n *macroNode) String() string  { return "macro" }
func (n *withNode) String() string   { return "with" }
func (n *filterNode) String() string { return "filter" }
func (n *bodyNode) String() string   { return "body" }
func (n *rawNode) String() string    { return "raw" }
