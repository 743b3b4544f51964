package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// bootStart counts what happens on the host: boots, and starts of the service
// that the handler restarts, each with the boot in which it was.
const bootStart = `mkdir /srv/boot; echo 127.0.1.1 reborn >>/etc/hosts
printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "cat /proc/sys/kernel/random/boot_id >>/srv/boot/boots"\n[Install]\nWantedBy=sysinit.target\n' >/etc/systemd/system/h-boots.service
printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c "cat /proc/sys/kernel/random/boot_id >>/srv/boot/handled"\n' >/etc/systemd/system/h-handled.service
systemctl daemon-reload; systemctl -q enable h-boots`

// bootBook reboots between a change that notifies and its handler. The name of
// the host is the fact that the boot changes.
const bootBook = `
- hosts: all
  tasks:
    - shell: echo {{ ansible_facts.hostname }} >>/srv/boot/names
    - copy: {dest: /etc/hostname, content: "reborn\n"}
      notify: counted
    - copy: {dest: /srv/boot/conf, content: "new\n"}
      notify: counted
    - copy: {dest: /run/h-marker, content: "gone with the boot\n"}
    - reboot: {test_command: systemctl is-active h-ready.service}
      register: back
    - stat: {path: /run/h-marker}
      register: marker
    - shell: echo {{ ansible_facts.hostname }} >>/srv/boot/names; cp /var/lib/dayops/lock /srv/boot/lock; systemctl is-active h-ready >>/srv/boot/ready
    - copy: {dest: /srv/boot/after, content: "{{ ansible_facts.hostname }}, rebooted {{ back.rebooted }}, marker {{ marker.stat.exists }}\n"}
    - shell: test ! -e /srv/boot/handled && echo yes >>/srv/boot/unhandled
  handlers:
    - name: counted
      service: {name: h-handled, state: restarted}
`

// bootReady is a service that is up when somebody says so, after the host takes logins.
const bootReady = `
printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c "until [ -e /srv/boot/go ]; do sleep 0.1; done"\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/h-ready.service
systemctl daemon-reload; systemctl -q enable h-ready; `

// bootLook is how it ended: once booted and once handled, both in the boot that is.
const bootLook = `cd /srv/boot; now=$(cat /proc/sys/kernel/random/boot_id)
for f in boots handled; do echo $f: $(sed "s/$now/in this boot/" $f); done
for f in names conf after ready unhandled /etc/hostname; do echo $f: $(cat $f); done
echo locked: $(sed -n "2p;10s/$now/in this boot/p" lock); systemctl is-active h-handled
cd /var/lib/dayops && ls -d lock runs runs/* 2>/dev/null; grep -ls DAYOPS_ID= /proc/[0-9]*/environ; :`

const bootEnd = `boots: in this boot
handled: in this boot
names: %[1]s reborn
conf: new
after: reborn, rebooted True, marker False
ready: active
unhandled: yes
/etc/hostname: reborn
locked: %[2]s in this boot
active
`

// rebootProgram runs a playbook around a boot, with a controller that is killed
// while the host is down; the long form also undisturbed.
func rebootProgram(t *testing.T, l *labtest.Lab, undisturbed, killed *labtest.Host) {
	t.Run("the program around a boot", func(t *testing.T) {
		t.Run("without root, and undisturbed", func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, l.Inventory())
			lockPerUser(t, newDesk(t, l.Inventory()), undisturbed)
			if os.Getenv("DAYOPS_SOAK") == "" {
				return
			}
			on(t, undisturbed, bootStart+bootReady+"touch /srv/boot/go")
			bootEnded(t, d, undisturbed, d.run("run", d.file("boot.yml", bootBook), "-y", "-l", undisturbed.Name))
		})
		t.Run("killed", func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, l.Inventory())
			on(t, killed, bootStart+bootReady)
			bootEnded(t, d, killed, bootKilled(t, d, killed))
		})
	})
}

// bootKilled begins a run whose controller is killed while the host is down,
// and ends it with a resume, which also waits for what the reboot was to wait for.
func bootKilled(t *testing.T, d *desk, h *labtest.Host) outcome {
	j := d.command("run", d.file("boot.yml", bootBook), "-y", "-l", h.Name).begin()
	programtest.Eventually(t, time.Minute, "the host is down", func() bool {
		c, err := net.DialTimeout("tcp", h.Addr(), time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	require.NoError(t, j.cmd.Process.Kill())
	o := j.wait()
	require.Equal(t, -1, o.code, "%s", o)
	require.NoError(t, h.WaitSSH(t.Context(), time.Minute))

	token := func() string { return on(t, h, "head -1 /var/lib/dayops/lock") }
	first := token()
	j = d.command("resume", "-y").begin()
	programtest.Eventually(t, time.Minute, "the lock is taken over", func() bool { return token() != first })
	time.Sleep(2 * time.Second) // time enough for what would not wait for test_command
	_, run := bootRun(t, d)
	journal, err := os.ReadFile(filepath.Join(run, "journal.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(journal), `"kind":"done"`), "the reboot counts as done before its test_command says so")
	on(t, h, "touch /srv/boot/go")
	o = j.wait()
	require.Contains(t, o.out, "4 changes are done, 1 are looked at", "%s", o)
	return o
}

// bootRun is the desk's only run, and its folder.
func bootRun(t *testing.T, d *desk) (id, dir string) {
	found, err := filepath.Glob(filepath.Join(d.home, "state/dayops/runs/*"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return filepath.Base(found[0]), found[0]
}

func bootEnded(t *testing.T, d *desk, h *labtest.Host, o outcome) {
	require.Zero(t, o.code, "%s", o)
	id, _ := bootRun(t, d)
	require.Equal(t, fmt.Sprintf(bootEnd, h.Name, id), on(t, h, bootLook), "%s", o)
}

// lockPerUser: without root the lock is the account's own, which is said once.
func lockPerUser(t *testing.T, d *desk, h *labtest.Host) {
	const book = "- hosts: all\n  gather_facts: false\n  vars: {ansible_become: %t}\n  tasks:\n    - shell: test -e %[2]s/lock\n    - shell: test -e %[2]s/lock\n"
	for _, c := range []struct {
		root  bool
		dir   string
		times int
	}{{false, "/home/operator/.local/state/dayops", 1}, {true, "/var/lib/dayops", 0}} {
		o := d.must(0, "run", d.file("own.yml", fmt.Sprintf(book, c.root, c.dir)), "-l", h.Name)
		require.Equal(t, c.times, strings.Count(o.out, "without root the lock keeps out only runs of the same account"), "%s", o)
		on(t, h, "test ! -e "+c.dir+"/lock")
	}
}
