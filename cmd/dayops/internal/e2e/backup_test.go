package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/store"
)

// guide is what PROCEDURES 3.1 and 3.2 want of a role, written down once more:
// not read from the task.
func guide(h *labtest.Host) []string {
	out := []string{"/etc/sysconfig/iptables", "/etc/pki/ca-trust/source/anchors/*", "/etc/containers", "/etc/systemd/system/*.d",
		"/etc/yum.repos.d", "/etc/fstab", "/etc/hosts", "/etc/resolv.conf"}
	node := []string{"/etc/origin", "/etc/sysconfig/*-node", "/etc/sysconfig/docker*", "/etc/sysconfig/flanneld",
		"/etc/dnsmasq.conf", "/etc/dnsmasq.d/*", "/etc/cni/*", "/etc/docker/certs.d", "/etc/docker/daemon.json"}
	if h.Is("master") || h.Is("node") {
		out = append(out, node...)
	}
	if h.Is("master") {
		out = append(out, "/etc/sysconfig/atomic-*", "/etc/sysconfig/origin-*")
	}
	if h.Is("etcd") {
		out = append(out, "/etc/etcd")
	}
	return out
}

// facts that a restore needs, one entry of find's: names, owners as words and
// as numbers, mode, and of all but folders time, size, target.
const look = `find "$@" -mindepth 0 -path /etc/origin/node/tmp -prune -o \
	\( -type d -printf '%p\t%y %m %u:%g %U:%G\0' -o -printf '%p\t%y %m %u:%g %U:%G %s %T@ %l\0' \)`

// onHost lists what of the guide's list the host has.
func onHost(t *testing.T, h *labtest.Host) map[string]string {
	t.Helper()
	script := `set --; for g in ` + strings.Join(guide(h), " ") + `; do if [ -e "$g" ] || [ -L "$g" ]; then set -- "$@" "$g"; fi; done; LC_ALL=C; ` + look
	return entries(on(t, h, script))
}

func entries(text string) map[string]string {
	out := map[string]string{}
	for e := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		p, rest, _ := strings.Cut(e, "\t")
		out[p] = rest
	}
	return out
}

// sets are the folders of a host's backups, oldest first.
func sets(t *testing.T, dir, host string) (out []string) {
	t.Helper()
	found, err := os.ReadDir(filepath.Join(dir, host))
	require.NoError(t, err)
	for _, e := range found {
		if e.IsDir() {
			out = append(out, filepath.Join(dir, host, e.Name()))
		}
	}
	return out
}

func tool(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// TestBackupsEqualTheHosts backs the whole lab up twice by the shipped playbook.
func TestBackupsEqualTheHosts(t *testing.T) {
	t.Parallel()
	l := labtest.NeedAlone(t)
	d := newDesk(t, "")
	dir := filepath.Join(d.dir, "sets")
	before := listings(t, l.Hosts())
	var wants []map[string]string
	for _, h := range l.Hosts() {
		wants = append(wants, onHost(t, h))
	}
	for round := range 2 {
		o := d.must(0, "run", "backup.yml", "-i", l.Inventory(), "-e", "backup_dir="+dir)
		require.Contains(t, o.out, "backup.yml (built in)")
		for _, h := range l.Hosts() {
			require.Regexp(t, `ok=[12] +changed=0 +unreachable=0 +failed=0`, o.recap(h.Name))
			require.Len(t, setsOf(t, "host_backup", dir, h.Name), round+1)
		}
		for _, h := range l.Members() {
			require.Len(t, setsOf(t, "etcd_backup", dir, h.Name), round+1)
		}
		t.Logf("round %d: 5 hosts in %.1fs", round+1, o.took.Seconds())
	}
	private(t, dir)
	for i, h := range l.Hosts() {
		t.Run(h.Name, func(t *testing.T) {
			for _, set := range setsOf(t, "host_backup", dir, h.Name) {
				compare(t, h, set, wants[i])
			}
		})
	}
	after := listings(t, l.Hosts())
	for name := range before { // the snapshot of one member takes the lock, whose folder stays
		before[name], after[name] = labtest.WithoutUndoExcluded(before[name]), labtest.WithoutUndoExcluded(after[name])
	}
	same(t, before, after)
}

// setsOf are those of one kind.
func setsOf(t *testing.T, kind, dir, host string) []string {
	t.Helper()
	return slices.DeleteFunc(sets(t, dir, host), func(set string) bool {
		m, err := store.Verify(t.Context(), set)
		require.NoError(t, err)
		return m.Kind != kind
	})
}

// private wants 0700 and 0600 whatever the umask, which tests run with 022.
func private(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), p)
		return err
	}))
}

