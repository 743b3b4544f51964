package v2copy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func filled(t *testing.T, requests ...request) *node {
	t.Helper()
	root := newStore()
	for _, q := range requests {
		q.path = "/1" + q.path
		root.apply(q)
	}
	return root.users()
}

// What is certain is counted, whatever hangs on a condition or a clock is not.
func TestCensus(t *testing.T) {
	put := func(path string) request { return request{method: "PUT", path: path} }
	dir := request{method: "PUT", path: "/a", dir: true}
	mortal := request{method: "PUT", path: "/a", mortal: true}
	remove := request{method: "DELETE", path: "/a"}
	create := request{method: "PUT", path: "/a", existSet: true}
	update := request{method: "PUT", path: "/a", existSet: true, exist: 1}
	with := func(q request, change func(*request)) request { change(&q); return q }
	recursive := with(remove, func(q *request) { q.dir, q.recursive = true, true })
	emptied := with(remove, func(q *request) { q.dir = true })
	swapped := with(mortal, func(q *request) { q.conditional = true })
	for name, c := range map[string]struct {
		log          []request
		keys, others int64
	}{
		"nothing":                           {},
		"keys":                              {[]request{put("/a"), put("/b/c"), put("/a")}, 2, 0},
		"hidden":                            {[]request{put("/_a"), put("/b/_c/d")}, 0, 0},
		"below a key":                       {[]request{put("/a"), put("/a/b")}, 1, 0},
		"in a folder's place":               {[]request{put("/a/b"), put("/a")}, 1, 0},
		"deleted":                           {[]request{put("/a"), remove}, 0, 0},
		"deleted and set":                   {[]request{put("/a"), remove, put("/a")}, 1, 0},
		"a folder is not deleted so":        {[]request{put("/a/b"), remove}, 1, 0},
		"a full folder":                     {[]request{put("/a/b"), emptied}, 1, 0},
		"an empty folder":                   {[]request{dir, emptied, put("/a")}, 1, 0},
		"with all in it":                    {[]request{put("/a/b"), recursive, put("/a")}, 1, 0},
		"with a time to live":               {[]request{mortal}, 0, 1},
		"made to last":                      {[]request{mortal, put("/a")}, 1, 0},
		"created over one that may be gone": {[]request{mortal, create}, 0, 1},
		"created again":                     {[]request{put("/a"), create}, 1, 0},
		"updated to end":                    {[]request{put("/a"), with(mortal, func(q *request) { q.existSet, q.exist = true, 1 })}, 0, 1},
		"updated":                           {[]request{put("/a"), update}, 1, 0},
		"nothing to update":                 {[]request{update}, 0, 0},
		"a folder that ends":                {[]request{put("/a/b"), with(mortal, func(q *request) { q.existSet, q.exist, q.dir = true, 1, true })}, 0, 1},
		"swapped on a condition":            {[]request{put("/a"), swapped}, 0, 1},
		"deleted on a condition":            {[]request{put("/a"), with(remove, func(q *request) { q.conditional = true })}, 0, 1},
		"below what may be gone":            {[]request{mortal, put("/a/b")}, 0, 1},
		"and then in its place":             {[]request{mortal, put("/a/b"), put("/a")}, 0, 1},
		"folder of what may be gone":        {[]request{with(mortal, func(q *request) { q.path = "/a/b" }), emptied, put("/a")}, 0, 1},
		"by POST":                           {[]request{{method: "POST", path: "/a"}, put("/a/1"), put("/a"), emptied, put("/a")}, 0, 1},
		"refreshed":                         {[]request{with(mortal, func(q *request) { q.refresh = true })}, 0, 1},
		"the root":                          {[]request{put("/a"), put(""), {method: "DELETE", recursive: true, dir: true}}, 1, 0},
	} {
		keys, others := filled(t, c.log...).census()
		require.Equal(t, []int64{c.keys, c.others}, []int64{keys, others}, name)
	}
}

