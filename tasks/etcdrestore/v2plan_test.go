package etcdrestore

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcd/v2copy"
)

// both is three, with a set that has v2 data too.
func both(t *testing.T, v string) input {
	t.Helper()
	in := three(t, v)
	each(&in, func(s *State) {
		s.Source.Data = "v2 and v3"
		s.Source.V2 = &V2{Path: s.Source.Set + "/v2.tar.gz", Size: 4000, SHA256: strings.Repeat("cd", 32), Copy: v2copy.Facts{Size: 64_000_000, Commit: 444, Term: 3, Last: 444}, Keys: 40}
		s.Instance.V2Enabled, s.Instance.Quota = true, 2<<30
		s.Instance.Program = "/usr/bin/etcd"
		s.Fitted = Fitted{DB: Made{20480, strings.Repeat("ef", 32)}, V2: Made{4040, strings.Repeat("01", 32)}}
		if version(v).HasBump() {
			s.Fitted.Bump = 1_000_000_000
		}
		dir := "/etc/systemd/system/etcd.service.d"
		s.Hold = Hold{Dir: reader.File{Path: dir}, Drop: reader.File{Path: dir + "/" + dropName}, Env: reader.File{Path: dir + "/" + envName}}
	})
	return in
}

// each changes the state of every host.
func each(in *input, change func(*State)) {
	for i := range in.Hosts {
		change(&in.Hosts[i].State)
	}
}

// savedDatabase is a snapshot's file without a checksum.
func savedDatabase(t *testing.T) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("key"))
		if err == nil {
			_, err = tx.CreateBucket([]byte("meta"))
		}
		return err
	}))
	require.NoError(t, db.Close())
	fi, err := os.Stat(path)
	require.NoError(t, err)
	v2, err := filepath.Abs("../internal/etcd/v2copy/testdata/v2-3.4.tar.gz")
	require.NoError(t, err)
	copied, err := v2copy.ReadFile(t.Context(), v2)
	require.NoError(t, err)
	return Source{Path: path, Size: fi.Size(), SHA256: "a", V2: &V2{Path: v2, SHA256: "b", Copy: copied}}
}

func TestV2PlansOfVersions(t *testing.T) {
	for _, v := range []string{"3.2.22", "3.4.23", "3.5.21"} {
		t.Run(v, func(t *testing.T) {
			in := both(t, v)
			plan, err := (&restore{known: &verified{}}).Plan(in)
			require.NoError(t, err)
			require.Equal(t, task.Rollback, plan.OnFailure)
			again, err := (&restore{known: &verified{}}).Plan(in)
			require.NoError(t, err)
			require.Equal(t, told(plan), told(again))
			for _, s := range plan.Stages { // all of it can be taken back
				for _, st := range s.Steps {
					require.NotEqual(t, change.None, st.Change.Reversal().Class, "%s: %s", s.Name, st.Change.Summary())
				}
			}
			name := filepath.Join("testdata", "plan-v2-"+v+".txt")
			if os.Getenv("GOLDEN") == "write" {
				require.NoError(t, os.WriteFile(name, []byte(told(plan)), 0o644))
			}
			want, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Equal(t, string(want), told(plan))
		})
	}
}

// What speaks against v2 data is told before anything is done.
func TestV2Refusals(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		change  func(*input)
		says    string
	}{
		"3.6":            {"3.6.16", func(*input) {}, "etcd 3.6.16 has no v2 store"},
		"not served":     {"3.4.23", func(in *input) { in.Hosts[1].State.Instance.V2Enabled = false }, "does not serve the v2 API"},
		"a pod":          {"3.4.23", func(in *input) { in.Hosts[1].State.Instance.Runtime = etcd.PodRuntime }, "runs as a static pod"},
		"a container":    {"3.4.23", func(in *input) { in.Hosts[0].State.Instance.Runtime = etcd.Container }, "runs as a container"},
		"own file":       {"3.4.23", func(in *input) { in.Hosts[2].State.Instance.YAML = "/etc/etcd.yml" }, "from /etc/etcd.yml alone"},
		"command line":   {"3.4.23", func(in *input) { in.Hosts[2].State.Instance.Options = map[string]string{"ETCD_INITIAL_CLUSTER": "x"} }, "has --initial-cluster in its command line"},
		"name":           {"3.4.23", func(in *input) { in.Hosts[2].State.Instance.Name = "a$b" }, "is not of letters"},
		"no room here":   {"3.4.23", func(in *input) { in.Hosts[0].State.Fitted.Problem = "no space left on device" }, "no space left"},
		"no room there":  {"3.4.23", func(in *input) { in.Hosts[0].State.Free = 200 << 20 }, "twice the v2 data"},
		"little room":    {"3.4.23", func(in *input) { in.Hosts[1].State.Free = 1 << 20 }, "the size of the snapshot"},
		"without its v2": {"3.4.23", func(in *input) { each(in, func(s *State) { s.Source.V2 = nil }) }, "has none of them"},
	} {
		t.Run(name, func(t *testing.T) {
			in := both(t, c.version)
			c.change(&in)
			plan, err := (&restore{known: &verified{}}).Plan(in)
			require.NoError(t, err)
			require.Empty(t, plan.Stages)
			require.Empty(t, plan.Finally)
			require.Contains(t, told(plan), c.says)
		})
	}
}

