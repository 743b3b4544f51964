package playbook

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Load reads a playbook without looking at anything else. The error is a
// source.List. The tree is as whole as the mistakes allow, and nil only when
// the text is not YAML at all: give it to Bind also after mistakes, so that a
// person sees all of them at once.
func Load(file string, data []byte) (*Playbook, error) {
	root, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	l := loader{}
	pb := &Playbook{File: file, Dir: filepath.Dir(file), Text: data}
	l.playbook(root, pb)
	return pb, l.ms.Err()
}

type loader struct{ ms source.Mistakes }

func (l *loader) playbook(root *strictyaml.Node, pb *Playbook) {
	const shape = "a playbook is a list of plays:\n  - hosts: all\n    tasks: [...]"
	switch {
	case root.Kind == strictyaml.Null, root.Kind == strictyaml.Seq && len(root.Items) == 0:
		l.ms.Add(root.Mistake("the playbook is empty", shape))
		return
	case root.Kind == strictyaml.Map && (root.Get("hosts") != nil || root.Get("tasks") != nil):
		l.ms.Add(root.Mistake("a playbook must be a list of plays, got one map", `put "- " before the first key and indent the rest`))
		return
	case root.Kind != strictyaml.Seq:
		l.ms.Add(root.Mistake("a playbook must be a list of plays", shape))
		return
	}
	for i, n := range root.Items {
		if p := l.play(n, i+1); p != nil {
			pb.Plays = append(pb.Plays, p)
		}
	}
}

// playKeys is a play as it stands in the file.
type playKeys struct {
	Name           string             `yaml:"name" doc:"shown as heading"`
	Hosts          *strictyaml.Node   `yaml:"hosts" required:"true" doc:"a pattern such as masters or nodes:!infra"`
	Vars           *strictyaml.Node   `yaml:"vars"`
	VarsFiles      []*strictyaml.Node `yaml:"vars_files"`
	Become         *bool              `yaml:"become"`
	BecomeUser     *strictyaml.Node   `yaml:"become_user"`
	BecomeMethod   *strictyaml.Node   `yaml:"become_method"`
	GatherFacts    *bool              `yaml:"gather_facts"`
	Serial         *strictyaml.Node   `yaml:"serial"`
	MaxFailPercent *strictyaml.Node   `yaml:"max_fail_percentage"`
	AnyErrorsFatal bool               `yaml:"any_errors_fatal"`
	Tags           []string           `yaml:"tags" split:","`
	Environment    *strictyaml.Node   `yaml:"environment"`
	Tasks          *strictyaml.Node   `yaml:"tasks"`
	Handlers       *strictyaml.Node   `yaml:"handlers"`
	Throttle       *strictyaml.Node   `yaml:"throttle"`
	Approve        *strictyaml.Node   `yaml:"approve"`
}

func (l *loader) play(n *strictyaml.Node, index int) *Play {
	if n.Kind != strictyaml.Map {
		l.ms.Add(n.Mistake("a play must be a map with hosts and tasks", ""))
		return nil
	}
	n = l.refuseWords(n, playWords())
	if n == nil {
		return nil
	}
	var k playKeys
	l.ms.AddErr(strictyaml.Decode(n, &k, strictyaml.Options{Of: "a play", Unknown: taskInPlay}))
	l.become(k.BecomeMethod)
	p := &Play{
		At: n, Index: index, Name: k.Name, Hosts: k.Hosts, Vars: l.mapping(k.Vars, "vars"), VarsFiles: k.VarsFiles,
		Become: k.Become, BecomeUser: l.text(k.BecomeUser, "become_user"), GatherFacts: k.GatherFacts, Serial: l.serial(k.Serial),
		MaxFailPercent: l.percent(k.MaxFailPercent), AnyErrorsFatal: k.AnyErrorsFatal,
		Tags: l.tags(k.Tags, n.Get("tags")), Environment: l.mapping(k.Environment, "environment"),
		Throttle: l.throttle(k.Throttle), Approve: l.approve(k.Approve),
	}
	l.varNames(p.Vars)
	for _, f := range p.VarsFiles {
		if f.Kind != strictyaml.Scalar {
			l.ms.Add(f.Mistake("an entry of vars_files must be a file name", ""))
		}
	}
	p.Steps = l.steps(k.Tasks, "tasks", index, false)
	p.Handlers = l.steps(k.Handlers, "handlers", index, true)
	return p
}

