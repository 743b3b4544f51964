package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/task"
)

// roll writes each host's name into a file, in a rolling way.
type rollParams struct {
	Dir    string   `yaml:"dir" doc:"where the files are"`
	Window int      `yaml:"window" doc:"hosts at once"`
	Fail   string   `yaml:"fail" doc:"host on which it fails"`
	Blind  string   `yaml:"blind" doc:"host that cannot be read"`
	Panic  string   `yaml:"panic" doc:"where a mistake of the task shows: check, plan"`
	Bad    string   `yaml:"bad" doc:"host with a bad finding; all for the cluster"`
	Until  string   `yaml:"until" doc:"path that must be there after each window"`
	Two    bool     `yaml:"two" doc:"two stages"`
	Excuse string   `yaml:"excuse" doc:"host that need not be reached"`
	Seen   []string `yaml:"-"`
}

type roll struct{ seen *[]string }

func (r roll) Check(ctx context.Context, rd task.Reader, p rollParams) (fileState, error) {
	if p.Blind == "yes" {
		return fileState{}, errors.New("cannot be read")
	}
	if p.Panic == "check" {
		panic("in check")
	}
	fs, err := rd.Hash(ctx, p.Dir)
	if err != nil {
		return fileState{}, err
	}
	return fileState{File: fs[0]}, nil
}

func (r roll) Plan(in task.ClusterInput[rollParams, fileState]) (task.Plan, error) {
	var p task.Plan
	rolling := task.Stage{Name: "roll"}
	second := task.Stage{Name: "second"}
	*r.seen = nil
	for _, h := range in.Hosts {
		state := "ok"
		if h.Err != nil {
			state = "error"
		}
		*r.seen = append(*r.seen, fmt.Sprintf("%s %s reach=%v", h.Host, state, h.Reach))
		if h.Params.Panic == "plan" {
			panic("in plan")
		}
		if h.Params.Bad != "" {
			f := task.Finding{Status: task.Fail, Text: "bad"}
			if f.Host = h.Params.Bad; f.Host == "all" {
				f.Host = ""
			}
			p.Findings = append(p.Findings, f)
		}
		p.Findings = append(p.Findings, task.Finding{Host: h.Host, Text: "looked at"})
		if h.Err != nil || h.Reach {
			continue
		}
		rolling.Window, p.Excused = h.Params.Window, []string{h.Params.Excuse}
		cmd := "echo " + h.Host + " >> " + h.Params.Dir + "/log"
		if h.Params.Fail == h.Host {
			cmd = "exit 3"
		}
		if h.Params.Until != "" {
			rolling.Until = &change.Wait{Path: h.Params.Until, Limit: 50 * time.Millisecond, Every: 10 * time.Millisecond}
		}
		step := func(cmd string) task.Step {
			return task.Step{Host: h.Host, Change: &change.Exec{Argv: []string{"sh", "-c", cmd}}}
		}
		rolling.Steps = append(rolling.Steps, step(cmd))
		if h.Params.Two {
			second.Steps = append(second.Steps, step("echo second-"+h.Host+" >> "+h.Params.Dir+"/log"))
		}
		p.Finally = append(p.Finally, step("echo finally-"+h.Host+" >> "+h.Params.Dir+"/log"))
	}
	p.Stages = []task.Stage{rolling, second}
	return p, nil
}

func newCluster(t *testing.T) (*world, *[]string) {
	seen := &[]string{}
	d := task.DefineCluster(task.Spec[rollParams]{Name: "roll", Doc: "Rolls.", Reach: []string{"etcd"}, Kind: func(rollParams) task.Kind { return task.Action }},
		task.ClusterTask[rollParams, fileState](roll{seen}))
	w := newWorld(t, d)
	w.opt = func(o *Options) { o.Forks = 1 }
	return w, seen
}

const rolled = "h1\nh2\nh3\n"

func TestClusterWindows(t *testing.T) {
	w, seen := newCluster(t)
	w.run(rolled, play("{name: roll, roll: {dir: DIR, window: 1, two: yes}}"))
	require.Equal(t, []string{"h1", "h2", "h3", "second-h1", "second-h2", "second-h3", "finally-h1", "finally-h2", "finally-h3"}, w.lines("log"))
	require.Equal(t, []string{"roll h1 changed", "roll h2 changed", "roll h3 changed"}, w.said())
	require.Len(t, *seen, 3)
}

// After a failure no window begins, but Finally runs, and who was not reached
// does not count as done.
func TestClusterFailure(t *testing.T) {
	w, _ := newCluster(t)
	w.run(rolled, play("{name: roll, roll: {dir: DIR, window: 1, two: yes, fail: h2}}"))
	require.Equal(t, []string{"h1", "finally-h1", "finally-h2", "finally-h3"}, w.lines("log"))
	require.Equal(t, "not done, because the plan ended before it: h2 failed", w.result("roll", "h1").Text)
	require.Equal(t, "exit code 3", w.result("roll", "h2").Text)
	require.Equal(t, "not done, because the plan ended before it: h2 failed", w.result("roll", "h3").Text)

	w, _ = newCluster(t)
	w.run(rolled, play("{name: roll, roll: {dir: DIR, window: 2, until: DIR/nothing}}"))
	require.Contains(t, w.result("roll", "h1").Text, "waited 50ms for")
	require.Contains(t, w.result("roll", "h3").Text, "h1 failed")
	require.NotContains(t, w.lines("log"), "h3")
}

