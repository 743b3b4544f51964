package etcd

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Answers of etcd 3.4.23; those of 3.2.22 and 3.3 are written after their sources.
const (
	members34 = `{"header":{"cluster_id":3590552688910793416,"member_id":7579613263455938925,"raft_term":2},"members":[{"ID":1887171378554694799,"name":"master-2","peerURLs":["https://10.97.159.12:2380"],"clientURLs":["https://10.97.159.12:2379"]},{"ID":18265855416436699639,"peerURLs":["https://10.97.159.11:2380"],"isLearner":true}]}`
	status34  = `[{"Endpoint":"https://10.97.159.10:2379","Status":{"header":{"cluster_id":3590552688910793416,"member_id":7579613263455938925,"revision":2,"raft_term":2},"version":"3.4.23","dbSize":20480,"leader":1887171378554694799,"raftIndex":9,"raftTerm":2,"raftAppliedIndex":9,"dbSizeInUse":16384}}]`
	status32  = `[{"Endpoint":"https://10.0.0.1:2379","Status":{"header":{"cluster_id":3590552688910793416,"member_id":7579613263455938925,"revision":1041269,"raft_term":8},"version":"3.2.22","dbSize":64000000,"leader":7579613263455938925,"raftIndex":1200000,"raftTerm":8}}]`
	noLeader  = `[{"Endpoint":"https://10.97.159.10:2379","Status":{"header":{"cluster_id":1,"member_id":2,"revision":2,"raft_term":3},"version":"3.4.23","dbSize":20480,"raftIndex":18,"raftTerm":3,"raftAppliedIndex":18,"errors":["etcdserver: no leader"],"dbSizeInUse":16384}}]`
	hash34    = `[{"Endpoint":"https://10.97.159.10:2379","HashKV":{"header":{"cluster_id":1,"member_id":7579613263455938925,"revision":2,"raft_term":2},"hash":3305255506,"compact_revision":-1}}]`
	noEndline = `{"level":"warn","ts":"2026-11-22T06:48:52.502Z","caller":"clientv3/retry_interceptor.go:62","msg":"retrying of unary invoker failed","target":"passthrough:///https://10.97.159.12:2379","attempt":0,"error":"rpc error: code = DeadlineExceeded desc = latest balancer error: connection error: desc = \"transport: Error while dialing dial tcp 10.97.159.12:2379: connect: connection refused\""}
Failed to get the status of endpoint https://10.97.159.12:2379 (context deadline exceeded)
`
)

func TestAnswers(t *testing.T) {
	id, members, err := ParseMembers(members34)
	require.NoError(t, err)
	require.Equal(t, uint64(3590552688910793416), id)
	require.Equal(t, "master-2", members[0].Label())
	require.Equal(t, "fd7d5ab97f5ab1f7", members[1].Label())
	require.True(t, members[1].Learner)
	all, err := ParseStatus(status34)
	require.NoError(t, err)
	require.Equal(t, Status{Endpoint: "https://10.97.159.10:2379", ClusterID: id, MemberID: 7579613263455938925, Revision: 2, Version: "3.4.23",
		DBSize: 20480, DBInUse: 16384, Leader: 1887171378554694799, Index: 9, Applied: 9, Term: 2}, all[0])
	all, err = ParseStatus(status32)
	require.NoError(t, err)
	require.Equal(t, uint64(7579613263455938925), all[0].Leader)
	all, err = ParseStatus(noLeader)
	require.NoError(t, err)
	require.Zero(t, all[0].Leader)
	require.Equal(t, []string{"etcdserver: no leader"}, all[0].Errors)
	h, err := ParseHash(hash34)
	require.NoError(t, err)
	require.Equal(t, Hash{MemberID: 7579613263455938925, Hash: 3305255506, Compact: -1}, h)
	a, err := ParseAlarms(`{"header":{},"alarms":[{"memberID":5,"alarm":1},{"memberID":6,"alarm":2},{"memberID":6,"alarm":7}]}`)
	require.NoError(t, err)
	require.Equal(t, []Alarm{{5, "NOSPACE"}, {6, "CORRUPT"}, {6, "number 7"}}, a)
	n, err := ParseKeys(`{"header":{"revision":2},"kvs":[{"key":"Zm9v"}],"count":10001}`)
	require.NoError(t, err)
	require.Equal(t, int64(10001), n)
	require.Equal(t, "Error while dialing dial tcp 10.97.159.12:2379: connect: connection refused", Problem(noEndline))
	require.Equal(t, "open /etc/etcd/nope.crt: no such file or directory", Problem("Error: open /etc/etcd/nope.crt: no such file or directory\n"))
}

