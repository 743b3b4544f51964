//go:build soak

package soak

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/tasks"
)

const (
	ctl  = "ETCDCTL_API=3 etcdctl --cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --endpoints https://$(hostname -I | cut -d' ' -f1):2379 "
	save = ctl + "snapshot save /var/tmp/plain.db"
)

// TestEtcdBackupOf500MB holds a large backup against `etcdctl snapshot save` and
// a plain copy over the same connection, each round both: what arrives as a set
// at most 1.3 times that, verified at most twice. The program's anonymous memory
// stays below 100 MB.
func TestEtcdBackupOf500MB(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 1})
	h := l.Hosts()[0]
	// A lab host's own disk is small.
	on(t, h, "systemctl stop etcd && mv /var/lib/etcd/member /root/")
	labtest.SmallDisk(t, h, "/var/lib/etcd", 4<<30)
	labtest.SmallDisk(t, h, "/var/tmp", 4<<30)
	on(t, h, "cp -a /root/member /var/lib/etcd/ && systemctl start etcd")
	on(t, h, "cat >/root/fill.sh <<'E'\ni=0; while [ $i -lt 400 ]; do head -c 1300000 /dev/urandom | "+ctl+"put k$i >/dev/null 2>&1 && i=$((i+1)); done\nE\nsystemd-run -q --unit filler /bin/sh /root/fill.sh")
	programtest.Eventually(t, 10*time.Minute, "500 MB are written", func() bool {
		return strings.TrimSpace(on(t, h, "systemctl is-active filler || true")) != "active"
	})
	c := labtest.DialHost(t, l, h.Name)
	defer c.Close()
	at := change.Host{Name: h.Name, Conn: c, As: "root", Reader: reader.New(c, "root"), Run: "r1", Now: time.Now, Proofs: tasks.Proofs()}
	dir := t.TempDir()
	var plain, bare, verified []time.Duration
	for range 4 {
		saved := timed(t, func() { run(t, c, save) })
		plain = append(plain, saved+timed(t, func() { copyHome(t, c, filepath.Join(dir, "plain.db")) }))
		raw := change.RawFile{Path: "/var/tmp/plain.db", Name: "snapshot.db"}
		bare = append(bare, saved+timed(t, func() { brought(t, at, dir, raw) }))
		raw.Proof = "etcd snapshot"
		verified = append(verified, saved+timed(t, func() {
			_, err := store.Verify(t.Context(), brought(t, at, dir, raw))
			require.NoError(t, err)
		}))
	}
	t.Log(plain, bare, verified)
	saved, err := os.Stat(filepath.Join(dir, "plain.db"))
	require.NoError(t, err)
	require.Greater(t, saved.Size(), int64(500_000_000))
	a, b, v := slices.Min(plain), slices.Min(bare), slices.Min(verified) // the machine's other work only adds
	t.Logf("saved and copied %v; as a set %v, %.2f times; verified %v, %.2f times", a, b, ratio(b, a), v, ratio(v, a))
	require.LessOrEqual(t, ratio(b, a), 1.3)
	require.LessOrEqual(t, ratio(v, a), 2.0)

	d := newDesk(t, l.Inventory())
	d.file("large.yml", "- hosts: etcd\n  become: yes\n  tasks:\n    - etcd_backup: {staging_dir: /var/tmp}\n")
	j := d.prepare(nil, "run", "large.yml").launch()
	most := 0
	for running := true; running; {
		select {
		case <-j.ended:
			running = false
		case <-time.After(10 * time.Millisecond):
			most = max(most, anonymous(j.cmd.Process.Pid))
		}
	}
	code, said := j.wait()
	require.Zero(t, code, said)
	t.Logf("RssAnon of the controller: at most %d kB", most)
	require.Positive(t, most)
	require.Less(t, most, 100_000)
}

func timed(t *testing.T, do func()) time.Duration {
	t.Helper()
	start := time.Now()
	do()
	return time.Since(start)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func run(t *testing.T, c conn.Conn, script string) {
	t.Helper()
	res, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"/bin/sh", "-c", script}, As: "root"})
	require.NoError(t, err)
	require.Zero(t, res.Code, "%s", res.Stderr.String())
}

// copyHome is a plain copy that is on the disk when it is done.
func copyHome(t *testing.T, c conn.Conn, to string) {
	t.Helper()
	f, err := os.Create(to)
	require.NoError(t, err)
	defer f.Close()
	_, err = c.Get(context.Background(), "root", "/var/tmp/plain.db", struct{ io.Writer }{f})
	require.NoError(t, err)
	require.NoError(t, f.Sync())
}

func brought(t *testing.T, h change.Host, dir string, raw change.RawFile) string {
	t.Helper()
	out, err := change.Apply(t.Context(), h, &change.Transfer{FromTree: &change.Tree{Items: []change.TreeItem{{Path: "/etc/etcd"}}},
		ToSet: &change.SetTarget{Dir: filepath.Join(dir, "sets"), Host: h.Name, Kind: "etcd_backup", Raw: []change.RawFile{raw}}})
	require.NoError(t, err)
	return out.Data.(change.SetResult).Path
}

func anonymous(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}
