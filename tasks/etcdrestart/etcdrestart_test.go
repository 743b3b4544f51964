package etcdrestart

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
	"github.com/dayops/dayops/tasks/internal/etcdroll/rolltest"
	"github.com/dayops/dayops/tasks/tasktest"
)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func healthy(t *testing.T, n int) []host {
	var out []host
	for _, s := range rolltest.Healthy(n, now) {
		out = append(out, host{Groups: []string{"etcd"}, Input: task.Input[Params, etcdroll.State]{Host: s.Instance.Name, Target: s.Instance.Name, Params: decode(t, "{}"), State: s, Facts: facts.Host{Clock: now}}})
	}
	return out
}

func plan(t *testing.T, hosts []host) (steps, said []string) {
	p, err := restart{}.Plan(input{Hosts: hosts, Now: now})
	require.NoError(t, err)
	tasktest.Hinted(t, p)
	for _, s := range p.Stages {
		require.Equal(t, 1, s.Window)
	}
	for _, s := range p.Changes() {
		steps = append(steps, s.Host+": "+s.Change.Summary())
	}
	for _, f := range p.Findings {
		if f.Status != task.OK {
			said = append(said, [...]string{"ok", "warn", "fail"}[f.Status]+" "+f.Text)
		}
	}
	return steps, said
}

const stranger = "is not signed by the authority in /etc/etcd/ca.crt"

func down(h *host) { rolltest.Down(&h.State) }

func TestPlans(t *testing.T) {
	part := func(name string) []string {
		return []string{name + ": restart etcd.service", name + ": wait for etcd member " + name + " to be healthy, at most 5m0s"}
	}
	all := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	moved := []string{"b: move the leadership from b to a"}
	for _, c := range []struct {
		name        string
		n           int
		make        func(h []host) []host
		steps, said []string
	}{
		{"three", 3, nil, all(part("a"), part("c"), moved, part("b")), nil},
		{"limited to the leader", 3, func(h []host) []host { h[0].Reach, h[2].Reach = true, true; return h }, all(moved, part("b")), nil},
		{"limited to a follower", 3, func(h []host) []host { h[0].Reach, h[1].Reach = true, true; return h }, part("c"), nil},
		{"one", 1, nil, part("a"), []string{"warn the only voter is stopped for a moment: nothing can be read or written then"}},
		{"two", 2, nil, nil, []string{"fail 2 voters, 2 healthy; stopping a leaves 1, 2 are needed"}},
		{"a member is down", 3, func(h []host) []host { down(&h[2]); return h }, nil,
			[]string{"fail member c does not answer at https://c:2379: connection refused", "fail 3 voters, 2 healthy; stopping a leaves 1, 2 are needed"}},
		{"one of five is down", 5, func(h []host) []host { down(&h[4]); return h }, nil, []string{"fail member e does not answer at https://e:2379: connection refused"}},
		{"a lost host, its member answers", 3, func(h []host) []host { h[2] = host{Err: errors.New("gone"), Reach: true}; return h }, all(part("a"), moved, part("b")), nil},
		{"a lost host, its member does not", 3, func(h []host) []host {
			h[2] = host{Err: errors.New("gone"), Reach: true}
			h[1].State.View.Status = h[1].State.View.Status[:2]
			return h
		}, nil, []string{"fail member c (https://c:2380) is on no host that could be read, and does not answer the leader", "fail 3 voters, 2 healthy; stopping a leaves 1, 2 are needed"}},
		{"a learner", 3, func(h []host) []host {
			for i := range h {
				h[i].State.Live.Members[0].Learner = true
			}
			h[2].Reach = true
			return h
		}, nil, []string{"warn member a is a learner: it has no vote", "fail 2 voters, 2 healthy, 1 learner; stopping b leaves 1, 2 are needed"}},
		{"clocks", 3, func(h []host) []host { h[2].Facts.Skew = 3 * time.Second; return h }, nil, []string{"fail clocks are at least 3.0 s apart: a is behind c"}},
		{"expired", 3, func(h []host) []host { h[2].State.Certificates[0].Certs[0].NotAfter = now; return h }, nil,
			[]string{"fail c: certificate /etc/etcd/peer.crt expired on 2026-11-22: the member could not join again"}},
		{"another authority's certificate", 3, func(h []host) []host { h[2].State.Certificates[0].Stranger = stranger; return h }, nil,
			[]string{"fail c: certificate /etc/etcd/peer.crt is not signed by the authority in /etc/etcd/ca.crt: the member could not join again"}},
		{"full disk", 3, func(h []host) []host { h[2].State.Free = 5 << 20; return h }, nil, []string{"fail c has 5 MiB free at /var/lib/etcd, 100 MiB are needed"}},
		{"alarm", 3, func(h []host) []host { h[0].State.Live.Alarms = []etcd.Alarm{{MemberID: 3, Kind: "NOSPACE"}}; return h }, nil, []string{"fail alarm NOSPACE raised by c"}},
		{"no leader", 3, func(h []host) []host {
			for i := range h {
				h[i].State.Live.Status.Leader = 0
			}
			return h
		}, nil, []string{"fail no member leads"}},
		{"other cluster", 3, func(h []host) []host { h[2].State.Live.Status.ClusterID = 8; return h }, nil, []string{"fail c belongs to another cluster: 8, not 7"}},
		{"by parameters alone", 3, func(h []host) []host { h[2].State.Instance.Runtime = etcd.Given; return h }, nil,
			[]string{"fail c: it was found by the parameters alone: neither a unit nor a static pod is known that could be stopped and started"}},
		{"before 3.3", 3, func(h []host) []host {
			for i := range h {
				h[i].State.Live.Status.Version = "3.2.22"
			}
			return h
		}, all(part("a"), part("c"), part("b")), nil},
		{"nothing there", 3, func(h []host) []host {
			for i := range h {
				h[i].State = etcdroll.State{}
			}
			return h
		}, nil, []string{"fail no etcd found on any host that could be read"}},
		{"none in the play", 3, func(h []host) []host {
			for i := range h {
				h[i].Reach = true
			}
			return h
		}, nil, []string{"warn no host of the play has a member: nothing to do"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := healthy(t, c.n)
			if c.make != nil {
				h = c.make(h)
			}
			steps, said := plan(t, h)
			require.Equal(t, c.steps, steps)
			require.Equal(t, c.said, said)
		})
	}
}

