package etcdscaleup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks/internal/etcdmember/membertest"
	"github.com/dayops/dayops/tasks/tasktest"
)

// A host that is a member keeps what it has; only lists that name members follow.
func TestMemberAlready(t *testing.T) {
	all := membertest.Cluster(3, "3.4.23")
	all[2].Groups = append(all[2].Groups, "new_etcd")
	p := planned(t, "{masters: no, flannel: no, inventory: no}", all)
	require.Empty(t, p.Changes())
	shown := membertest.Show(p)
	require.Contains(t, shown, "nothing to do on master-2: it is a member already (c)")
	require.NotContains(t, shown, "FAIL")
}

// A WAL in a folder of its own is as much a leftover as data are.
func TestOldWAL(t *testing.T) {
	all := append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))
	all[3].State.Room.Data = []string{"/wal/etcd/0000000000000000-0000000000000000.wal"}
	p := planned(t, "{wal_dir: /wal/etcd}", all)
	require.Empty(t, p.Changes())
	tasktest.Hinted(t, p)
	require.Contains(t, membertest.Show(p), "FAIL  a WAL of an earlier etcd lies on etcd-3: /wal/etcd/0000000000000000-0000000000000000.wal  -> if nothing of it is needed: mv /wal/etcd /wal/etcd.old")
}

// The control machine must have room for the backup, before anything is changed.
func TestRoomAtHome(t *testing.T) {
	require.Equal(t, "/srv/backups", decode(t, "{backup_dir: /srv/backups}").Looking().Home)
	all, free := append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7")), int64(1<<20)
	for i := range 3 {
		all[i].State.Store.Home = &free
	}
	p := planned(t, "{}", all)
	require.Empty(t, p.Changes())
	tasktest.Hinted(t, p)
	require.Contains(t, membertest.Show(p), "FAIL  1 MiB are free for ./backups on the control machine, the database of master-0 has 61 MiB  -> make room there")
}
