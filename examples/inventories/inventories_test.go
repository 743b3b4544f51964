package inventories_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
)

func TestBastion(t *testing.T) {
	inv, err := inventory.Load([]string{"bastion"})
	require.NoError(t, err)
	require.Empty(t, inv.Warnings())
	require.Len(t, inv.Hosts(), 12)
	for host, user := range map[string]string{"master1.example.com": "ocpadmin", "etcd2.example.com": "etcdadmin", "node06.example.com": "ocpadmin"} {
		vars, _ := inv.Vars(host).Any().(map[string]any)
		c, err := inv.Connection(host, vars)
		require.NoError(t, err)
		require.Equal(t, user, c.User)
		require.Equal(t, []string{"-o", "ProxyJump=jump@bastion.example.com"}, c.CommonArgs)
	}
	_, port, ok := inv.Origin("node06.example.com", "ansible_port")
	require.True(t, ok)
	require.Equal(t, "bastion/host_vars/node06.example.com.yml:3:15", port.Pos.String())
}
