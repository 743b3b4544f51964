package soak

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// TestEtcdLife takes clusters of every release through their lives with the
// shipped playbooks: filled, backed up, grown, restarted, a dead member replaced,
// one removed, restored. Somebody writes all the time. The short form is one
// release without authentication, with fewer keys, and all its members live.
func TestEtcdLife(t *testing.T) {
	labtest.Asked(t)
	columns := []life{{etcd: "3.4"}}
	if long() {
		columns = []life{{etcd: "3.2"}, {etcd: "3.2", auth: labtest.AuthByName}, {etcd: "3.3"}, {etcd: "3.3", auth: labtest.AuthByName},
			{etcd: "3.4"}, {etcd: "3.4", auth: labtest.AuthByName}, {etcd: "3.5"}, {etcd: "3.5", auth: labtest.AuthByName},
			{etcd: "3.6"}, {etcd: "3.6", auth: labtest.AuthByName}, {etcd: "3.7"}, {etcd: "3.7", auth: labtest.AuthByName}}
	}
	for _, c := range columns {
		name := c.etcd
		if c.auth != labtest.AuthOff {
			name += " with authentication"
		}
		t.Run(name, c.live)
	}
}

// life is one cluster's: a master that is its only member, and hosts to grow by.
type life struct {
	etcd string
	auth labtest.Auth

	t  *testing.T
	l  *labtest.Lab
	d  *desk
	e  *labtest.Etcd
	v2 bool

	extra []string // options of every run
}

func (c life) live(t *testing.T) {
	o := labtest.Options{Masters: 1, Spares: 2, Etcd: c.etcd, Closed: true}
	content := labtest.Content{V3: 500, V2: 50, Leases: 3, Auth: c.auth}
	if long() {
		o.Spares, content.V3, content.V2 = 6, 10_000, 1000
	}
	c.t, c.l = t, labtest.Own(t, o)
	c.v2 = long() && c.l.ServesV2() // one member after the other joins the restored one: some time
	if !c.v2 {
		content.V2 = 0
	}
	// A copy: growing and shrinking edits it.
	inv := filepath.Join(t.TempDir(), "hosts.yml")
	text, err := os.ReadFile(c.l.Inventory())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(inv, text, 0o600))
	c.d = newDesk(t, inv)
	c.e = labtest.EtcdOf(t, c.l)
	c.e.Fill(t, content)
	before := c.contents()

	c.healthy("1 voter, 1 healthy, 1 needed")
	c.step("etcd-backup.yml", 0)
	c.saved("etcd-scaleup.yml", "-l", "etcd:masters:spare-0:spare-1")
	c.healthy("3 voters, 3 healthy, 2 needed")
	c.step("etcd-restart.yml", labtest.LongestPause)
	if long() {
		c.replaceDead("spare-1", "spare-2")
		c.replaceLiving("spare-5")
		c.step("etcd-scaleup.yml", labtest.LongestPause, "-l", "etcd:masters:spare-3:spare-4")
		c.healthy("5 voters, 5 healthy, 3 needed")
		c.remove("spare-2")
	}
	require.Empty(t, labtest.Differences(before, c.contents()), "the keys of before")
	c.restore()
}

// contents leaves out what writers wrote.
func (c *life) contents() labtest.Contents {
	c.t.Helper()
	all := c.e.Contents(c.t, c.v2)
	for k := range c.e.V3(c.t, labtest.WriterPrefix) {
		delete(all.V3, k)
	}
	return all
}

// healthy waits until etcd-health.yml is satisfied, and says so.
func (c *life) healthy(says string) {
	c.t.Helper()
	var said string
	var code int
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if code, said = c.d.begin(nil, append([]string{"run", "builtin:etcd-health.yml"}, c.extra...)...).wait(); code == 0 {
			break
		}
	}
	require.Zero(c.t, code, said)
	require.Contains(c.t, said, says)
}

// step runs a playbook while somebody writes. Every acknowledged write has to
// be there afterwards; most bounds the time without one (0 does not).
func (c *life) step(playbook string, most time.Duration, args ...string) {
	c.t.Helper()
	w := c.e.StartWriter(c.t)
	began := time.Now()
	c.d.must(0, append([]string{"run", "builtin:" + playbook, "--approve", "disruptive"}, slices.Concat(c.extra, args)...)...)
	c.t.Logf("%s %v: %s", playbook, args, time.Since(began).Round(time.Millisecond))
	w.MustKeep(c.t, most)
}

