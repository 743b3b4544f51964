// Package playbook reads playbooks into typed trees that keep every place, and
// binds them against inventory, tasks and variables, so that every mistake in
// every file is told before anything is connected.
package playbook

import (
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Playbook is one file, as Load read it.
type Playbook struct {
	File    string // as given, or "builtin:NAME"
	Dir     string // folder that relative files start from
	Builtin bool
	Text    []byte
	Plays   []*Play

	unasked bool // built in, and not asked for as builtin:NAME
}

// Play is one play. Nodes may hold templates.
type Play struct {
	At             *strictyaml.Node
	Index          int // from 1
	Name           string
	Hosts          *strictyaml.Node // a pattern, or a list of patterns
	Vars           *strictyaml.Node // a Map, or nil
	VarsFiles      []*strictyaml.Node
	Become         *bool
	BecomeUser     *strictyaml.Node
	GatherFacts    *bool // nil: yes
	Serial         []Amount
	MaxFailPercent *float64
	AnyErrorsFatal bool
	Tags           []string
	Environment    *strictyaml.Node
	Throttle       int         // hosts at once in each step; 0: not said
	Approve        change.Risk // the author's word for all steps and handlers: Disruptive, or Safe for none
	Steps          []*Step     // `tasks`
	Handlers       []*Step
}

// Amount is a number of hosts, or a share of them in percent (of the play's
// hosts, rounded down, at least 1).
type Amount struct {
	Count   int
	Percent float64
}

// Step is one entry of `tasks` or `handlers`: a task with its conditions.
type Step struct {
	At           *strictyaml.Node
	ID           string           // "1.3": play and place from 1; "1.h2" for handlers
	Name         *strictyaml.Node // may hold a template; nil: the task's name is shown
	Task         string           // the task key, without ansible.builtin.
	TaskAt       *strictyaml.Node
	Params       *strictyaml.Node
	When         []*strictyaml.Node // all must hold
	Loop         *strictyaml.Node
	LoopVar      string // "item" unless loop_control says otherwise
	Register     string
	Notify       []*strictyaml.Node
	Listen       []string // handlers
	Tags         []string
	Vars         *strictyaml.Node
	Become       *bool
	BecomeUser   *strictyaml.Node
	IgnoreErrors *strictyaml.Node // bool or expression
	ChangedWhen  []*strictyaml.Node
	FailedWhen   []*strictyaml.Node
	NoLog        *strictyaml.Node
	Retries      *strictyaml.Node
	Delay        *strictyaml.Node
	Until        []*strictyaml.Node
	Timeout      time.Duration // 0: the engine's limit for a change
	RunOnce      *bool
	DelegateTo   *strictyaml.Node
	Environment  *strictyaml.Node
	Throttle     int         // hosts at once; 0: the play's word
	Approve      change.Risk // the author's word: Disruptive, or Safe for none
	Handler      bool

	keys  []strictyaml.Pair // all that may be the task key; Bind, which knows the tasks, decides
	words bool              // a word that is not supported was among the keys
	loops bool              // it has a loop, be it a wrong one
}

// Pos is where the step begins.
func (s *Step) Pos() source.Pos { return s.At.Pos }
