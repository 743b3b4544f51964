//go:build soak

package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

const etcdctl2 = "ETCDCTL_API=2 etcdctl --ca-file /etc/etcd/ca.crt --cert-file /etc/etcd/peer.crt --key-file /etc/etcd/peer.key --endpoints https://$(hostname):2379 "

// v2Life is a cluster with keys of both APIs.
type v2Life struct {
	*desk
	t *testing.T
	l *labtest.Lab
	e *labtest.Etcd
	h []*labtest.Host
}

func newV2Life(t *testing.T, etcd string, members int, c labtest.Content) *v2Life {
	t.Helper()
	v := &v2Life{t: t, l: labtest.Own(t, labtest.Options{Masters: members, Etcd: etcd})}
	v.desk, v.e, v.h = newDesk(t, v.l.Inventory()), labtest.EtcdOf(t, v.l), v.l.Members()
	v.e.Fill(t, c)
	if c.Auth != labtest.AuthOff { // v2 has users of its own
		on(t, v.h[0], "echo secret | "+etcdctl2+"user add root:secret && "+etcdctl2+"auth enable")
		v.e.AuthV2("root", "secret")
	}
	return v
}

// everywhere runs a script on all members.
func (v *v2Life) everywhere(script string) {
	v.t.Helper()
	for _, h := range v.h {
		on(v.t, h, script)
	}
}

// is tells that the keys, leases, users and members are those, and that nothing is left behind.
func (v *v2Life) is(want labtest.Contents, members []labtest.EtcdMember, story string) {
	v.t.Helper()
	v.e.Forget(v.t)
	require.Empty(v.t, labtest.Differences(want, v.e.Contents(v.t, true)), story)
	now := v.e.Members(v.t)
	require.Len(v.t, now, len(members), story)
	for i := range now {
		require.Equal(v.t, members[i].Name, now[i].Name, story)
		require.Equal(v.t, members[i].PeerURLs, now[i].PeerURLs, story)
		require.False(v.t, now[i].Learner, story)
	}
	for _, h := range v.h {
		require.Equal(v.t, "etcd:etcd 700\nactive\n", on(v.t, h,
			"stat -c '%U:%G %a' /var/lib/etcd/member; systemctl is-active etcd; ls -d /var/lib/etcd/.dayops* /var/lib/etcd/undone* /etc/systemd/system/etcd.service.d/*dayops* 2>/dev/null; systemctl show -p NeedDaemonReload etcd | grep yes; pgrep -fa 'name [r]ehearsal'; :"), story)
	}
}

// noted tells that the one set with v2 data says how many of them last; its manifest.
func (v *v2Life) noted(keys int) string {
	v.t.Helper()
	sets, err := filepath.Glob(filepath.Join(v.dir, "backups", "*", "*", "v2.tar.gz"))
	require.NoError(v.t, err)
	require.Len(v.t, sets, 1)
	manifest := filepath.Join(filepath.Dir(sets[0]), "manifest.json")
	text, err := os.ReadFile(manifest)
	require.NoError(v.t, err)
	require.Contains(v.t, string(text), fmt.Sprintf(`"v2_keys": "%d"`, keys))
	return manifest
}

func (v *v2Life) healthy(story string) {
	v.t.Helper()
	var said string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		var code int
		if code, said = v.begin(nil, "run", "builtin:etcd-health.yml").wait(); code == 0 {
			return
		}
	}
	require.Fail(v.t, "not healthy", story+said)
}

