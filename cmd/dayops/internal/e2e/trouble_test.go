package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
	"github.com/dayops/dayops/engine/conn"
)

// slack is what a busy machine may add to a stated limit.
const slack = 15 * time.Second

const whole = "ok=3 changed=3 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0"

// TestTrouble: hosts that are frozen, cut off, full, or somebody else hold
// nobody up, and are told apart. Two runs go at the same time, mostly waiting.
func TestTrouble(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 8})
	hosts := l.Hosts()
	d := newDesk(t, l.Inventory())
	five := d.file("five.yml", `
- name: Five hosts
  hosts: all
  tasks:
    - name: A file on the disk
      copy: {content: "{{ 'x' * 20000 }}", dest: /srv/five, mode: "0600"}
    - name: A command after it
      command: {argv: [touch, /run/after]}
      notify: handled
  handlers:
    - name: handled
      copy: {content: x, dest: /run/handled}
`)
	// Of another account: one has at most one run that changes hosts of an inventory.
	other := newDesk(t, l.Inventory())
	long := other.file("long.yml", `
- name: Long
  hosts: all
  gather_facts: false
  tasks:
    - name: A long command
      command: {argv: [sleep, "7.25"]}
    - name: The next step
      command: {argv: [touch, /run/after]}
    - name: And a file
      copy: {content: x, dest: /run/handled}
`)
	breakHosts(t, hosts[2], hosts[3], hosts[4])
	broken := d.command("run", five, "-l", "node-0:node-1:node-2:node-3:node-4").begin()
	lost := other.command("run", long, "-l", "node-5:node-6:node-7").begin()
	for _, h := range hosts[5:] {
		programtest.Eventually(t, 40*time.Second, "sleeping on "+h.Name, func() bool { return sleeping(t, h, "7.25") })
	}
	require.NoError(t, hosts[5].Freeze(t.Context()))
	require.NoError(t, hosts[6].Cut(t.Context()))
	since := time.Now()

	checkBroken(t, l, broken.wait())
	checkSideways(t, l)
	checkLost(t, l, lost.wait(), time.Since(since))
}

func sleeping(t *testing.T, h *labtest.Host, arg string) bool {
	return strings.TrimSpace(on(t, h, `pgrep -fx "sleep $1" | wc -l`, strings.ReplaceAll(arg, ".", `\.`))) != "0"
}

func breakHosts(t *testing.T, frozen, other, full *labtest.Host) {
	t.Helper()
	on(t, full, "echo old >/srv/five")
	require.NoError(t, frozen.Freeze(t.Context()))
	require.NoError(t, other.Rekey(t.Context()))
	require.NoError(t, full.Fill(t.Context()))
}

// checkBroken: node-2 frozen, node-3 with another key, node-4 full.
func checkBroken(t *testing.T, l *labtest.Lab, o outcome) {
	t.Helper()
	hosts := l.Hosts()
	said := "\n" + o.String()
	require.Equal(t, 4, o.code, said)
	require.Contains(t, o.out, "exit 4 (unreachable; also 2, failed)", said)
	for _, h := range hosts[:2] {
		require.Equal(t, whole, o.recap(h.Name), said)
		require.Equal(t, "600 20000\n0\n1\n", on(t, h, "stat -c '%a %s' /srv/five; stat -c %s /run/after /run/handled"))
	}
	require.Contains(t, o.recap("node-2"), "ok=0 changed=0 unreachable=1 failed=0", said)
	require.Contains(t, o.recap("node-3"), "ok=0 changed=0 unreachable=1 failed=0", said)
	require.Contains(t, o.recap("node-4"), "ok=0 changed=0 unreachable=0 failed=1", said)
	require.GreaterOrEqual(t, o.took, conn.HandshakeLimit)
	require.Less(t, o.took, conn.HandshakeLimit+slack, said)

	require.Regexp(t, `UNREACHABLE node-2 +`+hosts[2].Addr()+` no answer in 30s \(handshake\)`, o.out)
	require.Regexp(t, `(?s)no answer in 30s.*1 host: node-2.*next: dayops ping node-2`, o.wrong())

	now := fingerprints(t, on(t, hosts[3], "cat /etc/ssh/ssh_host_ed25519_key.pub"))
	before := fingerprints(t, strings.Join(keysOf(t, l, hosts[3]), "\n"))
	require.Len(t, before, 3)
	for _, f := range append(now, before...) {
		require.Regexp(t, `UNREACHABLE node-3 .*host key CHANGED.*`+regexp.QuoteMeta(f), o.out)
	}
	require.Contains(t, o.wrong(), fmt.Sprintf("ssh-keygen -R '%s' -f '%s' && dayops trust node-3", hosts[3].IP, l.KnownHosts()))

	require.Regexp(t, `FAILED +node-4 +lock .*: no space left on device`, o.out)
	require.Regexp(t, `(?s)no space left.*1 host: node-4.*next: dayops exec node-4.* --read-only.* -- df -h`, o.wrong())
	require.Equal(t, "old\nfive\n", on(t, hosts[4], "cat /srv/five; ls -A /srv; ls -d /run/after 2>/dev/null || :"), "the old file stays, and nothing beside it")
}

