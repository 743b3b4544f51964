package etcdrestore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
)

var now = time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC)

func decode(t *testing.T, text string) (Params, error) {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	if err != nil {
		return Params{}, err
	}
	return p.(Params), nil
}

func version(s string) etcd.Version {
	v, _ := etcd.ParseVersion(s)
	return v
}

func at(i, port int) string { return fmt.Sprintf("https://10.0.0.%d:%d", i, port) }

// three is a healthy cluster of three, m1 to m3, of this version.
func three(t *testing.T, v string) input {
	t.Helper()
	p, err := decode(t, "{from: /backups/m1/2026-11-22T030000Z}")
	require.NoError(t, err)
	var members []etcd.Member
	src := Source{Path: "/backups/m1/2026-11-22T030000Z/snapshot.db", Set: "/backups/m1/2026-11-22T030000Z", Host: "m1", Taken: now.Add(-time.Hour),
		Size: 20512, SHA256: strings.Repeat("ab", 32), Sealed: true, Revision: 4711, Keys: 1200, Version: v, ClusterID: "c1", Data: "v3 only"}
	for i := 1; i <= 3; i++ {
		m := etcd.Member{ID: uint64(i), Name: fmt.Sprintf("m%d", i), PeerURLs: []string{at(i, 2380)}, ClientURLs: []string{at(i, 2379)}}
		members = append(members, m)
		src.Members = append(src.Members, snapshot.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs})
	}
	in := input{Now: now}
	for i, m := range members {
		s := State{Found: true, Source: src, Free: 1 << 40}
		s.Instance = etcd.Instance{Runtime: etcd.UnitRuntime, Unit: "etcd.service", Active: true, Sources: []string{"/etc/etcd/etcd.conf"}, Name: m.Name, DataDir: "/var/lib/etcd",
			Service:    reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "active", SubState: "running"},
			ClientURLs: m.ClientURLs, PeerURLs: m.PeerURLs, Endpoint: m.ClientURLs[0], Ctl: etcd.Ctl{CA: "/etc/etcd/ca.crt", Cert: "/etc/etcd/peer.crt", Key: "/etc/etcd/peer.key"}}
		s.Tool.Ctl = version(v)
		if s.Tool.Ctl.AtLeast(3, 5, 0) {
			s.Tool.Utl = s.Tool.Ctl
		}
		s.Live = etcd.Live{Tool: s.Tool.Ctl, Members: members, Health: etcd.Health{OK: true}, Keys: 1300,
			Status: &etcd.Status{ClusterID: 0xc1, MemberID: m.ID, Version: v, Leader: 1, Revision: 5000, Index: uint64(i), Term: 3}}
		dir := reader.File{Exists: true, Type: reader.Directory, Mode: 0o700, Owner: "etcd", Group: "etcd", Dev: 7}
		s.Places.Data, s.Places.Member = dir, dir
		s.Places.Data.Path, s.Places.Member.Path = "/var/lib/etcd", "/var/lib/etcd/member"
		h := host{Groups: []string{"etcd", "masters"}}
		h.Host, h.Target, h.Params, h.State, h.Now = m.Name, m.Name, p, s, now
		in.Hosts = append(in.Hosts, h)
	}
	return in
}

// told is a plan as text, with the whole command that restores.
func told(p task.Plan) string {
	var b strings.Builder
	for _, f := range p.Findings {
		fmt.Fprintf(&b, "%s %s: %s\n  next: %s\n", [...]string{"ok", "warn", "FAIL"}[f.Status], f.Host, f.Text, f.Hint)
	}
	step := func(s task.Step) {
		fmt.Fprintf(&b, "  %s: %s [%s, %s]\n", s.Host, s.Change.Summary(), s.Change.Risk(), s.Change.Reversal().Class)
		if e, ok := s.Change.(*change.Exec); ok && e.Staging {
			fmt.Fprintf(&b, "    %s\n", strings.Join(e.Argv[4:], " "))
		}
	}
	for _, s := range p.Stages {
		fmt.Fprintf(&b, "%s:\n", s.Name)
		for _, st := range s.Steps {
			step(st)
		}
	}
	b.WriteString("finally:\n")
	for _, st := range p.Finally {
		step(st)
	}
	return b.String()
}

func TestPlansOfVersions(t *testing.T) {
	for _, v := range []string{"3.2.22", "3.2.28", "3.4.23", "3.4.27", "3.5.21", "3.6.16"} {
		t.Run(v, func(t *testing.T) {
			in := three(t, v)
			plan, err := (&restore{}).Plan(in)
			require.NoError(t, err)
			require.Equal(t, task.Rollback, plan.OnFailure)
			again, err := (&restore{}).Plan(in)
			require.NoError(t, err)
			require.Equal(t, told(plan), told(again))
			name := filepath.Join("testdata", "plan-"+v+".txt")
			if os.Getenv("GOLDEN") == "write" {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(name, []byte(told(plan)), 0o644))
			}
			want, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Equal(t, string(want), told(plan))
		})
	}
}

