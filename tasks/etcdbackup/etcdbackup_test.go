package etcdbackup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdsave"
	"github.com/dayops/dayops/tasks/tasktest"
)

type (
	input = task.ClusterInput[Params, State]
	host  = task.HostInput[Params, State]
)

var now = time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

func roomy() []etcdsave.Place {
	return []etcdsave.Place{{Dir: "/var/lib/dayops", Room: etcd.Room{Mount: "/", Type: "ext4", Free: 1 << 30}}}
}

// three are three healthy members; the first leads, the second is one entry behind it, the third level.
func three(t *testing.T, params string) []host {
	names := []string{"a", "b", "c"}
	var members []etcd.Member
	var seen etcd.View
	for i, n := range names {
		id := uint64(i + 1)
		members = append(members, etcd.Member{ID: id, Name: n})
		seen.Status = append(seen.Status, etcd.Status{ClusterID: 7, MemberID: id, Index: 100000, Leader: 1})
		seen.Hashes = append(seen.Hashes, etcd.Hash{MemberID: id, Hash: 1, Compact: -1})
	}
	seen.Status[1].Index--
	seen.Rev = 40
	var out []host
	for i, n := range names {
		st := etcd.Status{ClusterID: 7, MemberID: uint64(i + 1), Version: "3.4.23", DBSize: 1 << 20, Leader: 1, Index: 100000, Applied: 100000, Term: 2, Revision: 40}
		tool, _ := etcd.ParseVersion("3.4.23")
		s := State{Found: true, Store: etcdsave.Store{Places: roomy(), DataRoom: etcd.Room{Mount: "/"}},
			Instance: etcd.Instance{Runtime: etcd.UnitRuntime, Unit: "etcd.service", Active: true, Name: n, DataDir: "/var/lib/etcd", Endpoint: "https://" + n + ":2379"},
			Live:     etcd.Live{Tool: tool, Status: &st, Members: members, Health: etcd.Health{OK: true}, Keys: 3}}
		if i == 0 {
			s.Store.View = seen
		}
		out = append(out, host{Groups: []string{"etcd"}, Input: task.Input[Params, State]{Host: n, Target: n, Params: decode(t, params), State: s}})
	}
	return out
}

func down(h *host) {
	h.State.Live, h.State.Store.View, h.State.Instance.Active = etcd.Live{Problem: "connection refused", Keys: -1}, etcd.View{}, false
}

func leaderless(hosts ...*host) {
	for _, h := range hosts {
		h.State.Live.Status.Leader, h.State.Live.Health, h.State.Live.Alarms, h.State.Store.View = 0, etcd.Health{Error: "deadline"}, nil, etcd.View{}
	}
}

func alarm(h []host, id uint64, kind string) []host {
	for i := range h {
		h[i].State.Live.Alarms = append(h[i].State.Live.Alarms, etcd.Alarm{MemberID: id, Kind: kind})
	}
	return h
}

// steps are a plan in words: host, change.
func steps(p task.Plan) (out []string) {
	for _, s := range p.Changes() {
		out = append(out, s.Host+" "+s.Change.Summary())
	}
	return out
}