// saved is step for a plan that is saved first, and applied.
func (c *life) saved(playbook string, args ...string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "saved.plan")
	c.d.must(0, append([]string{"plan", "builtin:" + playbook, "-o", file}, slices.Concat(c.extra, args)...)...)
	members := c.e.Members(c.t)
	w := c.e.StartWriter(c.t)
	began := time.Now()
	if long() {
		code, said := c.d.begin(nil, "apply", file).wait()
		require.Equal(c.t, 6, code, said)
		require.Equal(c.t, members, c.e.Members(c.t), "not approved")
	}
	c.d.must(0, "apply", file, "--approve", "disruptive")
	c.t.Logf("apply of %s %v: %s", playbook, args, time.Since(began).Round(time.Millisecond))
	w.MustKeep(c.t, 0)
	if long() {
		code, said := c.d.begin(nil, "apply", file, "--approve", "disruptive").wait()
		require.Equal(c.t, 8, code, said) // the world has moved: by itself
	}
}

// replaceDead powers a member off for good and puts another in its place.
func (c *life) replaceDead(dead, fresh string) {
	c.t.Helper()
	h, err := c.l.Host(dead)
	require.NoError(c.t, err)
	require.NoError(c.t, h.Stop(c.t.Context()))
	c.step("etcd-replace.yml", labtest.LongestPause, "-e", "member="+dead, "-l", "etcd:masters:"+fresh)
	c.healthy("3 voters, 3 healthy, 2 needed")
}

// replaceLiving puts another in the place of the member that leads, which runs
// until then.
func (c *life) replaceLiving(fresh string) {
	c.t.Helper()
	old := c.e.Leader(c.t).Name
	c.step("etcd-replace.yml", labtest.LongestPause, "-e", "member="+old, "-l", "etcd:masters:"+fresh)
	for _, m := range c.e.Members(c.t) {
		require.NotEqual(c.t, old, m.Name)
	}
	c.healthy("3 voters, 3 healthy, 2 needed")
}

// remove takes a living member out.
func (c *life) remove(member string) {
	c.t.Helper()
	n := len(c.e.Members(c.t))
	most := labtest.LongestPause
	if n < 4 {
		most = 0 // two are left
	}
	c.step("etcd-remove.yml", most, "-e", "member="+member)
	require.Len(c.t, c.e.Members(c.t), n-1)
}

// leastRevision is what a restore has to reach: where the host's tool can raise
// the revision that of the spoiled cluster, which watchers have seen, elsewhere
// the snapshot's.
func leastRevision(t *testing.T, h *labtest.Host, snapshot, spoiled int64) int64 {
	t.Helper()
	require.Greater(t, spoiled, snapshot)
	if strings.Contains(on(t, h, "etcdutl snapshot restore --help 2>&1 || ETCDCTL_API=3 etcdctl snapshot restore --help 2>&1 || :"), "--bump-revision") {
		return spoiled
	}
	return snapshot
}

// restore backs up, spoils what there is, and goes back.
func (c *life) restore() {
	c.t.Helper()
	c.d.must(0, append([]string{"run", "builtin:etcd-backup.yml"}, c.extra...)...)
	want, members := c.e.Contents(c.t, c.v2), c.e.Members(c.t)
	c.e.Spoil(c.t)
	h, err := c.l.Host(members[0].Name)
	require.NoError(c.t, err)
	least := leastRevision(c.t, h, want.Revision, c.e.Revision(c.t))
	began := time.Now()
	c.d.must(0, append([]string{"run", "builtin:etcd-restore.yml", "--approve", "destructive"}, c.extra...)...)
	c.t.Logf("etcd-restore.yml: %s", time.Since(began).Round(time.Millisecond))
	c.e.Forget(c.t)
	got := c.e.Contents(c.t, c.v2)
	require.Empty(c.t, labtest.Differences(want, got))
	require.GreaterOrEqual(c.t, got.Revision, least)
	now := c.e.Members(c.t)
	require.Len(c.t, now, len(members))
	for i := range now {
		require.Equal(c.t, members[i].Name, now[i].Name)
		require.Equal(c.t, members[i].PeerURLs, now[i].PeerURLs)
	}
	c.healthy("healthy")
}
