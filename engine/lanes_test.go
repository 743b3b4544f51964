package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
)

const inside = "echo + >> DIR/LOG; sleep 0.15; echo - >> DIR/LOG"

// A disruptive step reaches one host of a group at a time, unless the playbook
// says how many; also a handler.
func TestOneHostOfAGroupAtATime(t *testing.T) {
	for _, c := range []struct {
		name, inv, play, step string
		most                  int
	}{
		{"one group", "[a]\nh1\nh2\nh3\nh4\n", "", "", 1},
		{"two groups", "[a]\nh1\nh2\n[b]\nh3\nh4\n", "", "", 2},
		{"groups that share hosts", "[a]\nh1\nh2\n[b]\nh2\nh3\n[c]\nh3\nh1\n", "", "", 1},
		{"no groups", "h1\nh2\nh3\n", "", "", 3},
		{"throttle says more", "[a]\nh1\nh2\nh3\n", "", "throttle: 3,", 3},
		{"serial says more", "[a]\nh1\nh2\nh3\nh4\n", "serial: 2", "", 2},
		{"safe", "[a]\nh1\nh2\nh3\n", "", "SAFE", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			risk := "disruptive"
			if c.step == "SAFE" {
				c.step, risk = "", "safe"
			}
			in := strings.ReplaceAll(inside, "0.15", "0.3")
			w := risky(t, approve(change.Disruptive)).run(c.inv, `- hosts: all
  gather_facts: no
  `+c.play+`
  tasks:
    - {name: in, `+c.step+` risky: {cmd: '`+strings.ReplaceAll(in, "LOG", "log")+`', risk: `+risk+`}, notify: h}
  handlers:
    - {name: h, `+c.step+` risky: {cmd: '`+strings.ReplaceAll(in, "LOG", "log2")+`', risk: `+risk+`}}
`)
			require.False(t, w.rep.Failed, w.all())
			require.Equal(t, c.most, crowd(w.lines("log")))
			require.Equal(t, c.most, crowd(w.lines("log2")))
		})
	}
}

// What broke one host of a group does not go on to the next one; another group is not concerned.
func TestAFailureClosesItsGroup(t *testing.T) {
	pb := `- hosts: all
  gather_facts: no
  tasks:
    - {name: in, IGNORE risky: {cmd: 'echo {{ inventory_hostname }} >> DIR/log; sleep 0.1; exit 1'}}
`
	inv := "[a]\nh1\nh2\nh3\n[b]\nh4\n"
	w := risky(t, approve(change.Disruptive)).run(inv, strings.ReplaceAll(pb, "IGNORE", ""))
	require.Len(t, w.lines("log"), 2)
	require.Contains(t, w.lines("log"), "h4")
	require.Equal(t, 2, strings.Count(w.all(), `"text":"not done, because the plan ended before it`))

	w = risky(t, approve(change.Disruptive)).run(inv, strings.ReplaceAll(pb, "IGNORE", "ignore_errors: yes,"))
	require.Len(t, w.lines("log"), 4)
}

// quorum is a gate over marker files: a host is up while DIR/NAME-up is there.
type quorum struct {
	dir  string
	mu   sync.Mutex
	log  []string
	held int
	most int
}