func TestChoice(t *testing.T) {
	refused := func(why string) string { return "fail no member's data can be taken: " + why }
	for _, c := range []struct {
		name, params string
		make         func(h []host) []host
		want         string // the member whose data is taken, or a finding
		warns        []string
	}{
		{"the follower that is nearest", "{}", func(h []host) []host { return h }, "c", nil},
		{"by name", "{member: b}", func(h []host) []host { return h }, "b", nil},
		{"by name, who lags", "{member: b}", func(h []host) []host { h[0].State.Store.View.Status[1].Index = 90000; return h },
			refused("a: not asked for (member: b); b: it is 10000 raft entries behind the leader (max_lag 1000); c: not asked for (member: b)"), nil},
		{"never one that lags", "{max_lag: 10}", func(h []host) []host { h[0].State.Store.View.Status[2].Index -= 11; return h }, "b", nil},
		{"nor one that has much to apply", "{max_lag: 10}", func(h []host) []host { h[2].State.Live.Status.Applied -= 11; return h }, "b", nil},
		{"nor a corrupt one", "{}", func(h []host) []host { return alarm(h, 3, "CORRUPT") }, "b", []string{" alarm CORRUPT of member 3"}},
		{"nor a learner", "{}", func(h []host) []host { h[2].State.Live.Status.Learner = true; return h }, "b", nil},
		{"nor one that was removed", "{}", func(h []host) []host {
			for i := range h {
				h[i].State.Live.Members = h[i].State.Live.Members[:2]
			}
			return h
		}, "b", nil},
		{"nor one that is down", "{}", func(h []host) []host { down(&h[2]); return h }, "b", []string{"c member c does not answer: connection refused; its configuration is taken"}},
		{"nor one that is unhealthy", "{}", func(h []host) []host { h[2].State.Live.Health.OK = false; return h }, "b", nil},
		{"nor one whose data differs", "{}", func(h []host) []host { h[0].State.Store.View.Hashes[2].Hash = 9; return h }, "b",
			[]string{" member 3: its data differs from the other members' at revision 40 (hash 00000009)"}},
		{"the leader, if there is no other", "{}", func(h []host) []host { down(&h[1]); down(&h[2]); return h }, "a",
			[]string{"b member b does not answer: connection refused; its configuration is taken", "c member c does not answer: connection refused; its configuration is taken"}},
		{"of a cluster of one", "{}", func(h []host) []host {
			h[0].State.Live.Members, h[0].State.Store.View.Status, h[0].State.Store.View.Hashes = h[0].State.Live.Members[:1], h[0].State.Store.View.Status[:1], h[0].State.Store.View.Hashes[:1]
			return h[:1]
		}, "a", nil},
		{"nobody is right when two differ", "{}", func(h []host) []host {
			h[0].State.Store.View.Hashes = h[0].State.Store.View.Hashes[:2]
			h[0].State.Store.View.Hashes[1].Hash = 9
			down(&h[2])
			return h
		}, refused("a: its data differs from the other members' at revision 40 (hash 00000001); b: its data differs from the other members' at revision 40 (hash 00000009); c: it does not answer: connection refused"), nil},
		{"a full database, if all are", "{}", func(h []host) []host {
			for i := range h {
				alarm(h, uint64(i+1), "NOSPACE")
				h[i].State.Live.Health = etcd.Health{Error: "NOSPACE"} // from 3.5 on
			}
			return h
		}, "c", []string{" alarm NOSPACE of member 1", " alarm NOSPACE of member 2", " alarm NOSPACE of member 3"}},
		{"no full one, if others are not", "{}", func(h []host) []host { return alarm(h, 3, "NOSPACE") }, "b", []string{" alarm NOSPACE of member 3"}},
		{"the leader rather than a full follower", "{}", func(h []host) []host { return alarm(alarm(h, 2, "NOSPACE"), 3, "NOSPACE") }, "a",
			[]string{" alarm NOSPACE of member 2", " alarm NOSPACE of member 3"}},
		{"a full one, if the others cannot be taken", "{}", func(h []host) []host { down(&h[0]); down(&h[1]); return alarm(h, 3, "NOSPACE") }, "c",
			[]string{" alarm NOSPACE of member 3", "a member a does not answer: connection refused; its configuration is taken", "b member b does not answer: connection refused; its configuration is taken"}},
		{"no room", "{}", func(h []host) []host { h[2].State.Store.Places[0].Room.Free = 10 << 20; return h }, "b", nil},
		{"no room at home", "{backup_dir: /srv/backups}", func(h []host) []host {
			for i := range h {
				free := int64(1<<20 - 1)
				h[i].State.Store.Home = &free
			}
			return h
		}, "fail 1024 KiB are free for /srv/backups on the control machine, the database of c has 1 MiB", nil},
		{"no room at home, but this run has begun", "{}", func(h []host) []host {
			free := int64(1<<20 - 1)
			h[2].State.Store.Home, h[2].Made = &free, []change.Change{&change.Dir{Path: "/var/lib/dayops/x"}}
			return h
		}, "c", nil},
		{"just room at home", "{}", func(h []host) []host { free := int64(1 << 20); h[2].State.Store.Home = &free; return h }, "c", nil},
		{"no room at all", "{}", func(h []host) []host {
			for i := range h {
				h[i].State.Store.Places[0].Room.Free = 10 << 20
			}
			h[2].State.Store.Places = nil
			return h
		}, refused("a: no room to stage it: 18 MiB needed, /var/lib/dayops has 10 MiB; make room, or give staging_dir; " +
			"b: no room to stage it: 18 MiB needed, /var/lib/dayops has 10 MiB; make room, or give staging_dir; c: no folder to stage a snapshot in; give staging_dir"), nil},
		{"the quorum lost: the furthest", "{}", func(h []host) []host {
			down(&h[0])
			leaderless(&h[1], &h[2])
			h[1].State.Live.Status.Index = 100007
			return h
		}, "b", []string{"a member a does not answer: connection refused; its configuration is taken",
			"b the quorum is lost (3 voters, 0 healthy, 2 needed): this is the data of b, whose raft index 100007 is the highest of those that answer; what others had confirmed may be missing"}},
		{"the leader's host unread", "{}", func(h []host) []host { h[0] = host{Err: errors.New("gone")}; return h }, "b", nil},
		{"nobody answers", "{}", func(h []host) []host { down(&h[0]); down(&h[1]); down(&h[2]); return h },
			refused("a: it does not answer: connection refused; b: it does not answer: connection refused; c: it does not answer: connection refused"), nil},
		{"two clusters", "{}", func(h []host) []host { h[2].State.Live.Status.ClusterID = 8; return h }, "fail the hosts belong to 2 clusters: 7 on a and b; 8 on c", nil},
		{"another cluster beyond the play", "{}", func(h []host) []host {
			h[2].State.Live.Status.ClusterID, h[2].Reach = 8, true
			return h
		}, "b", nil},
		{"none beyond the play", "{}", func(h []host) []host { h[1].Reach, h[2].Reach = true, true; return h }, "a", nil},
		{"no etcd in the group", "{}", func(h []host) []host { h[2].State = State{}; return h }, "b", []string{"c no etcd found: no unit, no static pod and no settings of one"}},
		{"nothing at all", "{}", func([]host) []host { return nil }, "fail no etcd found on any host that could be read", nil},
		{"cold, with v2 data that only the container could copy", "{mode: cold}", func(h []host) []host {
			h[2].State.Instance.Runtime, h[2].State.Instance.Ctl.Wrap, h[2].State.Live.V2.Data = etcd.Container, []string{"docker", "exec", "etcd_container"}, true
			return h
		}, "b", nil},
		{"cold, but a pod", "{mode: cold}", func(h []host) []host { h[2].State.Instance.Runtime = etcd.PodRuntime; return h }, "b", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := backup{}.Plan(input{Hosts: c.make(three(t, c.params)), Now: now})
			require.NoError(t, err)
			tasktest.Hinted(t, p)
			var warns []string
			got := ""
			for _, f := range p.Findings {
				switch {
				case f.Status == task.Fail && f.Host == "":
					got = "fail " + f.Text
				case f.Status != task.OK:
					warns = append(warns, f.Host+" "+f.Text)
				}
			}
			require.ElementsMatch(t, c.warns, warns)
			if got != "" {
				require.Empty(t, p.Changes())
			}
			for _, s := range p.Finally {
				require.Empty(t, got)
				got = s.Host
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestPlan(t *testing.T) {
	h := three(t, "{}")
	h[1].State.Live.V2 = etcd.V2{Asked: true, Served: true, Data: true}
	h[2].State.Live.Status.Index, h[0].State.Store.View.Status[2].Index = 10, 10
	h[0].State.Store.Stale = []string{"/var/tmp/.dayops-staging-20261120T000000Z-1"}
	p, err := backup{}.Plan(input{Hosts: h, Now: now})
	require.NoError(t, err)
	require.Equal(t, []string{
		"a remove the staging folder /var/tmp/.dayops-staging-20261120T000000Z-1",
		"a bring configuration and certificates to a new backup set in backups/a",
		"b make the staging folder /var/lib/dayops/.dayops-staging-20261122T031207Z-1 (mode 0700)",
		"b save a snapshot of b",
		"b copy the v2 store of b",
		"b bring the data and configuration and certificates to a new backup set in backups/b",
		"c bring configuration and certificates to a new backup set in backups/c",
		"b remove the staging folder /var/lib/dayops/.dayops-staging-20261122T031207Z-1",
	}, steps(p))
	var to *change.SetTarget
	for _, s := range p.Changes() {
		if x, ok := s.Change.(*change.Transfer); ok && s.Host == "b" {
			to = x.ToSet
		}
		require.Equal(t, change.Safe, s.Change.Risk())
	}
	require.Equal(t, []string{"snapshot.db", "v2.tar.gz"}, []string{to.Raw[0].Name, to.Raw[1].Name})
	require.Equal(t, "etcd snapshot", to.Raw[0].Proof)
	require.Equal(t, map[string]string{"cluster_id": "7", "member_id": "2", "member": "b", "version": "3.4.23", "runtime": "unit", "data_dir": "/var/lib/etcd",
		"mode": "live", "degraded": "false", "data": "v2 and v3"}, to.Facts)
	require.Empty(t, to.Missed)
}

// Where the v2 API refuses to be asked, as with authentication of its own, the
// set is not whole.
func TestUnknownV2IsPartial(t *testing.T) {
	h := three(t, "{member: b}")
	h[1].State.Live.V2 = etcd.V2{Asked: true}
	p, err := backup{}.Plan(input{Hosts: h, Now: now})
	require.NoError(t, err)
	for _, s := range p.Changes() {
		if x, ok := s.Change.(*change.Transfer); ok && s.Host == "b" {
			require.Len(t, x.ToSet.Missed, 1)
			require.Equal(t, "v2.tar.gz", x.ToSet.Missed[0].Path)
			require.Contains(t, x.ToSet.Missed[0].Why, "whether it holds v2 data is not known")
			return
		}
	}
	t.Fatal("no set")
}

func TestColdPlan(t *testing.T) {
	h := three(t, "{mode: cold, member: b}")
	p, err := backup{}.Plan(input{Hosts: h, Now: now})
	require.NoError(t, err)
	var kinds []string
	for _, s := range p.Changes() {
		if s.Host == "b" {
			kinds = append(kinds, s.Change.Kind())
		}
	}
	require.Equal(t, "dir bracket wait transfer remove", strings.Join(kinds, " "))
	require.Equal(t, change.Disruptive, Define().MaxRisk(h[0].Params))
}

func TestDegradedIsPartial(t *testing.T) {
	h := three(t, "{}")
	down(&h[0])
	leaderless(&h[1], &h[2])
	p, err := backup{}.Plan(input{Hosts: h, Now: now})
	require.NoError(t, err)
	for _, s := range p.Changes() {
		if x, ok := s.Change.(*change.Transfer); ok && len(x.ToSet.Raw) > 0 {
			require.Equal(t, "true", x.ToSet.Facts["degraded"])
			require.Len(t, x.ToSet.Missed, 1)
			return
		}
	}
	t.Fatal("no snapshot")
}

// The argv of each age of etcd, and of each way to reach its tool.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		name, version string
		in            func(*etcd.Instance)
		save, v2      string
	}{
		{"3.4", "3.4.23", func(*etcd.Instance) {},
			"env ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout 15m0s --endpoints https://b:2379 --cacert /ca --cert /crt --key /key --write-out json snapshot save /s/db",
			"env ETCDCTL_API=2 etcdctl backup --data-dir /var/lib/etcd --backup-dir /s/v2 --with-v3=false"},
		{"3.2", "3.2.22", func(*etcd.Instance) {},
			"env ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout 15m0s --endpoints https://b:2379 --cacert /ca --cert /crt --key /key --write-out json snapshot save /s/db",
			"env ETCDCTL_API=2 etcdctl backup --data-dir /var/lib/etcd --backup-dir /s/v2"},
		{"a static pod with its own log", "3.2.22", func(in *etcd.Instance) {
			in.Ctl.Wrap, in.WALDir = []string{"master-exec", "etcd", "etcd"}, "/wal"
		},
			"master-exec etcd etcd env ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout 15m0s --endpoints https://b:2379 --cacert /ca --cert /crt --key /key --write-out json snapshot save /s/db",
			"master-exec etcd etcd env ETCDCTL_API=2 etcdctl backup --data-dir /var/lib/etcd --backup-dir /s/v2 --wal-dir /wal --backup-wal-dir /s/v2/member/wal"},
		{"3.6", "3.6.16", func(*etcd.Instance) {},
			"env ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout 15m0s --endpoints https://b:2379 --cacert /ca --cert /crt --key /key --write-out json snapshot save /s/db", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := etcd.Instance{Endpoint: "https://b:2379", DataDir: "/var/lib/etcd", Ctl: etcd.Ctl{CA: "/ca", Cert: "/crt", Key: "/key"}}
			c.in(&in)
			require.Equal(t, c.save, strings.Join(in.Save("/s/db", 15*time.Minute), " "))
			v, _ := etcd.ParseVersion(c.version)
			argv, ok := in.SaveV2(v, "/s/v2")
			require.Equal(t, c.v2 != "", ok)
			if ok {
				require.Equal(t, c.v2, strings.Join(argv, " "))
			}
		})
	}
}

// The room at home is that of backup_dir.
func TestRoomAtHome(t *testing.T) {
	h := tasktest.Local(t)
	tasktest.Write(t, h.Dir+"/file", "", 0o600)
	tasktest.Write(t, h.Dir+"/etcd.conf", "ETCD_NAME=a\n", 0o600)
	for dir, known := range map[string]bool{"/new": true, "/file/below": false} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel() // nobody answers: seconds
			p := decode(t, "{config: '"+h.Dir+"/etcd.conf', endpoint: 'http://127.0.0.1:1', backup_dir: '"+h.Dir+dir+"'}")
			s, err := backup{}.Check(t.Context(), reader.New(h.Conn, h.As), p)
			require.NoError(t, err)
			require.True(t, s.Found)
			require.Equal(t, known, s.Store.Home != nil)
		})
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
		"{backup_dir: ''}":      "backup_dir",
		"{backup_dir: ~/x}":     "write the whole path",
		"{mode: warm}":          "live",
		"{timeout: 10ms}":       "less than a second",
		"{staging_dir: a}":      "no absolute path",
		"{staging_dir: /}":      "no absolute path",
		"{max_lag: -1}":         "max_lag is below 0",
		"{endpoint: localhost}": "endpoint is a URL",
	} {
		n, err := strictyaml.Parse("test.yml", []byte(text))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, text)
	}
	require.Equal(t, fmt.Sprint(15*time.Minute), fmt.Sprint(decode(t, "{}").Timeout.Std()))
}
