package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/task"
)

type riskyParams struct {
	Cmd     string `yaml:"cmd" doc:"the command"`
	Risk    string `yaml:"risk" doc:"its risk" enum:"safe,disruptive,destructive" default:"disruptive"`
	Unless  string `yaml:"unless" doc:"done when this file exists"`
	Needs   string `yaml:"needs" doc:"a file that must exist"`
	Finally string `yaml:"finally" doc:"a command that is run whatever happens, as risky"`
	Worse   string `yaml:"worse" doc:"destructive when this file exists"`
}

func classOf(word string) change.Risk {
	return map[string]change.Risk{"safe": change.Safe, "disruptive": change.Disruptive, "destructive": change.Destructive}[word]
}

type riskyState struct{ Done, Ready, Worse bool }

// riskyTask does what it says and calls it as risky as it is told.
func riskyTask() *task.Definition {
	return task.Define(task.Spec[riskyParams]{Name: "risky", Doc: "Risks.", FreeForm: "cmd", Kind: func(riskyParams) task.Kind { return task.Action },
		MaxRisk: func(p riskyParams) change.Risk { return classOf(p.Risk) }},
		tiny[riskyParams, riskyState]{
			check: func(ctx context.Context, r task.Reader, p riskyParams) (s riskyState, err error) {
				for _, f := range []struct {
					path string
					to   *bool
				}{{p.Unless, &s.Done}, {p.Needs, &s.Ready}, {p.Worse, &s.Worse}} {
					if f.path == "" {
						continue
					}
					fs, err := r.Stat(ctx, f.path)
					if err != nil {
						return s, err
					}
					*f.to = fs[0].Exists
				}
				return s, nil
			},
			plan: func(in task.Input[riskyParams, riskyState]) (task.Plan, error) {
				p, s := in.Params, in.State
				if p.Needs != "" && !s.Ready {
					return task.Plan{Findings: []task.Finding{{Status: task.Fail, Text: "not ready"}}}, nil
				}
				if p.Unless != "" && s.Done {
					return task.Plan{}, nil
				}
				class := classOf(p.Risk)
				if s.Worse {
					class = change.Destructive
				}
				exec := func(cmd string) *change.Exec {
					return &change.Exec{Argv: []string{"/bin/sh", "-c", cmd}, Purpose: "risk it on " + in.Host, Class: class, Done: &change.Probe{Path: "/nonexistent/" + in.Host}}
				}
				plan := task.Do(exec(p.Cmd))
				if p.Finally != "" {
					plan = task.Plan{Stages: []task.Stage{{Steps: []task.Step{{Change: &change.Exec{Argv: []string{"true"}}}}}}, Finally: []task.Step{{Change: exec(p.Finally)}}}
				}
				return plan, nil
			}})
}

func risky(t *testing.T, set ...func(*Options)) *world {
	w := newWorld(t, riskyTask())
	w.opt = func(o *Options) {
		for _, f := range set {
			f(o)
		}
	}
	return w
}

func approve(r change.Risk) func(*Options) { return func(o *Options) { o.Approve = r } }

