package labtest

import (
	"context"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/stretchr/testify/require"
)

// Connections loads an inventory and returns how each host is reached.
func Connections(t testing.TB, path string) map[string]inventory.Connection {
	t.Helper()
	inv, err := inventory.Load([]string{path})
	require.NoError(t, err)
	require.Empty(t, inv.Warnings())
	out := map[string]inventory.Connection{}
	for _, h := range inv.Hosts() {
		vars, ok := inv.Vars(h).Any().(map[string]any)
		require.True(t, ok)
		c, err := inv.Connection(h, vars)
		require.NoError(t, err)
		out[h] = c
	}
	require.NotEmpty(t, out)
	return out
}

// Dial connects to a host over SSH, with no configuration and no agent but what c says.
func Dial(t testing.TB, c inventory.Connection) conn.Conn {
	t.Helper()
	d := ssh.New(ssh.Options{Home: t.TempDir(), ConfigFile: "none", Agent: "none", SSHProgram: "none"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := d.Dial(ctx, c.Target)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		_ = d.Close()
	})
	return conn
}

// DialHost connects to a lab host as its inventory says: as operator, who may become root.
func DialHost(t testing.TB, l *Lab, name string) conn.Conn {
	t.Helper()
	c, ok := Connections(t, l.Inventory())[name]
	require.True(t, ok, "no host %s in the lab", name)
	return Dial(t, c)
}