// A master whose member was removed, or replaced by one elsewhere, keeps its
// settings, and is not made a member by a restore.
func TestRemovedMasterStaysRemoved(t *testing.T) {
	in := three(t, "3.4.27")
	in.Hosts[2].Groups, in.Hosts[2].State.Live = []string{"masters"}, etcd.Live{}
	in.Hosts[2].State.Instance.Active = false
	for i := range 2 {
		in.Hosts[i].State.Live.Members = in.Hosts[i].State.Live.Members[:2]
	}
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Stages, told(plan))
	require.NotContains(t, told(plan), "m3=https")
	require.Contains(t, told(plan), "ok m3: has settings of a member")

	in.Hosts[2].State.Instance.Active = true // it runs: of which cluster, is judged as before
	plan, err = (&restore{}).Plan(in)
	require.NoError(t, err)
	require.NotContains(t, told(plan), "ok m3: has settings")
	for i := range in.Hosts { // without the group all that have settings are members
		in.Hosts[i].Groups, in.Hosts[i].State.Instance.Active = nil, false
	}
	plan, err = (&restore{}).Plan(in)
	require.NoError(t, err)
	require.NotContains(t, told(plan), "ok m3: has settings")
}

// TestReasonsAgainst has every reason for which nothing is done.
func TestReasonsAgainst(t *testing.T) {
	each := func(in *input, f func(*State)) {
		for i := range in.Hosts {
			f(&in.Hosts[i].State)
		}
	}
	for name, c := range map[string]struct {
		spoil func(*input)
		want  string
	}{
		"no snapshot": {func(in *input) {
			each(in, func(s *State) { s.Source = Source{Problem: "no backup set with a snapshot in ./backups"} })
		}, "no backup set"},
		"unsealed":    {func(in *input) { each(in, func(s *State) { s.Source.Sealed = false }) }, "has no checksum at its end"},
		"v2":          {func(in *input) { each(in, func(s *State) { s.Source.Data = "v2 and v3" }) }, "has none of them"},
		"unreachable": {func(in *input) { in.Hosts[1].Err, in.Hosts[1].State = fmt.Errorf("no route"), State{} }, "m2: cannot be looked at: no route"},
		"no etcd":     {func(in *input) { in.Hosts[1].State.Found = false }, "m2: no etcd found"},
		"limited":     {func(in *input) { in.Hosts[2].Reach = true }, "m3: is a member, and outside of the play or --limit"},
		"mixed": {func(in *input) {
			in.Hosts[2].State.Tool.Ctl, in.Hosts[2].State.Live.Status = version("3.3.11"), nil
		}, "mixed versions: 3.3 on m3; 3.4 on m1 and m2"},
		"tool of another version": {func(in *input) { in.Hosts[0].State.Live.Status.Version = "3.5.1" }, "m1: etcd is 3.5.1, but etcdctl is 3.4.23"},
		"no tool":                 {func(in *input) { in.Hosts[0].State.Tool = Tool{} }, "m1: there is no etcdctl on the host"},
		"3.6 without etcdutl":     {func(in *input) { in.Hosts[0].State.Tool = Tool{Ctl: version("3.6.1")} }, "m1: etcdctl 3.6.1 does not restore, and there is no etcdutl on the host"},
		"newer snapshot":          {func(in *input) { each(in, func(s *State) { s.Source.Version = "3.6.0" }) }, "the snapshot is of etcd 3.6.0, here is 3.4.23"},
		"full":                    {func(in *input) { in.Hosts[1].State.Free = 100 << 20 }, "m2: /var/lib/etcd has 100 MiB free, the restore needs 128.1 MiB"},
		"same names":              {func(in *input) { in.Hosts[1].State.Instance.Name = "m1" }, "m1 has the member name m1 too"},
		"same peers": {func(in *input) {
			each(in, func(s *State) { s.Live.Status = nil })
			in.Hosts[1].State.Instance.PeerURLs = []string{at(1, 2380)}
		}, "m2: m1 has the peer URL https://10.0.0.1:2380 too"},
		"localhost": {func(in *input) {
			each(in, func(s *State) { s.Live.Status, s.Instance.PeerURLs = nil, []string{"http://localhost:2380"} })
		}, "its peer URL is http://localhost:2380, which no other member can use"},
		"no peer URL": {func(in *input) {
			each(in, func(s *State) { s.Live.Status, s.Instance.PeerURLs = nil, nil })
		}, "the member's peer URL is not known"},
		"another cluster": {func(in *input) { each(in, func(s *State) { s.Source.ClusterID = "c2" }) }, "the snapshot is of cluster c2, here runs c1"},
		"another cluster's file": {func(in *input) {
			each(in, func(s *State) {
				s.Source.ClusterID = ""
				s.Source.Members = []snapshot.Member{{ID: 9, Name: "x", PeerURLs: []string{at(9, 2380)}}}
			})
		}, "none of the members that run is in the snapshot"},
		"another cluster, nothing runs": {func(in *input) {
			each(in, func(s *State) {
				s.Live.Status = nil
				s.Source.Members = []snapshot.Member{{ID: 9, Name: "x", PeerURLs: []string{at(9, 2380)}}}
			})
		}, "the snapshot's members are others: x at https://10.0.0.9:2380"},
		"the original runs elsewhere": {func(in *input) {
			in.Hosts[0].State.Others = []etcd.Status{{Endpoint: at(9, 2379), ClusterID: 0xc1, MemberID: 9}}
		}, "the cluster of the snapshot, c1, runs at https://10.0.0.9:2379"},
		"a member is not in the group": {func(in *input) { in.Hosts = in.Hosts[:2] }, "member m3 of the cluster (https://10.0.0.3:2380) is on no host of the group etcd"},
		"WAL is a mount point": {func(in *input) {
			s := &in.Hosts[0].State
			s.Instance.WALDir, s.Places.WAL, s.Places.WALParent = "/wal", reader.File{Exists: true, Dev: 1}, reader.File{Exists: true, Dev: 2}
		}, "/wal is a file system of its own"},
		"parameters alone": {func(in *input) { in.Hosts[0].State.Instance.Runtime = etcd.Given }, "etcd cannot be stopped here"},
	} {
		t.Run(name, func(t *testing.T) {
			in := three(t, "3.4.23")
			c.spoil(&in)
			plan, err := (&restore{}).Plan(in)
			require.NoError(t, err)
			require.Empty(t, plan.Changes())
			require.Contains(t, told(plan), c.want)
			for _, f := range plan.Findings {
				require.True(t, f.Status != task.Fail || f.Hint != "" || name == "no snapshot", f.Text)
			}
		})
	}
}

