//go:build soak

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// TestEtcdRestartOfStaticPods: a stand-in for the kubelet's part, no kubelet. The
// manifest leaves the folder and comes back; a controller that dies while it is away
// puts it back when it is taken up again. Alone, a member has nobody to be missed by.
func TestEtcdRestartOfStaticPods(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 1, Pods: true})
	h := l.Hosts()[0]
	d := newDesk(t, l.Inventory())
	programtest.Eventually(t, 60*time.Second, "healthy", func() bool { return d.run("run", "etcd-health.yml").code == 0 })
	before := on(t, h, "stat -c '%a %U %G %s' /etc/origin/node/pods/etcd.yaml; pgrep -x etcd")
	o := d.must(0, "run", "builtin:etcd-restart.yml", "-y")
	require.Contains(t, o.out, "the only voter is stopped for a moment")
	after := on(t, h, "stat -c '%a %U %G %s' /etc/origin/node/pods/etcd.yaml; pgrep -x etcd; ls /etc/origin/node/pods-stopped")
	require.Equal(t, strings.Fields(before)[:4], strings.Fields(after)[:4], "the manifest is as it was")
	require.NotEqual(t, strings.Fields(before)[4], strings.Fields(after)[4], "etcd was restarted")
	require.Len(t, strings.Fields(after), 5, "nothing is left on the shelf")

	j := d.command("run", "builtin:etcd-restart.yml", "-y").begin()
	programtest.Eventually(t, 60*time.Second, "the manifest is away", func() bool {
		return strings.Contains(on(t, h, "ls /etc/origin/node/pods-stopped"), "etcd.yaml")
	})
	require.NoError(t, j.cmd.Process.Signal(syscall.SIGKILL))
	j.wait()
	o = d.must(0, "resume", "-y")
	require.Empty(t, strings.TrimSpace(on(t, h, "ls /etc/origin/node/pods-stopped")), "%s", o)
	programtest.Eventually(t, 60*time.Second, "healthy", func() bool { return d.run("run", "etcd-health.yml").code == 0 })
}
