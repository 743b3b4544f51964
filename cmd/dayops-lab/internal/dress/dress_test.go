package dress

import (
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func cluster(t *testing.T, seed uint64) *Cluster {
	t.Helper()
	c, err := New("example.com", seed, time.Now(), []Host{
		{"m0", "192.0.2.1", []string{"master", "etcd"}}, {"m1", "192.0.2.2", []string{"master", "etcd"}},
		{"n0", "192.0.2.3", []string{"node"}}, {"e0", "192.0.2.4", []string{"etcd"}}, {"lb0", "192.0.2.5", []string{"lb"}}})
	require.NoError(t, err)
	return c
}

func TestRolesGetTheirFiles(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	roots := map[string]string{}
	for _, h := range c.Hosts {
		roots[h.Name] = filepath.Join(t.TempDir(), "root")
		r, err := c.Apply(roots[h.Name], h.Name)
		require.NoError(t, err)
		require.Greater(t, r.Files, 3)
		if os.Geteuid() != 0 && h.Is("node") {
			require.NotEmpty(t, r.Skipped)
		}
	}
	has := func(host, path string) bool {
		_, err := os.Lstat(filepath.Join(roots[host], path))
		return err == nil
	}
	for path, hosts := range map[string]string{
		"/etc/origin/master/master-config.yaml":                "m0 m1",
		"/etc/origin/master/ca.serial.txt":                     "m0",
		"/etc/origin/node/node-config.yaml":                    "m0 m1 n0",
		"/etc/origin/node/system:node:n0.crt":                  "n0",
		"/etc/origin/node/pods/apiserver.yaml":                 "m0 m1",
		"/etc/origin/node/tmp/node-config.yaml":                "m0 m1 n0",
		"/etc/sysconfig/atomic-openshift-node":                 "m0 m1 n0",
		"/etc/sysconfig/atomic-openshift-master-api":           "m0 m1",
		"/etc/sysconfig/docker.rpmnew":                         "m0 m1 n0",
		"/etc/sysconfig/iptables":                              "m0 m1 n0 e0 lb0",
		"/etc/etcd/etcd.conf":                                  "m0 m1 e0",
		"/etc/etcd/ca/openssl.cnf":                             "m0",
		"/etc/etcd/generated_certs/etcd-e0/peer.crt":           "m0",
		"/etc/haproxy/haproxy.cfg":                             "lb0",
		"/etc/docker/certs.d/registry.example.com:5000/ca.crt": "m0 m1 n0",
	} {
		for host := range roots {
			require.Equal(t, strings.Contains(" "+hosts+" ", " "+host+" "), has(host, path), "%s on %s", path, host)
		}
	}
	files := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(roots["n0"], "etc"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files++
		}
		return nil
	}))
	require.GreaterOrEqual(t, files, 20)
}

func TestSiteHasEveryKind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	_, err := cluster(t, 1).Apply(root, "n0")
	require.NoError(t, err)
	site := filepath.Join(root, "/etc/origin/node/site")
	var st unix.Stat_t
	for name, want := range map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "link-dangling": unix.S_IFLNK, "empty": unix.S_IFREG, "empty-folder": unix.S_IFDIR, "line\nbreak.txt": unix.S_IFREG, "caf\xe9.conf": unix.S_IFREG, "10:30 note": unix.S_IFREG} {
		require.NoError(t, unix.Lstat(filepath.Join(site, name), &st), name)
		require.Equal(t, want, st.Mode&unix.S_IFMT, name)
	}
	require.NoError(t, unix.Lstat(filepath.Join(site, "hard-2"), &st))
	require.EqualValues(t, 3, st.Nlink)
	require.NoError(t, unix.Lstat(filepath.Join(site, "sparse.img"), &st))
	require.EqualValues(t, 64<<20, st.Size)
	require.Less(t, st.Blocks*512, int64(1<<20), "sparse")
	require.NoError(t, unix.Lstat(filepath.Join(site, "nobody-owned"), &st))
	require.EqualValues(t, 0o4755, st.Mode&0o7777)
	if os.Geteuid() == 0 {
		require.EqualValues(t, 65534, st.Uid)
		buf := make([]byte, 100)
		n, err := unix.Lgetxattr(filepath.Join(site, "labelled"), "security.selinux", buf)
		if err == nil { // not every file system takes a label
			require.Equal(t, "system_u:object_r:container_file_t:s0\x00", string(buf[:n]))
		}
	}
}

func TestContentsFollowTheSeed(t *testing.T) {
	t.Parallel()
	h := Host{Name: "x"}
	a, b := cluster(t, 1), cluster(t, 2)
	require.Equal(t, a.noise(h, "p", 40), cluster(t, 1).noise(h, "p", 40))
	require.NotEqual(t, a.noise(h, "p", 40), b.noise(h, "p", 40))
	require.NotEqual(t, a.noise(h, "p", 40), a.noise(h, "q", 40))
}

func TestCertificatesVerify(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(c.etcdCA.Cert))
	for name, e := range c.etcd {
		for _, p := range [][]byte{e.peer.Cert, e.server.Cert} {
			b, _ := pem.Decode(p)
			cert, err := x509.ParseCertificate(b.Bytes)
			require.NoError(t, err)
			_, err = cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}})
			require.NoError(t, err)
		}
	}
}
