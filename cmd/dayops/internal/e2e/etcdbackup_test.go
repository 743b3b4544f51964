package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
	"github.com/dayops/dayops/engine/store"
)

// etcdSets are the manifests of all hosts' newest sets of etcd_backup.
func etcdSets(t *testing.T, dir string, hosts []*labtest.Host) map[string]store.Manifest {
	t.Helper()
	out := map[string]store.Manifest{}
	for _, h := range hosts {
		if all := sets(t, dir, h.Name); len(all) > 0 {
			m, err := store.Verify(t.Context(), all[len(all)-1])
			require.NoError(t, err)
			require.Equal(t, "etcd_backup", m.Kind)
			out[h.Name] = m
		}
	}
	return out
}

// dataOf is the set that has the snapshot.
func dataOf(t *testing.T, dir string, hosts []*labtest.Host) (host, set string, m store.Manifest) {
	t.Helper()
	for name, m := range etcdSets(t, dir, hosts) {
		if m.Facts["hash"] != "" {
			all := sets(t, dir, name)
			return name, all[len(all)-1], m
		}
	}
	t.Fatal("no set has a snapshot")
	return "", "", m
}

// dataSets are all sets that have a snapshot.
func dataSets(t *testing.T, dir string, hosts []*labtest.Host) (out []string) {
	t.Helper()
	for _, h := range hosts {
		for _, set := range sets(t, dir, h.Name) {
			m, err := store.Verify(t.Context(), set)
			require.NoError(t, err)
			if m.Facts["hash"] != "" {
				out = append(out, set)
			}
		}
	}
	return out
}

func noStaging(t *testing.T, hosts []*labtest.Host) {
	t.Helper()
	for _, h := range hosts {
		require.Empty(t, on(t, h, "find /var /tmp /root -xdev -name '.dayops-staging-*'"), h.Name)
	}
}

// wrapEtcdctl puts a script in etcdctl's place, $REAL being the program.
func wrapEtcdctl(t *testing.T, hosts []*labtest.Host, script string) (unwrap func()) {
	for _, h := range hosts {
		on(t, h, `mv /usr/bin/etcdctl /usr/bin/etcdctl.real && printf '%s\n' '#!/bin/sh' 'REAL=/usr/bin/etcdctl.real' "$1" 'exec $REAL "$@"' >/usr/bin/etcdctl && chmod 755 /usr/bin/etcdctl`, script)
	}
	return func() {
		for _, h := range hosts {
			on(t, h, "mv /usr/bin/etcdctl.real /usr/bin/etcdctl")
		}
	}
}

