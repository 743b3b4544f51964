//go:build soak

package soak

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// TestEtcdGivenAuthority: without openshift-ansible's folder a cluster grows by
// an authority of this machine and by kubeadm's files on a host, which then renew
// everything. No key of theirs is in anything that was kept here.
func TestEtcdGivenAuthority(t *testing.T) {
	labtest.Asked(t)
	g := newGrowth(t, labtest.Options{Masters: 1, Spares: 2})
	master := g.l.Members()[0]
	crt, key := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "ca.key")
	for from, to := range map[string]string{"ca.crt": crt, "ca.key": key} {
		text, err := os.ReadFile(filepath.Join(master.Root(), "etc/etcd/ca", from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, text, 0o600))
	}
	const kubeadm = "/etc/kubernetes/pki/etcd/"
	on(t, master, "mkdir -p "+kubeadm+"; cp /etc/etcd/ca/ca.crt /etc/etcd/ca/ca.key "+kubeadm+"; mv /etc/etcd/ca /root/ca")
	g.afresh()

	said := g.must(2, "run", "builtin:etcd-scaleup.yml", "-l", "etcd:spare-0", "--approve", "disruptive")
	require.Contains(t, said, "on no etcd host is an authority that could sign")
	said = g.must(2, "run", "builtin:etcd-scaleup.yml", "-l", "etcd:spare-0", "--approve", "disruptive", "-e", "local_ca_cert="+crt, "-e", "local_ca_key="+crt)
	require.Contains(t, said, "is not the key of")

	// As a restore of v2 data leaves it: nobody else can use this URL.
	on(t, master, askMember+"member update $(etcdctl "+byPeer+" member list | cut -d, -f1) --peer-urls=https://localhost:2380")
	said = g.must(0, "run", "builtin:etcd-scaleup.yml", "-l", "etcd:spare-0", "--approve", "disruptive", "-e", "local_ca_cert="+crt, "-e", "local_ca_key="+key, "-e", "ca_days=20")
	require.Contains(t, said, "which no other host can use: it is set to https://"+master.IP+":2380")
	require.Equal(t, []string{"master-0", "spare-0"}, g.names())
	require.Equal(t, []string{"https://" + master.IP + ":2380"}, g.e.Members(t)[0].PeerURLs)
	g.must(0, "run", "builtin:etcd-scaleup.yml", "--approve", "disruptive", "-e", "ca_cert="+kubeadm+"ca.crt", "-e", "ca_key="+kubeadm+"ca.key")
	require.Equal(t, []string{"master-0", "spare-0", "spare-1"}, g.names())
	said = g.must(0, "run", "builtin:etcd-certs.yml", "--approve", "disruptive", "-e", "renew=yes", "-e", "ca_cert="+kubeadm+"ca.crt", "-e", "ca_key="+kubeadm+"ca.key", "-e", "ca_days=200")
	require.Regexp(t, `spare-0 +: ok=1 +changed=1`, said)
	said = g.must(0, "run", "builtin:etcd-certs.yml")
	require.NotContains(t, said, "expires in 19 days")
	require.Contains(t, said, "expires in 199 days")
	g.must(0, "run", "builtin:etcd-health.yml")

	text, err := os.ReadFile(key)
	require.NoError(t, err)
	line := strings.Split(string(text), "\n")[1]
	require.Greater(t, len(line), 60)
	require.NoError(t, filepath.WalkDir(g.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		require.NotContains(t, string(data), line, p)
		return err
	}))
	for _, h := range g.l.Hosts() {
		require.Empty(t, on(t, h, "find / -xdev -name '.dayops-staging-*' 2>/dev/null"), h.Name)
	}
	left, err := filepath.Glob("/var/tmp/.dayops-staging-*")
	require.NoError(t, err)
	require.Empty(t, left)
}

const (
	byPeer    = "--cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --endpoints https://$(hostname -I | cut -d' ' -f1):2379"
	askMember = "export ETCDCTL_API=3; etcdctl " + byPeer + " "
)

// TestEtcdGrowthOverIPv6: a cluster whose peers have addresses of IPv6 gets its
// certificates' names from that, and a voter whose port was proven there.
func TestEtcdGrowthOverIPv6(t *testing.T) {
	labtest.Asked(t)
	g := newGrowth(t, labtest.Options{Masters: 1, Spares: 1})
	g.afresh()
	master := g.l.Members()[0]
	said := g.must(2, "run", "builtin:etcd-scaleup.yml", "--approve", "disruptive", "-e", "backup_dir=/proc/nowhere")
	require.Equal(t, []string{"master-0"}, g.names(), "no backup, no change: %s", said)
	require.Empty(t, on(t, g.spare, "ls -d /etc/etcd /var/lib/etcd 2>/dev/null; :"))

	on(t, master, "ip -6 addr add fd00::10/64 dev host0 nodad")
	on(t, g.spare, "ip -6 addr add fd00::11/64 dev host0 nodad")
	on(t, master, askMember+"member update $(etcdctl "+byPeer+" member list | cut -d, -f1) --peer-urls='https://[fd00::10]:2380'")
	on(t, master, "sed -i -E '/PEER_URLS|INITIAL_CLUSTER=/s#https://[0-9.]+:2380#https://[fd00::10]:2380#' /etc/etcd/etcd.conf; systemctl restart etcd")
	on(t, master, `cd /etc/etcd && export SAN="IP:$(hostname -I | cut -d' ' -f1),IP:fd00::10,DNS:master-0"
for use in server peer; do
openssl req -new -config ca/openssl.cnf -keyout $use.key -out /tmp/x.csr -reqexts etcd_v3_req -batch -nodes -subj /CN=master-0 2>/dev/null &&
openssl ca -name etcd_ca -config ca/openssl.cnf -out $use.crt -in /tmp/x.csr -extensions etcd_v3_ca_$use -batch -notext 2>/dev/null || exit 1
done; systemctl restart etcd`)

	book := filepath.Join(g.dir, "grow.yml")
	require.NoError(t, os.WriteFile(book, []byte("- hosts: etcd:new_etcd\n  become: yes\n  tasks:\n    - etcd_scaleup: {learner: no, address: 'fd00::11'}\n"), 0o600))
	said = g.must(0, "run", book, "--check", "--lose-quorum", "master-0")
	require.Contains(t, said, "shake hands with spare-0 at [fd00::11]:2380")
	g.must(0, "run", book, "--approve", "disruptive", "--lose-quorum", "master-0")
	require.Equal(t, []string{"master-0", "spare-0"}, g.names())
	require.Equal(t, []string{"https://[fd00::11]:2380"}, g.e.Members(t)[1].PeerURLs)
	g.must(0, "run", "builtin:etcd-health.yml")
}
