package lab_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/lab"
	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

// TestHosts looks at one lab from several sides.
func TestHosts(t *testing.T) {
	t.Parallel()
	l := labtest.Own(t, lab.Options{Masters: 1, Nodes: 1})
	m, n := l.Masters()[0], l.Nodes()[0]
	before, err := n.Listing(t.Context())
	require.NoError(t, err)

	t.Run("a login changes nothing that a listing shows", func(t *testing.T) {
		for _, user := range []string{"root", "operator", "opspass"} {
			out, err := ssh(t, l, n, user, "id; uptime; ls /etc/origin; timedatectl >/dev/null; systemctl is-active ssh")
			require.NoError(t, err, out)
		}
		out, err := ssh(t, l, n, "operator", "sudo -n cat /etc/shadow >/dev/null; dpkg-query -W >/dev/null")
		require.NoError(t, err, out)
		after, err := n.Listing(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
	t.Run("a listing shows every kind of change", func(t *testing.T) {
		_, err := n.Exec(t.Context(), "sh", "-c", `cd /etc/origin/node/site && echo more >>empty && chmod 600 binary && chown 7:8 acl &&
			ln -sfn elsewhere link-folder && setfattr -n user.x -v y hard-1 && rm sparse.img && mkdir "new folder" && setfacl -b acl-folder && echo 1 >>/etc/hosts`)
		require.NoError(t, err)
		after, err := n.Listing(t.Context())
		require.NoError(t, err)
		gone, come := difference(before, after)
		for _, p := range []string{"empty", "binary", "acl", "link-folder", "hard-1", "hard-2", "setgid/hard-3", "acl-folder"} {
			require.Contains(t, gone, "/etc/origin/node/site/"+p)
			require.Contains(t, come, "/etc/origin/node/site/"+p)
		}
		require.Contains(t, gone, "/etc/origin/node/site/sparse.img")
		require.Contains(t, come, "/etc/origin/node/site/new folder")
		require.Contains(t, come, "/etc/hosts")
		require.Len(t, gone, 10)
		require.Len(t, come, 10)
	})
	t.Run("the listing's hashes are the host's", func(t *testing.T) {
		text, err := m.Listing(t.Context())
		require.NoError(t, err)
		for _, p := range []string{"/usr/bin/etcd", "/etc/passwd", "/etc/origin/node/site/sparse.img"} {
			out, err := m.Exec(t.Context(), "sha256sum", p)
			require.NoError(t, err)
			require.Contains(t, text, "\""+p+"\" file")
			require.Contains(t, text, strings.Fields(out)[0])
		}
		require.NotContains(t, text, "\"/proc")
		require.Contains(t, text, "\"/var/lib/etcd/member/snap/db\" file 0600 101:103 - - -")
	})
	t.Run("the authority signs", func(t *testing.T) {
		_, err := m.Exec(t.Context(), "sh", "-ec", `d=/etc/etcd/generated_certs/etcd-new; mkdir $d; export SAN="IP:10.0.0.9,DNS:new"; cfg=/etc/etcd/ca/openssl.cnf
openssl req -new -config $cfg -keyout $d/peer.key -out $d/peer.csr -reqexts etcd_v3_req -batch -nodes -subj /CN=new
openssl ca -name etcd_ca -config $cfg -out $d/peer.crt -in $d/peer.csr -extensions etcd_v3_ca_peer -batch
openssl verify -CAfile /etc/etcd/ca.crt $d/peer.crt
openssl x509 -in $d/peer.crt -noout -text | grep -q 'IP Address:10.0.0.9, DNS:new'
test "$(cat /etc/etcd/ca/serial)" = 05 -o "$(cat /etc/etcd/ca/serial)" != 01`)
		require.NoError(t, err)
	})
	t.Run("etcd serves v3 and v2", func(t *testing.T) {
		_, err := m.Etcdctl(t.Context(), "put", "k", "v")
		require.NoError(t, err)
		out, err := m.Exec(t.Context(), "env", "ETCDCTL_API=2", "etcdctl", "--endpoints=https://"+m.IP+":2379", "--ca-file=/etc/etcd/ca.crt",
			"--cert-file=/etc/etcd/peer.crt", "--key-file=/etc/etcd/peer.key", "set", "/v2key", "x")
		require.NoError(t, err)
		require.Equal(t, "x\n", out)
	})
	t.Run("packages install without a network", func(t *testing.T) {
		out, err := n.Exec(t.Context(), "sh", "-ec", "export DEBIAN_FRONTEND=noninteractive; apt-get -qq install -y lab-sample=1.0 tree >/dev/null 2>&1; apt-get -qq update; apt-get -qq install -y lab-sample >/dev/null 2>&1; cat /usr/share/lab-sample/version")
		require.NoError(t, err)
		require.Equal(t, "1.1\n", out)
		_, err = n.Exec(t.Context(), "sh", "-c", "apt-get -qq install -y lab-broken")
		require.Error(t, err)
	})
	t.Run("dayops connects by both inventories", func(t *testing.T) {
		require.Equal(t, labtest.Connections(t, l.Inventory()), labtest.Connections(t, filepath.Join(l.Dir(), "inventory.ini")))
		c := labtest.DialHost(t, l, "node-0")
		r, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"id", "-un"}, As: "root"})
		require.NoError(t, err)
		require.Equal(t, "root\n", r.Stdout.String())
	})
	t.Run("inventories are there", func(t *testing.T) {
		for _, p := range []string{"inventory.yml", "inventory.ini", "known_hosts", "opspass.yml"} {
			require.FileExists(t, filepath.Join(l.Dir(), p))
		}
		st, err := os.Stat(l.PasswordVars())
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), st.Mode())
		out, err := n.ExecIn(t.Context(), l.Password()+"\n", "su", "opspass", "-c", "sudo -S -p '' id -u")
		require.NoError(t, err)
		require.Equal(t, "0\n", out)
	})
}

// difference lists the paths of the lines that only one of two listings has.
func difference(a, b string) (gone, come []string) {
	in := func(s string) map[string]bool {
		out := map[string]bool{}
		for line := range strings.Lines(s) {
			out[line] = true
		}
		return out
	}
	only := func(x, y map[string]bool) []string {
		var out []string
		for line := range x {
			if !y[line] {
				p, _, _ := strings.Cut(line[1:], `" `)
				out = append(out, p)
			}
		}
		return out
	}
	x, y := in(a), in(b)
	return only(x, y), only(y, x)
}