// TestEtcdBackup backs a real cluster of three up: well, restored by hand and
// compared; then damaged on the way, killed, without room, with members down.
func TestEtcdBackup(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 3})
	h := l.Hosts()
	etcd := labtest.EtcdOf(t, l)
	d := newDesk(t, l.Inventory())
	dir := filepath.Join(d.dir, "backups")
	etcd.Fill(t, labtest.Content{V3: 1000, V2: 50, Leases: 3})
	before := listings(t, h)
	o := d.must(0, "run", "etcd-backup.yml")
	require.Contains(t, o.out, "verified")
	after := listings(t, h)
	for _, x := range h { // dayops's own folder on hosts stays
		before[x.Name], after[x.Name] = labtest.WithoutUndoExcluded(before[x.Name]), labtest.WithoutUndoExcluded(after[x.Name])
	}
	same(t, before, after)
	noStaging(t, h)

	name, set, m := dataOf(t, dir, h)
	require.NotEqual(t, etcd.Leader(t).Name, name)
	require.Len(t, etcdSets(t, dir, h), 3)
	require.Equal(t, "1000", m.Facts["keys"])
	require.Equal(t, []string{"v2 and v3", "false", "true"}, []string{m.Facts["data"], m.Facts["degraded"], m.Facts["sealed"]})
	restoredByHand(t, h[0], set)

	bad := d.file("staging.yml", "- hosts: etcd\n  become: yes\n  tasks:\n    - etcd_backup: {staging_dir: /var/tmp}\n")
	t.Run("damaged on the way", func(t *testing.T) {
		unwrap := wrapEtcdctl(t, h, `case "$*" in *"snapshot save"*) $REAL "$@" || exit; for f; do :; done; printf X | dd of="$f" bs=1 seek=30000 conv=notrunc 2>/dev/null; exit;; esac`)
		defer unwrap()
		o := d.must(2, "run", "etcd-backup.yml")
		require.Contains(t, o.out, "there is no backup: the SHA-256 at its end is not that of the rest")
		// Whichever member was chosen this time, the first run's data is all there is.
		require.Equal(t, []string{set}, dataSets(t, dir, h))
		noStaging(t, h)
	})
	t.Run("killed", func(t *testing.T) {
		unwrap := wrapEtcdctl(t, h, `case "$*" in *"snapshot save"*) touch /run/saving; sleep 4;; esac`)
		job := d.command("run", "etcd-backup.yml").begin()
		programtest.Eventually(t, 40*time.Second, "the snapshot is being made", func() bool {
			for _, x := range h {
				if on(t, x, "rm -f -v /run/saving") != "" {
					return true
				}
			}
			return false
		})
		require.NoError(t, job.cmd.Process.Kill())
		job.wait()
		unwrap()
		o := d.must(0, "resume")
		require.Contains(t, o.out, "snapshot of ")
		noStaging(t, h)
	})
	if os.Getenv("DAYOPS_SOAK") == "" {
		return
	}
	t.Run("no room", func(t *testing.T) {
		for _, x := range h {
			labtest.SmallDisk(t, x, "/var/tmp", 2<<20)
		}
		o := d.must(2, "run", bad)
		require.Contains(t, o.out, "no room to stage it: ")
		require.Contains(t, o.out, "/var/tmp has 2 MiB; make room, or give staging_dir")
		noStaging(t, h)
	})
	t.Run("cold", func(t *testing.T) {
		book := d.file("cold.yml", "- hosts: etcd\n  become: yes\n  tasks:\n    - etcd_backup: {mode: cold, backup_dir: cold}\n")
		o := d.must(0, "run", book, "--approve", "disruptive")
		_, _, m := dataOf(t, filepath.Join(d.dir, "cold"), h)
		require.Equal(t, []string{"1000", "false", "cold"}, []string{m.Facts["keys"], m.Facts["sealed"], m.Facts["mode"]}, o.String())
		noStaging(t, h)
		programtest.Eventually(t, 30*time.Second, "healthy", func() bool { return d.run("run", "etcd-health.yml").code == 0 })
	})
	t.Run("members down", func(t *testing.T) {
		on(t, h[2], "systemctl stop etcd")
		o := d.must(0, "run", "etcd-backup.yml")
		require.Contains(t, o.out, "member "+h[2].Name+" does not answer")
		on(t, h[1], "systemctl stop etcd")
		defer on(t, h[1], "systemctl start --no-block etcd")
		defer on(t, h[2], "systemctl start --no-block etcd")
		programtest.Eventually(t, 30*time.Second, "without a leader", func() bool {
			return strings.Contains(d.run("run", "etcd-health.yml").out, "quorum lost")
		})
		o = d.must(3, "run", "etcd-backup.yml")
		require.Contains(t, o.out, "the quorum is lost (3 voters, 0 healthy, 2 needed): this is the data of "+h[0].Name)
		_, set, m := dataOf(t, dir, h[:1])
		require.True(t, m.Partial)
		require.Equal(t, []string{"true", "1000"}, []string{m.Facts["degraded"], m.Facts["keys"]})
		require.FileExists(t, filepath.Join(set, "snapshot.db"))
	})
}

// restoredByHand restores a set's snapshot with the real tool beside the live
// cluster, starts it, and compares every key, value and version.
func restoredByHand(t *testing.T, h *labtest.Host, set string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(set, "snapshot.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(h.Root(), "opt/snapshot.db"), data, 0o600))
	out := on(t, h, `cd /opt && export ETCDCTL_API=3
etcdctl snapshot restore snapshot.db --data-dir scratch >/dev/null 2>&1
etcd --data-dir scratch --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 --listen-peer-urls http://127.0.0.1:12380 >/dev/null 2>&1 &
trap "kill $!; wait $!; rm -rf /opt/scratch /opt/snapshot.db" EXIT
n=0; until etcdctl --endpoints http://127.0.0.1:12379 endpoint health >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 60 ]; sleep 0.3; done
etcdctl --endpoints http://127.0.0.1:12379 get "" --prefix -w fields | grep -v -E '"(ClusterID|MemberID|Revision|RaftTerm)"' | sha256sum
etcdctl --cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --endpoints "https://$1:2379" get "" --prefix -w fields | grep -v -E '"(ClusterID|MemberID|Revision|RaftTerm)"' | sha256sum`, h.IP)
	sums := strings.Fields(out)
	require.Equal(t, sums[0], sums[2], out)
	names := tool(t, set, "tar", "-tzf", "v2.tar.gz")
	require.Contains(t, names, "./member/wal/")
	require.Contains(t, names, "./member/snap/")
}