func requestEntry(w *written, index uint64, method, path string) {
	q := append(append(number(1, 9), data(requestMethod, []byte(method))...), data(requestPath, []byte(path))...)
	w.record(entryRecord, append(append(append(number(1, 0), number(2, 7)...), number(3, index)...), data(entryData, q)...))
}

// What a later leader wrote takes the place of entries that were not committed,
// also what is no request; entries of before raft's snapshot are in it.
func TestCountOfLogs(t *testing.T) {
	saved := data(1, []byte(`{"Root":{"Path":"/","ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{
		"1":{"Path":"/1","ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{
			"k":{"Path":"/1/k","ExpireTime":"0001-01-01T00:00:00Z","Value":"{\"Children\":1}","Children":null},
			"t":{"Path":"/1/t","ExpireTime":"2026-01-01T00:00:00Z","Value":"v","Children":null}}}}},"CurrentIndex":7}`))
	for name, c := range map[string]struct {
		snap []byte
		log  func(first, second *written)
		want int64
	}{
		"in order":        {nil, func(a, b *written) { requestEntry(a, 1, "PUT", "/1/a"); requestEntry(b, 2, "PUT", "/1/b") }, 2},
		"in place":        {nil, func(a, b *written) { requestEntry(a, 1, "PUT", "/1/a"); requestEntry(a, 1, "PUT", "/1/b") }, 1},
		"in another file": {nil, func(a, b *written) { requestEntry(a, 1, "PUT", "/1/a"); requestEntry(b, 1, "PUT", "/1/b") }, 1},
		"by no request": {nil, func(a, b *written) {
			requestEntry(a, 1, "PUT", "/1/a")
			requestEntry(a, 2, "PUT", "/1/b")
			emptyEntry(a, 1)
		}, 0},
		"by none there": {nil, func(a, b *written) {
			requestEntry(a, 1, "PUT", "/1/a")
			requestEntry(a, 2, "PUT", "/1/b")
			emptyEntry(b, 2)
		}, 1},
		"not understood": {nil, func(a, b *written) { requestEntry(a, 1, "PATCH", "/1/a") }, -1},
		"after a snapshot": {saved, func(a, b *written) {
			requestEntry(a, 4, "DELETE", "/1/k")
			requestEntry(a, 5, "PUT", "/1/t/u")
			requestEntry(b, 6, "PUT", "/1/z")
		}, 2},
		"no store": {data(1, []byte(`{"Root":[]}`)), func(a, b *written) { requestEntry(a, 6, "PUT", "/1/a") }, -1},
	} {
		a, b := newLog(0), newLog(0)
		a.state(1)
		c.log(a, b)
		files := []file{a.file(log0), b.file(log1)}
		if c.snap != nil {
			files = append(files, snapshotFile("0000000000000005", c.snap))
		}
		got, err := Read(t.Context(), bytes.NewReader(archive(files...)))
		require.NoError(t, err, name)
		require.Equal(t, c.want, got.Keys, name)
	}
}

func emptyEntry(w *written, index uint64) {
	w.record(entryRecord, append(append(number(1, 0), number(2, 7)...), number(3, index)...))
}

