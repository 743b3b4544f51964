package lab_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/lab"
	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/stretchr/testify/require"
)

// TestSpare has a master that is no member, a member that is no master, and a
// host that is to become one.
func TestSpare(t *testing.T) {
	t.Parallel()
	l := labtest.Own(t, lab.Options{Masters: 1, Etcds: 1, Spares: 1, Closed: true})
	m, e, s := l.Masters()[0], l.Members()[0], l.Spares()[0]
	require.Equal(t, []string{"master-0", "etcd-0", "spare-0"}, []string{m.Name, e.Name, s.Name})
	byYAML := labtest.Connections(t, l.Inventory())
	require.Len(t, byYAML, 3)
	require.Equal(t, byYAML, labtest.Connections(t, filepath.Join(l.Dir(), "inventory.ini")))
	for _, h := range []*lab.Host{m, s} {
		_, err := h.Exec(t.Context(), "sh", "-c", "! command -v etcd && ! command -v etcdctl && ! id etcd && ! test -e /etc/etcd && ! test -e /var/lib/etcd")
		require.NoError(t, err)
	}
	out, err := e.Exec(t.Context(), "getent", "hosts", "spare-0")
	require.NoError(t, err)
	require.Contains(t, out, s.IP)

	_, err = s.Exec(t.Context(), "sh", "-ec", `export DEBIAN_FRONTEND=noninteractive
v=$(apt-cache madison etcd-server | cut -d'|' -f2 | tr -d ' ')
apt-get -qq -y install etcd-server=$v etcd-client=$v >/dev/null 2>&1; systemctl stop etcd
systemd-run -q --unit listen /usr/bin/etcd --data-dir /tmp/x --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://0.0.0.0:2379`)
	require.NoError(t, err)
	answers := func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(s.IP, "2379"), time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	require.Eventually(t, func() bool {
		_, err := s.Exec(t.Context(), "env", "ETCDCTL_API=3", "etcdctl", "endpoint", "health")
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	require.False(t, answers(), "the firewall is closed")
	_, err = s.Exec(t.Context(), "iptables", "-I", "INPUT", "-p", "tcp", "--dport", "2379", "-j", "ACCEPT")
	require.NoError(t, err)
	require.True(t, answers())
}

func TestRefusedShapes(t *testing.T) {
	t.Parallel()
	ctx := needRoot(t)
	for said, o := range map[string]lab.Options{
		"a lab has 1 to 100 hosts":             {Nodes: 1, Spares: -1},
		"2 members of 1 masters":               {Masters: 1, Members: 2},
		`no etcd "2.3": there are 3.2, 3.3, 3`: {Masters: 1, Etcd: "2.3"},
	} {
		o.Dir = filepath.Join(t.TempDir(), "lab")
		_, err := lab.Up(ctx, o)
		require.ErrorContains(t, err, said)
		require.NoDirExists(t, o.Dir)
	}
}
