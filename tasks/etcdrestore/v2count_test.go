package etcdrestore

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/tasks/internal/etcd/v2copy"
)

// Fewer v2 keys than noted fail, more pass; what cannot be listed fails, unless
// v2's own authentication hides it.
func TestCountScript(t *testing.T) {
	for name, c := range map[string]struct {
		etcdctl, keys string
		code          int
		says          string
	}{
		"as many":   {`printf '/a/\n/a/b\n/c\n'`, "2", 0, ""},
		"more":      {`printf '/a/\n/a/b\n/c\n'`, "1", 0, ""},
		"fewer":     {`printf '/a/\n/a/b\n/c\n'`, "3", 1, "has 2 v2 keys, the backup has 3 at least"},
		"none":      {`:`, "1", 1, "has 0 v2 keys"},
		"no answer": {`echo /a; echo 'Error:  client: etcd cluster is unavailable' >&2; exit 1`, "1", 1, "cannot be listed: Error:  client: etcd cluster is unavailable"},
		"hidden":    {`echo 'Error:  110: The request requires user authentication (Insufficient credentials) [0]' >&2; exit 4`, "1", 0, "are not counted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "mark")
			argv := shell(countScript, "2", mark, "/bin/sh", "-c", c.etcdctl)
			argv[4] = c.keys
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			if c.code == 0 {
				require.NoError(t, err, string(out))
				require.FileExists(t, mark)
			} else {
				require.Error(t, err)
				require.NoFileExists(t, mark)
			}
			require.Contains(t, string(out), c.says)
		})
	}
}

// The number is the set's; of an older one that of its copy; unknown it is told.
func TestV2KeysOfSets(t *testing.T) {
	for noted, want := range map[int64]int64{7: 7, -1: 60} {
		s := Source{V2: &V2{Path: "../internal/etcd/v2copy/testdata/v2-3.5.tar.gz", Keys: noted}}
		require.NoError(t, s.v2(t.Context()))
		require.Empty(t, s.Problem)
		require.Equal(t, want, s.V2.Keys)
	}
	for facts, want := range map[string]int64{"12": 12, "": -1, "-3": -1, "x": -1} {
		set, err := store.NewLocal(t.TempDir()).Begin(t.Context(), "m1", time.Now())
		require.NoError(t, err)
		for _, name := range []string{snapshotName, v2Name} {
			w, err := set.Create(name)
			require.NoError(t, err)
			_, err = w.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, w.Close())
		}
		dir, err := set.Commit(store.Manifest{Kind: setKind, End: time.Now(), Facts: map[string]string{v2copy.FactKeys: facts}})
		require.NoError(t, err)
		var s Source
		require.NoError(t, s.fromSet(t.Context(), dir))
		require.Empty(t, s.Problem)
		require.Equal(t, want, s.V2.Keys, facts)
	}
	in := both(t, "3.4.23")
	each(&in, func(s *State) { s.Source.V2.Keys = -1 })
	plan, err := (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Stages)
	require.Contains(t, told(plan), "is not known, neither from the set nor from itself")
	require.NotContains(t, told(plan), "count the v2 keys")
}

// A real etcd is rehearsed on real data: with a higher revision, as leases that end
// make it, it passes, with a lower one or with a key missing it does not.
func TestRehearsal(t *testing.T) {
	if out, err := exec.Command("etcd", "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "Version: 3.4") {
		t.Skip("needs etcd 3.4")
	}
	if _, err := exec.LookPath("etcdctl"); err != nil {
		t.Skip("needs etcdctl")
	}
	dir := t.TempDir()
	revision := realData(t, filepath.Join(dir, "data"))
	for name, c := range map[string]struct {
		revision int64
		keys     string
		says     string
	}{
		"the very same":       {revision, "3", ""},
		"leases have ended":   {revision - 1, "2", ""},
		"not to be counted":   {revision, "", ""},
		"a lower revision":    {revision + 1, "3", "have a lower revision than"},
		"a v2 key is missing": {revision, "4", "have 3 v2 keys, the backup has 4 at least"},
	} {
		t.Run(name, func(t *testing.T) {
			argv := shell(rehearseScript, dir, "etcd", "60", strconv.FormatInt(c.revision, 10), c.keys, "--enable-v2")
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			if c.says == "" {
				require.NoError(t, err, string(out))
				require.FileExists(t, dir+"/rehearsed")
				require.NoError(t, os.Remove(dir+"/rehearsed"))
			} else {
				require.Error(t, err)
				require.Contains(t, string(out), c.says)
			}
		})
	}
}

// realData is a member with three v2 keys and one with a time to live, and its v3 revision.
func realData(t *testing.T, dir string) (revision int64) {
	t.Helper()
	urls := make([]string, 2)
	for i := range urls {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		urls[i] = "http://" + l.Addr().String()
		require.NoError(t, l.Close())
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := exec.CommandContext(ctx, "etcd", "--data-dir", dir, "--enable-v2", "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
		"--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", "default="+urls[1])
	require.NoError(t, server.Start())
	defer func() { cancel(); _ = server.Wait() }()
	ctl := func(api string, words ...string) (string, error) {
		c := exec.Command("etcdctl", append([]string{"--endpoints", urls[0]}, words...)...)
		c.Env = append(c.Environ(), "ETCDCTL_API="+api)
		out, err := c.Output()
		return string(out), err
	}
	require.Eventually(t, func() bool { _, err := ctl("3", "put", "a", "1"); return err == nil }, 20*time.Second, 100*time.Millisecond)
	for _, words := range []string{"set /a 1", "set /b/c 1", "set /b/d 1", "set /_hidden 1", "mkdir /e"} {
		_, err := ctl("2", strings.Fields(words)...)
		require.NoError(t, err)
	}
	_, err := ctl("3", "put", "b", "1")
	require.NoError(t, err)
	out, err := ctl("3", "--write-out", "json", "get", "b")
	require.NoError(t, err)
	var got struct{ Header struct{ Revision int64 } }
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	return got.Header.Revision
}
