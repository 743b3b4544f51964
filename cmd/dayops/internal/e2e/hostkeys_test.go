package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// sshDir is the desk's ~/.ssh.
func (d *desk) sshDir() string {
	d.t.Helper()
	dir := filepath.Join(d.home, ".ssh")
	require.NoError(d.t, os.MkdirAll(dir, 0o700))
	return dir
}

// plainHosts makes an inventory where nothing is said about known_hosts, so
// that it is the desk's own. vars are lines of group all.
func (d *desk) plainHosts(hosts []*labtest.Host, vars ...string) {
	d.t.Helper()
	var b strings.Builder
	b.WriteString("all:\n  hosts:\n")
	for _, h := range hosts {
		fmt.Fprintf(&b, "    %s: {ansible_host: %s}\n", h.Name, h.IP)
	}
	b.WriteString("  vars:\n    openshift_release: v3.10\n")
	for _, v := range vars {
		fmt.Fprintf(&b, "    %s\n", v)
	}
	d.inv = d.file("hosts.yml", b.String())
}

// told runs the program with input; it has to end with code.
func (d *desk) told(code int, input string, args ...string) outcome {
	d.t.Helper()
	j := d.command(args...)
	j.cmd.Stdin = strings.NewReader(input)
	o := j.begin().wait()
	require.Equal(d.t, code, o.code, "dayops %s\n%s", strings.Join(args, " "), o)
	return o
}

// toTrust is the pattern of the one `dayops trust` that o says to type.
func toTrust(t *testing.T, o outcome) string {
	t.Helper()
	found := regexp.MustCompile(`next: dayops trust (\S+) `).FindAllStringSubmatch(o.wrong(), -1)
	require.Len(t, found, 1, o.String())
	return found[0][1]
}

// TestHostKeys: nothing is on file, then a person says yes; or accept-new does;
// then a host has another key than the one on file.
func TestHostKeys(t *testing.T) {
	t.Parallel()
	l := labtest.Need(t)
	hosts := l.Hosts()
	vars := []string{"ansible_user: operator", "ansible_ssh_private_key_file: " + l.Key()}
	d := newDesk(t, "")
	d.plainHosts(hosts, vars...)
	known := filepath.Join(d.sshDir(), "known_hosts")

	o := d.must(4, "ping")
	require.Contains(t, o.out, "exit 4 (unreachable)")
	require.Contains(t, o.wrong(), fmt.Sprintf("%d hosts: ", len(hosts)))
	pattern := toTrust(t, o)
	require.ElementsMatch(t, namesOf(hosts), strings.Split(pattern, ","), "all unknown hosts in one message")

	o = d.told(6, "n\n", "trust", pattern)
	require.Contains(t, o.err, "nothing was added")
	require.NoFileExists(t, known)
	d.told(6, "", "trust", pattern) // an input that ends is no yes
	require.NoFileExists(t, known)

	o = d.told(0, "y\n", "trust", pattern)
	for _, h := range hosts {
		shown := strings.Fields(on(t, h, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
		require.Regexp(t, `(?m)^`+h.Name+` +`+regexp.QuoteMeta(h.IP)+` +ssh-ed25519 `+regexp.QuoteMeta(shown)+`  new$`, o.out)
		require.Contains(t, tool(t, "/", "ssh-keygen", "-l", "-F", h.IP, "-f", known), shown)
	}
	require.Contains(t, o.out, fmt.Sprintf("added %d keys", len(hosts)))
	info, err := os.Stat(known)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	d.must(0, "ping")
	require.Equal(t, len(hosts), strings.Count(d.told(0, "", "trust", "all").out, "  known\n"), "nothing is asked twice")

	second := newDesk(t, "")
	second.plainHosts(hosts, vars...)
	require.Equal(t, 0, second.must(0, "ping", "--host-key-checking=accept-new").code)
	require.ElementsMatch(t, linesOf(t, known), linesOf(t, filepath.Join(second.sshDir(), "known_hosts")))
	second.must(0, "ping")

	otherKey(t, d, known, hosts)
}

// otherKey puts the second host's key on file for the first.
func otherKey(t *testing.T, d *desk, known string, hosts []*labtest.Host) {
	t.Helper()
	lines := linesOf(t, known)
	of := func(h *labtest.Host) int {
		return slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, h.IP+" ") })
	}
	_, real, _ := strings.Cut(lines[of(hosts[0])], " ")
	_, other, _ := strings.Cut(lines[of(hosts[1])], " ")
	lines[of(hosts[0])] = hosts[0].IP + " " + other
	text := strings.Join(lines, "\n") + "\n"
	require.NoError(t, os.WriteFile(known, []byte(text), 0o600))
	fix := fmt.Sprintf("ssh-keygen -R '%s' -f '%s' && dayops trust %s", hosts[0].IP, known, hosts[0].Name)
	for _, policy := range []string{"strict", "accept-new"} {
		o := d.must(4, "ping", "--host-key-checking="+policy, hosts[0].Name+":"+hosts[2].Name)
		require.Contains(t, o.recap(hosts[2].Name), "ok=1")
		require.Contains(t, o.wrong(), fix)
		for _, key := range []string{real, other} {
			require.Regexp(t, `UNREACHABLE `+hosts[0].Name+` .*host key CHANGED.*`+regexp.QuoteMeta(fingerprints(t, key)[0]), o.out)
		}
		require.Contains(t, o.out, fmt.Sprintf("(%s:%d)", known, of(hosts[0])+1))
	}
	require.Contains(t, d.must(4, "trust", "-y", hosts[0].Name).out, "REFUSED")
	require.Equal(t, text, tool(t, "/", "cat", known), "nobody wrote to it")

	tool(t, d.dir, "ssh-keygen", "-R", hosts[0].IP, "-f", known)
	d.told(0, "y\n", "trust", hosts[0].Name)
	d.must(0, "ping", hosts[0].Name)
}

func namesOf(hosts []*labtest.Host) (out []string) {
	for _, h := range hosts {
		out = append(out, h.Name)
	}
	return out
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
