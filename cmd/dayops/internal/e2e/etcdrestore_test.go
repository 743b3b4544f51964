//go:build soak

package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// TestEtcdRestore: fill, back up, write on, lose everything, restore; then a
// member that cannot come up, for which the old data must come back.
func TestEtcdRestore(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 3})
	d, h, e := newDesk(t, l.Inventory()), l.Hosts(), labtest.EtcdOf(t, l)
	everywhere := func(script string) {
		t.Helper()
		for _, x := range h {
			on(t, x, script)
		}
	}
	e.Fill(t, labtest.Content{V3: 10000, Leases: 5})
	d.must(0, "run", "etcd-backup.yml")
	want := e.Contents(t, false)
	members := on(t, h[0], tlsV3+"member list | cut -d, -f2-5 | sort", h[0].IP)
	e.Spoil(t)
	require.NotEmpty(t, labtest.Differences(want, e.Contents(t, false)))

	sets, err := filepath.Glob(filepath.Join(d.dir, "backups", "*", "*", "snapshot.db"))
	require.NoError(t, err)
	require.Len(t, sets, 1)
	good, err := os.ReadFile(sets[0])
	require.NoError(t, err)
	before := listings(t, h[1:2])
	for name, bad := range map[string]string{"cut": string(good[:len(good)/2]), "flipped": flipped(good), "empty": "", "other": "no snapshot at all\n"} {
		o := d.must(6, "run", "builtin:etcd-restore.yml", "--approve", "destructive", "-e", "from="+d.file(name, bad))
		require.Contains(t, o.out, "is no good snapshot", name)
	}
	same(t, before, listings(t, h[1:2]))

	everywhere("systemctl stop etcd; mv /var/lib/etcd/member /root/lost")
	d.must(0, "run", "builtin:etcd-restore.yml", "--approve", "destructive")
	require.Empty(t, labtest.Differences(want, e.Contents(t, false)))
	require.Equal(t, members, on(t, h[0], tlsV3+"member list | cut -d, -f2-5 | sort", h[0].IP))
	left := "stat -c '%U:%G %a' /var/lib/etcd/member; ls -d /var/lib/etcd/.dayops* /var/lib/dayops/lock 2>/dev/null; ls /etc/origin/node/pods"
	for _, x := range h {
		require.Equal(t, "etcd:etcd 700\napiserver.yaml\ncontroller.yaml\n", on(t, x, left), x.Name)
	}

	e.Spoil(t)
	spoilt := e.Contents(t, false)
	on(t, h[2], "cp /etc/etcd/etcd.conf /root/ && echo ETCD_ELECTION_TIMEOUT=nonsense >>/etc/etcd/etcd.conf")
	book := d.file("impatient.yml", "- hosts: etcd:masters\n  become: yes\n  tasks:\n    - etcd_restore: {healthy_within: 10s, other_cluster: true}\n")
	o := d.must(2, "run", book, "--approve", "destructive")
	require.Contains(t, o.wrong(), "taken back, because the plan failed")
	on(t, h[2], "cp /root/etcd.conf /etc/etcd/etcd.conf && systemctl restart etcd")
	programtest.Eventually(t, 40*time.Second, "healthy", func() bool { return d.run("run", "etcd-health.yml").code == 0 })
	require.Empty(t, labtest.Differences(spoilt, e.Contents(t, false)))
	for _, x := range h {
		require.Equal(t, "etcd:etcd 700\napiserver.yaml\ncontroller.yaml\n", on(t, x, left), x.Name)
	}
}

func flipped(b []byte) string {
	out := append([]byte{}, b...)
	out[len(out)/2] ^= 0x10
	return string(out)
}
