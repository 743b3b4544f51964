package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// TestJumpHosts reaches hosts through others. A host itself says who came: the
// jump host, by its address in SSH_CONNECTION.
func TestJumpHosts(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 4})
	gate, second, behind := l.Hosts()[0], l.Hosts()[1], l.Hosts()[2:]
	user := "ansible_user: operator"
	jump := "ansible_ssh_common_args: -o ProxyJump=operator@"

	t.Run("ansible_ssh_common_args", func(t *testing.T) {
		d := deskWithKeys(t, l)
		d.plainHosts(behind, user, jump+gate.IP)
		cameFrom(t, d, gate, behind)
		require.Contains(t, d.must(0, "exec", "all", "-b", "--", "id", "-un").out, "root")
	})
	t.Run("two in a row", func(t *testing.T) {
		d := deskWithKeys(t, l)
		d.plainHosts(behind, user, jump+second.IP+",operator@"+gate.IP)
		cameFrom(t, d, gate, behind)
	})
	t.Run("ssh config", func(t *testing.T) {
		d := deskWithKeys(t, l)
		text := fmt.Sprintf("Host gate\n  HostName %s\n", gate.IP)
		for _, h := range behind {
			text += fmt.Sprintf("Host %s\n  HostName %s\n  ProxyJump gate\n", h.Name, h.IP)
		}
		require.NoError(t, os.WriteFile(filepath.Join(d.sshDir(), "config"), []byte(text+"Host *\n  User operator\n"), 0o600))
		d.inv = strings.Join(namesOf(behind), ",") + ","
		cameFrom(t, d, gate, behind)
	})
	t.Run("ProxyCommand", func(t *testing.T) {
		d := deskWithKeys(t, l)
		d.plainHosts(behind, user, fmt.Sprintf(`ansible_ssh_common_args: '-o ProxyCommand="ssh -F none -i %s -o UserKnownHostsFile=%s -W %%h:%%p operator@%s"'`,
			l.Key(), l.KnownHosts(), gate.IP))
		cameFrom(t, d, gate, behind)
	})
	t.Run("many hosts and one login", func(t *testing.T) { manyThrough(t, l, gate, behind) })
	t.Run("login refused", func(t *testing.T) {
		d := deskWithKeys(t, l)
		d.plainHosts(behind, user, "ansible_ssh_common_args: -o ProxyJump=nobody@"+gate.IP)
		o := d.must(4, "ping")
		require.Equal(t, 1, strings.Count(o.wrong(), "login refused by the jump host"), o.String())
		require.Regexp(t, `2 hosts: .*\n +next: dayops ping node-[23],node-[23]( -i \S+)? +\(.*~/.ssh/config`, o.wrong())
		require.Regexp(t, `UNREACHABLE node-2 +jump host `+regexp.QuoteMeta(gate.Addr())+` refused user nobody; tried publickey`, o.out)
	})
	t.Run("keys", func(t *testing.T) { unknownJump(t, l, gate, behind) })
}

// deskWithKeys has the lab's keys where OpenSSH looks for them, which is all
// that a jump host's login goes by.
func deskWithKeys(t *testing.T, l *labtest.Lab) *desk {
	t.Helper()
	d := newDesk(t, "")
	for from, to := range map[string]string{l.Key(): "id_ed25519", l.KnownHosts(): "known_hosts"} {
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(d.sshDir(), to), text, 0o600))
	}
	return d
}

func cameFrom(t *testing.T, d *desk, gate *labtest.Host, hosts []*labtest.Host) {
	t.Helper()
	o := d.must(0, "exec", "all", "--", "printenv", "SSH_CONNECTION")
	for _, h := range hosts {
		require.Regexp(t, `(?m)^ *\| `+regexp.QuoteMeta(gate.IP)+` \d+ `+regexp.QuoteMeta(h.IP)+` 22$`, o.out)
	}
}

// manyThrough: forty names behind one jump host, with sshd's own limits there.
func manyThrough(t *testing.T, l *labtest.Lab, gate *labtest.Host, behind []*labtest.Host) {
	const many = 40
	d := deskWithKeys(t, l)
	var b strings.Builder
	b.WriteString("[all:vars]\nansible_user=operator\nansible_ssh_common_args='-o ProxyJump=operator@" + gate.IP + "'\n[many]\n")
	for i := range many {
		fmt.Fprintf(&b, "many-%d ansible_host=%s\n", i, behind[i%len(behind)].IP)
	}
	d.inv = d.file("many.ini", b.String())
	from := cursor(t, gate)
	o := d.must(0, "exec", "many", "--", "printenv", "SSH_CONNECTION")
	require.Equal(t, many, strings.Count(o.out, gate.IP+" "))
	require.Equal(t, 1, strings.Count(journal(t, gate, from), "Accepted publickey"), "one connection to the jump host serves all")
	t.Logf("%d hosts through one jump host in %.1fs", many, o.took.Seconds())
}

// unknownJump: the key of the jump host counts as well, and the command that a
// person is told to type ends the trouble.
func unknownJump(t *testing.T, l *labtest.Lab, gate *labtest.Host, behind []*labtest.Host) {
	d := deskWithKeys(t, l)
	known := filepath.Join(d.sshDir(), "known_hosts")
	require.NoError(t, os.Remove(known))
	d.plainHosts(behind, "ansible_user: operator", "ansible_ssh_common_args: -o ProxyJump=operator@"+gate.IP)
	o := d.must(4, "ping")
	for _, h := range behind {
		require.Regexp(t, `UNREACHABLE `+h.Name+` +jump host `+regexp.QuoteMeta(gate.Addr())+` host key .* is not in known_hosts`, o.out)
	}
	pattern := toTrust(t, o)
	d.told(6, "n\n", "trust", pattern)
	require.NoFileExists(t, known)
	o = d.told(0, "y\ny\n", "trust", pattern)
	require.Regexp(t, `(?m)^`+regexp.QuoteMeta(gate.IP)+` .*`+regexp.QuoteMeta(fingerprints(t, on(t, gate, "cat /etc/ssh/ssh_host_ed25519_key.pub"))[0])+`  new   \(jump host\)$`, o.out)
	require.Len(t, linesOf(t, known), 1+len(behind))
	cameFrom(t, d, gate, behind)
}

// cursor is where the host's journal ends now.
func cursor(t *testing.T, h *labtest.Host) string {
	t.Helper()
	_, c, ok := strings.Cut(on(t, h, "journalctl --sync && journalctl -q -n 1 --show-cursor"), "-- cursor: ")
	require.True(t, ok)
	return strings.TrimSpace(c)
}

// journal is what the host has logged since.
func journal(t *testing.T, h *labtest.Host, since string) string {
	t.Helper()
	return on(t, h, `journalctl --sync && journalctl -q --no-pager -o short --after-cursor="$1"`, since)
}
