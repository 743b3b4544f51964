//go:build soak

package soak

import (
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
	g := &growth{t: t}
	if labtest.Asked(t) == "own" {
		g.l = labtest.Own(t, o)
	} else {
		g.l = labtest.NeedAlone(t)
	}
	g.desk = newDesk(t, filepath.Join(t.TempDir(), "hosts.yml"))
	if g.e = labtest.EtcdOf(t, g.l); o.Spares > 0 {
		g.spare = g.l.Spares()[0]
	}
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

// failing is a growth that cannot succeed.
type failing struct {
	name, params string
	spoil        func(*growth) (mend func())
	code         int
	says         []string // what it says, and what to do
}

// toldBefore is what a run says that has changed nothing, and was not about to.
func toldBefore() []string { return []string{"FAILED  0 changed (forecast: 0, 0 unknown)"} }

// onSpare spoils the new host by one script and mends it by another.
func onSpare(spoil, mend string) func(*growth) func() {
	return func(g *growth) func() {
		on(g.t, g.spare, spoil)
		return func() { on(g.t, g.spare, mend) }
	}
}

// starting has etcd's unit start something else.
func starting(command string) func(*growth) func() {
	return onSpare("mkdir -p /etc/systemd/system/etcd.service.d; printf '[Service]\\n%b\\n' '"+command+"' >/etc/systemd/system/etcd.service.d/99-bad.conf",
		"rm -rf /etc/systemd/system/etcd.service.d /srv/wrong*; systemctl daemon-reload")
}

// otherNames has the new member use a certificate of the right authority with
// the names of somebody else, as after a change of address.
func otherNames(g *growth) func() {
	pair := on(g.t, g.l.Hosts()[0], `cd /root && export SAN=IP:192.0.2.7,DNS:elsewhere.example.com
openssl req -new -config /etc/etcd/ca/openssl.cnf -keyout w.key -out w.csr -reqexts etcd_v3_req -batch -nodes -subj /CN=elsewhere 2>/dev/null &&
openssl ca -name etcd_ca -config /etc/etcd/ca/openssl.cnf -out w.crt -in w.csr -extensions etcd_v3_ca_peer -batch -notext 2>/dev/null && cat w.crt w.key; rm -f w.*`)
	on(g.t, g.spare, "cat >/srv/wrong.pem <<'EOF'\n"+pair+"EOF\nchmod 644 /srv/wrong.pem")
	return starting("ExecStart=\\nExecStart=/usr/bin/env ETCD_PEER_CERT_FILE=/srv/wrong.pem ETCD_PEER_KEY_FILE=/srv/wrong.pem /usr/bin/etcd")(g)
}

// smallDisk is one with too little room, or one that is full when etcd comes to it.
func smallDisk(size int64, fill bool) func(*growth) func() {
	return func(g *growth) func() {
		labtest.SmallDisk(g.t, g.spare, "/var/lib/etcd", size)
		mend := func() {}
		if fill {
			mend = starting("ExecStartPre=+/bin/sh -c \"dd if=/dev/zero of=/var/lib/etcd/full bs=1M 2>/dev/null; true\"")(g)
		}
		return func() {
			mend()
			on(g.t, g.spare, "rm -rf /var/lib/etcd/full /var/lib/etcd/dayops-*")
		}
	}
}

// TestEtcdGrowthThatFails: a new member that cannot come up leaves the cluster
// and its host as they were.
func TestEtcdGrowthThatFails(t *testing.T) {
	labtest.Asked(t)
	g := newGrowth(t, labtest.Options{Masters: 1, Spares: 1, Closed: true})
	nothing, told := onSpare(":", ":"), toldBefore()
	cases := []failing{
		{"closed port", ", firewall: none", nothing, 2, []string{"2380 to answer master-0", "which firewall on the way keeps the port shut", "taken back"}},
		{"wrong TLS name", "", otherNames, 2, []string{"start etcd.service", "rejected connection", "taken back"}},
		{"full disk", "", smallDisk(300<<20, true), 2, []string{"no space left on device", "taken back"}},
	}
	if long() {
		cases = append(cases,
			failing{"voter", ", learner: no", nothing, 6, []string{"adding spare-0 as a voter leaves 1, 2 are needed"}},
			failing{"etcd dies", "", starting("ExecStart=\\nExecStart=/bin/false"), 2, []string{"start etcd.service", "taken back"}},
			failing{"another address", ", address: 127.0.0.9", onSpare("ip addr add 127.0.0.9/32 dev host0", "ip addr del 127.0.0.9/32 dev host0"), 2, append(told, "does not have the address 127.0.0.9")},
			failing{"small disk", "", smallDisk(100<<20, false), 2, append(told, "are needed", "etcd wants a disk of its own")},
			failing{"names that the authority leaves out", "", func(g *growth) func() {
				h := g.l.Hosts()[0]
				on(g.t, h, "cd /etc/etcd/ca && cp -p openssl.cnf /root/ && sed -i 's/^copy_extensions.*//' openssl.cnf")
				return func() { on(g.t, h, "mv /root/openssl.cnf /etc/etcd/ca/") }
			}, 2, append(told, "does not take the new certificate's names", "copy_extensions = copy")})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { g.fails(t, c) })
	}
}

// TestEtcdGrowthOfAnotherVersion: what the new host has, or could get, is another
// release than the cluster's; told before anything is changed.
func TestEtcdGrowthOfAnotherVersion(t *testing.T) {
	labtest.Asked(t)
	g, told := newGrowth(t, labtest.Options{Masters: 1, Spares: 1, Closed: true, SpareEtcd: "3.5"}), toldBefore()
	for _, c := range []failing{
		{"offered", "", onSpare(`cd /opt/repo && cp Packages /root/ && awk -v RS= -v ORS='\n\n' '!(/Package: etcd-/ && /Version: 3\.4/)' /root/Packages >Packages && apt-get -q update`,
			"mv /root/Packages /opt/repo/ && apt-get -q update"), 2, append(told, "no package etcd-server 3.4 for spare-0", "add a repository that has the cluster's version")},
		{"installed", "", onSpare("echo exit 101 >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; apt-get install -qy etcd-server etcd-client >/dev/null 2>&1",
			"apt-get purge -qy etcd-server etcd-client >/dev/null 2>&1; rm -rf /usr/sbin/policy-rc.d /var/lib/etcd /etc/default/etcd"), 2,
			append(told, "is installed on spare-0, the cluster has 3.4", "install the cluster's version")},
	} {
		t.Run(c.name, func(t *testing.T) { g.fails(t, c) })
	}
}

func (g *growth) fails(t *testing.T, c failing) {
	was := g.t
	g.t, g.desk.t = t, t
	defer func() { g.t, g.desk.t = was, was }()
	g.afresh()
	book := filepath.Join(g.dir, "grow.yml")
	require.NoError(t, os.WriteFile(book, []byte("- hosts: etcd:new_etcd\n  become: yes\n  tasks:\n    - etcd_scaleup: {promote_limit: 10s, health_limit: 10s"+c.params+"}\n"), 0o600))
	mend := c.spoil(g)
	w := g.e.StartWriter(t)
	began := time.Now()
	code, said := g.begin(nil, "run", book, "--approve", "disruptive").wait()
	t.Logf("exit %d after %s\n%s", code, time.Since(began).Round(time.Second), said)
	w.MustKeep(t, 0)
	mend()
	require.Equal(t, c.code, code)
	for _, says := range c.says {
		require.Contains(t, said, says)
	}
	g.asBefore(said)
}
