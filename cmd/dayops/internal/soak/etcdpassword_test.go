//go:build soak

package soak

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// TestEtcdPassword: authentication by root's password alone. Without it every
// task says what is missing and does nothing; with etcd_user and etcd_password
// all of them work, and the password is in no argument, no environment and no
// file but the one that the person wrote.
func TestEtcdPassword(t *testing.T) {
	labtest.Asked(t)
	releases := []string{"3.4"}
	if long() {
		releases = []string{"3.4", "3.5", "3.6", "3.7"}
	}
	for _, release := range releases {
		t.Run(release, func(t *testing.T) { (&life{etcd: release, auth: labtest.AuthByPassword}).byPassword(t) })
	}
}

func (c *life) byPassword(t *testing.T) {
	c.t, c.l = t, labtest.Own(t, labtest.Options{Masters: 1, Spares: 3, Etcd: c.etcd, Closed: true})
	inv := filepath.Join(t.TempDir(), "hosts.yml")
	text, err := os.ReadFile(c.l.Inventory())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(inv, text, 0o600))
	c.d = newDesk(t, inv)
	c.e = labtest.EtcdOf(t, c.l)
	c.e.Fill(t, labtest.Content{V3: 500, Leases: 3, Auth: c.auth})
	watch := watchWord(labtest.RootPassword)

	const told = "authentication is on, and "
	for _, book := range []string{"etcd-health.yml", "etcd-backup.yml", "etcd-scaleup.yml", "etcd-restart.yml"} {
		code, said := c.d.begin(nil, "run", "builtin:"+book, "--approve", "disruptive").wait()
		require.Equal(t, 2, code, said)
		require.Contains(t, said, told, book)
		require.Contains(t, said, "etcd_password", book)
	}
	c.d.file("secrets.yml", "etcd_user: root\netcd_password: not that one\n")
	c.extra = []string{"-e", "@secrets.yml"}
	code, said := c.d.begin(nil, append([]string{"run", "builtin:etcd-health.yml"}, c.extra...)...).wait()
	require.Equal(t, 2, code, said)
	require.Contains(t, said, "authentication failed")

	c.d.file("secrets.yml", "etcd_user: root\netcd_password: "+labtest.RootPassword+"\n")
	c.healthy("1 voter, 1 healthy, 1 needed")
	c.step("etcd-backup.yml", 0)
	code, said = c.d.begin(nil, "run", "builtin:etcd-restore.yml", "--approve", "destructive").wait()
	require.Equal(t, 6, code, said)
	require.Contains(t, said, "in the snapshot it is on too")
	c.step("etcd-scaleup.yml", 0, "-l", "etcd:masters:spare-0:spare-1")
	c.healthy("3 voters, 3 healthy, 2 needed")
	c.step("etcd-restart.yml", labtest.LongestPause)
	c.step("etcd-defrag.yml", labtest.LongestPause, "-e", "always=yes")
	c.replaceLiving("spare-2")
	c.restore()
	watch.stop(t)
	require.NoError(t, os.Remove(filepath.Join(c.d.dir, "secrets.yml")))
	requireNoFile(t, c.d.dir, labtest.RootPassword)
	for _, h := range c.l.Hosts() {
		require.Empty(t, on(t, h, "grep -rlsF '"+labtest.RootPassword+"' /etc /var/lib/dayops /var/log /root /home /tmp /run/dayops 2>/dev/null; journalctl --no-pager | grep -F '"+labtest.RootPassword+"'; :"), h.Name)
	}
}

// requireNoFile: no file below dir has the word.
func requireNoFile(t *testing.T, dir, word string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "snapshot.db" { // that has a hash of it, and the lab's keys
			return err
		}
		files++
		data, err := os.ReadFile(path)
		require.False(t, bytes.Contains(data, []byte(word)), path)
		return err
	}))
	require.NotZero(t, files)
}

// wordWatch looks through all processes of this machine, and so of the lab's hosts.
type wordWatch struct {
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	seen   map[string]bool
	looked int
}

func watchWord(word string) *wordWatch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &wordWatch{cancel: cancel, done: make(chan struct{}), seen: map[string]bool{}}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			for _, what := range []string{"cmdline", "environ"} {
				files, _ := filepath.Glob("/proc/[0-9]*/" + what)
				for _, f := range files {
					data, err := os.ReadFile(f)
					if err == nil {
						w.looked++
					}
					if bytes.Contains(data, []byte(word)) {
						w.mu.Lock()
						w.seen[what+": "+string(data[:min(len(data), 300)])] = true
						w.mu.Unlock()
					}
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return w
}

func (w *wordWatch) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	<-w.done
	require.Empty(t, w.seen)
	require.NotZero(t, w.looked)
	t.Logf("looked into processes %d times", w.looked)
}
