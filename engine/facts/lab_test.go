package facts_test

import (
	"context"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/facts"
	"github.com/stretchr/testify/require"
)

func TestLabFacts(t *testing.T) {
	l := labtest.Need(t)
	host := l.Hosts()[0]
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none", ConfigFile: "none", SSHProgram: "none"})
	defer d.Close()
	c, err := d.Dial(context.Background(), conn.Target{Name: host.Name, Address: host.IP, User: "operator", KeyFile: l.Key(),
		CommonArgs: []string{"-o", "UserKnownHostsFile=" + l.KnownHosts()}})
	require.NoError(t, err)
	defer c.Close()
	h, err := facts.Gather(context.Background(), c, time.Now)
	require.NoError(t, err)
	require.Equal(t, "operator", h.Login)
	require.Equal(t, host.IP, h.Addresses[0])
	require.Equal(t, 252, h.Systemd)
	require.Equal(t, "systemd", h.Init)
	require.Equal(t, "apt", h.Packager)
	require.Equal(t, "debian", h.OS.Family())
	require.Less(t, h.Skew.Abs(), 5*time.Second)
	a := h.Ansible()
	require.Equal(t, "Debian", a["distribution"])
	require.Equal(t, "12", a["distribution_major_version"])
	require.Equal(t, "systemd", a["service_mgr"])
	require.Equal(t, "/home/operator", a["user_dir"])
	t.Logf("%+v", h)
}