// TestEtcdV2: keys of both APIs are backed up, wiped, restored and compared, one by one.
func TestEtcdV2(t *testing.T) {
	labtest.Asked(t)
	type column struct {
		etcd    string
		members int
		auth    labtest.Auth
	}
	columns := []column{{"3.4", 3, labtest.AuthOff}}
	if long() {
		columns = nil
		for _, etcd := range []string{"3.4", "3.5"} {
			for _, members := range []int{1, 3} {
				columns = append(columns, column{etcd, members, labtest.AuthOff}, column{etcd, members, labtest.AuthByName})
			}
		}
	}
	for _, c := range columns {
		t.Run(fmt.Sprintf("%s with %d and authentication %d", c.etcd, c.members, c.auth), func(t *testing.T) {
			v := newV2Life(t, c.etcd, c.members, labtest.Content{V3: 10_000, V2: 1000, Leases: 5, Auth: c.auth})
			v.must(0, "run", "builtin:etcd-backup.yml")
			want, members := v.e.Contents(t, true), v.e.Members(t)
			require.Len(t, want.V2, 1000)
			v.noted(900)
			require.GreaterOrEqual(t, len(want.V3), 10_000)
			v.e.Spoil(t)
			v.e.SetV2(t, "/old/new", "spoiled", 0)
			v.e.SetV2(t, "/old/folder 1/0001", "spoiled", 0)
			least := leastRevision(t, v.h[0], want.Revision, v.e.Revision(t))
			began := time.Now()
			v.must(0, "run", "builtin:etcd-restore.yml", "--approve", "destructive")
			t.Logf("over a spoiled cluster: %s", time.Since(began).Round(time.Millisecond))
			v.is(want, members, "spoiled")
			v.healthy("")
			require.GreaterOrEqual(t, v.e.Revision(t), least)

			v.everywhere("systemctl stop etcd; mv /var/lib/etcd/member /root/lost")
			began = time.Now()
			v.must(0, "run", "builtin:etcd-restore.yml", "--approve", "destructive", "-e", "other_cluster=true")
			t.Logf("over nothing: %s", time.Since(began).Round(time.Millisecond))
			v.is(want, members, "wiped")
			v.healthy("")
			v.e.SetV2(t, "/old/after", "v2", 0)
			v.must(0, "run", "builtin:etcd-backup.yml") // and it is whole again
		})
	}
}

// TestEtcdV2ThatFails: where a member cannot come up the old data come back.
func TestEtcdV2ThatFails(t *testing.T) {
	labtest.Asked(t)
	v := newV2Life(t, "3.4", 3, labtest.Content{V3: 500, V2: 50, Leases: 2})
	v.must(0, "run", "builtin:etcd-backup.yml")
	want := v.e.Contents(t, true)
	v.e.Spoil(t)
	v.e.SetV2(t, "/old/new", "spoiled", 0)
	spoiled, members := v.e.Contents(t, true), v.e.Members(t)
	manifest := v.noted(45)
	book := filepath.Join(v.dir, "impatient.yml")
	require.NoError(t, os.WriteFile(book, []byte("- hosts: etcd:masters\n  become: yes\n  tasks:\n    - etcd_restore: {healthy_within: 15s}\n"), 0o600))
	for name, i := range map[string]int{"the first one": 0, "one that joins": 1, "the last one": 2} {
		t.Run(name, func(t *testing.T) {
			on(t, v.h[i], "cp /etc/etcd/etcd.conf /root/ && echo ETCD_ELECTION_TIMEOUT=nonsense >>/etc/etcd/etcd.conf")
			began := time.Now()
			code, said := v.begin(nil, "run", book, "--approve", "destructive").wait()
			t.Logf("taken back: %s", time.Since(began).Round(time.Millisecond))
			on(t, v.h[i], "cp /root/etcd.conf /etc/etcd/etcd.conf && systemctl restart etcd")
			require.Equal(t, 2, code, said)
			require.Contains(t, said, "taken back, because the plan failed")
			v.healthy(said)
			v.is(spoiled, members, said)
		})
	}
	t.Run("no etcd that starts on the data", func(t *testing.T) { // told by the rehearsal, before anything stops
		on(t, v.h[0], "mv /usr/bin/etcd /usr/bin/etcd.real && printf '#!/bin/sh\\necho no good; exit 1\\n' >/usr/bin/etcd && chmod +x /usr/bin/etcd")
		pid := on(t, v.h[0], "systemctl show -p MainPID etcd")
		code, said := v.begin(nil, "run", book, "--approve", "destructive").wait()
		on(t, v.h[0], "mv /usr/bin/etcd.real /usr/bin/etcd")
		require.Equal(t, 2, code, said)
		require.Contains(t, said, "no good")
		require.Equal(t, pid, on(t, v.h[0], "systemctl show -p MainPID etcd"))
		v.is(spoiled, members, said)
	})
	t.Run("a v2 key is missing", func(t *testing.T) { // told by the rehearsal too
		text, err := os.ReadFile(manifest)
		require.NoError(t, err)
		more := strings.Replace(string(text), `"v2_keys": "45"`, `"v2_keys": "51"`, 1)
		require.NoError(t, os.WriteFile(manifest, []byte(more), 0o600))
		pid := on(t, v.h[0], "systemctl show -p MainPID etcd")
		code, said := v.begin(nil, "run", book, "--approve", "destructive").wait()
		require.NoError(t, os.WriteFile(manifest, text, 0o600))
		require.Equal(t, 2, code, said)
		require.Contains(t, said, "the restored data have 50 v2 keys, the backup has 51 at least")
		require.Equal(t, pid, on(t, v.h[0], "systemctl show -p MainPID etcd"))
		v.is(spoiled, members, said)
	})
	t.Run("with all keys", func(t *testing.T) {
		v.must(0, "run", "builtin:etcd-restore.yml", "--approve", "destructive")
		v.is(want, members, "")
	})
}

