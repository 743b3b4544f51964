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

type shakeParams struct {
	Cmd  string `yaml:"cmd" doc:"shell text; HOST is the host"`
	Risk string `yaml:"risk" default:"disruptive" enum:"safe,disruptive,destructive" doc:"its class"`
	Last string `yaml:"last" doc:"the same, done in the end"`
}

// shake does a risky thing on every host at once: what keeps them apart are gates and lanes.
type shake struct{}

func (shake) Check(context.Context, task.Reader, shakeParams) (struct{}, error) {
	return struct{}{}, nil
}

func (shake) Plan(in task.ClusterInput[shakeParams, struct{}]) (task.Plan, error) {
	st, last := task.Stage{Name: "shake"}, []task.Step(nil)
	for _, h := range in.Hosts {
		step := func(cmd string) task.Step {
			return task.Step{Host: h.Host, Change: &change.Exec{
				Argv: []string{"/bin/sh", "-c", strings.ReplaceAll(cmd, "HOST", h.Host)}, Purpose: "shake " + h.Host,
				Class: classOf(h.Params.Risk), Done: &change.Probe{Path: "/nonexistent/" + h.Host}}}
		}
		if st.Steps = append(st.Steps, step(h.Params.Cmd)); h.Params.Last != "" {
			last = append(last, step(h.Params.Last))
		}
	}
	return task.Plan{Stages: []task.Stage{st}, Finally: last}, nil
}

func shaken(t *testing.T, set ...func(*Options)) *world {
	w := newWorld(t, task.DefineCluster(task.Spec[shakeParams]{Name: "shake", Doc: "Shakes.", Kind: func(shakeParams) task.Kind { return task.Action },
		MaxRisk: func(p shakeParams) change.Risk { return classOf(p.Risk) }}, task.ClusterTask[shakeParams, struct{}](shake{})))
	w.opt = func(o *Options) {
		o.Approve = change.Disruptive
		for _, f := range set {
			f(o)
		}
	}
	return w
}

const threeMembers = "[etcd]\nm1\nm2\nm3\n"

func shakes(keys, params string) string {
	return "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: it, " + keys + " shake: {" + params + "}}\n"
}

// A stage of a cluster task that would take all hosts at once reaches one of a
// group at a time when it is disruptive, unless the playbook says how many.
func TestClusterKeepsToItsLanes(t *testing.T) {
	in := "cmd: '" + strings.ReplaceAll(strings.ReplaceAll(inside, "LOG", "log"), "0.15", "0.3") + "'"
	for _, c := range []struct {
		name, inv, keys, risk string
		most                  int
	}{
		{"one group", "[a]\nh1\nh2\nh3\n", "", "disruptive", 1},
		{"two groups", "[a]\nh1\nh2\n[b]\nh3\nh4\n", "", "disruptive", 2},
		{"throttle says more", "[a]\nh1\nh2\nh3\n", "throttle: 3,", "disruptive", 3},
		{"throttle says two", "[a]\nh1\nh2\nh3\nh4\n", "throttle: 2,", "disruptive", 2},
		{"safe", "[a]\nh1\nh2\nh3\n", "", "safe", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := shaken(t).run(c.inv, shakes(c.keys, in+", risk: "+c.risk))
			require.False(t, w.rep.Failed, w.all())
			require.Equal(t, c.most, crowd(w.lines("log")), w.lines("log"))
		})
	}
}

// What broke one host of a group does not go on to the next one.
func TestClusterFailureClosesItsGroup(t *testing.T) {
	w := shaken(t).run("[a]\nh1\nh2\nh3\n[b]\nh4\n", shakes("", "cmd: 'echo HOST >> DIR/log; sleep 0.1; exit 1'"))
	require.True(t, w.rep.Failed)
	require.LessOrEqual(t, len(w.lines("log")), 2, w.lines("log"))
}

func clusterGate(t *testing.T, up ...string) (*world, *quorum) {
	q := &quorum{}
	w := shaken(t, func(o *Options) { o.Gates = []Gate{q} })
	q.dir = w.dir
	for _, h := range up {
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, h+"-up"), nil, 0o600))
	}
	return w, q
}

const shakenDown = "cmd: 'echo HOST >> DIR/log; rm DIR/HOST-up; (sleep 0.3; touch DIR/HOST-up) </dev/null >/dev/null 2>&1 &'"

// Each member's change of a cluster task is a claim of its own, held until that
// member is healthy again, also where throttle lets them all in.
func TestClusterPassesGates(t *testing.T) {
	for _, keys := range []string{"", "throttle: 3,"} {
		w, q := clusterGate(t, "m1", "m2", "m3")
		w.run(threeMembers, shakes(keys, shakenDown))
		require.False(t, w.rep.Failed || w.rep.Refused, w.all())
		require.Equal(t, 1, q.most, keys)
		require.Len(t, q.log, 6, "three in the forecast, three in the run")
		require.ElementsMatch(t, []string{"m1", "m2", "m3"}, w.lines("log"))
	}
}

// A gate's refusal of a cluster task comes before anything is done on any member.
func TestClusterIsRefusedByAGate(t *testing.T) {
	w, _ := clusterGate(t, "m1", "m2")
	w.run(threeMembers, shakes("", shakenDown))
	require.True(t, w.rep.Refused, w.all())
	require.Empty(t, w.said())
	require.Empty(t, w.lines("log"))
	require.Contains(t, w.all(), "3 members, 2 up, 2 needed")

	w, q := clusterGate(t, "m1", "m2")
	w.opt = func(o *Options) { check(o); o.Gates = []Gate{q} }
	w.run(threeMembers, shakes("", shakenDown))
	require.True(t, w.rep.Refused, w.all())
	require.Contains(t, fmt.Sprint(w.texts(event.Finding)), "quorum: restarting m1 would lose it (3 members, 2 up, 2 needed)")
	require.Empty(t, w.lines("log"))
}

// Without approval a cluster task does nothing on any host.
func TestClusterNeedsApproval(t *testing.T) {
	for _, risk := range []string{"disruptive", "destructive"} {
		w := shaken(t, approve(map[string]change.Risk{"disruptive": change.Safe, "destructive": change.Disruptive}[risk]))
		w.run(threeMembers, shakes("", "cmd: 'echo HOST >> DIR/log', risk: "+risk))
		require.True(t, w.rep.Refused, w.all())
		require.Empty(t, w.lines("log"))
	}
}
