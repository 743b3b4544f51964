package etcdreplace

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdmember/membertest"
	"github.com/dayops/dayops/tasks/tasktest"
)

func planned(t *testing.T, params string, all []membertest.Host) task.Plan {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(params))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	in := input{Now: membertest.Now()}
	for _, h := range all {
		x := task.HostInput[Params, State]{Groups: h.Groups, Reach: h.Reach, Err: h.Err}
		x.Host, x.Target, x.Facts, x.State = h.Name, h.Name, h.Facts, h.State
		if h.Err == nil {
			x.Params = p.(Params)
		}
		in.Hosts = append(in.Hosts, x)
	}
	plan, err := replace{}.Plan(in)
	require.NoError(t, err)
	return plan
}

func spare(name, address string) membertest.Host {
	return membertest.Spare(name, address, "3.4.23-1.el7")
}

func TestPlans(t *testing.T) {
	for name, make := range map[string]func(all []membertest.Host){
		"alive": func([]membertest.Host) {},
		"lost":  func(all []membertest.Host) { membertest.Lost(&all[2], errors.New("no route")) },
	} {
		t.Run(name, func(t *testing.T) {
			all := append(membertest.Cluster(3, "3.4.23"), spare("etcd-3", "192.168.55.21"))
			make(all)
			params := "{member: master-2, inventory: no}"
			if name == "lost" {
				params = "{member: master-2, inventory: no, masters: no}"
			}
			got := membertest.Show(planned(t, params, all))
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
		make func(all []membertest.Host) []membertest.Host
		want string
	}{
		"nobody to come": {func(all []membertest.Host) []membertest.Host { return all[:3] }, "one host is to take its place, and 0 of the group new_etcd are in the play"},
		"two to come": {func(all []membertest.Host) []membertest.Host { return append(all, spare("etcd-4", "192.168.55.22")) },
			"one host is to take its place, and 2 of"},
		"another is down": {func(all []membertest.Host) []membertest.Host { membertest.Down(&all[1]); return all }, "member master-1 does not answer"},
		"quorum lost": {func(all []membertest.Host) []membertest.Host {
			membertest.Down(&all[1])
			membertest.Down(&all[2])
			return all
		}, "quorum lost: 3 voters, 1 healthy, 2 needed"},
		"nobody healthy, and a peer URL of no use": {func(all []membertest.Host) []membertest.Host {
			for i := range all[:3] {
				all[i].State.Live.Members[0].PeerURLs, all[i].State.Live.Health = []string{"http://localhost:2380"}, etcd.Health{Error: "deadline"}
			}
			return all
		}, "quorum lost: 3 voters, 0 healthy, 2 needed  -> nothing can be changed"},
		"the only member": {func(all []membertest.Host) []membertest.Host {
			only := membertest.Cluster(1, "3.4.23")[0]
			only.Name, only.State.Live.Members[0].Name = "master-2", "master-2"
			return []membertest.Host{only, all[3]}
		}, "no healthy voter beside it is on a host that could be read  -> grow first: dayops run builtin:etcd-scaleup.yml, then builtin:etcd-remove.yml"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planned(t, "{member: master-2}", c.make(append(membertest.Cluster(3, "3.4.23"), spare("etcd-3", "192.168.55.21"))))
			require.Empty(t, p.Changes())
			tasktest.Hinted(t, p)
			require.Contains(t, membertest.Show(p), c.want)
		})
	}
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no settings", Params: "{member: a, config: DIR/none}", Error: "none"},
	)
}
