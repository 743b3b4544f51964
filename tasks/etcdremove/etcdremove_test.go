package etcdremove

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdmember/membertest"
	"github.com/dayops/dayops/tasks/tasktest"
)

const hosts = "[etcd]\nmaster-0\nmaster-1\nmaster-2\n\n[masters]\nmaster-0\nmaster-1\nmaster-2\n"

func planned(t *testing.T, params string, all []membertest.Host) task.Plan {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(params))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	in := task.ClusterInput[Params, State]{Now: membertest.Now(), Inventory: []task.InventoryFile{{Path: "/site/hosts.ini", Text: hosts, Editable: true,
		File: reader.File{Path: "/site/hosts.ini", Exists: true, Type: reader.Regular, Size: int64(len(hosts))}}}}
	for _, h := range all {
		x := task.HostInput[Params, State]{Groups: h.Groups, Err: h.Err, Made: h.Made}
		x.Host, x.Target, x.Facts, x.State = h.Name, h.Name, h.Facts, h.State
		if h.Err == nil {
			x.Params = p.(Params)
		}
		in.Hosts = append(in.Hosts, x)
	}
	plan, err := remove{}.Plan(in)
	require.NoError(t, err)
	return plan
}

func TestPlans(t *testing.T) {
	for name, c := range map[string]struct {
		params string
		make   func(all []membertest.Host)
	}{
		"alive":   {"{member: master-1}", func([]membertest.Host) {}},
		"stopped": {"{member: master-2, flannel: no}", func(all []membertest.Host) { membertest.Down(&all[2]) }},
		"lost": {"{member: master-2, masters: no, flannel: no}", func(all []membertest.Host) {
			membertest.Lost(&all[2], errors.New("no route"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			all := membertest.Cluster(3, "3.4.23")
			c.make(all)
			got := membertest.Show(planned(t, c.params, all))
			file := "testdata/" + name + ".txt"
			if os.Getenv("UPDATE") != "" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		n      int
		params string
		make   func(all []membertest.Host)
		want   string
	}{
		"quorum": {3, "{member: master-0}", func(all []membertest.Host) { membertest.Down(&all[2]) },
			"3 voters, 2 healthy; removing master-0 leaves 1, 2 are needed"},
		"last":            {1, "{member: master-0}", func([]membertest.Host) {}, "1 voter, 1 healthy; master-0 is the last voter"},
		"two":             {2, "{member: master-1}", func([]membertest.Host) {}, "2 voters, 2 healthy; removing master-1 leaves 1, 1 is needed; a cluster of one has nothing to spare"},
		"two, a dead one": {2, "{member: master-1, yes_i_know: yes}", func(all []membertest.Host) { membertest.Down(&all[1]) }, "the quorum is lost already"},
		"nobody":          {3, "{member: etcd-9}", func([]membertest.Host) {}, `no member "etcd-9"; the members are master-0 (a, https://192.168.55.10:2380)`},
		"other cluster": {3, "{member: master-1}", func(all []membertest.Host) { all[2].State.Live.Status.ClusterID = 5 },
			"master-2 belongs to another cluster"},
		"no etcd": {1, "{member: master-0}", func(all []membertest.Host) { all[0].State.Found, all[0].State.Live = false, etcd.Live{} }, "no etcd found"},
	} {
		t.Run(name, func(t *testing.T) {
			all := membertest.Cluster(c.n, "3.4.23")
			c.make(all)
			p := planned(t, c.params, all)
			require.Empty(t, p.Changes())
			tasktest.Hinted(t, p)
			require.Contains(t, membertest.Show(p), c.want)
		})
	}
}

// TestFoundByEveryName: the ID is found, never asked for, and taken where given.
func TestFoundByEveryName(t *testing.T) {
	for _, name := range []string{"master-2", "c", "192.168.55.12"} {
		require.Contains(t, membertest.Show(planned(t, "{member: '"+name+"'}", membertest.Cluster(3, "3.4.23"))), "member remove master-2 (c)", name)
	}
	require.Contains(t, membertest.Show(planned(t, "{member: master-1, yes_i_know: yes}", membertest.Cluster(2, "3.4.23"))), "member remove master-1")
}

// TestTakenUpAgain: what an interrupted removal left is done.
func TestTakenUpAgain(t *testing.T) {
	all := membertest.Cluster(3, "3.4.23")
	for i := range all {
		all[i].State.Live.Members = all[i].State.Live.Members[:2:2]
	}
	membertest.Down(&all[2])
	shown := membertest.Show(planned(t, "{member: master-2}", all))
	require.Contains(t, shown, "master-2 is no member of the cluster")
	require.NotContains(t, shown, "member remove")
	require.Contains(t, shown, "disable etcd.service")
	require.Contains(t, shown, "move /var/lib/etcd/member")
	require.Contains(t, shown, "-  - https://master-2:2379")
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no settings", Params: "{member: a, config: DIR/none}", Error: "none"},
	)
}

// TestRemovedBefore: a run that was killed after its last edit, of the inventory,
// finds nobody of that name, and has nothing left to do.
func TestRemovedBefore(t *testing.T) {
	all := membertest.Cluster(3, "3.4.23")
	require.Contains(t, membertest.Show(planned(t, "{member: etcd-9}", all)), "no member")
	made := planned(t, "{member: master-2, backup: no}", all)
	for _, st := range made.Changes() {
		if e, ok := st.Change.(*change.Exec); ok && e.NoReturn {
			all[0].Made = append(all[0].Made, e)
		}
	}
	require.Len(t, all[0].Made, 1)
	require.Contains(t, membertest.Show(planned(t, "{member: etcd-9}", all)), "etcd-9 is no member of the cluster: this run has removed it")
}