// One whose own options begin a cluster may be the first: it has data.
func TestV2FirstMayHaveOptions(t *testing.T) {
	in := both(t, "3.4.23")
	in.Hosts[0].State.Instance.Options = map[string]string{"ETCD_INITIAL_CLUSTER": "x"}
	plan, err := (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Stages)
}

// Taken up after the first member has begun alone, it is not forced again.
func TestV2TakenUp(t *testing.T) {
	in := both(t, "3.4.23")
	each(&in, func(s *State) { s.Places.Restored = []string{"20261122T031207Z"} })
	in.Hosts[0].State.Places.Forced = true
	plan, err := (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	text := told(plan)
	require.NotContains(t, text, "stop all members")
	require.NotContains(t, text, "write ")
	require.Contains(t, text, "member add m2")

	in.Hosts[0].State.Places.Forced = false
	plan, err = (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	require.Contains(t, told(plan), "stop all members")
	require.Contains(t, told(plan), "start m1 alone")
	require.NotContains(t, told(plan), "put the restored data in place in")
}

func TestAtLeast(t *testing.T) {
	for _, n := range []int64{1, 9, 10, 101, 199, 4711, 1_000_000_301} {
		re := regexp.MustCompile("^(" + atLeast(n) + ")$")
		for _, m := range []int64{0, 1, 5, 9, 10, 11, 99, 100, 101, 102, 110, 199, 200, 4710, 4711, 4712, 4720, 4800, 5000, 10000, 999_999_999, 1_000_000_300, 1_000_000_301, 1_000_000_302, 2_000_000_000} {
			require.Equal(t, m >= n, re.MatchString(strconv.FormatInt(m, 10)), "%d of %d", m, n)
		}
	}
}

// The database is made once for each way, and nothing stays of it.
func TestFit(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	v, src := &verified{}, Source{Path: filepath.Join(t.TempDir(), "none"), Size: 4096, SHA256: "a", V2: &V2{SHA256: "b", Copy: v2copy.Facts{Commit: 7}}}
	f, err := v.fit(t.Context(), src, 0)
	require.NoError(t, err)
	require.Contains(t, f.Problem, "no such file")
	_, err = v.open(src, 0, nil)
	require.ErrorContains(t, err, "not made yet")

	src = savedDatabase(t)
	f, err = v.fit(t.Context(), src, 0)
	require.NoError(t, err)
	require.Empty(t, f.Problem)
	again, err := v.fit(t.Context(), src, 0)
	require.NoError(t, err)
	require.Equal(t, f, again)
	bumped, err := v.fit(t.Context(), src, 5)
	require.NoError(t, err)
	require.NotEqual(t, f.DB, bumped.DB)
	require.Equal(t, f.V2, bumped.V2)
	for which, want := range map[string]Made{"db": bumped.DB, "v2": bumped.V2, "db again": bumped.DB} {
		r, err := v.open(src, 5, func(f *files) *os.File {
			if which == "v2" {
				return f.v2
			}
			return f.db
		})
		require.NoError(t, err)
		sum := sha256.New()
		n, err := io.Copy(sum, r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, want.Size, n)
		require.Equal(t, want.SHA256, hex.EncodeToString(sum.Sum(nil)))
	}
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

// A v3 snapshot alone takes the v2 data away from who has some; that is said.
func TestV2DataAreGivenUp(t *testing.T) {
	in := three(t, "3.4.23")
	plan, err := (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	require.NotContains(t, told(plan), "given up too")
	in.Hosts[1].State.Live.V2 = etcd.V2{Asked: true, Served: true, Data: true}
	plan, err = (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Stages)
	require.Contains(t, told(plan), "m2 has v2 data, and what is restored has none: they are given up too")
	each(&in, func(s *State) { s.Source.NoV2 = "it was not let in" })
	plan, err = (&restore{known: &verified{}}).Plan(in)
	require.NoError(t, err)
	require.Contains(t, told(plan), "could not tell whether there were any: it was not let in")
}

// Whatever is wrong with a set's v2 data, there is something to do about it.
func TestV2DataThatCannotBeRead(t *testing.T) {
	torn := filepath.Join(t.TempDir(), "v2.tar.gz")
	require.NoError(t, os.WriteFile(torn, []byte("no archive"), 0o600))
	for path, says := range map[string]string{torn: "is no good copy of v2 data", torn + "x": "cannot be read"} {
		s := Source{Path: "/set/snapshot.db", V2: &V2{Path: path}}
		require.NoError(t, s.v2(t.Context()))
		require.Contains(t, s.Problem, says)
		require.Equal(t, "take another set; or give from: /set/snapshot.db for the v3 data alone", s.Hint)
	}
}
