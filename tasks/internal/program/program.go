// Package program is what the tasks command and shell share: when not to run,
// how, and what register sees.
package program

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
	"github.com/dayops/dayops/tasks/internal/words"
)

// Params are the parameters that command and shell have in common.
type Params struct {
	Chdir           string   `yaml:"chdir" doc:"absolute path of the folder to run in; the account's home when not given"`
	Creates         string   `yaml:"creates" doc:"do not run when this path exists; a relative one starts at chdir"`
	Removes         string   `yaml:"removes" doc:"run only when this path exists; a relative one starts at chdir"`
	Stdin           *string  `yaml:"stdin" doc:"text for the standard input; empty when not given"`
	StdinAddNewline bool     `yaml:"stdin_add_newline" default:"true" doc:"end stdin with a line break"`
	Check           []string `yaml:"check" split:" " doc:"program that only reads, as a list of words; when it exits with 0, there is nothing to do. It must be in the table of read-only programs"`
	Risk            string   `yaml:"risk" default:"safe" enum:"safe,disruptive,destructive" doc:"what the command can cost; above safe it needs approval. Literal words that stop what others rely on make it disruptive in any case"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if p.Chdir != "" {
		if err := hostfile.Absolute("chdir", p.Chdir); err != nil {
			return err
		}
	}
	for param, path := range map[string]string{"creates": p.Creates, "removes": p.Removes} {
		switch {
		case path == "":
		case strings.ContainsAny(path, "*?["):
			return fmt.Errorf("%q takes one path, not a pattern: %q", param, path)
		case p.Chdir != "" && !strings.HasPrefix(path, "~"):
		default:
			if err := hostfile.Absolute(param, path); err != nil {
				return err
			}
		}
	}
	if len(p.Check) > 0 {
		return reader.CheckProbe(p.Check)
	}
	return nil
}

// at is a path that may start at chdir.
func (p Params) at(path string) string {
	if strings.HasPrefix(path, "/") || path == "" {
		return path
	}
	return hostfile.Clean(p.Chdir + "/" + path)
}

// Class is the risk that the playbook's author gave the command, or that its
// literal words show, whichever is higher.
func (p Params) Class(argv []string) change.Risk {
	said := map[string]change.Risk{"disruptive": change.Disruptive, "destructive": change.Destructive}[p.Risk]
	return max(said, words.Risk(argv))
}

// State is what says whether the command is to run.
type State struct {
	Creates bool // the path is there
	Removes bool
	Done    bool // the probe said yes
}

// Look asks the host.
func (p Params) Look(ctx context.Context, r task.Reader) (State, error) {
	var s State
	for _, q := range []struct {
		path string
		into *bool
	}{{p.at(p.Creates), &s.Creates}, {p.at(p.Removes), &s.Removes}} {
		if q.path == "" {
			continue
		}
		f, err := hostfile.Stat(ctx, r, hostfile.Clean(q.path)) // a symlink that leads nowhere is there too, as for the change
		if err != nil {
			return s, err
		}
		*q.into = f.Exists
	}
	if len(p.Check) > 0 {
		res, err := r.Probe(ctx, p.Check...)
		if err != nil {
			return s, err
		}
		s.Done = res.Code == 0
	}
	return s, nil
}

// Skip is why there is nothing to run, in Ansible's words, or "".
func (p Params) Skip(s State) string {
	switch {
	case p.Creates != "" && s.Creates:
		return fmt.Sprintf("skipped, since %s exists", p.Creates)
	case p.Removes != "" && !s.Removes:
		return fmt.Sprintf("skipped, since %s does not exist", p.Removes)
	case s.Done:
		return "skipped, since the check says that it is done"
	}
	return ""
}

// Exec is the change that runs argv.
func (p Params) Exec(argv []string) *change.Exec {
	e := &change.Exec{Argv: argv, Dir: p.Chdir, Class: p.Class(argv)}
	if p.Stdin != nil {
		in := *p.Stdin
		if p.StdinAddNewline && !strings.HasSuffix(in, "\n") {
			in += "\n"
		}
		e.Stdin = []byte(in)
	}
	switch {
	case len(p.Check) > 0:
		e.Done = &change.Probe{Argv: p.Check}
	case p.Creates != "":
		e.Done = &change.Probe{Path: p.at(p.Creates)}
	case p.Removes != "":
		e.Done = &change.Probe{Path: p.at(p.Removes), Absent: true}
	}
	return e
}

// Result is what register sees of command and shell.
type Result struct {
	Cmd         any      `yaml:"cmd" doc:"the words of command, the text of shell"`
	RC          *int     `yaml:"rc,omitempty" doc:"exit code; 0 when it was skipped"`
	Stdout      *string  `yaml:"stdout,omitempty" doc:"output without its last line breaks; the start and the end of a very long one"`
	StdoutLines []string `yaml:"stdout_lines,omitempty" doc:"the same as a list of lines"`
	Stderr      *string  `yaml:"stderr,omitempty" doc:"error output, as stdout"`
	StderrLines []string `yaml:"stderr_lines,omitempty" doc:"the same as a list of lines"`
	Start       string   `yaml:"start,omitempty" doc:"when it started, by the control machine's clock"`
	End         string   `yaml:"end,omitempty" doc:"when it ended"`
	Delta       string   `yaml:"delta,omitempty" doc:"how long it took, as 0:00:01.250000"`
}

// Result tells what became of the command.
func (p Params) Result(cmd any, s State, out task.Outcome) Result {
	res := Result{Cmd: cmd}
	if why := p.Skip(s); why != "" {
		res.RC, res.Stdout, res.Stderr = new(0), &why, new("")
		res.StdoutLines, res.StderrLines = []string{why}, []string{}
		return res
	}
	for _, step := range out.Steps {
		if step.Exec == nil {
			continue
		}
		res.RC = &step.Exec.Code
		res.Stdout, res.StdoutLines = text(step.Exec.Stdout.String())
		res.Stderr, res.StderrLines = text(step.Exec.Stderr.String())
		const layout = "2006-01-02 15:04:05.000000"
		res.Start, res.End = step.Start.Format(layout), step.End.Format(layout)
		res.Delta = delta(step.End.Sub(step.Start))
	}
	return res
}

func text(s string) (*string, []string) {
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return &s, []string{}
	}
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return &s, lines
}

func delta(d time.Duration) string {
	us := d.Microseconds()
	return fmt.Sprintf("%d:%02d:%02d.%06d", us/3600e6, us/60e6%60, us/1e6%60, us%1e6)
}

// Seen is for `dayops doc` of command and shell: which words are recognised.
const Seen = "A command whose literal words stop or restart what others rely on, or the host, is disruptive whatever risk says, needs approval and is weighed by the etcd quorum gate (dayops doc approvals). " +
	"Recognised are systemctl, service, reboot, shutdown, poweroff, halt, init, telinit, docker, podman, crictl, kill, pkill, killall, master-restart, etcdctl member add, remove and promote, and mv and rm of static pods' manifests (and, which the gate alone weighs, of the data of an etcd member that runs); also behind sudo, env, timeout and the like, and in the text of a shell. " +
	"No more than literal words is seen: not what a script, an alias, a package manager or any other program does. "

// OldStyle refuses creates=... and the like among the words of a command:
// Ansible reads them as parameters there, and a host must not get them as words.
func OldStyle(words []string) error {
	for _, w := range words {
		name, _, found := strings.Cut(w, "=")
		if !found {
			continue
		}
		switch name {
		case "creates", "removes", "chdir", "executable", "stdin":
			return fmt.Errorf("%q in the command's text is not read as a parameter here; write `cmd:` and `%s:` as keys", w, name)
		}
	}
	return nil
}