// Whatever the riskiest part of a playbook is, it is approved in one of these
// ways or nothing at all is done on any host.
func TestApproval(t *testing.T) {
	const before = "    - {name: before, sh: 'echo b >> DIR/log'}\n"
	parts := map[string]string{
		"step":    before + "    - {name: it, APPROVE risky: {cmd: 'echo x >> DIR/log', risk: RISK}}\n",
		"finally": before + "    - {name: it, APPROVE risky: {cmd: 'true', finally: 'echo x >> DIR/log', risk: RISK}}\n",
		"handler": before + "    - {name: n, sh: 'true', notify: it}\n  handlers:\n    - {name: it, APPROVE risky: {cmd: 'echo x >> DIR/log', risk: RISK}}\n",
		"unknown": before + "    - {name: r, sh: 'echo x', register: r}\n    - {name: it, APPROVE risky: {cmd: 'echo {{ r.stdout }} >> DIR/log', risk: RISK}}\n",
		"loop":    before + "    - {name: it, loop: [1, 2], APPROVE risky: {cmd: 'echo x >> DIR/log', risk: RISK}}\n",
	}
	for part, tasks := range parts {
		for _, c := range []struct {
			name, risk, word string
			line             change.Risk
			ok               bool
		}{
			{"safe", "safe", "", change.Safe, true},
			{"disruptive, nothing said", "disruptive", "", change.Safe, false},
			{"disruptive, -y", "disruptive", "", change.Disruptive, true},
			{"disruptive, by the playbook", "disruptive", "approve: disruptive,", change.Safe, true},
			{"destructive, -y", "destructive", "", change.Disruptive, false},
			{"destructive, by the playbook", "destructive", "approve: disruptive,", change.Disruptive, false},
			{"destructive, approved", "destructive", "", change.Destructive, true},
		} {
			t.Run(part+" "+c.name, func(t *testing.T) {
				t.Parallel()
				w := risky(t, approve(c.line)).run(hosts(2), "- hosts: all\n  gather_facts: no\n  tasks:\n"+strings.NewReplacer("RISK", c.risk, "APPROVE", c.word).Replace(tasks))
				if c.ok {
					require.Contains(t, w.lines("log"), "x", w.all())
					require.False(t, w.rep.Refused || w.rep.Failed, w.all())
					return
				}
				require.True(t, w.rep.Refused)
				require.False(t, w.rep.Failed)
				require.Empty(t, w.lines("log"))
				require.Empty(t, w.said())
				note := w.texts(event.Note)
				require.Len(t, note, 1)
				require.Contains(t, note[0], "want of approval for "+c.risk+" changes h1 h2")
			})
		}
	}
}

func TestApprovalOfAPlay(t *testing.T) {
	pb := "- hosts: all\n  gather_facts: no\n  approve: disruptive\n  tasks:\n    - {name: it, risky: {cmd: 'echo x >> DIR/log'}}\n"
	require.Equal(t, []string{"x"}, risky(t).run(hosts(1), pb).lines("log"))
}

// A dry run asks nobody.
func TestApprovalIsNotForDryRuns(t *testing.T) {
	w := risky(t, check).run(hosts(1), "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: it, risky: {cmd: 'true', risk: destructive}}\n")
	require.False(t, w.rep.Refused)
	require.Equal(t, []string{"it h1 changed"}, w.said())
}

// At a terminal the question names hosts and changes, and the answer holds for what was shown.
func TestApprovalByAPerson(t *testing.T) {
	pb := `- hosts: all
  gather_facts: no
  tasks:
    - {name: first, sh: 'echo first >> DIR/log'}
    - {name: it, risky: {cmd: 'echo x >> DIR/log', risk: destructive}}
    - {name: hidden, no_log: yes, risky: {cmd: 'echo y >> DIR/log'}}
`
	for _, yes := range []bool{true, false} {
		var asked []Ask
		w := risky(t, func(o *Options) {
			o.Approver = func(_ context.Context, a Ask) bool { asked = append(asked, a); return yes }
			o.Retype = func(r change.Risk) string { return "type " + r.String() }
		}).run(hosts(2), pb)
		require.Equal(t, []Ask{{Need: change.Destructive, Hosts: []string{"h1", "h2"}, Steps: []RefusedStep{
			{Play: "all", Step: "it", ID: "1.2", Risk: change.Destructive, Hosts: []string{"h1", "h2"},
				Changes: []string{"risk it on h1, cannot be taken back", "risk it on h2, cannot be taken back"}},
			{Play: "all", Step: "hidden", ID: "1.3", Risk: change.Disruptive, Hosts: []string{"h1", "h2"}, Changes: []string{hiddenText}},
		}}}, asked)
		if yes {
			require.Len(t, w.lines("log"), 6)
			require.Contains(t, w.all(), "approved at the terminal: destructive changes on h1, h2")
			continue
		}
		require.Empty(t, w.lines("log"))
		require.True(t, w.rep.Refused)
		require.Contains(t, w.all(), `"hint":"type destructive"`)
	}
}