// compare checks one set with the field's own tools against the host itself.
func compare(t *testing.T, h *labtest.Host, set string, want map[string]string) {
	t.Helper()
	require.NotContains(t, tool(t, set, "sha256sum", "--strict", "-c", "SHA256SUMS"), "FAILED")
	require.Equal(t, on(t, h, `dpkg-query -W -f '${Package}\n' | sort -u | wc -l`), packages(t, set))
	back := t.TempDir()
	tool(t, set, "tar", "-xpzf", "files.tar.gz", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "--selinux", "-C", back)
	members := archived(t, set)
	special := 0
	for p, attrs := range want {
		if strings.ContainsAny(attrs[:1], "ps") { // fifos and sockets are in the manifest alone
			special++
			require.Contains(t, manifest(t, set), p)
			continue
		}
		require.True(t, members[p], "%s is not in the archive", p)
	}
	var bytesSeen int64
	for p := range members {
		bytesSeen += compareOne(t, filepath.Join(h.Root(), p), filepath.Join(back, p))
	}
	words(t, h, set, members)
	t.Logf("%s: %d members equal, %d bytes, %d of the guide's, %d special", filepath.Base(set), len(members), bytesSeen, len(want), special)
}

func packages(t *testing.T, set string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(set, "packages.txt"))
	require.NoError(t, err)
	names := map[string]bool{}
	for l := range strings.Lines(string(text)) {
		if f := strings.FieldsFunc(l, func(r rune) bool { return r == '\t' || r == ' ' || r == '=' || r == '\n' }); len(f) > 0 {
			names[f[0]] = true
		}
	}
	return fmt.Sprintln(len(names))
}

// archived is every member's absolute path, out of tar's C-style quoting.
func archived(t *testing.T, set string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for l := range strings.Lines(tool(t, set, "tar", "-tzf", "files.tar.gz", "--quoting-style=c")) {
		p, err := strconv.Unquote(strings.TrimSuffix(l, "\n"))
		require.NoError(t, err, l)
		out["/"+strings.TrimSuffix(p, "/")] = true
	}
	return out
}

func manifest(t *testing.T, set string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(set, "manifest.json"))
	require.NoError(t, err)
	var m struct {
		Partial bool
		Items   []struct{ Path string }
	}
	require.NoError(t, json.Unmarshal(text, &m))
	require.False(t, m.Partial)
	var out []string
	for _, i := range m.Items {
		out = append(out, i.Path)
	}
	return out
}

// words compares owners as tar shows them: names where the host has names.
func words(t *testing.T, h *labtest.Host, set string, members map[string]bool) {
	t.Helper()
	var names []string
	for p := range members {
		names = append(names, p)
	}
	slices.Sort(names)
	host := entries(on(t, h, `find "$@" -maxdepth 0 -printf '%p\t%u/%g\0'`, names...))
	list := tool(t, set, "tar", "-tvzf", "files.tar.gz", "--quoting-style=c")
	owners := map[string]int{}
	for l := range strings.Lines(list) {
		owners[strings.Fields(l)[1]]++
	}
	wanted := map[string]int{}
	for _, o := range host {
		wanted[o]++
	}
	require.Equal(t, wanted, owners)
}

// compareOne compares a file of the host with the extracted one: type, mode,
// owner, times, target, attributes, and every byte.
func compareOne(t *testing.T, host, back string) int64 {
	t.Helper()
	a, b := describe(t, host), describe(t, back)
	require.Equal(t, a, b)
	if !strings.HasPrefix(a, "file ") {
		return 0
	}
	x, err := os.ReadFile(host)
	require.NoError(t, err)
	y, err := os.ReadFile(back)
	require.NoError(t, err)
	require.True(t, bytes.Equal(x, y), "%s has other contents", host)
	return int64(len(x))
}
