package etcdhealth

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
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

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// three are three healthy members; the first leads.
func three(t *testing.T, params string) []host {
	names := []string{"a", "b", "c"}
	var members []etcd.Member
	var view etcd.View
	for i, n := range names {
		id := uint64(i + 1)
		members = append(members, etcd.Member{ID: id, Name: n, PeerURLs: []string{"https://" + n + ":2380"}, ClientURLs: []string{"https://" + n + ":2379"}})
		view.Status = append(view.Status, etcd.Status{ClusterID: 7, MemberID: id, Index: 100000, Leader: 1})
		view.Hashes = append(view.Hashes, etcd.Hash{MemberID: id, Hash: 1, Compact: -1})
	}
	view.Rev = 40
	var out []host
	for i, n := range names {
		st := etcd.Status{ClusterID: 7, MemberID: uint64(i + 1), Version: "3.4.23", DBSize: 1 << 20, DBInUse: 1 << 20, Leader: 1, Index: 100000, Term: 2, Revision: 40}
		s := State{Found: true, Instance: etcd.Instance{Runtime: etcd.UnitRuntime, Unit: "etcd.service", Active: true, Name: n, Quota: 2 << 30, Endpoint: "https://" + n + ":2379"},
			Certificates: []etcdca.File{{Path: "/etc/etcd/peer.crt", Certs: []etcdca.Certificate{{NotAfter: now.AddDate(1, 0, 0)}}}},
			Live:         etcd.Live{Status: &st, Members: members, Health: etcd.Health{OK: true, Took: 5 * time.Millisecond}, Keys: 3}}
		if i == 0 {
			s.View = view
		}
		out = append(out, host{Groups: []string{"etcd"}, Input: task.Input[Params, State]{Host: n, Target: n, Params: decode(t, params), State: s, Facts: facts.Host{Clock: now}}})
	}
	return out
}

func findings(t *testing.T, hosts []host) (out []string) {
	p, err := health{}.Plan(input{Hosts: hosts, Now: now})
	require.NoError(t, err)
	require.Empty(t, p.Changes())
	tasktest.Hinted(t, p)
	for _, f := range p.Findings {
		if f.Status != task.OK {
			out = append(out, f.Host+[...]string{" ok ", " warn ", " fail "}[f.Status]+f.Text)
		}
	}
	return out
}

func down(h *host) {
	h.State.Live, h.State.View, h.State.Instance.Active = etcd.Live{Problem: "connection refused", Keys: -1}, etcd.View{}, false
}

