package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// TestHonestReboot is the row of the table that start states do not outlive:
// five hosts, each in a state of its own, are planned, and then booted.
func TestHonestReboot(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: honestStates})
	h := l.Hosts()
	d := newDesk(t, l.Inventory())
	for i, state := range []string{
		":", // nothing is the matter
		"printf '[Service]\\nExecStart=/bin/false\\n' >/etc/systemd/system/h-failed.service; systemctl daemon-reload; systemctl start h-failed; :",
		"systemctl -q mask chrony; systemctl stop chrony",
		"touch /run/nologin.not /var/run/reboot-required", // gone after the boot
		"setsid sleep 1000 </dev/null >/dev/null 2>&1 & :",
	} {
		on(t, h[i], state)
	}
	boots := func() string {
		var ids []string
		for _, x := range h {
			ids = append(ids, strings.TrimSpace(on(t, x, "cat /proc/sys/kernel/random/boot_id")))
		}
		return strings.Join(ids, "\n")
	}
	before, boot := listings(t, h), boots()
	book := d.file("reboot.yml", fmt.Sprintf("- hosts: all\n  throttle: %d\n  tasks:\n    - name: boot\n      reboot: {test_command: systemctl is-active dbus.service}\n      register: back\n", honestStates))
	o := d.must(0, "plan", book)
	for _, x := range h {
		require.Contains(t, o.recap(x.Name), "changed=1", "%s", o)
	}
	same(t, before, listings(t, h))
	require.Equal(t, boot, boots(), "planning booted a host")
	o = d.must(6, "run", book)
	require.Equal(t, boot, boots(), "a host was booted without approval\n%s", o)

	o = d.must(0, "run", book, "-y")
	require.Contains(t, o.out, "(forecast: 5, 0 unknown)", "%s", o)
	for i, x := range h {
		require.Contains(t, o.recap(x.Name), "changed=1", "%s", o)
		require.NotEqual(t, strings.Split(boot, "\n")[i], strings.Split(boots(), "\n")[i])
	}
	t.Logf("%d forecasts: all came true, 0 were unknown", len(h))
	rebootProgram(t, l, h[0], h[3])
}
