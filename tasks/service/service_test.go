package service

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

func decode(t *testing.T, params string) (Params, error) {
	t.Helper()
	n, err := strictyaml.Parse("f.yml", []byte(params))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	if err != nil {
		return Params{}, err
	}
	return p.(Params), nil
}

var (
	running = reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "active", SubState: "running", UnitFileState: "enabled"}
	stopped = reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "inactive", SubState: "dead", UnitFileState: "disabled"}
)

func with(u reader.Unit, f func(*reader.Unit)) reader.Unit { f(&u); return u }

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name, params string
		unit         reader.Unit
		want         string // summary of the change; "" none
		fails        string
	}{
		{name: "runs already", params: "{name: etcd, state: started, enabled: true}", unit: running},
		{name: "starts", params: "{name: etcd, state: started}", unit: stopped, want: "start etcd.service"},
		{name: "starts and enables", params: "{name: etcd, state: started, enabled: true}", unit: stopped, want: "enable, start etcd.service"},
		{name: "is starting", params: "{name: etcd, state: started}", unit: with(stopped, func(u *reader.Unit) { u.ActiveState = "activating" })},
		{name: "failed", params: "{name: etcd, state: started}", unit: with(stopped, func(u *reader.Unit) { u.ActiveState = "failed" }), want: "start etcd.service"},
		{name: "stops", params: "{name: etcd.service, state: stopped}", unit: running, want: "stop etcd.service"},
		{name: "stopped already", params: "{name: etcd, state: stopped, enabled: false}", unit: stopped},
		{name: "restarts", params: "{name: etcd, state: restarted}", unit: running, want: "restart etcd.service"},
		{name: "restart starts", params: "{name: etcd, state: restarted}", unit: stopped, want: "restart etcd.service"},
		{name: "reloads", params: "{name: etcd, state: reloaded}", unit: running, want: "reload etcd.service"},
		{name: "reload starts", params: "{name: etcd, state: reloaded}", unit: stopped, want: "start etcd.service"},
		{name: "static counts as enabled", params: "{name: etcd, enabled: true}", unit: with(running, func(u *reader.Unit) { u.UnitFileState = "static" })},
		{name: "static cannot be disabled", params: "{name: etcd, enabled: false}", unit: with(running, func(u *reader.Unit) { u.UnitFileState = "static" })},
		{name: "enabled for now only", params: "{name: etcd, enabled: true}", unit: with(running, func(u *reader.Unit) { u.UnitFileState = "enabled-runtime" }), want: "enable etcd.service"},
		{name: "masks", params: "{name: etcd, masked: true, state: stopped}", unit: running, want: "stop, mask etcd.service"},
		{name: "unmasks and starts", params: "{name: etcd, masked: false, state: started}", unit: with(stopped, func(u *reader.Unit) { u.LoadState, u.UnitFileState = "masked", "masked" }), want: "unmask, start etcd.service"},
		{name: "masked", params: "{name: etcd, state: started}", unit: with(stopped, func(u *reader.Unit) { u.LoadState, u.UnitFileState = "masked", "masked" }), fails: "is masked"},
		{name: "unit file changed", params: "{name: etcd, daemon_reload: true}", unit: with(running, func(u *reader.Unit) { u.NeedReload = true }), want: "daemon-reload etcd.service"},
		{name: "unit file as it was", params: "{name: etcd, daemon_reload: true}", unit: running},
		{name: "reload before start", params: "{name: etcd, daemon_reload: true, state: started}", unit: stopped, want: "daemon-reload, start etcd.service"},
		{name: "not there", params: "{name: etcd, state: stopped}", unit: reader.Unit{Name: "etcd.service", LoadState: "not-found"}, fails: "there is no unit etcd.service"},
		{name: "timer", params: "{name: x.timer, state: started}", unit: with(stopped, func(u *reader.Unit) { u.Name = "x.timer" }), want: "start x.timer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := decode(t, c.params)
			require.NoError(t, err)
			plan, err := servicer{}.Plan(task.Input[Params, State]{Host: "h", Params: p, State: State{Unit: c.unit}, Now: time.Time{}})
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			got := ""
			for _, s := range plan.Changes() {
				got += s.Change.Summary()
				require.LessOrEqual(t, s.Change.Risk(), Define().MaxRisk(p))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestRiskAndKind(t *testing.T) {
	for params, want := range map[string]struct {
		risk change.Risk
		kind task.Kind
	}{
		"{name: etcd, state: started}":    {change.Safe, task.State},
		"{name: etcd, state: stopped}":    {change.Disruptive, task.State},
		"{name: etcd, state: restarted}":  {change.Disruptive, task.Action},
		"{name: chronyd, state: stopped}": {change.Safe, task.State},
		"{name: etcd, state: reloaded}":   {change.Safe, task.Action},
		"{name: etcd, enabled: false}":    {change.Safe, task.State},
	} {
		p, err := decode(t, params)
		require.NoError(t, err)
		require.Equal(t, want.risk, Define().MaxRisk(p), params)
		require.Equal(t, want.kind, Define().Kind(p), params)
	}
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{state: started}":                          `missing "name"`,
		"{name: a}":                                 `give "state"`,
		"{name: 'a b', state: started}":             "a b",
		"{name: -a, state: started}":                "-a",
		"{name: a, state: running}":                 "must be one of started",
		"{name: a, state: started, masked: true}":   "cannot be started",
		"{name: a, state: started, enabled: maybe}": "enabled",
	} {
		_, err := decode(t, params)
		require.ErrorContains(t, err, want, params)
	}
}

const unitFile = "[Unit]\\nDescription=tasktest\\n[Service]\\nExecStart=/bin/sleep infinity\\nExecReload=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n"

// The unit lies in /usr/lib, where it can also be masked.
func install(name string, commands string) func(*testing.T, *tasktest.Host) {
	return func(t *testing.T, h *tasktest.Host) {
		path := "/usr/lib/systemd/system/" + name + ".service"
		t.Cleanup(func() {
			remote.Shell(t, h, "systemctl stop "+name+"; systemctl disable "+name+"; systemctl unmask "+name+"; rm -f "+path+"; systemctl daemon-reload; systemctl reset-failed "+name+" || :")
		})
		remote.Shell(t, h, "printf '"+unitFile+"' >"+path+" && systemctl daemon-reload; "+commands)
	}
}

func TestOnALabHost(t *testing.T) {
	connect := remote.Lab(t)
	const name = "tasktest-service"
	tasktest.Run(t, Define(), connect,
		tasktest.Case{Name: "start and enable", Params: "{name: " + name + ", state: started, enabled: true}", Prepare: install(name, ":"), Changes: "unit",
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Equal(t, "started", res["state"])
				require.Equal(t, true, res["enabled"])
				require.Equal(t, name+".service", res["name"])
			}},
		tasktest.Case{Name: "as it is", Params: "{name: " + name + ", state: started}", Prepare: install(name, "systemctl start "+name)},
		tasktest.Case{Name: "stop and mask", Params: "{name: " + name + ", state: stopped, masked: true}", Prepare: install(name, "systemctl start "+name), Changes: "unit"},
		tasktest.Case{Name: "unmask and start", Params: "{name: " + name + ", state: started, masked: false}", Prepare: install(name, "systemctl mask "+name), Changes: "unit"},
		tasktest.Case{Name: "restart", Params: "{name: " + name + ", state: restarted}", Prepare: install(name, "systemctl start "+name), Changes: "unit"},
		tasktest.Case{Name: "reload", Params: "{name: " + name + ", state: reloaded}", Prepare: install(name, "systemctl start "+name), Changes: "unit"},
		tasktest.Case{Name: "not there", Params: "{name: tasktest-none, state: started}", Error: "there is no unit", Missing: true},
	)
}

// A name that only the run knows may be that of anything.
func TestRiskOfAnUnknownName(t *testing.T) {
	for text, want := range map[string]change.Risk{
		"{name: lab-sample, state: restarted}":   change.Safe,
		"{name: etcd, state: restarted}":         change.Disruptive,
		"{name: '{{ unit }}', state: restarted}": change.Disruptive,
		"{name: '{{ unit }}', state: started}":   change.Safe,
	} {
		n, err := strictyaml.Parse("p.yml", []byte(text))
		require.NoError(t, err)
		def := Define()
		p, err := def.Decode(n, func(n *strictyaml.Node) bool { return strings.Contains(n.Raw, "{{") })
		require.NoError(t, err)
		require.Equal(t, want, def.MaxRisk(p), text)
	}
}
