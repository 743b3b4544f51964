package reader_test

import (
	"context"
	"testing"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

func connect(t *testing.T, l *labtest.Lab, host *labtest.Host) conn.Conn {
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none", ConfigFile: "none", SSHProgram: "none"})
	t.Cleanup(func() { d.Close() })
	c, err := d.Dial(t.Context(), conn.Target{Name: host.Name, Address: host.IP, User: "operator", KeyFile: l.Key(),
		CommonArgs: []string{"-o", "UserKnownHostsFile=" + l.KnownHosts()}})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestLabUnits(t *testing.T) {
	l, ctx := labtest.Need(t), context.Background()
	c := connect(t, l, l.Hosts()[0])
	r := reader.New(c, "")
	// sshd is an alias of ssh; the same unit is asked for three times.
	units, err := r.Units(ctx, "sshd", "no-such-unit", "ssh.service", "ssh", "systemd-firstboot", "dbus.socket", "getty@tty9")
	require.NoError(t, err)
	require.Equal(t, "sshd.service", units[0].Name)
	require.Equal(t, "ssh.service", units[0].ID)
	require.Empty(t, units[1].ID+units[2].ID)
	require.Equal(t, units[2].Key(), units[0].Key())
	require.True(t, units[0].Active() && units[2].Active())
	require.Equal(t, units[2], units[3])
	require.False(t, units[1].Exists())
	require.Equal(t, "no-such-unit.service", units[1].Name)
	require.True(t, units[4].Masked())
	require.Equal(t, "dbus.socket", units[5].Name)
	require.True(t, units[5].Active())
	for name, code := range map[string]int{"ssh": 0, "no-such-unit": 3} {
		res, err := r.Probe(ctx, "systemctl", "is-active", name)
		require.NoError(t, err)
		require.Equal(t, code, res.Code)
	}
	// What only root may see.
	_, err = r.Stat(ctx, "/root/.ssh")
	require.Error(t, err)
	files, err := reader.New(c, "root").Hash(ctx, "/etc/shadow")
	require.NoError(t, err)
	require.Len(t, files[0].SHA256, 64)
	packages, err := r.Packages(ctx)
	require.NoError(t, err)
	require.Greater(t, len(packages), 50)
}

// A unit whose files went and came back behind systemd's back is as the files
// have it, not as systemd remembers it.
func TestLabUnitsThatNeedAReload(t *testing.T) {
	l, ctx := labtest.Need(t), context.Background()
	host := l.Hosts()[0]
	c := connect(t, l, host)
	as := func(script string) {
		out, err := host.Exec(ctx, "sh", "-c", "cd /etc/systemd/system; "+script)
		require.NoError(t, err, out)
	}
	const file = "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >stale.service"
	t.Cleanup(func() {
		as("rm -f stale.service multi-user.target.wants/stale.service; systemctl stop stale; systemctl daemon-reload")
	})
	look := func() reader.Unit {
		units, err := reader.New(c, "root").Units(ctx, "dbus", "stale", "no-such-unit")
		require.NoError(t, err)
		require.Equal(t, "static", units[0].UnitFileState)
		return units[1]
	}
	as(file + "; systemctl daemon-reload; systemctl enable -q --now stale")
	require.Equal(t, "enabled", look().UnitFileState)
	as("rm stale.service multi-user.target.wants/stale.service")
	require.Empty(t, look().UnitFileState)
	as(file)
	u := look()
	require.True(t, u.NeedReload && u.Active() && !u.Enabled(), u)
}
