package change

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
)

func localHost(t *testing.T) Host {
	t.Helper()
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return hostOver(c)
}

func hostOver(c conn.Conn) Host {
	return Host{Name: "here", Conn: c, Reader: reader.New(c, ""), Run: "r1",
		Now: func() time.Time { return time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC) }}
}

func sh(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func transfer(tree Tree, dir string) *Transfer {
	return &Transfer{FromTree: &tree, ToSet: &SetTarget{Dir: dir, Host: "here", Kind: "host_backup"}}
}

// backUp takes root's tree and fails the test on an error.
func backUp(t *testing.T, h Host, tree Tree) SetResult {
	t.Helper()
	out, err := transfer(tree, filepath.Join(t.TempDir(), "b")).applyTree(t.Context(), h)
	require.NoError(t, err)
	res := out.Data.(SetResult)
	require.Equal(t, out.Outputs["path"], res.Path)
	m, err := store.Verify(t.Context(), res.Path)
	require.NoError(t, err)
	require.Equal(t, len(m.Items), len(res.Manifest.Items))
	sh(t, res.Path, "sha256sum -c --strict SHA256SUMS")
	return res
}

func unpack(t *testing.T, set string) string {
	t.Helper()
	dir := t.TempDir()
	sh(t, dir, "tar -xpzf "+set+"/files.tar.gz --xattrs --xattrs-include='*' --acls --selinux 2>&1")
	return dir
}

// dressed is a tree with one of everything.
func dressed(t *testing.T) string {
	root := t.TempDir()
	sh(t, root, `
mkdir -p etc/origin/master etc/origin/node/tmp etc/sysconfig etc/cni/net.d empty
cd etc/origin
echo config > master/master-config.yaml; chmod 640 master/master-config.yaml
: > master/empty; chmod 0400 master/empty
echo key > "master/system:node:a b.key"
printf x > "$(printf 'node/new\nline')"
printf x > "$(printf 'node/not-utf8-\377\\n')"
printf x > node/-dash; printf x > 'node/star*[x]'
printf x > "node/$(printf '%0230d' 7)"
ln -s master-config.yaml master/link; ln -s /no/where master/dangling; ln -s .. master/loop
ln master/empty master/hard; ln master/empty node/hard
touch -d '2001-02-03 04:05:06.123456789Z' master/master-config.yaml
chmod 1777 node; chmod 02750 master
echo t > node/tmp/t
mkfifo node/fifo
setfattr -n user.note -v hello master/master-config.yaml
setfacl -m u:65534:r master/master-config.yaml
setfacl -d -m u:65534:rx master
truncate -s 16M node/sparse; printf end >> node/sparse; printf mid | dd of=node/sparse bs=1 seek=8000000 conv=notrunc 2>/dev/null
echo d > ../sysconfig/docker; echo d2 > ../sysconfig/docker-network
`)
	l, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	node, err := os.Open(filepath.Join(root, "etc/origin/node"))
	require.NoError(t, err)
	// A socket's path has to be short, and the working folder is shared with other tests.
	require.NoError(t, syscall.Bind(l, &syscall.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/sock", node.Fd())}))
	node.Close()
	syscall.Close(l)
	if os.Getuid() == 0 {
		sh(t, root, `chown 65534:12345 etc/origin/master/master-config.yaml
chown -h 1:2 etc/origin/master/link
setfattr -n security.selinux -v system_u:object_r:etc_t:s0 etc/origin/master/master-config.yaml
setfattr -n trusted.note -v hello etc/origin/master/empty
mknod etc/origin/node/null c 1 3`)
	}
	return root
}

// describe lists a tree: what a restore must give back.
func describe(t *testing.T, root, paths string) string {
	return sh(t, root, `export LC_ALL=C; for p in `+paths+`; do find "$p" ! -type p ! -type s ! -type c ! -type b -printf '%y %m %U %G %s %T@ %n %l %P\n'; done | sed 's/^d \(.*\) [0-9]* \([0-9.]* \)[0-9]* /d \1 \2/' | sort
for p in `+paths+`; do find "$p" -type f -print0; done | sort -z | xargs -0 sha256sum
for p in `+paths+`; do find "$p" \( -type f -o -type d \) -print0; done | sort -z | xargs -0 getfattr -h -d -m - --absolute-names 2>/dev/null`)
}

func TestTreeComesBackAsItWas(t *testing.T) {
	root := dressed(t)
	start := time.Now()
	res := backUp(t, localHost(t), Tree{Root: root, Packages: true, Trust: true,
		Items:   []TreeItem{{Path: "/etc/origin"}, {Path: "/etc/sysconfig/docker*", Optional: true}, {Path: "/etc/flanneld", Optional: true}, {Path: "/etc/cni/*", Optional: true}},
		Exclude: []string{"/etc/origin/node/tmp"}})
	require.Less(t, time.Since(start), time.Minute)
	m := res.Manifest
	require.Empty(t, m.Missed)
	require.False(t, m.Partial)
	require.Equal(t, []string{"/etc/flanneld", "packages.txt"}, m.Absent)
	fi, err := os.Stat(filepath.Join(res.Path, "files.tar.gz"))
	require.NoError(t, err)
	require.Less(t, fi.Size(), int64(64<<10), "holes are not stored")

	got := unpack(t, res.Path)
	require.NoError(t, os.RemoveAll(filepath.Join(root, "etc/origin/node/tmp")))
	sh(t, root, "touch -d @1 etc/origin/node; touch -d @1 "+got+"/etc/origin/node")
	require.Equal(t, describe(t, root, "etc/origin etc/sysconfig/docker* etc/cni/net.d"), describe(t, got, "etc/origin etc/sysconfig/docker* etc/cni/net.d"))
	require.NoDirExists(t, filepath.Join(got, "etc/origin/node/tmp"))

	byPath := map[string]store.Item{}
	for _, i := range m.Items {
		p, err := store.DecodePath(i.Path, i.Encoded)
		require.NoError(t, err)
		byPath[p] = i
	}
	require.Equal(t, "p", byPath["/etc/origin/node/fifo"].Type)
	require.Equal(t, "s", byPath["/etc/origin/node/sock"].Type)
	require.Contains(t, byPath, "/etc/origin/node/not-utf8-\xff\\n")
	require.Contains(t, byPath, "/etc/origin/node/new\nline")
	require.Equal(t, "..", byPath["/etc/origin/master/loop"].Target)
	cfg := byPath["/etc/origin/master/master-config.yaml"]
	require.Equal(t, "0640", cfg.Mode)
	if os.Getuid() == 0 {
		require.Equal(t, 12345, cfg.GID)
		require.Equal(t, "c", byPath["/etc/origin/node/null"].Type)
	}
}

func TestEqualTreesGiveEqualArchives(t *testing.T) {
	root := t.TempDir()
	sh(t, root, "mkdir a; echo x > a/b; echo y > a/c")
	tree := Tree{Root: root, Items: []TreeItem{{Path: "/a"}}}
	var all [][]byte
	for range 2 {
		b, err := os.ReadFile(filepath.Join(backUp(t, localHost(t), tree).Path, "files.tar.gz"))
		require.NoError(t, err)
		all = append(all, b)
	}
	require.True(t, bytes.Equal(all[0], all[1]))
}

func TestUnreadableFilesAreNamed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to be somebody else")
	}
	root := t.TempDir()
	require.NoError(t, os.Chmod(root, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o755))
	sh(t, root, `mkdir -p etc/closed; echo a > etc/open; echo b > etc/secret; chmod 600 etc/secret; echo c > etc/closed/c; chmod 700 etc/closed
printf d > "$(printf 'etc/odd\n\303')"; chmod 0 "$(printf 'etc/odd\n\303')"; ln etc/secret etc/hard`)
	h := localHost(t)
	h.As = "nobody"
	h.Reader = reader.New(h.Conn, "nobody")
	res := backUp(t, h, Tree{Root: root, Items: []TreeItem{{Path: "/etc"}, {Path: "/etc/closed/c"}, {Path: "/etc/none"}}})
	var got []string
	for _, m := range res.Manifest.Missed {
		got = append(got, m.Path+"  "+strings.ToLower(m.Why))
	}
	require.ElementsMatch(t, []string{
		"/etc/closed  permission denied", "/etc/closed/c  permission denied", "/etc/none  not there",
		"/etc/secret  permission denied", "/etc/hard  permission denied", `/etc/odd\n\xc3  permission denied`,
	}, got)
	require.True(t, res.Manifest.Partial)
	require.Len(t, res.Manifest.Items, 2, "etc and etc/open")
}

func TestAFileThatDoesNotHoldStillIsReported(t *testing.T) {
	root := t.TempDir()
	sh(t, root, "mkdir etc; echo still > etc/still; echo x > etc/busy; echo l > etc/l1; ln etc/l1 etc/l2")
	h, n := localHost(t), 0
	// Between any two looks at the host; a writer that only writes often may be held up for longer than a backup takes.
	h = hostOver(&liar{Conn: h.Conn, ask: func(conn.Cmd) {
		n++
		for _, f := range []string{"etc/busy", "etc/l2"} {
			require.NoError(t, os.WriteFile(filepath.Join(root, f), bytes.Repeat([]byte("x"), n), 0o600))
		}
	}})
	res := backUp(t, h, Tree{Root: root, Items: []TreeItem{{Path: "/etc"}}})
	require.ElementsMatch(t, []store.Missed{{Path: "/etc/busy", Why: "changed while read, 3 tries"},
		{Path: "/etc/l1", Why: "changed while read, 3 tries"}, {Path: "/etc/l2", Why: "changed while read, 3 tries"}}, res.Manifest.Missed)
	require.Len(t, res.Manifest.Items, 2)
}

func TestSymlinksStayBelowTheRoot(t *testing.T) {
	outside := t.TempDir()
	sh(t, outside, "mkdir conf; echo secret > conf/f")
	root := t.TempDir()
	sh(t, root, `mkdir -p usr/etc/origin srv/real var `+root[1:]+`
echo in > usr/etc/origin/f; echo real > srv/real/r
ln -s /usr/etc etc
ln -s `+outside+` out; ln -s ../../../../../../../../../../..`+outside+`/conf up
ln -s /srv/real linked; ln -s loop2 loop1; ln -s loop1 loop2
mkdir glob glob/a; echo 1 > glob/a/f; ln -s `+outside+`/conf glob/b`)
	res := backUp(t, localHost(t), Tree{Root: root, Items: []TreeItem{{Path: "/etc/origin"}, {Path: "/out/conf/f", Optional: true},
		{Path: "/up/f", Optional: true}, {Path: "/linked"}, {Path: "/loop1/x", Optional: true}, {Path: "/glob/*/f"}, {Path: "/../../x/../linked", Optional: true}}})
	var got []string
	for _, i := range res.Manifest.Items {
		got = append(got, i.Type+" "+i.Path)
	}
	require.Equal(t, []string{"l /etc", "f /glob/a/f", "l /linked", "l /loop1", "l /loop2", "l /out", "d /srv/real", "f /srv/real/r", "l /up", "d /usr/etc/origin", "f /usr/etc/origin/f"}, got)
	require.ElementsMatch(t, []store.Missed{{Path: "/loop1/x", Why: "too many symlinks"}, {Path: "/glob/b", Why: "a folder of the item is a symlink: name its target instead"}}, res.Manifest.Missed)
	got2 := unpack(t, res.Path)
	require.NoDirExists(t, filepath.Join(got2, "conf"))
	require.ElementsMatch(t, []string{"/out/conf/f", "/up/f"}, res.Manifest.Absent)
}

func TestLimits(t *testing.T) {
	root := t.TempDir()
	sh(t, root, "echo small > a; truncate -s 2M b")
	res := backUp(t, localHost(t), Tree{Root: root, MaxFile: 1 << 20, Items: []TreeItem{{Path: "/*"}}})
	require.Equal(t, []store.Missed{{Path: "/b", Why: "2097152 bytes, more than max_file"}}, res.Manifest.Missed)
	require.Len(t, res.Manifest.Items, 1)
}

func setsIn(t *testing.T, dir string) (found []string) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, _ error) error {
		if d != nil && !d.IsDir() && d.Name() != ".lock" {
			found = append(found, p)
		}
		return nil
	})
	return found
}
