package change_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

func TestLabReboot(t *testing.T) {
	labtest.Asked(t)
	t.Parallel()
	l := labtest.Own(t, labtest.Options{Nodes: 1})
	ctx := context.Background()
	name := l.Hosts()[0].Name
	h := change.Host{Name: name, Conn: labtest.DialHost(t, l, name), As: "root", Run: "labreboot", Now: time.Now}
	h.Reader = reader.New(h.Conn, "root")
	id := strings.TrimSpace(run(t, h, "cat /proc/sys/kernel/random/boot_id"))
	var rebooted *change.RebootError

	// It does not go: shutdown does nothing.
	run(t, h, "mkdir -p /usr/local/sbin; printf '#!/bin/sh\\nexit 0\\n' >/usr/local/sbin/shutdown; chmod 755 /usr/local/sbin/shutdown; mv /usr/sbin/shutdown /usr/sbin/shutdown.away")
	again := dialer(t, l, name)
	h.Redial = again
	_, err := change.Apply(ctx, h, &change.Reboot{BootID: id, Limit: 5 * time.Second})
	require.ErrorAs(t, err, &rebooted)
	require.EqualError(t, err, "did not go down: it has the same boot id within 5s")
	run(t, h, "mv /usr/sbin/shutdown.away /usr/sbin/shutdown; rm /usr/local/sbin/shutdown")

	c := &change.Reboot{BootID: id, Limit: 2 * time.Minute, Message: "test it's \"so\"", Test: []string{"systemctl", "is-active", "ssh"}}
	where(t, h, c, change.Before)
	out, err := change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.True(t, out.Rebooted)
	fresh, err := again(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { fresh.Close() })
	h.Conn, h.Reader = fresh, reader.New(fresh, "root")
	require.NotEqual(t, id, strings.TrimSpace(run(t, h, "cat /proc/sys/kernel/random/boot_id")))
	where(t, h, c, change.After)
	out, err = change.Apply(ctx, h, c) // as a resume does
	require.NoError(t, err)
	require.False(t, out.Changed)

	// It goes and does not come back.
	run(t, h, "systemctl disable ssh.service ssh.socket >/dev/null 2>&1; systemctl mask ssh.service ssh.socket >/dev/null 2>&1 || :")
	_, err = change.Apply(ctx, h, &change.Reboot{Limit: 8 * time.Second})
	require.ErrorAs(t, err, &rebooted)
	require.Equal(t, "did not come back", rebooted.What)
}

func dialer(t *testing.T, l *labtest.Lab, name string) func(context.Context) (conn.Conn, error) {
	target := labtest.Connections(t, l.Inventory())[name].Target
	d := ssh.New(ssh.Options{Home: t.TempDir(), ConfigFile: "none", Agent: "none", SSHProgram: "none"})
	t.Cleanup(func() { d.Close() })
	return func(ctx context.Context) (conn.Conn, error) { return d.Dial(ctx, target) }
}

func TestRebootRefused(t *testing.T) {
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	for _, redial := range []func(context.Context) (conn.Conn, error){nil, func(context.Context) (conn.Conn, error) { return c, nil }} {
		_, err = change.Apply(context.Background(), change.Host{Conn: c, Redial: redial}, &change.Reboot{BootID: strings.TrimSpace(string(id))})
		require.ErrorContains(t, err, "not rebooted")
	}
}
