// Package rolltest makes states of etcd clusters for tests of plans.
package rolltest

import (
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

// Healthy are the states of hosts a, b, c, ... with as many healthy members of
// those names; the second leads, or the only one.
func Healthy(n int, now time.Time) []etcdroll.State {
	leader := uint64(min(n, 2))
	var members []etcd.Member
	for i := range n {
		name := string(rune('a' + i))
		members = append(members, etcd.Member{ID: uint64(i + 1), Name: name, PeerURLs: []string{"https://" + name + ":2380"}, ClientURLs: []string{"https://" + name + ":2379"}})
	}
	var out []etcdroll.State
	for _, m := range members {
		st := etcd.Status{ClusterID: 7, MemberID: m.ID, Version: "3.4.23", Leader: leader, Index: 100, Term: 2, DBSize: 1 << 20, DBInUse: 1 << 20, Revision: 40}
		s := etcdroll.State{Found: true, Free: 1 << 30,
			Instance: etcd.Instance{Runtime: etcd.UnitRuntime, Unit: "etcd.service", Active: true, Name: m.Name, Endpoint: m.ClientURLs[0], DataDir: "/var/lib/etcd",
				Service: reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "active"}},
			Certificates: []etcdca.File{{Path: "/etc/etcd/peer.crt", Certs: []etcdca.Certificate{{NotAfter: now.AddDate(1, 0, 0)}}}},
			Live:         etcd.Live{Status: &st, Members: members, Health: etcd.Health{OK: true}}}
		if m.ID == leader {
			for _, x := range members {
				s.View.Status = append(s.View.Status, etcd.Status{ClusterID: 7, MemberID: x.ID, Leader: leader})
			}
		}
		out = append(out, s)
	}
	return out
}

// Down is a member that does not answer.
func Down(s *etcdroll.State) {
	s.Live, s.View, s.Instance.Active = etcd.Live{Problem: "connection refused"}, etcd.View{}, false
}
