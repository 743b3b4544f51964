package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// restarts are the times, in seconds since the boot of this machine, between
// which each etcd last stopped and was ready again. The hosts share one kernel,
// so one clock.
func restarts(t *testing.T, hosts []*labtest.Host) (spans [][2]float64) {
	t.Helper()
	for _, h := range hosts {
		out := on(t, h, "systemctl show -p InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic,ActiveExitTimestampMonotonic etcd")
		at := map[string]float64{}
		for line := range strings.Lines(out) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			us, err := strconv.ParseFloat(v, 64)
			require.NoError(t, err, out)
			at[k] = us / 1e6
		}
		spans = append(spans, [2]float64{at["ActiveExitTimestampMonotonic"], at["ActiveEnterTimestampMonotonic"]})
	}
	return spans
}

// TestEtcdQuorumGate: whatever task stops a member, the votes are counted first.
func TestEtcdQuorumGate(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 3})
	h := l.Hosts()
	d := newDesk(t, l.Inventory())
	play := func(keys, tasks string) string {
		return d.file(fmt.Sprintf("p%d.yml", time.Now().UnixNano()), "- hosts: etcd\n  become: yes\n  gather_facts: no\n"+keys+"  tasks:\n"+tasks)
	}
	well := func() {
		t.Helper()
		programtest.Eventually(t, 40*time.Second, "healthy", func() bool { return d.run("run", "etcd-health.yml").code == 0 })
	}
	well()

	// Three hosts that restart etcd in one play never do it together.
	for _, keys := range []string{"", "  serial: 3\n"} {
		before := restarts(t, h)
		d.must(0, "run", play(keys, "    - service: {name: etcd, state: restarted}\n"), "-y")
		spans := restarts(t, h)
		for i, a := range spans {
			require.Greater(t, a[0], before[i][1], "%s was restarted", h[i].Name)
			for j, b := range spans {
				require.False(t, i < j && a[0] < b[1] && b[0] < a[1], "%s and %s were down together: %v", h[i].Name, h[j].Name, spans)
			}
		}
	}

	// What is put off is waited for: the run is over when the member was away and is back.
	before := restarts(t, h)
	d.must(0, "run", play("", "    - shell: (sleep 5; systemctl restart etcd) >/dev/null 2>&1 &\n"), "-y", "-l", h[0].Name)
	spans := restarts(t, h)
	require.Greater(t, spans[0][0], before[0][1])
	require.Greater(t, spans[0][1], spans[0][0])

	// The data of one that runs stay, whoever would take them and whatever the votes.
	runs := fmt.Sprintf("3 voters, 3 healthy; taking away the data of %s leaves 2, 2 are needed: it runs", h[1].Name)
	takes := []string{"file: {path: /var/lib/etcd, state: absent}", "file: {path: /var/lib/etcd/LEAF/member, state: absent}", "command: rm -rf /var/lib/etcd",
		"shell: cd /var/lib && mv etcd etcd.old", "shell: rm -rf /var/lib/etcd/*"}
	at := strings.TrimSpace(on(t, h[1], "find /var/lib/etcd -type d -name member"))
	require.NotEmpty(t, at)
	for _, take := range takes {
		for _, how := range []string{"-y", "-C"} {
			o := d.must(6, "run", play("", "    - "+strings.ReplaceAll(take, "/var/lib/etcd/LEAF/member", at)+"\n"), how, "-l", h[1].Name)
			require.Contains(t, o.out+o.err, runs, take)
		}
	}
	require.Equal(t, at+"\n", on(t, h[1], "find /var/lib/etcd -type d -name member"))
	on(t, h[1], "ln -s $(systemctl show -p FragmentPath etcd | cut -d= -f2) /etc/systemd/system/etcd2.service && systemctl daemon-reload")
	aside := "    - file: {path: " + at + ", state: absent}\n"
	whole := play("", "    - service: {name: etcd2, state: stopped}\n    - service: {name: etcd, state: stopped}\n"+aside)
	o := d.must(0, "run", whole, "-C", "-l", h[1].Name)
	require.Regexp(t, `changed=2`, o.out, "a unit by two names is stopped once, and then its data are nobody's")
	d.must(0, "run", whole, "-y", "-l", h[1].Name)
	require.Empty(t, on(t, h[1], "find /var/lib/etcd -type d -name member"))
	d.must(0, "undo", "-y")
	require.Equal(t, at+"\n", on(t, h[1], "find /var/lib/etcd -type d -name member"))
	well()

	// The second stop of one play is refused before the first is done.
	stop := play("", "    - service: {name: etcd, state: stopped}\n")
	o = d.must(6, "run", stop, "-y")
	require.Regexp(t, `3 voters, 2 healthy; stopping \S+ leaves 1, 2 are needed`, o.out)
	require.Contains(t, o.out, "nothing was done on any host")
	require.Equal(t, "active\n", on(t, h[0], "systemctl is-active etcd"))
	o = d.must(6, "run", stop, "-C")
	require.Regexp(t, `3 voters, 2 healthy; stopping \S+ leaves 1, 2 are needed`, o.out)

	d.must(0, "run", stop, "-y", "-l", h[2].Name)
	sum := fmt.Sprintf("3 voters, 2 healthy; stopping %s leaves 1, 2 are needed", h[1].Name)
	refused := func(sum string, args ...string) {
		t.Helper()
		o := d.must(6, args...)
		require.Contains(t, o.out+o.err, sum)
		require.Contains(t, o.out+o.err, "--lose-quorum "+h[1].Name)
		require.Equal(t, "active\n", on(t, h[1], "systemctl is-active etcd"))
	}
	refused(sum, "run", stop, "-y", "-l", h[1].Name)
	refused(sum, "run", play("", "    - command: systemctl stop etcd\n"), "-y", "-l", h[1].Name)
	refused(sum, "run", play("", "    - shell: sleep 0; sudo -n kill -9 $(pidof etcd)\n"), "-y", "-l", h[1].Name)
	refused(strings.ReplaceAll(sum, "stopping", "taking away the data of"), "run", play("", "    - file: {path: /var/lib/etcd, state: absent}\n"), "-y", "-l", h[1].Name)
	refused(sum, "exec", h[1].Name, "-b", "-y", "--", "systemctl", "stop", "etcd")
	down := strings.ReplaceAll(sum, "stopping", "rebooting the host of")
	refused(down, "run", play("", "    - reboot: {}\n"), "-y", "-l", h[1].Name)
	refused(strings.ReplaceAll(sum, "stopping", "restarting"), "run", play("", "    - service: {name: etcd, state: restarted}\n"), "-y", "-l", h[1].Name)
	refused(strings.ReplaceAll(sum, "stopping", "restarting"), "run", play("  handlers:\n    - {name: again, service: {name: etcd, state: restarted}}\n",
		"    - {command: 'true', notify: again}\n"), "-y", "-l", h[1].Name)
	refused(strings.ReplaceAll(sum, "stopping", "removing the packages of"), "run", play("", "    - package: {name: etcd-server, state: absent}\n"), "-y", "-l", h[1].Name)

	// One that is down costs nothing, and its start needs nobody's leave.
	d.must(0, "run", play("", "    - service: {name: etcd, state: restarted}\n"), "-y", "-l", h[2].Name)
	well()

	// An undo is weighed as any other.
	d.must(0, "run", stop, "-y", "-l", h[1].Name)
	d.must(0, "run", play("", "    - service: {name: etcd, state: started}\n"), "-y", "-l", h[1].Name)
	well()
	on(t, h[2], "systemctl stop etcd")
	refused(sum, "undo", "-y")
	d.must(0, "run", stop, "-y", "-l", h[1].Name, "--lose-quorum", h[1].Name)
}
