//go:build soak

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// TestEtcdStates asks in every state of 1 to 5 members with 0 to 2 down whether a
// member may be stopped, removed, added: exactly as the votes allow. Growth wants
// every member healthy (PROCEDURES 5.1).
func TestEtcdStates(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 5, Spares: 1})
	s := &states{T: t, d: newDesk(t, l.Inventory()), of: "etcd:masters"}
	for _, h := range l.Hosts() {
		if h.Name != "spare-0" {
			s.members = append(s.members, h)
		}
	}
	s.stop = s.d.file("stop.yml", "- hosts: etcd\n  become: yes\n  gather_facts: no\n  tasks:\n    - service: {name: etcd, state: stopped}\n")
	asked := 0
	for len(s.members) > 0 {
		n := len(s.members)
		for down := range min(2, n) + 1 {
			s.ask(n, down)
			asked++
		}
		if n == 1 {
			break
		}
		last := s.members[n-1]
		s.d.must(0, "run", "builtin:etcd-remove.yml", "-e", "member="+last.Name, "-e", "backup=no", "--approve", "disruptive")
		s.members = s.members[:n-1]
		s.of += ":!" + last.Name
	}
	require.Equal(t, 14, asked)
}

type states struct {
	*testing.T
	d       *desk
	members []*labtest.Host
	of      string // the members' hosts, as a pattern
	stop    string // playbook
}

// ask asks of a cluster of n members, the last of which are down for that time.
func (s *states) ask(n, down int) {
	s.Helper()
	dead := s.members[n-down:]
	for _, h := range dead {
		on(s.T, h, "systemctl stop etcd")
	}
	quorum, live := n/2+1, n-down
	s.Logf("%d members, %d down", n, down)
	if live > 0 {
		first := s.members[0].Name
		s.may(live-1 >= quorum, "stop", "run", s.stop, "-C", "-y", "-l", first)
		s.may(live >= quorum && n > 1 && live-1 >= (n-1)/2+1, "remove a live one", "plan", "builtin:etcd-remove.yml", "-e", "member="+first)
	}
	if down > 0 {
		s.may(live >= quorum && live >= (n-1)/2+1, "remove a dead one", "plan", "builtin:etcd-remove.yml", "-e", "member="+dead[0].Name)
	}
	s.may(down == 0, "add", "plan", "builtin:etcd-scaleup.yml", "-l", s.of+":spare-0")
	for _, h := range dead {
		on(s.T, h, "systemctl start --no-block etcd")
	}
	programtest.Eventually(s.T, time.Minute, "healthy", func() bool { return s.d.run("run", "etcd-health.yml", "-l", s.of).code == 0 })
}

func (s *states) may(yes bool, what string, args ...string) {
	s.Helper()
	o := s.d.run(args...)
	require.Equal(s.T, yes, o.code == 0, "%s: %v\n%s", what, yes, o)
	if !yes {
		require.Regexp(s.T, `need|quorum|does not answer|not healthy|only member`, fmt.Sprint(o.out, o.err), what)
	}
}
