// Package lineinfile is the task that keeps one line in a text file of a host.
package lineinfile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of lineinfile.
type Params struct {
	Path           string  `yaml:"path" required:"true" alias:"dest,destfile,name" doc:"absolute path of the file on the host; a symlink is followed"`
	Line           *string `yaml:"line" alias:"value" doc:"the line, without its line break; required with state: present"`
	Regexp         *string `yaml:"regexp" alias:"regex" doc:"expression (RE2) of the line to replace: the last that matches; with state: absent, of all lines to remove"`
	SearchString   *string `yaml:"search_string" doc:"like regexp, but plain text anywhere in the line"`
	State          string  `yaml:"state" default:"present" enum:"present,absent" doc:"whether the line is wanted"`
	InsertAfter    *string `yaml:"insertafter" doc:"where a new line goes when nothing matched: after the last line that matches this expression, or EOF or BOF; EOF when neither is given or nothing matches"`
	InsertBefore   *string `yaml:"insertbefore" doc:"the same, before the last line that matches, or BOF"`
	FirstMatch     bool    `yaml:"firstmatch" default:"false" doc:"take the first match instead of the last"`
	Backrefs       bool    `yaml:"backrefs" default:"false" doc:"put groups of regexp into line (\\1, \\g<name>); when regexp matches nothing, the file is left alone"`
	Create         bool    `yaml:"create" default:"false" doc:"make the file, and its folder, when they are not there"`
	Backup         bool    `yaml:"backup" default:"false" doc:"keep the old file beside the new one, named by the time"`
	hostfile.Attrs `yaml:",inline"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if err := hostfile.Absolute("path", p.Path); err != nil {
		return err
	}
	switch {
	case p.Regexp != nil && p.SearchString != nil:
		return errors.New(`"regexp" and "search_string" exclude each other`)
	case p.InsertAfter != nil && p.InsertBefore != nil:
		return errors.New(`"insertafter" and "insertbefore" exclude each other`)
	case p.State == "absent" && p.Line == nil && p.Regexp == nil && p.SearchString == nil:
		return errors.New(`"state: absent" needs "line", "regexp" or "search_string"`)
	case p.State != "absent" && p.Line == nil:
		return errors.New(`"state: present" needs "line"`)
	case p.State != "absent" && p.Backrefs && p.Regexp == nil:
		return errors.New(`"backrefs" needs "regexp"`)
	}
	_, err := p.compile()
	return err
}

// compile turns the parameters into an edit.
func (p *Params) compile() (edit, error) {
	e := edit{search: p.SearchString, first: p.FirstMatch, backrefs: p.Backrefs}
	if p.Line != nil {
		e.line, e.hasLine = *p.Line, true
	}
	var err error
	if p.Regexp != nil {
		if e.match, err = compile("regexp", *p.Regexp); err != nil {
			return e, err
		}
	}
	if p.Backrefs && e.match != nil {
		if e.template, err = parseTemplate(e.line, e.match); err != nil {
			return e, err
		}
	}
	switch {
	case p.InsertBefore != nil && *p.InsertBefore == "BOF", p.InsertAfter != nil && *p.InsertAfter == "BOF":
		e.top = true
	case p.InsertBefore != nil:
		e.before = true
		e.anchor, err = compile("insertbefore", *p.InsertBefore)
	case p.InsertAfter != nil && *p.InsertAfter != "EOF":
		e.anchor, err = compile("insertafter", *p.InsertAfter)
	}
	return e, err
}

func compile(param, text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%q: %w (expressions are RE2: no lookahead, no backreference inside the expression)", param, err)
	}
	return re, nil
}

// State is the file as it is.
type State struct {
	File   reader.File
	Text   []byte
	Parent reader.File // looked at only where the file is not there
}

// Result is what register sees.
type Result struct {
	Path string `yaml:"path" doc:"the file"`
	Msg  string `yaml:"msg" doc:"line added, line replaced, 2 line(s) removed, or empty"`
}

// maxFile bounds the file that is edited.
const maxFile = 8 << 20

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "lineinfile",
		Doc:  "Keeps one line in a text file, or keeps lines out of it.",
		Long: "With regexp, the last line that matches is replaced; when none matches, the line is added at insertafter or insertbefore unless it is there already. " +
			"Expressions are RE2, not Python's: no lookahead and no backreferences inside the expression; \\d, \\w, (?i), groups and (?P<name>...) work. " +
			"They are matched against the line without its line break. Write regexp so that it matches the line before and after the change, else each run adds one. " +
			"The file is at most 8 MiB and is written in one step. Not in dayops: validate, unsafe_writes, attributes.",
		Example: `- name: SELinux enforcing after the next boot
  lineinfile:
    path: /etc/selinux/config
    regexp: ^SELINUX=
    line: SELINUX=enforcing

- lineinfile:
    path: /etc/hosts
    regexp: \sold-registry$
    state: absent
`,
		MaxRisk: func(p Params) change.Risk { return (&change.Write{Path: p.Path}).Risk() },
		Result:  Result{},
	}, liner{})
}

type liner struct{}

func (liner) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	f, err := hostfile.Follow(ctx, r, hostfile.Clean(p.Path))
	if err != nil {
		return State{}, err
	}
	s := State{File: f}
	switch {
	case f.Type == reader.Regular:
		if s.Text, err = r.ReadFile(ctx, f.Path, maxFile); err != nil {
			return State{}, err
		}
		// The sum of the very text that is edited: a file that changes meanwhile is found out.
		s.File.SHA256 = hostfile.Content(s.Text).SHA256
	case f.Exists:
		return s, fmt.Errorf("%s is %s, not a file", f.Path, hostfile.TypeName(f.Type))
	case p.Create && p.State != "absent":
		s.Parent, err = hostfile.Follow(ctx, r, path.Dir(f.Path))
	}
	return s, err
}

func (liner) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, s := in.Params, in.State
	if !s.File.Exists {
		if p.State == "absent" {
			return task.Plan{}, nil
		}
		if !p.Create {
			return task.Plan{}, &task.MissingError{What: "file", Name: s.File.Path, Hint: "create: true makes it"}
		}
	}
	out, _, err := p.apply(s.Text)
	if err != nil {
		return task.Plan{}, err
	}
	var changes []change.Change
	if !s.File.Exists && !s.Parent.Exists {
		a := hostfile.Attrs{Owner: p.Owner}
		changes = append(changes, &change.Dir{Path: s.Parent.Path, Before: s.Parent, Attr: a.ForNew(hostfile.NewDirMode, true)})
	}
	c, err := hostfile.Change(hostfile.Have{File: s.File, Text: s.Text}, hostfile.Want{
		Path: s.File.Path, Content: hostfile.Content(out), Attrs: p.Attrs, Backup: p.Backup,
	})
	if err != nil {
		return task.Plan{}, err
	}
	if c != nil {
		changes = append(changes, c)
	}
	return task.Do(changes...), nil
}

// apply gives the text as it should be, and Ansible's word for what was done.
func (p *Params) apply(text []byte) ([]byte, string, error) {
	e, err := p.compile()
	if err != nil {
		return nil, "", err
	}
	if p.State == "absent" {
		out, msg := e.remove(text)
		return out, msg, nil
	}
	out, msg := e.put(text)
	return out, msg, nil
}

func (liner) Result(in task.Input[Params, State], _ task.Outcome) any {
	res := Result{Path: in.State.File.Path}
	if _, msg, err := in.Params.apply(in.State.Text); err == nil {
		res.Msg = msg
	}
	return res
}
