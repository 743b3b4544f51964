//go:build soak

package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// growth is a cluster of one and a host that is to become its second member.
type growth struct {
	*desk
	t     *testing.T
	l     *labtest.Lab
	e     *labtest.Etcd
	spare *labtest.Host
}

func newGrowth(t *testing.T, o labtest.Options) *growth {
	g := &growth{t: t, l: labtest.Own(t, o)}
	g.desk = newDesk(t, filepath.Join(t.TempDir(), "hosts.yml"))
	g.e, g.spare = labtest.EtcdOf(t, g.l), g.l.Spares()[0]
	return g
}

// afresh brings back the inventory, which every growth edits.
func (g *growth) afresh() {
	g.t.Helper()
	text, err := os.ReadFile(g.l.Inventory())
	require.NoError(g.t, err)
	require.NoError(g.t, os.WriteFile(g.inv, text, 0o600))
}

func (g *growth) names() []string {
	g.t.Helper()
	var out []string
	for _, m := range g.e.Members(g.t) {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}

// asBefore: one member that is healthy, and nothing of etcd's on the spare.
func (g *growth) asBefore(story string) {
	g.t.Helper()
	require.Equal(g.t, []string{"master-0"}, g.names(), story)
	require.Empty(g.t, on(g.t, g.spare, "ls -d /etc/etcd /var/lib/etcd/member 2>/dev/null; pgrep -x etcd; dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n' 'etcd-*' 2>/dev/null | grep ^ii; :"), story)
	require.NotContains(g.t, on(g.t, g.spare, "iptables -S; cat /etc/sysconfig/iptables"), "OS_FIREWALL_ALLOW", story)
	g.must(0, "run", "builtin:etcd-health.yml")
}

// TestEtcdGrowthThatFails: a new member that cannot come up leaves the cluster
// and its host as they were.
func TestEtcdGrowthThatFails(t *testing.T) {
	labtest.Asked(t)
	g := newGrowth(t, labtest.Options{Masters: 1, Spares: 1, Closed: true})
	book := func(params string) string {
		p := filepath.Join(g.dir, "grow.yml")
		require.NoError(t, os.WriteFile(p, []byte("- hosts: etcd:new_etcd\n  become: yes\n  tasks:\n    - etcd_scaleup: {promote_limit: 10s, health_limit: 10s"+params+"}\n"), 0o600))
		return p
	}
	cases := []struct{ name, params, spoil, mend, says string }{
		{"closed port", ", firewall: none", ":", ":", "2380 to answer master-0"},
	}
	if long() {
		cases = append(cases,
			struct{ name, params, spoil, mend, says string }{"closed port of a voter", ", firewall: none, learner: no", ":", ":", "to shake hands with spare-0"},
			struct{ name, params, spoil, mend, says string }{"etcd dies", "", "mkdir -p /etc/systemd/system/etcd.service.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >/etc/systemd/system/etcd.service.d/99-bad.conf", "rm -rf /etc/systemd/system/etcd.service.d; systemctl daemon-reload", "etcd"},
			struct{ name, params, spoil, mend, says string }{"wrong name", ", address: 127.0.0.9", "ip addr add 127.0.0.9/32 dev host0", "ip addr del 127.0.0.9/32 dev host0", ""},
		)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g.afresh()
			on(t, g.spare, c.spoil)
			w := g.e.StartWriter(t)
			code, said := g.begin(nil, "run", book(c.params), "--approve", "disruptive").wait()
			w.MustKeep(t, 0)
			on(t, g.spare, c.mend)
			require.Equal(t, 2, code, said)
			require.Contains(t, said, c.says)
			g.asBefore(said)
		})
	}
}

// TestEtcdGrowthKilled kills the controller at the boundaries of a scale-up.
// Taken up again, the member is there; then it is removed, for the next.
func TestEtcdGrowthKilled(t *testing.T) {
	labtest.Asked(t)
	g := newGrowth(t, labtest.Options{Masters: 1, Spares: 1, Closed: true})
	points := []int{45} // the member is in, and about to start
	if long() {
		points = nil
		for i := range 60 {
			points = append(points, i)
		}
	}
	for _, at := range points {
		g.afresh()
		began := time.Now()
		before := g.runs()
		kind := []string{"after", "half", "before"}[at%3]
		code, said := g.begin([]string{fmt.Sprintf("DAYOPS_CRASH=%s:%d", kind, at)}, "run", "builtin:etcd-scaleup.yml", "--approve", "disruptive").wait()
		run, story := g.newRun(before), fmt.Sprintf("killed %s %d\n%s", kind, at, said)
		if code == 0 || run == "" {
			continue
		}
		code, said = g.begin(nil, "resume", run, "--approve", "disruptive").wait()
		require.Zero(t, code, story+said)
		require.Equal(t, []string{"master-0", "spare-0"}, g.names(), story)
		g.must(0, "run", "builtin:etcd-health.yml")
		g.must(0, "run", "builtin:etcd-remove.yml", "-e", "member=spare-0", "-e", "yes_i_know=yes", "--approve", "disruptive")
		require.Equal(t, []string{"master-0"}, g.names(), story)
		require.Empty(t, on(t, g.spare, "ls -d /var/lib/etcd/member 2>/dev/null; pgrep -x etcd; :"))
		t.Logf("killed %s %d, taken up again and removed: %s", kind, at, time.Since(began).Round(time.Second))
	}
}