func TestHealthInAllVersions(t *testing.T) {
	for _, c := range []struct {
		out, err string
		want     Health
	}{
		{`[{"endpoint":"https://10.0.0.1:2379","health":true,"took":"6.620475ms"}]`, "", Health{OK: true, Took: 6620475}},
		{`[{"endpoint":"https://10.0.0.1:2379","health":false,"took":"5.0004s","error":"context deadline exceeded"}]`, "Error: unhealthy cluster\n", Health{Took: 5000400 * time.Microsecond, Error: "context deadline exceeded"}},
		{`[{"endpoint":"x","health":false,"took":"5ms","error":"Active Alarm(s): NOSPACE"}]`, "", Health{OK: true, Took: 5 * time.Millisecond, Error: "Active Alarm(s): NOSPACE"}},
		{"https://10.0.0.1:2379 is healthy: successfully committed proposal: took = 2.3ms\n", "", Health{OK: true, Took: 2300 * time.Microsecond}},
		{"", "https://10.0.0.1:2379 is unhealthy: failed to connect: context deadline exceeded\nError:  unhealthy cluster\n", Health{Error: "failed to connect: context deadline exceeded"}},
	} {
		got, err := ParseHealth(c.out, c.err)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := ParseHealth("a is healthy: x\nb is healthy: y\n", "")
	require.Error(t, err)
	v, ok := ParseV2Health("member 1a is healthy: got healthy result from https://x:2379\ncluster is degraded\n")
	require.True(t, ok)
	require.Equal(t, "degraded", v)
	_, ok = ParseV2Health("cluster is healthy\ncluster is degraded\n")
	require.False(t, ok)
}

func TestHostileAnswers(t *testing.T) {
	for _, s := range []string{"", "null", "{", strings.Repeat("[", 100000), strings.Repeat(" ", maxAnswer+1), `{"members":[]}`, `{"members":[{"ID":1},{"ID":1}]}`} {
		_, _, err := ParseMembers(s)
		require.Error(t, err)
	}
	_, m, err := ParseMembers(`{"members":[{"ID":1,"name":"a\u001b[2J\nb","clientURLs":["https://u:p@h:1","file:///x","https://h:2379/../x","https://h:2379"]}]}`)
	require.NoError(t, err)
	require.NotContains(t, m[0].Name, "\x1b")
	require.Equal(t, []string{"https://h:2379"}, m[0].ClientURLs)
	_, err = ParseStatus(`[{"Status":{"dbSize":-1}}]`)
	require.Error(t, err)
}

func TestVersions(t *testing.T) {
	for s, want := range map[string]Version{"etcdctl version: 3.4.23\nAPI version: 3.4": {3, 4, 23}, "etcd Version: 3.2.22\n": {3, 2, 22}, "3.6.0-rc.1": {3, 6, 0}} {
		v, ok := ParseVersion(s)
		require.True(t, ok)
		require.Equal(t, want, v)
	}
	_, ok := ParseVersion("API version: 2")
	require.False(t, ok)
	v := func(minor, patch int) Version { return Version{3, minor, patch} }
	require.Equal(t, 2, v(3, 27).DefaultAPI())
	require.Equal(t, 3, v(4, 0).DefaultAPI())
	require.True(t, v(2, 22).ServesV2(false))
	require.False(t, v(4, 23).ServesV2(false))
	require.True(t, v(5, 21).ServesV2(true))
	require.False(t, v(6, 0).ServesV2(true))
	off := Instance{Settings: map[string]string{"ETCD_ENABLE_V2": "false"}}
	require.False(t, off.ServesV2(v(2, 22)))
	require.True(t, Instance{}.ServesV2(v(2, 22)))
	require.True(t, Instance{V2Enabled: true, Settings: map[string]string{"ETCD_ENABLE_V2": "true"}}.ServesV2(v(4, 23)))
	require.False(t, v(2, 22).HasHashKV())
	require.False(t, v(3, 9).HasLearners())
	require.True(t, v(2, 22).StatusHarms())
	require.False(t, v(4, 23).HasBump())
	require.True(t, v(4, 27).HasBump())
	require.False(t, v(5, 9).HasBump())
	require.Equal(t, "etcdctl", v(4, 23).OfflineTool())
	require.Equal(t, "etcdutl", v(6, 1).OfflineTool())
	_, ok = v(6, 0).V2BackupArgv("/d", "/b")
	require.False(t, ok)
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{members34, status34, status32, noLeader, hash34, noEndline, "cluster is healthy\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, members, err := ParseMembers(s)
		if err == nil && (len(members) == 0 || strings.ContainsAny(members[0].Name, "\x1b\n")) {
			t.Fatalf("%+v", members)
		}
		_, _ = ParseStatus(s)
		_, _ = ParseHash(s)
		_, _ = ParseAlarms(s)
		_, _ = ParseKeys(s)
		if h, err := ParseHealth(s, s); err == nil && h.Took < 0 {
			t.Fatal(h)
		}
		ParseV2Health(s)
		ParseVersion(s)
		if strings.ContainsAny(Problem(s), "\x1b\n") {
			t.Fatal("not printable")
		}
	})
}

func golden(t testing.TB, name string) string {
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(b)
}