// A step that is reached and is riskier than what was approved stops and asks.
func TestApprovalOfWhatWasNotForeseen(t *testing.T) {
	pb := `- hosts: all
  gather_facts: no
  tasks:
    - {name: worse, sh: 'touch DIR/worse', changed_when: false}
    - {name: it, risky: {cmd: 'echo x >> DIR/log', worse: DIR/worse, risk: destructive}}
    - {name: after, sh: 'echo after >> DIR/log'}
`
	w := risky(t, approve(change.Disruptive)).run(hosts(1), pb)
	require.Empty(t, w.lines("log"))
	require.True(t, w.rep.Refused)
	require.False(t, w.rep.Failed)
	require.Equal(t, []string{"worse h1 changed"}, append(w.said(), "worse h1 changed")[:1])

	calls := 0
	risk := risky(t, approve(change.Disruptive), func(o *Options) {
		o.Approver = func(_ context.Context, a Ask) bool {
			calls++
			require.Equal(t, change.Destructive, a.Need)
			return true
		}
	})
	require.Contains(t, risk.run(hosts(1), pb).lines("log"), "x")
	require.Equal(t, 1, calls)
}

// No step that loses data begins anywhere while its precondition fails somewhere.
func TestPreconditionsFirst(t *testing.T) {
	for name, register := range map[string]string{
		"known":   "    - {name: r, set_fact: {x: 1}}\n",
		"unknown": "    - {name: r, sh: 'echo 1', register: out}\n    - {name: s, set_fact: {x: '{{ out.stdout }}'}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := risky(t, approve(change.Destructive))
			require.NoError(t, os.WriteFile(filepath.Join(w.dir, "ready-h1"), nil, 0o600))
			w.run(hosts(2), "- hosts: all\n  gather_facts: no\n  tasks:\n"+register+
				"    - {name: it, risky: {cmd: 'echo {{ x }} >> DIR/log', risk: destructive, needs: 'DIR/ready-{{ inventory_hostname }}'}}\n")
			require.True(t, w.rep.Refused, w.all())
			require.Empty(t, w.lines("log"))
			require.Contains(t, w.all(), "not ready")
		})
	}
}

// What stands above Safe is foreseen as a run, not as a check; facts and connections serve twice.
func TestLookAheadIsOneRun(t *testing.T) {
	w := risky(t, approve(change.Disruptive)).run(hosts(3), `- hosts: all
  tasks:
    - {name: never, sh: 'echo checked >> DIR/log', when: ansible_check_mode}
    - {name: it, risky: {cmd: 'echo {{ ansible_hostname | length > 0 }} >> DIR/log'}}
`)
	require.Equal(t, []string{"True", "True", "True"}, w.lines("log"))
	for h, n := range w.dials {
		require.Equal(t, 1, n, h)
	}
	end := w.events[len(w.events)-1]
	require.Equal(t, map[string]any{"changes": 3, "unknown": 0, "differences": 0}, end.Data["forecast"])
}

// What came out otherwise than foreseen is told, a line for each host and step.
func TestForecastIsHeldAgainstTheRun(t *testing.T) {
	w := risky(t, approve(change.Disruptive)).run(hosts(1), `- hosts: all
  gather_facts: no
  tasks:
    - {name: quiet, changed_when: false, sh: 'touch DIR/flag'}
    - {name: it, risky: {cmd: 'true', unless: DIR/flag}}
    - {name: same, write: {path: DIR/f, content: x}}
    - {name: loop, loop: [a, b], write: {path: 'DIR/{{ item }}', content: x}}
`)
	var told []string
	for _, e := range w.events {
		if e.Kind == event.Note && e.Status == event.Warn {
			told = append(told, e.Step+" "+e.Host+" "+e.Text)
		}
	}
	require.Equal(t, []string{"it h1 forecast said that it would change, and it changed nothing"}, told)

	w = risky(t, approve(change.Disruptive))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "flag"), nil, 0o600))
	w.run(hosts(1), `- hosts: all
  gather_facts: no
  tasks:
    - {name: quiet, changed_when: false, sh: 'rm DIR/flag'}
    - {name: it, loop: [1], risky: {cmd: 'true', unless: DIR/flag}}
`)
	require.Contains(t, fmt.Sprint(w.texts(event.Note)), "(1) forecast said no change, and it changed (risk it on h1)")
	require.Equal(t, 1, w.events[len(w.events)-1].Data["forecast"].(map[string]any)["differences"])
}