// refuseWords reports the words of Ansible that are not implemented and gives
// the map without them; nil when nothing of use is left.
func (l *loader) refuseWords(n *strictyaml.Node, words map[string]string) *strictyaml.Node {
	c := *n
	c.Pairs = nil
	for _, p := range n.Pairs {
		hint, known := words[p.Key]
		if !known && strings.HasPrefix(p.Key, "with_") {
			hint, known = "use loop: with a list", true
		}
		if !known {
			c.Pairs = append(c.Pairs, p)
			continue
		}
		l.ms.Add(p.KeyAt.Mistake(fmt.Sprintf("%q is not supported", p.Key), hint))
		switch p.Key {
		case "import_playbook", "include", "block":
			return nil
		}
	}
	return &c
}

func (l *loader) become(method *strictyaml.Node) {
	if method != nil && (method.Kind != strictyaml.Scalar || method.Raw != "sudo") {
		l.ms.Add(method.Mistake("become_method can only be sudo", "remove it"))
	}
}

func (l *loader) serial(n *strictyaml.Node) []Amount {
	if n == nil {
		return nil
	}
	items := []*strictyaml.Node{n}
	if n.Kind == strictyaml.Seq {
		items = n.Items
		if len(items) == 0 {
			l.ms.Add(n.Mistake("serial is an empty list", ""))
		}
	}
	var out []Amount
	for _, it := range items {
		a, ok := amount(it)
		if !ok {
			l.ms.Add(it.Mistake("serial must be a number of hosts from 1, a share such as 30%, or a list of them", ""))
			continue
		}
		out = append(out, a)
	}
	return out
}

func amount(n *strictyaml.Node) (Amount, bool) {
	if n.Kind != strictyaml.Scalar {
		return Amount{}, false
	}
	if s, ok := strings.CutSuffix(strings.TrimSpace(n.Raw), "%"); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		return Amount{Percent: f}, err == nil && f > 0 && f <= 100
	}
	i, err := strconv.Atoi(n.Raw)
	return Amount{Count: i}, err == nil && i > 0
}

func (l *loader) percent(n *strictyaml.Node) *float64 {
	if n == nil {
		return nil
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(n.Raw), "%"), 64)
	if n.Kind != strictyaml.Scalar || err != nil || !(f >= 0 && f <= 100) {
		l.ms.Add(n.Mistake("max_fail_percentage must be a number from 0 to 100", ""))
		return nil
	}
	return &f
}

func (l *loader) mapping(n *strictyaml.Node, name string) *strictyaml.Node {
	switch {
	case n == nil || n.Kind == strictyaml.Null:
		return nil
	case n.Kind != strictyaml.Map:
		l.ms.Add(n.Mistake(name+" must be a map of names and values", ""))
		return nil
	}
	return n
}

// text lets pass a string, which may hold a template.
func (l *loader) text(n *strictyaml.Node, name string) *strictyaml.Node {
	if n == nil {
		return nil
	}
	if _, isBool := n.Value.(bool); n.Kind != strictyaml.Scalar || isBool || n.Raw == "" {
		l.ms.Add(n.Mistake(name+" must be a text", ""))
		return nil
	}
	return n
}

var tagName = regexp.MustCompile(`^[^\s,!&:]+$`)

func (l *loader) tags(tags []string, at *strictyaml.Node) []string {
	for _, t := range tags {
		switch {
		case t == "all" || t == "tagged" || t == "untagged":
			l.ms.Add(at.Mistake(fmt.Sprintf("%q cannot be a tag", t), "it means something of its own in --tags"))
		case !tagName.MatchString(t):
			l.ms.Add(at.Mistake(fmt.Sprintf("%q cannot be a tag", t), "a tag has no spaces, commas, colons, ! or &"))
		}
	}
	return tags
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// varNames checks the names that a map defines.
func (l *loader) varNames(n *strictyaml.Node) {
	if n == nil {
		return
	}
	for _, p := range n.Pairs {
		l.varName(p.Key, p.KeyAt, "a variable")
	}
}

func (l *loader) varName(name string, at *strictyaml.Node, what string) bool {
	switch {
	case !identifier.MatchString(name):
		hint := "use letters, digits and _, not starting with a digit"
		if fixed := strings.NewReplacer("-", "_", ".", "_", " ", "_").Replace(name); identifier.MatchString(fixed) {
			hint = "write " + fixed
		}
		l.ms.Add(at.Mistake(fmt.Sprintf("%q cannot be the name of %s", name, what), hint))
		return false
	case isExpressionWord(name):
		l.ms.Add(at.Mistake(fmt.Sprintf("%q cannot be the name of %s", name, what), "it is a word of the expression language"))
		return false
	}
	return true
}
