package etcdscaleup

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdmember/membertest"
)

// A controller that died between a file and the restart that makes it count is
// followed by one that restarts, once.
func TestRestartsAreOwed(t *testing.T) {
	all := append(membertest.Cluster(1, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))
	first := membertest.Show(planned(t, "{inventory: no}", all))
	require.Contains(t, first, "master-restart api")
	plan := planned(t, "{inventory: no}", all)
	var master, flannel *change.Write
	var restart change.Change
	for _, st := range plan.Changes() {
		if w, ok := st.Change.(*change.Write); ok && strings.HasSuffix(w.Path, "master-config.yaml") {
			master = w
		} else if ok && strings.HasSuffix(w.Path, "flanneld") {
			flannel = w
		}
		if e, ok := st.Change.(*change.Exec); ok && e.Argv[0] == "master-restart" {
			restart = e
		}
	}
	require.NotNil(t, master)
	require.NotNil(t, restart)
	all[0].State.Rest.Master.Text, all[0].State.Rest.Flannel.Text = master.After.Bytes, flannel.After.Bytes
	again := func(made ...change.Change) string {
		return membertest.Show(plannedAfter(t, "{inventory: no}", all, map[string][]change.Change{"master-0": made}))
	}
	require.NotContains(t, again(), "master-restart api")
	out := again(master)
	require.Contains(t, out, "master-restart api")
	require.Contains(t, out, "wait for the API server of master-0")
	require.NotContains(t, out, "write /etc/origin")
	require.NotContains(t, again(master, restart), "master-restart api")
	require.Contains(t, again(master, restart, master), "master-restart api")
}

func plannedAfter(t *testing.T, params string, all []membertest.Host, made map[string][]change.Change) task.Plan {
	t.Helper()
	in := input{Now: membertest.Now()}
	for _, h := range all {
		x := task.HostInput[Params, State]{Groups: h.Groups, Made: made[h.Name]}
		x.Host, x.Target, x.Facts, x.State, x.Params = h.Name, h.Name, h.Facts, h.State, decode(t, params)
		in.Hosts = append(in.Hosts, x)
	}
	p, err := scaleup{}.Plan(in)
	require.NoError(t, err)
	return p
}