// checkSideways goes on with the broken hosts: off the network it is the dial
// limit that ends the wait, and a backup needs no room on its host.
func checkSideways(t *testing.T, l *labtest.Lab) {
	t.Helper()
	h := l.Hosts()[2]
	require.NoError(t, h.Cut(t.Context()))
	d := newDesk(t, l.Inventory())
	o := d.must(4, "ping", "node-2:node-0")
	require.Contains(t, o.recap("node-0"), "ok=1")
	require.Regexp(t, `UNREACHABLE node-2 +`+h.Addr()+` no answer in 10s \(connect\)`, o.out)
	require.GreaterOrEqual(t, o.took, conn.DialLimit)
	require.Less(t, o.took, conn.DialLimit+slack)

	dir := filepath.Join(d.dir, "sets")
	d.must(0, "run", "backup.yml", "-l", "node-4", "-e", "backup_dir="+dir)
	tool(t, sets(t, dir, "node-4")[0], "sha256sum", "-c", "SHA256SUMS")
}

// checkLost: node-5 was frozen and node-6 cut off while their command ran.
func checkLost(t *testing.T, l *labtest.Lab, o outcome, waited time.Duration) {
	t.Helper()
	said := "\n" + o.String()
	require.Equal(t, 4, o.code, said)
	require.Contains(t, o.out, "exit 4 (unreachable)", said)
	for _, h := range []string{"node-5", "node-6"} {
		require.Regexp(t, `UNREACHABLE `+h+` +connection lost during a command: no sign of life`, o.out)
		require.Contains(t, o.recap(h), "ok=0 changed=0 unreachable=1 failed=0", said)
	}
	require.Regexp(t, `(?s)connection lost +in A long command.*2 hosts: node-[56], node-[56].*next: dayops resume [0-9a-f]{6} `, o.wrong())
	require.Equal(t, whole, o.recap("node-7"), said)
	on(t, l.Hosts()[7], "ls /run/after /run/handled")
	// The first of three unanswered keepalives may be sent a period after the last sign of life.
	most := conn.KeepaliveEvery * (conn.KeepaliveMiss + 1)
	require.Less(t, waited, most+slack, said)
	require.GreaterOrEqual(t, waited, conn.KeepaliveEvery*(conn.KeepaliveMiss-1), said)
}

// keysOf are the host's lines of the lab's known_hosts.
func keysOf(t *testing.T, l *labtest.Lab, h *labtest.Host) (out []string) {
	t.Helper()
	for line := range strings.Lines(tool(t, "/", "cat", l.KnownHosts())) {
		if name, key, _ := strings.Cut(line, " "); name == h.IP {
			out = append(out, strings.TrimSpace(key))
		}
	}
	return out
}

// fingerprints are those of public keys, by OpenSSH's own tool.
func fingerprints(t *testing.T, keys string) (out []string) {
	t.Helper()
	d := newDesk(t, "")
	for line := range strings.Lines(tool(t, d.dir, "ssh-keygen", "-lf", d.file("keys", keys+"\n"))) {
		out = append(out, strings.Fields(line)[1])
	}
	return out
}