func TestJudgements(t *testing.T) {
	for _, c := range []struct {
		name, params string
		make         func(h []host) []host
		want         []string
	}{
		{"healthy", "{}", func(h []host) []host { return h }, nil},
		{"one down", "{}", func(h []host) []host { down(&h[2]); return h }, []string{
			" warn 3 voters, 2 healthy, 2 needed: the loss of one more stops the cluster",
			"c fail member c does not answer at https://c:2379: connection refused"}},
		{"quorum lost", "{}", func(h []host) []host {
			down(&h[1])
			down(&h[2])
			h[0].State.Live.Status.Leader, h[0].State.Live.Health, h[0].State.View = 0, etcd.Health{Error: "deadline"}, etcd.View{}
			return h
		}, []string{" fail quorum lost: 3 voters, 0 healthy, 2 needed", "a fail member a is not healthy: it has no leader",
			"b fail member b does not answer at https://b:2379: connection refused", "c fail member c does not answer at https://c:2379: connection refused"}},
		{"host lost, member healthy", "{}", func(h []host) []host { h[2] = host{Err: errors.New("gone")}; return h }, nil},
		{"host and member lost", "{}", func(h []host) []host {
			h[2] = host{Err: errors.New("gone")}
			h[0].State.View.Status = h[0].State.View.Status[:2]
			return h
		}, []string{" warn 3 voters, 2 healthy, 2 needed: the loss of one more stops the cluster",
			" fail member c: it is on no host that could be read, and does not answer the leader"}},
		{"leader's host lost", "{}", func(h []host) []host { h[0] = host{Err: errors.New("gone")}; return h }, []string{
			" warn 3 voters, 2 healthy, 2 needed: the loss of one more stops the cluster",
			" fail member a: it is on no host that could be read",
			" warn the leader, a, is on no host that was read: lag and hashes were not compared"}},
		{"alarm", "{}", func(h []host) []host {
			for i := range h {
				h[i].State.Live.Alarms = []etcd.Alarm{{MemberID: 2, Kind: "NOSPACE"}}
			}
			return h
		}, []string{" fail alarm NOSPACE raised by b"}},
		{"hashes", "{}", func(h []host) []host { h[0].State.View.Hashes[1].Hash = 2; return h },
			[]string{" fail the members' data differ at revision 40: 00000001 on a and c; 00000002 on b"}},
		{"hashes off", "{hash: no}", func(h []host) []host { h[0].State.View.Hashes[1].Hash = 2; return h }, nil},
		{"one not seen by the leader", "{}", func(h []host) []host {
			h[0].State.View.Status, h[0].State.View.Hashes = h[0].State.View.Status[:2], h[0].State.View.Hashes[:2]
			return h
		}, []string{" warn member c did not answer on the leader's host at https://c:2379: its lag and its hash were not compared"}},
		{"compaction", "{}", func(h []host) []host { h[0].State.View.Hashes[1].Compact = 20; return h },
			[]string{" warn hashes could not be compared: a compaction is under way"}},
		{"lag", "{}", func(h []host) []host {
			h[0].State.View.Status[1].Index -= 600
			h[0].State.View.Status[2].Index -= 6000
			return h
		},
			[]string{"b warn member b is 600 raft entries behind (limits 500, 5000)", "c fail member c is 6000 raft entries behind (limits 500, 5000)"}},
		{"size", "{}", func(h []host) []host {
			h[0].State.Live.Status.DBSize = 1700 << 20
			h[0].State.Live.Status.DBInUse = 1600 << 20
			return h
		},
			[]string{"a warn database has 1.7 GiB, 83% of its quota 2 GiB (limits 75%, 90%)"}},
		{"unused", "{}", func(h []host) []host { h[0].State.Live.Status.DBSize = 200 << 20; return h },
			[]string{"a warn 99% of the database's 200 MiB is unused (limit 50%)"}},
		{"latency", "{}", func(h []host) []host { h[1].State.Live.Health.Took = 3 * time.Second; return h },
			[]string{"b fail a confirmed read takes 3.0 s (limits 250ms, 2s)"}},
		{"another authority's certificate", "{}", func(h []host) []host {
			h[2].State.Certificates[0].Stranger = "is not signed by the authority in /etc/etcd/ca.crt"
			return h
		}, []string{"c fail certificate /etc/etcd/peer.crt is not signed by the authority in /etc/etcd/ca.crt"}},
		{"certificates", "{}", func(h []host) []host {
			h[0].State.Certificates[0].Certs[0].NotAfter = now.Add(-time.Hour)
			h[1].State.Certificates[0].Certs[0].NotAfter = now.AddDate(0, 0, 6)
			h[2].State.Certificates[0].Certs[0].NotAfter = now.AddDate(0, 0, 20)
			return h
		}, []string{"a fail certificate /etc/etcd/peer.crt expired on 2026-11-22", "b fail certificate /etc/etcd/peer.crt expires in 6 days, on 2026-11-28",
			"c warn certificate /etc/etcd/peer.crt expires in 20 days, on 2026-12-12"}},
		{"clocks", "{}", func(h []host) []host { h[2].Facts.Skew = 3 * time.Second; return h }, []string{" fail clocks are at least 3.0 s apart: a is behind c"}},
		{"other cluster", "{}", func(h []host) []host { h[2].State.Live.Status.ClusterID = 8; return h }, []string{" fail the hosts belong to 2 clusters: 7 on a and b; 8 on c"}},
		{"versions", "{}", func(h []host) []host { h[2].State.Live.Status.Version = "3.5.1"; return h }, []string{" warn mixed versions: 3.4 on a and b; 3.5 on c"}},
		{"v2", "{}", func(h []host) []host {
			h[1].State.Live.V2 = etcd.V2{Asked: true, Served: true, Verdict: "unhealthy"}
			return h
		}, []string{"b fail v2 cluster-health: unhealthy"}},
		{"few", "{min_voters: 5}", func(h []host) []host { return h }, []string{" fail 3 voters, at least 5 are asked for"}},
		{"none in the group", "{}", func(h []host) []host {
			h[2].State = State{}
			h[0].State.View.Status = h[0].State.View.Status[:3]
			return h
		},
			[]string{"c fail no etcd found: no unit, no static pod and no settings of one"}},
		{"nothing at all", "{}", func([]host) []host { return nil }, []string{" fail no etcd found on any host that could be read"}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, findings(t, c.make(three(t, c.params)))) })
	}
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no etcd", Params: "{unit: no-such-etcd.service}", Findings: []string{"fail: no etcd found on any host that could be read"}},
		tasktest.Case{Name: "no settings", Params: "{config: DIR/none}", Error: "none"},
	)
}

func TestParameters(t *testing.T) {
	for text, want := range map[string]string{
		"{warn_lag: 9000}":      "warn_lag is more than max_lag",
		"{cert: /a}":            "cert and key belong together",
		"{config: a}":           "absolute path",
		"{endpoint: localhost}": "endpoint is a URL",
		"{warn_expiry: 1d}":     "warn_expiry is less",
		"{unit: 'etcd;reboot'}": "no name of a unit",
	} {
		n, err := strictyaml.Parse("test.yml", []byte(text))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, text)
	}
}
