package etcdrestore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// TestReasonsAgainst has every reason for which nothing is done.
func TestReasonsAgainst(t *testing.T) {
	cert := func(c etcdca.File) func(*input) {
		c.Path = "/etc/etcd/peer.crt"
		return func(in *input) { in.Hosts[1].State.Certificates = []etcdca.File{c} }
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
		"a certificate is gone":     {cert(etcdca.File{Problem: "is not there"}), "m2: certificate /etc/etcd/peer.crt is not there: the member could not start again"},
		"another authority's":       {cert(etcdca.File{Stranger: "is not signed by X"}), "m2: certificate /etc/etcd/peer.crt is not signed by X: the member could not join again"},
		"a certificate has expired": {cert(etcdca.File{Certs: []etcdca.Certificate{{NotAfter: now}}}), "m2: certificate /etc/etcd/peer.crt expired on 2026-11-22"},
		"clocks": {func(in *input) {
			for i := range in.Hosts {
				in.Hosts[i].Facts.Clock, in.Hosts[i].Facts.Skew = now, time.Duration(i)*time.Minute
			}
		}, "clocks are at least 2m0s apart: m1 is behind m3"},
		"nobody is let in": {func(in *input) {
			each(in, func(s *State) {
				s.Source.Auth, s.Source.Users, s.Live.Denied = true, []string{"root"}, "permission denied"
			})
		}, "m1: authentication is on, and the common name of /etc/etcd/peer.crt is no user's with the role root: permission denied; in the snapshot it is on too"},
		"no user of the snapshot": {func(in *input) {
			each(in, func(s *State) {
				s.Source.Auth, s.Source.Users = true, []string{"backup", "root"}
				s.Certificates = []etcdca.File{{Path: "/etc/etcd/peer.crt", Certs: []etcdca.Certificate{{CN: "m", NotAfter: now.AddDate(1, 0, 0)}}}}
			})
		}, `m3: authentication is on in the snapshot, and "m", the common name of /etc/etcd/peer.crt, is no user in it`},
		"a user that is not in the snapshot": {func(in *input) {
			each(in, func(s *State) { s.Source.Auth, s.Source.Users, s.Instance.Ctl.User = true, []string{"root"}, "admin" })
		}, "m1: authentication is on in the snapshot, and user admin is no user in it"},
		"nobody is named": {func(in *input) {
			each(in, func(s *State) { s.Source.Auth, s.Source.Users, s.Instance.Ctl = true, []string{"root"}, etcd.Ctl{} })
		}, "m1: authentication is on in the snapshot, and nobody is named to ask as"},
		"etcd of another version, stopped": {func(in *input) {
			in.Hosts[2].State.Live.Status, in.Hosts[2].State.Tool.Etcd = nil, version("3.5.21")
		}, "m3: etcd is 3.5.21, but etcdctl is 3.4.23"},
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

// A user of the snapshot, and a cluster whose certificates only a container
// knows: nothing speaks against it.
func TestNothingAgainst(t *testing.T) {
	in := three(t, "3.4.23")
	each(&in, func(s *State) {
		s.Source.Auth, s.Source.Users = true, []string{"root"}
		s.Certificates = []etcdca.File{{Path: "/etc/etcd/peer.crt", Certs: []etcdca.Certificate{{CN: "root", NotAfter: now.AddDate(1, 0, 0)}}}}
	})
	plan, err := (&restore{}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Changes(), told(plan))
	in.Hosts[0].State.Instance.Runtime = etcd.Container
	in.Hosts[0].State.Certificates = append(in.Hosts[0].State.Certificates, etcdca.File{Path: "/c", Problem: "is not there"})
	plan, err = (&restore{}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Changes(), told(plan))
	require.Contains(t, told(plan), "warn m1: certificate /c is not there")
}

// late answers the first questions like a container that is not there yet.
type late struct {
	task.Reader
	asked, from int
}

func (r *late) Probe(context.Context, ...string) (conn.Result, error) {
	if r.asked++; r.asked < r.from {
		return conn.Result{Code: 1}, nil
	}
	return conn.Result{Stdout: conn.Capture{Head: []byte("etcdctl version: 3.4.23")}}, nil
}

// A kubelet takes its time: a member that is to run gets some, no other.
func TestAwaitsTheContainer(t *testing.T) {
	pod := etcd.Instance{Runtime: etcd.PodRuntime, Manifest: "/m/etcd.yaml", Pod: reader.File{Path: "/m/etcd.yaml"}, Ctl: etcd.Ctl{Wrap: []string{"master-exec", "etcd", "etcd"}}}
	tool, err := awaitTool(t.Context(), &late{from: 5}, pod, time.Minute)
	require.NoError(t, err)
	require.Equal(t, version("3.4.23"), tool.Ctl)
	tool, err = awaitTool(t.Context(), &late{from: 99}, pod, 0)
	require.NoError(t, err)
	require.Zero(t, tool)
	down := etcd.Instance{Runtime: etcd.Container, Ctl: pod.Ctl}
	r := &late{from: 4}
	_, err = awaitTool(t.Context(), r, down, time.Minute)
	require.NoError(t, err)
	require.Equal(t, 2, r.asked, "each tool once")
}
