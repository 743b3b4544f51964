//go:build soak

package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/journal"
)

// restores is the third move: back to one backup, over and over.
func (g *ground) restores(from string) move {
	return move{"restore", []string{"run", "builtin:etcd-restore.yml", "-e", "from=" + from, "-e", "other_cluster=true", "--approve", "destructive"}}
}

// TestEtcdRestoreKilled kills the controller at the writes of the journal of
// restores.
func TestEtcdRestoreKilled(t *testing.T) {
	labtest.Asked(t)
	g := newGround(t, labtest.Options{Masters: 3, Pods: os.Getenv("DAYOPS_PODS") == "1"})
	g.must(0, "run", "builtin:etcd-backup.yml")
	sets, err := filepath.Glob(filepath.Join(g.dir, "backups", "*", "*", "snapshot.db"))
	require.NoError(t, err)
	require.Len(t, sets, 1)
	start, m := time.Now(), g.restores(filepath.Dir(sets[0]))
	g.must(0, m.args...) // which also makes the folder for pods that are stopped
	if only := os.Getenv("DAYOPS_POINTS"); only != "" {
		for p := range strings.SplitSeq(only, ",") {
			point, back := strings.CutSuffix(p, "u")
			g.restored(m, point, back)
		}
		return
	}
	points := []string{"after:9", "half:17", "before:31", "after:44"}
	if long() {
		points = nil
		for i, kinds := 1+rand.IntN(3), []string{"before", "after", "half"}; i < 100; i += 3 { // another third in each long form
			points = append(points, fmt.Sprintf("%s:%d", kinds[len(points)%3], i))
		}
	}
	for i, p := range points {
		if !g.restored(m, p, i%2 == 1) {
			break
		}
	}
	t.Logf("%d kills in %d stories, %s", g.kills, g.stories, time.Since(start).Round(time.Second))
}

// restored spoils what there is and restores, with one kill; it tells whether
// the point was reached. Afterwards all keys are those of the backup, or those of before.
func (g *ground) restored(m move, point string, back bool) bool {
	g.t.Helper()
	began := time.Now()
	everywhere(g.t, g.hosts, "rm -rf /var/lib/etcd/member.before-restore-* /var/lib/etcd/undone-*")
	backup := g.keys
	g.e.Spoil(g.t)
	spoilt, members := g.contents(), g.e.Members(g.t)
	s, on := g.begins(m, at(point))
	reached := strings.Contains(s.log.String(), "exit -1")
	g.e.Forget(g.t)
	switch {
	case reached && !on:
		g.keys = spoilt
	case reached && back:
		if code := s.undone(); code != 0 && code != 3 {
			s.fail("undo: exit %d", code)
		}
		g.e.Forget(g.t)
		require.Equal(g.t, members, g.e.Members(g.t), "the members of before\n%s", &s.log)
		g.keys = spoilt
	case reached:
		if !s.resumed(nil) {
			s.fail("a resume that nobody kills has ended so")
		}
		g.e.Forget(g.t)
		if s.run == "" {
			g.keys = spoilt
		}
	}
	s.must("as before", s.before)
	g.must(0, "run", "builtin:etcd-health.yml")
	g.t.Logf("%q, undo %v: reached %v, %s", point, back, reached, time.Since(began).Round(time.Second))
	g.keys = backup
	return reached
}

// undone takes the run back and tells the exit code.
func (s *tale) undone() int {
	s.t.Helper()
	j := s.begin(nil, "undo", s.run, "-y", "--approve", "destructive")
	code, said := j.wait()
	s.note("undo: exit %d after %s\n%s", code, j.took.Round(time.Millisecond), said)
	// A host that was locked before anything about it was journalled, its undo does not know: the lock frees itself when it expires.
	m, err := journal.Open(s.state()).Read(s.run)
	require.NoError(s.t, err)
	for _, h := range s.hosts {
		if !slices.ContainsFunc(m.Steps, func(st *journal.Step) bool { return st.Change.Host == h.Name }) {
			s.begin(nil, "unlock", h.Name, "-y").wait()
		}
	}
	// The killed run can still be resumed: its records of commands stay for that.
	everywhere(s.t, s.hosts, "cd "+s.left+"/runs 2>/dev/null && rm -rf "+s.run+" && rmdir ../runs 2>/dev/null; :")
	return code
}
