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
	"github.com/dayops/dayops/tasks/internal/etcdca"
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

// TestTakenUp: what is restored already by the run that is taken up stays, and
// needs no tool; what would have spoken against the run is warned of.
func TestTakenUp(t *testing.T) {
	in := three(t, "3.4.23")
	in.Hosts[0].State.Places.Restored = []string{"20261122T031207Z"}
	in.Hosts[0].State.Live.Status.ClusterID = 0xff
	in.Hosts[0].State.Tool = Tool{}
	in.Hosts[1].State.Certificates = []etcdca.File{{Path: "/etc/etcd/peer.crt", Problem: "is not there"}}
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	out := told(plan)
	require.NotContains(t, out, "m1: restore the snapshot")
	require.NotContains(t, out, "m1: put the restored data in place")
	require.Contains(t, out, "m2: restore the snapshot")
	require.Contains(t, out, "m1: stop etcd.service")
	require.Contains(t, out, "warn m2: certificate /etc/etcd/peer.crt is not there: the member could not start again")
}

// What ends in between starts no member on restored data beside the old data of
// others, and no API server that would wait for it.
func TestEndsInBetween(t *testing.T) {
	in := three(t, "3.4.23")
	api := Service{Unit: reader.Unit{Name: "origin-master-api.service", LoadState: "loaded", ActiveState: "active"}}
	in.Hosts[0].State.Control = []Service{api}
	other := host{Groups: []string{"masters"}}
	other.Host, other.Target, other.Params, other.State.Control = "m9", "m9", in.Hosts[0].Params, []Service{api}
	in.Hosts = append(in.Hosts, other)
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	_, out, _ := strings.Cut(told(plan), "finally:\n")
	const mark = ", unless there is /var/lib/etcd/member/restored-20261122T031207Z"
	require.Contains(t, out, "m2: start etcd.service"+mark)
	require.Contains(t, out, "m1: start origin-master-api.service"+mark)
	require.Contains(t, out, "m9: start origin-master-api.service [")
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
