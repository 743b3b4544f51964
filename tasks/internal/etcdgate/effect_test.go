package etcdgate

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

var (
	yes, no = true, false

	asUnit = target{found: true, boots: true, names: []string{"etcd.service", "etcd2.service"}, holds: []string{"system.slice", "-.slice", "var-lib-etcd.mount"},
		Instance: etcd.Instance{Runtime: etcd.UnitRuntime, Unit: "etcd.service", Active: true}}
	asContainer = target{found: true, boots: true, holds: []string{"docker.service"},
		Instance: etcd.Instance{Runtime: etcd.Container, Unit: "etcd_container.service", Container: "etcd_container", Active: true}}
	asPod = target{found: true, boots: true, Instance: etcd.Instance{Runtime: etcd.PodRuntime, Manifest: "/etc/kubernetes/manifests/etcd.yaml", Container: "3f2a9c1d2e3f",
		Pod: reader.File{Exists: true, Path: "/etc/kubernetes/manifests/etcd.yaml"}}}
	plain = target{boots: true}
)

func run(words ...string) *change.Exec {
	if len(words) == 1 {
		return &change.Exec{Argv: []string{"/bin/sh", "-c", words[0]}, Class: change.Disruptive}
	}
	return &change.Exec{Argv: words, Class: change.Disruptive}
}

func TestEffect(t *testing.T) {
	stop := func(u string) change.Change { return &change.Unit{Name: u, Active: &no} }
	restart := func(u string) change.Change { return &change.Unit{Name: u, Restart: true} }
	have := func(n string) []reader.Package { return []reader.Package{{Name: n, Version: "1"}} }
	for _, c := range []struct {
		name                         string
		c                            change.Change
		unit, container, pod, nobody power
	}{
		{"stop", stop("etcd"), halts, as, as, as},
		{"restart", restart("etcd.service"), bounces, as, as, as},
		{"stop by an alias", stop("etcd2"), halts, as, as, as},
		{"start by an alias", &change.Unit{Name: "etcd2", Active: &yes}, starts, as, as, as},
		{"command by an alias", run("systemctl", "restart", "etcd2"), bounces, as, as, as},
		{"start", &change.Unit{Name: "etcd", Active: &yes}, starts, as, as, as},
		{"enable", &change.Unit{Name: "etcd", Enabled: &no}, as, as, as, as},
		{"its container's unit", stop("etcd_container"), as, halts, as, as},
		{"docker", restart("docker"), as, bounces, bounces, as},
		{"docker.socket", stop("docker.socket"), as, halts, halts, as},
		{"containerd", stop("containerd"), as, halts, halts, as},
		{"crio", restart("crio"), as, bounces, bounces, as},
		{"sshd", restart("sshd"), as, as, as, as},
		{"kubelet", restart("kubelet"), as, as, as, as},
		{"slice", stop("system.slice"), halts, halts, halts, as},
		{"mount of the data", stop("var-lib-etcd.mount"), halts, as, as, as},
		{"network", restart("network"), bounces, bounces, bounces, as},
		{"reboot", &change.Reboot{}, bounces, bounces, bounces, as},
		{"upgrade", &change.Package{Manager: "apt", Install: []string{"etcd-server"}, Latest: true, Before: have("etcd-server")}, bounces, as, as, as},
		{"rpm with its version", &change.Package{Manager: "yum", Install: []string{"etcd-3.2.28-1.el7"}, Before: have("etcd")}, bounces, as, as, as},
		{"removal", &change.Package{Manager: "yum", Remove: []string{"etcd"}, Before: have("etcd")}, halts, as, as, as},
		{"docker's upgrade", &change.Package{Manager: "yum", Install: []string{"docker-1.13.1"}, Before: have("docker")}, as, bounces, bounces, as},
		{"etcd's client", &change.Package{Manager: "apt", Install: []string{"etcd-client"}, Before: have("etcd-client")}, as, as, as, as},
		{"manifest away", &change.Move{From: "/etc/kubernetes/manifests/etcd.yaml", To: "/root/etcd.yaml"}, as, as, halts, as},
		{"folder away", &change.Move{From: "/etc/kubernetes/manifests", To: "/root/m"}, as, as, halts, as},
		{"another manifest", &change.Move{From: "/etc/kubernetes/manifests/api.yaml", To: "/root/api.yaml"}, as, as, as, as},
		{"manifest over it", &change.Move{From: "/root/etcd.yaml", To: "/etc/kubernetes/manifests/etcd.yaml", Over: &reader.File{}}, as, as, bounces, as},
		{"manifest removed", &change.Remove{Path: "/etc/kubernetes/manifests/etcd.yaml"}, as, as, halts, as},
		{"manifest written", &change.Write{Path: "/etc/kubernetes/manifests/etcd.yaml"}, as, as, bounces, as},
		{"manifest of another host", &change.Transfer{FromPeer: "m1", FromPath: "/root/etcd.yaml", ToFile: "/etc/kubernetes/manifests/etcd.yaml"}, as, as, bounces, as},
		{"a file", &change.Write{Path: "/etc/etcd/etcd.conf"}, as, as, as, as},
		{"bracket", &change.Bracket{Do: []change.Change{stop("etcd")}, Then: []change.Change{&change.Unit{Name: "etcd", Active: &yes}}}, bounces, as, as, as},
		{"bracket that stops", &change.Bracket{Do: []change.Change{run("true")}, Then: []change.Change{stop("etcd")}}, halts, as, as, as},
		{"command", run("systemctl", "stop", "etcd"), halts, as, as, as},
		{"command of both", run("systemctl stop etcd; sleep 1; systemctl start etcd"), bounces, as, as, as},
		{"unknown unit", run("systemctl stop $x"), halts, halts, halts, as},
		{"another unit", run("systemctl stop nginx"), as, as, as, as},
		{"poweroff", run("poweroff", "-f"), halts, halts, halts, as},
		{"reboot by command", run("reboot", "-f"), bounces, bounces, bounces, as},
		{"docker stop", run("docker", "stop", "etcd_container"), as, halts, halts, as},
		{"its ID", run("crictl", "stop", "3f2a9c"), as, halts, halts, as},
		{"another's ID", run("crictl", "stop", "aaaaaa"), as, halts, as, as},
		{"kill", run("kill", "-9", "123"), halts, halts, halts, as},
		{"pkill dockerd", run("pkill", "dockerd"), as, halts, halts, as},
		{"manifest by command", run("mv /etc/kubernetes/manifests/*.yaml /root/"), as, as, halts, as},
		{"master-restart", run("master-restart", "etcd"), as, bounces, bounces, as},
		{"an unknown command", run("/opt/stop-etcd.sh", "now"), as, as, as, as},
	} {
		for who, want := range map[*target]power{&asUnit: c.unit, &asContainer: c.container, &asPod: c.pod, &plain: c.nobody} {
			e := who.of(c.c)
			require.Equal(t, want, e.power, "%s on %+v", c.name, who.Instance.Runtime)
			if want >= halts {
				require.True(t, mayMatter(c.c), c.name)
				require.NotEmpty(t, e.doing, c.name)
			}
		}
	}
	off := asUnit
	off.boots = false
	require.Equal(t, halts, off.of(&change.Reboot{}).power, "it does not come back with the host")
}