// A member that does not answer may have been asked with a certificate that it
// refuses: the hint says so, of one and of all.
func TestWrongCertificates(t *testing.T) {
	for _, c := range []struct {
		down       []int
		wrong      etcdca.File
		said, hint string
	}{
		{[]int{2}, etcdca.File{Path: "/etc/etcd/peer.crt", Stranger: stranger}, "member c does not answer at https://c:2379: connection refused", "bring it back first; /etc/etcd/peer.crt " + stranger},
		{[]int{0, 1, 2}, etcdca.File{Path: "/etc/etcd/peer.crt", Problem: "is not there"}, "c: member c does not answer at https://c:2379: connection refused", "/etc/etcd/peer.crt is not there"},
	} {
		h := healthy(t, 3)
		for _, i := range c.down {
			down(&h[i])
		}
		h[2].State.Certificates[0] = c.wrong
		p, err := restart{}.Plan(input{Hosts: h, Now: now})
		require.NoError(t, err)
		require.Empty(t, p.Changes())
		require.Contains(t, p.Findings, task.Finding{Status: task.Fail, Text: c.said, Hint: c.hint})
	}
}

// TestPods: a pod's manifest is put back whatever happens.
func TestPods(t *testing.T) {
	h := healthy(t, 1)
	in := &h[0].State.Instance
	in.Runtime, in.Manifest, in.Shelf.Exists = etcd.PodRuntime, "/etc/origin/node/pods/etcd.yaml", true
	in.Pod = reader.File{Path: in.Manifest, Exists: true, Type: reader.Regular, SHA256: "aa"}
	steps, _ := plan(t, h)
	const out, back = "a: move /etc/origin/node/pods/etcd.yaml to /etc/origin/node/pods-stopped/etcd.yaml", "a: move /etc/origin/node/pods-stopped/etcd.yaml to /etc/origin/node/pods/etcd.yaml"
	require.Equal(t, []string{out, "a: wait for etcd member a to be gone, at most 3m0s", back, "a: wait for etcd member a to be healthy, at most 5m0s",
		back, "a: wait for etcd member a to be healthy, at most 5m0s"}, steps)
}

func TestDespiteAlarms(t *testing.T) {
	h := healthy(t, 1)
	h[0].Params = decode(t, "{despite_alarms: yes}")
	h[0].State.Live.Alarms = []etcd.Alarm{{MemberID: 1, Kind: "NOSPACE"}}
	steps, _ := plan(t, h)
	require.Equal(t, []string{"a: restart etcd.service", "a: wait for etcd member a to have a leader, at most 5m0s"}, steps)
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no etcd", Params: "{unit: no-such-etcd.service}", Findings: []string{"fail: no etcd found on any host that could be read"}},
		tasktest.Case{Name: "no settings", Params: "{config: DIR/none}", Error: "none"},
	)
	for _, bad := range []string{"{healthy_within: 0}", "{max_spread: -1s}", "{cert: /a}"} {
		n, err := strictyaml.Parse("test.yml", []byte(bad))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.Error(t, err, bad)
	}
}