// A real etcd is written to at random: the count of its copy is that of its listing.
func TestCountOfRealStore(t *testing.T) {
	for _, tool := range []string{"etcd", "etcdctl", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	if out, err := exec.Command("etcd", "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "Version: 3.4") {
		t.Skip("needs etcd 3.4")
	}
	dir := t.TempDir()
	client, peer := loopback(t), loopback(t)
	ctx, cancel := context.WithCancel(t.Context())
	etcd := exec.CommandContext(ctx, "etcd", "--data-dir", filepath.Join(dir, "data"), "--enable-v2", "--snapshot-count", "150", "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	require.NoError(t, etcd.Start())
	defer func() { cancel(); _ = etcd.Wait() }()
	require.Eventually(t, func() bool { return v2do(client, "PUT", "/first", "value=x") == nil }, 20*time.Second, 100*time.Millisecond)

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for round, certain := range []bool{true, true, false, false} {
		for range 200 {
			atRandom(rng, client, certain)
		}
		copied := filepath.Join(dir, fmt.Sprint("copy", round))
		backup := exec.Command("etcdctl", "backup", "--data-dir", filepath.Join(dir, "data"), "--backup-dir", copied)
		backup.Env = append(backup.Environ(), "ETCDCTL_API=2")
		out, err := backup.CombinedOutput()
		require.NoError(t, err, string(out))
		packed, err := exec.Command("tar", "-czf", "-", "-C", copied, ".").Output()
		require.NoError(t, err)
		got, err := Read(t.Context(), bytes.NewReader(packed))
		require.NoError(t, err)
		lasting, all := listed(t, client)
		t.Logf("%d keys, %d of them last; %d counted, %d maybe; raft's snapshot %d, last %d", all, lasting, got.Keys, got.Others, got.Snap, got.Last)
		if certain {
			require.Equal(t, all, got.Keys)
			require.Zero(t, got.Others)
		}
		require.GreaterOrEqual(t, got.Keys, int64(0))
		require.LessOrEqual(t, got.Keys, lasting)
	}
}

func loopback(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return "http://" + l.Addr().String()
}

func atRandom(rng *rand.Rand, at string, certain bool) {
	name := func() (s string) {
		for range 1 + rng.IntN(3) {
			s += "/" + string("abcd_"[rng.IntN(5)])
		}
		return s
	}
	of := func(words ...string) string { return words[rng.IntN(len(words))] }
	bodies := []string{"value=x", "value=x", "value=y", "value=x&prevExist=false", "value=x&prevExist=true", "dir=true", "dir=true&prevExist=true"}
	if !certain {
		bodies = append(bodies, "value=y&prevValue=x", "value=y&prevIndex=5", "value=x&ttl=1", "value=x&ttl=300", "dir=true&ttl=300", "value=x&ttl=", "ttl=300&refresh=true&prevExist=true", "dir=true&prevExist=true&ttl=1")
	}
	switch n := rng.IntN(10); {
	case n < 6:
		_ = v2do(at, "PUT", name(), of(bodies...))
	case n < 7 && !certain:
		_ = v2do(at, "POST", name(), "value=x")
	case n < 8 && !certain:
		_ = v2do(at, "DELETE", name()+"?prevValue=x", "")
	default:
		_ = v2do(at, "DELETE", name()+of("", "", "?dir=true", "?recursive=true"), "")
	}
}

func v2do(at, method, name, body string) error {
	q, err := http.NewRequest(method, at+"/v2/keys"+name, strings.NewReader(body))
	if err != nil {
		return err
	}
	if _, err := url.ParseQuery(body); err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// listed counts the keys that etcd lists, and of them those without an end.
func listed(t *testing.T, at string) (lasting, all int64) {
	type node struct {
		Dir        bool
		Expiration string
		Nodes      []node
	}
	res, err := http.Get(at + "/v2/keys/?recursive=true")
	require.NoError(t, err)
	defer res.Body.Close()
	var got struct{ Node node }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&got))
	var walk func(n node, mortal bool)
	walk = func(n node, mortal bool) {
		mortal = mortal || n.Expiration != ""
		if !n.Dir {
			all++
			if !mortal {
				lasting++
			}
		}
		for _, k := range n.Nodes {
			walk(k, mortal)
		}
	}
	walk(got.Node, false)
	return lasting, all
}

func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"Root":{"Path":"/","ExpireTime":"0001-01-01T00:00:00Z","Children":{"1":{"Children":{"k":{"Children":null}}}}}}`), "PUT", "/1/k/l", uint64(0))
	f.Fuzz(func(t *testing.T, saved []byte, method, path string, flags uint64) {
		root, err := readStore(bytes.NewReader(saved))
		if err != nil {
			root = newStore()
		}
		is := func(bit int) bool { return flags>>bit&1 == 1 }
		for range 2 {
			root.apply(request{method: method, path: path, dir: is(0), recursive: is(1), mortal: is(2), conditional: is(3), refresh: is(4), exist: flags >> 5 & 1, existSet: is(6)})
			if keys, others := root.users().census(); keys < 0 || others < 0 {
				t.Fatal(keys, others)
			}
		}
	})
}