// A stop behind which the plan has a start is a restart.
func TestNext(t *testing.T) {
	stop, start := &change.Unit{Name: "etcd", Active: &no}, &change.Unit{Name: "etcd", Active: &yes}
	require.Equal(t, halts, effects(asUnit, engine.Claim{Change: stop}).power)
	require.Equal(t, bounces, effects(asUnit, engine.Claim{Change: stop, Next: []change.Change{run("true"), start}}).power)
	away := &change.Move{From: asPod.Manifest, To: "/x/etcd.yaml"}
	require.Equal(t, bounces, effects(asPod, engine.Claim{Change: away, Next: []change.Change{&change.Wait{}, &change.Move{From: "/x/etcd.yaml", To: asPod.Manifest}}}).power)
	require.Equal(t, halts, effects(asUnit, engine.Claim{Change: run("poweroff", "-f"), Next: []change.Change{start}}).power)
}

func TestRestoreIsExempt(t *testing.T) {
	stop := &change.Unit{Name: "etcd", Active: &no}
	for _, c := range []engine.Claim{{Task: "etcd_restore", Change: stop}, {Task: "undo", Undoes: "etcd_restore", Change: stop}} {
		g := New(Options{})
		require.False(t, g.Concerned(t.Context(), c))
		release, err := g.Claim(t.Context(), c)
		require.NoError(t, err)
		require.Nil(t, release)
	}
}

func TestListens(t *testing.T) {
	const said = "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\nLISTEN 0      4096   10.0.0.1:2379       0.0.0.0:*\nLISTEN 0 128 [::]:22 [::]:*\nLISTEN 0 5 *:12380 *:*\n"
	for port, want := range map[string]bool{"2379": true, "22": true, "2380": false, "12380": true, "9": false} {
		require.Equal(t, want, listens(said, port), port)
	}
}

// A stopped pod is started again, also where nothing can be said of the host.
func TestStartIsNotRefused(t *testing.T) {
	c := engine.Claim{Host: "m1", Live: func(context.Context, string) (task.Reader, error) {
		return nil, errors.New("its settings cannot be read")
	}}
	back := &change.Move{From: "/etc/kubernetes/manifests-stopped/etcd.yaml", To: asPod.Manifest}
	for moved, refused := range map[*change.Move]bool{
		back: false,
		{From: back.From, To: back.To, Over: &reader.File{}}: true,
		{From: back.From, To: back.To, Force: true}:          true,
		{From: back.To, To: back.From}:                       true,
	} {
		c.Change = moved
		_, err := New(Options{}).Claim(t.Context(), c)
		require.Equal(t, refused, err != nil, "%+v: %v", moved, err)
	}
}