func TestOtherClusterIsMeant(t *testing.T) {
	in := three(t, "3.4.23")
	for i := range in.Hosts {
		in.Hosts[i].State.Source.ClusterID = "c2"
		in.Hosts[i].Params.OtherCluster = true
	}
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Changes())
	require.Contains(t, told(plan), "warn : the snapshot is of cluster c2, here runs c1 (the members are the same")
}

// TestTakenUp: what is restored already by the run that is taken up stays.
func TestTakenUp(t *testing.T) {
	in := three(t, "3.4.23")
	in.Hosts[0].State.Places.Restored = []string{"20261122T031207Z"}
	in.Hosts[0].State.Live.Status.ClusterID = 0xff
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	out := told(plan)
	require.NotContains(t, out, "m1: restore the snapshot")
	require.NotContains(t, out, "m1: put the restored data in place")
	require.Contains(t, out, "m2: restore the snapshot")
	require.Contains(t, out, "m1: stop etcd.service")
}

func TestStaticPods(t *testing.T) {
	in := three(t, "3.4.23")
	pod := reader.File{Path: "/etc/origin/node/pods/etcd.yaml", Exists: true, Type: reader.Regular}
	for i := range in.Hosts {
		s := &in.Hosts[i].State
		s.Instance.Runtime, s.Instance.Unit, s.Instance.Active = etcd.PodRuntime, "", false
		s.Instance.Manifest, s.Instance.Pod, s.Instance.Ctl.Wrap = pod.Path, pod, []string{"master-exec", "etcd", "etcd"}
		api := etcd.Manifest{Path: "/etc/origin/node/pods/apiserver.yaml", File: reader.File{Path: "/etc/origin/node/pods/apiserver.yaml", Exists: true, Type: reader.Regular}}
		s.Control = []Service{{Manifest: api, Port: 8443}}
	}
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	out := told(plan)
	require.Contains(t, out, "master-exec etcd etcd env ETCDCTL_API=3 etcdctl snapshot restore /var/lib/etcd/.dayops-staging-20261122T031207Z-1/snapshot.db")
	require.Equal(t, 3, strings.Count(out, "make the folder /etc/origin/node/pods-stopped"), "once a host")
	require.Less(t, strings.Index(out, "pods-stopped/apiserver.yaml"), strings.Index(out, "pods-stopped/etcd.yaml"))
	require.Contains(t, out, "m1: move /etc/origin/node/pods-stopped/apiserver.yaml to /etc/origin/node/pods/apiserver.yaml")
}

func TestParameters(t *testing.T) {
	p, err := decode(t, "{}")
	require.NoError(t, err)
	require.Equal(t, "./backups", p.BackupDir)
	require.EqualValues(t, 1_000_000_000, p.BumpRevision)
	for text, want := range map[string]string{
		"{from: ~/x}":          "~ means nothing here",
		"{bump_revision: -1}":  "bump_revision",
		"{healthy_within: 0s}": "healthy_within",
		"{cert: /x}":           "cert and key belong together",
		`{backup_dir: ""}`:     `give "from" or "backup_dir"`,
	} {
		_, err := decode(t, text)
		require.ErrorContains(t, err, want, text)
	}
	require.Equal(t, change.Destructive, Define().MaxRisk(p))
}