// Members that do not answer, or cannot be read, are shown to Plan with their
// error: a quorum counts them too. Reach brings in who is outside the play.
func TestClusterSeesEveryMember(t *testing.T) {
	w, seen := newCluster(t)
	w.dial = dead("e2")
	w.run("h1\nh2 blind=yes\n[etcd]\nh1\ne1\ne2\n", "- hosts: h1:h2\n  gather_facts: no\n  tasks:\n    - {name: roll, roll: {dir: DIR, blind: \"{{ blind | default('') }}\"}}\n")
	require.Equal(t, []string{"h2 error reach=false", "h1 ok reach=false", "e1 ok reach=true", "e2 error reach=true"}, *seen)
	require.Equal(t, []string{"h1", "finally-h1"}, w.lines("log"))
	require.Equal(t, event.Failed, w.result("roll", "h2").Status)
	require.True(t, w.rep.Unreachable, "a member outside the play that does not answer is told")
	require.Equal(t, []string{"e1 looked at", "e2 looked at", "h1 looked at", "h2 looked at"}, sorted(w.texts(event.Finding)))
}

// A host whose death is what the plan is about does not make the run's end
// "unreachable"; another one does, and so does the same one where nothing is planned.
func TestClusterExcused(t *testing.T) {
	for _, c := range []struct {
		excuse string
		facts  string
		check  bool
		want   bool
	}{{"e2", "no", false, false}, {"e2", "yes", false, false}, {"e2", "no", true, false}, {"e1", "no", false, true}, {"", "no", false, true}} {
		w, _ := newCluster(t)
		w.dial = dead("e2")
		if c.check {
			w.opt = check
		}
		w.run("h1\n[etcd]\ne1\ne2\n", "- hosts: all\n  gather_facts: "+c.facts+"\n  tasks:\n    - {name: roll, roll: {dir: DIR, excuse: '"+c.excuse+"'}}\n")
		require.Equal(t, c.want, w.rep.Unreachable, c)
		require.False(t, w.rep.Failed, c)
		require.Equal(t, event.Counts{Unreachable: 1}, w.counts("e2"), c)
	}
}

func TestClusterFindings(t *testing.T) {
	w, _ := newCluster(t)
	w.run("[etcd]\na0\n[etcd2]\nh1\nh2\n", "- hosts: h1:h2\n  gather_facts: no\n  tasks:\n    - {name: roll, roll: {dir: DIR, bad: all}}\n")
	require.Equal(t, "bad", w.result("roll", "h2").Text)
	require.Empty(t, w.lines("log"), "nothing is done")

	w, _ = newCluster(t)
	w.run("[etcd]\na0\n[etcd2]\nh1\nh2\n", "- hosts: h1:h2\n  gather_facts: no\n  tasks:\n    - {name: roll, roll: {dir: DIR, bad: a0}}\n")
	require.Equal(t, event.Failed, w.result("roll", "h1").Status, "a bad finding about a host outside the play concerns all")
	require.Empty(t, w.lines("log"))
}

func TestClusterPanics(t *testing.T) {
	for _, where := range []string{"check", "plan"} {
		w, _ := newCluster(t)
		w.run(rolled, play("{name: roll, roll: {dir: DIR, panic: "+where+"}}"))
		require.Contains(t, w.result("roll", "h2").Text, "panic: in "+where)
	}
}

func TestClusterInADryRun(t *testing.T) {
	w, _ := newCluster(t)
	w.opt = check
	w.run(rolled, play("{name: c, sh: 'true', register: c, when: \"inventory_hostname == 'h2'\"}", "{name: roll, roll: {dir: \"{{ where }}\"}, vars: {where: \"{{ c.stdout | default('/x') }}\"}}"))
	require.Equal(t, []string{"roll h1 unknown", "roll h2 unknown", "roll h3 unknown"}, w.said()[3:], "while one member is unknown nothing can be said of any")

	w, _ = newCluster(t)
	w.opt = check
	w.run(rolled, play("{name: roll, roll: {dir: DIR}}"))
	require.Equal(t, []string{"roll h1 unknown", "roll h2 unknown", "roll h3 unknown"}, w.said())
	require.Empty(t, w.lines("log"))
}

// An interrupt ends a rolling plan between two windows.
func TestClusterInterrupt(t *testing.T) {
	w, _ := newCluster(t)
	stop := make(chan struct{})
	w.opt = func(o *Options) { o.Stop, o.Forks = stop, 1 }
	go func() {
		for !strings.Contains(strings.Join(w.lines("log"), " "), "h1") {
			time.Sleep(time.Millisecond)
		}
		close(stop)
	}()
	w.run("h1\nh2\n", play("{name: roll, roll: {dir: DIR, window: 1, until: '{{ dir }}'}, vars: {dir: DIR}}", "{name: next, sh: 'true'}"))
	require.Equal(t, "h1", w.lines("log")[0])
	require.Contains(t, w.lines("log"), "finally-h2")
	require.True(t, w.rep.Interrupted)
}
