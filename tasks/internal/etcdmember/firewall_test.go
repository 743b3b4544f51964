package etcdmember

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// Where firewalld runs it lets the ports in, now and after a boot, whatever the
// iptables service is; what is open already is left. Each command tells whether
// it is done by a probe that reads, and has its inverse.
func TestOpenPorts(t *testing.T) {
	active := func(name string) reader.Unit {
		return reader.Unit{Name: name, LoadState: "loaded", ActiveState: "active"}
	}
	both := []reader.Unit{active("firewalld.service"), active("iptables.service")}
	open := map[string]bool{"2379": true, "2380": true}
	drop := []string{"-P INPUT DROP"}
	for name, c := range map[string]struct {
		room         Room
		how, address string
		want         []string
		note         string
		blocked      string
	}{
		"firewalld": {Room{Units: both, Rules: Rules{Tool: true}}, "auto", "10.0.0.1", []string{
			"open port 2379 in firewalld, now", "open port 2379 in firewalld, after a boot", "open port 2380 in firewalld, now", "open port 2380 in firewalld, after a boot"}, "firewalld", ""},
		"firewalld, IPv6": {Room{Units: both, Rules: Rules{Ports: open, Forever: map[string]bool{"2379": true}}}, "auto", "fd00::1", []string{
			"open port 2380 in firewalld, after a boot"}, "firewalld", ""},
		"all open": {Room{Units: both, Rules: Rules{Ports: open, Forever: open}}, "auto", "10.0.0.1", nil, "firewalld", ""},
		"iptables": {Room{Units: both[1:], Rules: Rules{Tool: true, Input: []string{"-A INPUT -j OS_FIREWALL_ALLOW"}, Chain: []string{}}}, "auto", "10.0.0.1", []string{
			"let port 2379 in", "let port 2380 in", "write "}, "iptables, chain OS_FIREWALL_ALLOW", ""},
		"iptables, IPv6":  {Room{Units: both[1:], Rules: Rules{Tool: true}}, "auto", "fd00::1", nil, "", "its address is one of IPv6"},
		"by nobody known": {Room{Rules: Rules{Tool: true, Input: drop}}, "auto", "10.0.0.1", nil, "", "neither firewalld nor the iptables service"},
		"no filter":       {Room{Rules: Rules{Tool: true, Input: []string{"-P INPUT ACCEPT"}}}, "auto", "fd00::1", nil, "no packet filter is in use", ""},
		"left alone":      {Room{Units: both, Rules: Rules{Tool: true, Input: drop}}, "none", "10.0.0.1", nil, "the packet filter is left alone", ""},
	} {
		changes, note, blocked := openPorts(c.room, c.how, c.address)
		require.Len(t, changes, len(c.want), name)
		require.Equal(t, c.note, note, name)
		require.Contains(t, blocked, c.blocked, name)
		require.Equal(t, c.blocked == "", blocked == "", name)
		for i, x := range changes {
			require.Contains(t, x.Summary(), c.want[i], name)
			e, ok := x.(*change.Exec)
			if !ok {
				continue
			}
			require.Equal(t, change.Exact, e.Reversal().Class)
			require.NoError(t, reader.CheckProbe(e.Done.Argv), name)
			require.NoError(t, reader.CheckProbe(e.Undo[0].Done.Argv), name)
		}
	}
}