func (q *quorum) Claim(ctx context.Context, c Claim) (func(), error) {
	members, up := c.Inventory["etcd"], 0
	for _, m := range members {
		r, err := c.Read(ctx, m)
		if err != nil {
			return nil, err
		}
		fs, err := r.Stat(ctx, filepath.Join(q.dir, m+"-up"))
		if err != nil {
			return nil, err
		}
		if fs[0].Exists {
			up++
		}
	}
	if need := len(members)/2 + 1; up-1 < need {
		return nil, &GateError{Gate: "quorum", Reason: "restarting " + c.Host + " would lose it", Hint: "start the others first",
			Arithmetic: []string{fmt.Sprintf("%d members, %d up, %d needed", len(members), up, need)}}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held++
	q.most = max(q.most, q.held)
	q.log = append(q.log, c.Host)
	return func() {
		if !c.Check {
			for range 200 {
				if _, err := os.Stat(filepath.Join(q.dir, c.Host+"-up")); err == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.held--
	}, nil
}

const restarts = `- hosts: etcd
  gather_facts: no
  throttle: 5
  tasks:
    - {name: restart, risky: {cmd: 'rm DIR/{{ inventory_hostname }}-up; (sleep 0.3; touch DIR/{{ inventory_hostname }}-up) </dev/null >/dev/null 2>&1 &'}}
`

func gated(t *testing.T, up ...string) (*world, *quorum) {
	q := &quorum{}
	w := risky(t, approve(change.Disruptive), func(o *Options) { o.Gates = []Gate{q} })
	q.dir = w.dir
	for _, h := range up {
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, h+"-up"), nil, 0o600))
	}
	return w, q
}

// Three members that restart at once do not each see three healthy ones: a
// claim is held until its host is healthy again.
func TestGateHoldsUntilHealthy(t *testing.T) {
	w, q := gated(t, "m1", "m2", "m3")
	w.run("[etcd]\nm1\nm2\nm3\n", restarts)
	require.False(t, w.rep.Failed || w.rep.Refused, w.all())
	require.Equal(t, 1, q.most)
	require.Len(t, q.log, 6, "three in the forecast, three in the run")
}

// A refusal comes before anything is done, with its arithmetic; --limit hides nobody from a gate.
func TestGateRefuses(t *testing.T) {
	w, _ := gated(t, "m1", "m2")
	w.run("[etcd]\nm1\nm2\nm3\n", strings.ReplaceAll(restarts, "hosts: etcd", "hosts: m1"))
	require.True(t, w.rep.Refused)
	require.Empty(t, w.said())
	require.Contains(t, w.all(), "3 members, 2 up, 2 needed")
	require.FileExists(t, filepath.Join(w.dir, "m1-up"))

	w, _ = gated(t, "m1", "m2")
	w.opt = func(o *Options) { check(o); o.Gates = []Gate{&quorum{dir: w.dir}} }
	w.run("[etcd]\nm1\nm2\nm3\n", restarts)
	require.True(t, w.rep.Refused)
	require.Contains(t, fmt.Sprint(w.texts(event.Finding)), "m1 quorum: restarting m1 would lose it (3 members, 2 up, 2 needed)")
}

// A gate that fails refuses; one that panics too.
func TestGateThatCannotJudge(t *testing.T) {
	for _, g := range []Gate{gateFunc(func() error { return fmt.Errorf("no answer") }), gateFunc(func() error { panic("no answer") })} {
		w := risky(t, approve(change.Disruptive), func(o *Options) { o.Gates = []Gate{g} }).run("h1\n",
			"- hosts: all\n  gather_facts: no\n  tasks: [{name: it, risky: 'touch DIR/x'}]\n")
		require.True(t, w.rep.Refused)
		require.NoFileExists(t, filepath.Join(w.dir, "x"))
		require.Contains(t, w.all(), "could not judge")
	}
}

type gateFunc func() error

func (f gateFunc) Claim(context.Context, Claim) (func(), error) { return nil, f() }

// A step's limit does not run while it waits for the other hosts of its group.
func TestWaitingIsNotTheStepsTime(t *testing.T) {
	w := risky(t, approve(change.Disruptive)).run("[a]\nh1\nh2\nh3\nh4\n", `- hosts: all
  gather_facts: no
  tasks:
    - {name: in, timeout: 1s, risky: {cmd: 'echo {{ inventory_hostname }} >> DIR/log; sleep 0.5'}}
`)
	require.False(t, w.rep.Failed, w.all())
	require.Len(t, w.lines("log"), 4)

	w = risky(t, approve(change.Disruptive)).run("h1\n", "- hosts: all\n  gather_facts: no\n  tasks: [{name: in, timeout: 1s, risky: {cmd: sleep 5}}]\n")
	require.True(t, w.rep.Failed)
	require.Contains(t, w.all(), "took longer than 1s")
}
