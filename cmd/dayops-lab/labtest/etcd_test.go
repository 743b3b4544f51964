package labtest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWriterKeepsCount kills the leader under a writer, and then shows that the
// writer would have noticed a loss and a pause.
func TestWriterKeepsCount(t *testing.T) {
	t.Parallel()
	l := Own(t, Options{Etcds: 3})
	e := EtcdOf(t, l)
	require.Len(t, e.Members(t), 3)
	w := e.StartWriter(t)
	leader := e.Leader(t)
	_, err := leader.Exec(t.Context(), "systemctl", "kill", "-s", "KILL", "etcd")
	require.NoError(t, err)
	require.NoError(t, leader.WaitEtcd(t.Context(), time.Minute))
	n := w.Count()
	require.Eventually(t, func() bool { return w.Count() > n+5 }, 20*time.Second, 50*time.Millisecond)
	w.MustKeep(t, LongestPause)

	w = e.StartWriter(t)
	began := time.Now()
	require.NoError(t, l.Hosts()[0].Freeze(t.Context()))
	require.NoError(t, l.Hosts()[1].Freeze(t.Context()))
	time.Sleep(3 * time.Second)
	require.NoError(t, l.Hosts()[0].Thaw(t.Context()))
	require.NoError(t, l.Hosts()[1].Thaw(t.Context()))
	frozen := time.Since(began)
	n = w.Count()
	require.Eventually(t, func() bool { return w.Count() > n }, 40*time.Second, 50*time.Millisecond)
	writes, pause, since := w.Stop()
	require.Greater(t, pause, 2*time.Second)
	require.WithinDuration(t, began, since, frozen)
	e.post(t, "/v3/kv/deleterange", map[string][]byte{"key": []byte(writes[0].Key)}, nil)
	var said failures
	w.compare(&said, e.V3(t, w.prefix), time.Millisecond)
	require.Len(t, said, 3, "the key, the sum, the pause")
}

type failures []string

func (f *failures) Errorf(format string, _ ...any) { *f = append(*f, format) }

// TestFill compares what was filled in with what is read back; the long form
// does so on every release.
func TestFill(t *testing.T) {
	t.Parallel()
	releases := []string{"3.4"}
	if os.Getenv("DAYOPS_SOAK") == "1" {
		releases = []string{"3.2", "3.3", "3.4", "3.5", "3.6", "3.7"}
	}
	for _, r := range releases {
		t.Run(r, func(t *testing.T) { fill(t, r) })
	}
}

func fill(t *testing.T, release string) {
	l := Own(t, Options{Spares: 1, Etcd: release})
	SmallDisk(t, l.Spares()[0], "/var/lib/etcd", 1<<20)
	_, err := l.Spares()[0].Exec(t.Context(), "sh", "-c", "! head -c 2000000 /dev/zero >/var/lib/etcd/x")
	require.NoError(t, err)
	e := EtcdOf(t, l)
	content := Content{V3: 1234, V2: 56, Leases: 3, Auth: AuthByName}
	if !l.ServesV2() {
		content.V2 = 0
	}
	e.Fill(t, content)
	c := e.Contents(t, l.ServesV2())
	require.Len(t, c.V3, 1234)
	if !l.ServesV2() {
		return
	}
	require.Len(t, c.V2, 56)
	require.Len(t, c.Leases, 3)
	require.Equal(t, []string{"master-0", "root", "spare-0"}, c.Users)
	require.Contains(t, c.V2["/old/folder 3/0010"], "TTL v2 value 10")
	require.NotEmpty(t, c.V3[v3Key(10)].Lease)
	require.Equal(t, v3Value(1233), c.V3[v3Key(1233)].Value)
	require.Empty(t, Differences(c, e.Contents(t, true)))

	h := l.Hosts()[0]
	_, err = h.Etcdctl(t.Context(), "put", "by-name", "1")
	require.NoError(t, err, "the certificate's name is a user")
	e.SetV2(t, "/old/folder 3/0010", "other", 0)
	said := Differences(c, e.Contents(t, true))
	require.Contains(t, said, `v3 key "by-name" is new`)
	require.Contains(t, said, `v2 key "/old/folder 3/0010" was "TTL v2 value 10`)
}