// TestEtcdV2Killed kills the controller at the boundaries of the restore: taken
// up again the backup is there, taken back what was there before. DAYOPS_POINTS=49,50
// tries those writes alone; the third of them is taken back.
func TestEtcdV2Killed(t *testing.T) {
	labtest.Asked(t)
	v := newV2Life(t, "3.4", 3, labtest.Content{V3: 500, V2: 50, Leases: 2})
	v.must(0, "run", "builtin:etcd-backup.yml")
	want, members := v.e.Contents(t, true), v.e.Members(t)
	points := []int{60, 72, 77, 87} // a cluster of one begins, its peer URL, the second and the third member
	if long() {
		points = nil
		for i := 1 + rand.IntN(4); i < 130; i += 4 { // another quarter in each long form
			points = append(points, i)
		}
	}
	if only := os.Getenv("DAYOPS_POINTS"); only != "" {
		points = nil
		for p := range strings.SplitSeq(only, ",") {
			at, err := strconv.Atoi(p)
			require.NoError(t, err)
			points = append(points, at)
		}
	}
	kills := 0
	for n, at := range points {
		v.e.Spoil(t)
		v.e.SetV2(t, "/old/new", "spoiled", 0)
		spoiled := v.e.Contents(t, true)
		began := time.Now()
		before := v.runs()
		kind := []string{"after", "half", "before"}[at%3]
		code, said := v.begin([]string{fmt.Sprintf("DAYOPS_CRASH=%s:%d", kind, at)}, "run", "builtin:etcd-restore.yml", "--approve", "destructive", "-e", "other_cluster=true").wait()
		run, story := v.newRun(before), fmt.Sprintf("killed %s %d\n%s", kind, at, said)
		if code == 0 && long() {
			continue // it ends before
		}
		require.Equal(t, -1, code, story)
		if kills++; run == "" {
			continue
		}
		how, then := "resume", want
		if n%3 == 2 {
			how, then = "undo", spoiled
		}
		args := []string{how, run, "--approve", "destructive"}
		if how == "undo" {
			args = append(args, "-y")
		}
		code, said = v.begin(nil, args...).wait()
		if code == 5 && strings.Contains(said, "nothing was done") {
			code, then = 0, spoiled
		}
		require.Zero(t, code, story+said)
		v.healthy(story + said)
		v.is(then, members, story+said)
		t.Logf("killed %s %d, %s: %s", kind, at, how, time.Since(began).Round(time.Second))
		v.everywhere("rm -rf /var/lib/etcd/member.before-restore-*") // a disk of 1 GiB
	}
	require.Greater(t, kills, len(points)/2)
	t.Logf("%d kills", kills)
}
