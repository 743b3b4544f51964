//go:build soak

package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// seen is what the end states of a membership change are compared by, on each
// host: the files of etcd and of those who name its members (certificates by
// name, mode and owner), data, units, filter, packages, and what must not be left.
// The authority's own records grow with each certificate.
const seen = `cd / || exit
set -- etc/etcd etc/systemd/system/etcd.service.d etc/systemd/system/multi-user.target.wants/etcd.service etc/default/etcd etc/sysconfig/flanneld etc/sysconfig/iptables etc/origin/master/master-config.yaml
find "$@" -path etc/etcd/ca -prune -o -printf '%p %y %m %U:%G %l\n' 2>/dev/null | sort
find "$@" -path etc/etcd/ca -prune -o -type f ! -name '*.crt' ! -name '*.key' -exec sha256sum {} + 2>/dev/null | sort -k2
find var/lib/etcd -mindepth 1 -maxdepth 1 ! -name 'dayops-*' ! -name 'member.before-restore-*' ! -name 'undone-restored-*' -printf '%p %y %m %u:%g\n' 2>/dev/null | sort
echo "data aside without a name: $(find var/lib/etcd -name '.dayops*' 2>/dev/null)"
echo "etcd $(pgrep -xc etcd) $(systemctl is-enabled etcd 2>/dev/null) $(systemctl is-active etcd)"
echo "proof $(systemctl is-active dayops-port-proof 2>/dev/null)"
iptables -S
dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 'etcd-*' 2>/dev/null | grep ^ii
ls etc/origin/node/pods etc/origin/node/pods-stopped 2>/dev/null
tail -n 1 var/log/lab-openshift.log 2>/dev/null | cut -d' ' -f2-
:`

// picture is a state of the lab: by host, "members" and "inventory".
type picture map[string]string

// ground is a lab whose cluster is changed again and again by controllers that
// are killed meanwhile.
type ground struct {
	*growth
	hosts   []*labtest.Host
	keys    labtest.Contents
	kills   int
	stories int
	writes  map[string]int // of a move's journal, from its undisturbed run
}

func newGround(t *testing.T, o labtest.Options) *ground {
	g := &ground{growth: newGrowth(t, o), writes: map[string]int{}}
	g.hosts = g.l.Hosts()
	// This machine has its part in these moves, and may have one in somebody else's.
	g.left = fmt.Sprintf("/var/lib/dayops-soak-%d", os.Getpid())
	t.Cleanup(func() { _ = os.RemoveAll(g.left) })
	g.e.Fill(t, labtest.Content{V3: 300, Leases: 2})
	g.keys = g.contents()
	g.afresh()
	return g
}

// afresh also lets all hosts log in by the same variables: one that leaves its
// last group can be reached still, by who tidies up after a killed controller.
// Data of members that left go, as the hosts' disks are small.
func (g *ground) afresh() {
	g.t.Helper()
	everywhere(g.t, g.hosts, "rm -rf /var/lib/etcd/dayops-member-*")
	g.growth.afresh()
	text, err := os.ReadFile(g.inv)
	require.NoError(g.t, err)
	head, rest, ok := strings.Cut(string(text), "    OSEv3:\n      vars:\n")
	require.True(g.t, ok, string(text))
	vars, rest, ok := strings.Cut(rest, "      children:\n")
	require.True(g.t, ok, string(text))
	all := "all:\n  vars:\n" + strings.ReplaceAll("\n"+vars, "\n        ", "\n    ")[1:]
	head = strings.Replace(head, "all:\n", all, 1)
	require.NoError(g.t, os.WriteFile(g.inv, []byte(head+"    OSEv3:\n      children:\n"+rest), 0o600))
}

// contents leaves out what writers wrote.
func (g *ground) contents() labtest.Contents {
	g.t.Helper()
	all := g.e.Contents(g.t, false)
	for k := range all.V3 {
		if strings.HasPrefix(k, labtest.WriterPrefix) {
			delete(all.V3, k)
		}
	}
	return all
}

func (g *ground) see() picture {
	g.t.Helper()
	p := picture(everywhere(g.t, g.hosts, seen))
	var members []string
	for _, m := range g.e.Members(g.t) {
		members = append(members, fmt.Sprintf("%s %v %v learner=%v\n", m.Name, m.PeerURLs, m.ClientURLs, m.Learner))
	}
	sort.Strings(members)
	p["members"] = strings.Join(members, "")
	text, err := os.ReadFile(g.inv)
	require.NoError(g.t, err)
	p["inventory"] = string(text)
	return p
}

// differences of two pictures, in lines; "" for none.
func differences(want, got picture) string {
	var out []string
	for name := range want {
		if want[name] != got[name] {
			out = append(out, fmt.Sprintf("%s:\n- %s\n+ %s", name, minus(want[name], got[name]), minus(got[name], want[name])))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// move is a way from one state of the cluster to another.
type move struct {
	name string
	args []string
}

var (
	grows   = move{"growth", []string{"run", "builtin:etcd-scaleup.yml", "--approve", "disruptive"}}
	shrinks = move{"removal", []string{"run", "builtin:etcd-remove.yml", "-e", "member=spare-0", "-e", "yes_i_know=yes", "--approve", "disruptive"}}
)

// tale is a move from its beginning to its end, with what happened on the way.
type tale struct {
	*ground
	move
	run    string
	log    strings.Builder
	before picture
}

func (s *tale) note(format string, args ...any) { fmt.Fprintf(&s.log, format+"\n", args...) }

func (s *tale) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s: %s\n%s", s.name, fmt.Sprintf(format, args...), &s.log)
}

// begins starts the move, with a kill where env has one; on tells whether a run is left.
func (g *ground) begins(m move, env []string) (s *tale, on bool) {
	g.t.Helper()
	s = &tale{ground: g, move: m, before: g.see()}
	g.stories++
	known := g.runs()
	j := g.begin(env, m.args...)
	code, said := j.wait()
	s.note("%v: exit %d after %s\n%s", env, code, j.took.Round(time.Millisecond), said)
	if code == 0 {
		return s, false
	}
	if code != -1 {
		s.fail("exit %d", code)
	}
	g.kills++
	s.run = g.newRun(known)
	return s, s.run != ""
}

// resumed takes the run up, with a kill where env has one; it tells whether it has ended.
func (s *tale) resumed(env []string) bool {
	s.t.Helper()
	j := s.begin(env, "resume", s.run, "--approve", "destructive")
	code, said := j.wait()
	s.note("resume %v: exit %d after %s\n%s", env, code, j.took.Round(time.Millisecond), said)
	switch {
	case code == -1:
		s.kills++
		return false
	case code == 5 && strings.Contains(said, "nothing was done"):
		s.run = ""
		return true
	case code == 5 && strings.Contains(said, "nothing of it is left to do"):
	case code != 0:
		s.fail("resume: exit %d", code)
	}
	return true
}

// must compares the lab with a picture, waiting a moment for units to settle.
func (s *tale) must(what string, want picture) {
	s.t.Helper()
	var last string
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		if last = differences(want, s.see()); last == "" {
			break
		}
		if time.Now().After(end) {
			s.fail("is not %s:\n%s", what, last)
		}
	}
	if d := labtest.Differences(s.keys, s.contents()); d != "" {
		s.fail("keys: %s", d)
	}
	s.free(s.hosts, s.log.String())
}

// cycle is the round of states: as found, grown, shrunk.
type cycle struct {
	*ground
	grown, shrunk picture
}

// newCycle goes round once undisturbed.
func newCycle(t *testing.T, o labtest.Options) *cycle {
	c := &cycle{ground: newGround(t, o)}
	for _, m := range []move{grows, shrinks} {
		s, on := c.begins(m, nil)
		require.False(t, on)
		*c.after(m) = c.see()
		t.Logf("%s undisturbed: %s", m.name, lastLines(s.log.String(), 2))
	}
	return c
}

func (c *cycle) after(m move) *picture {
	if m.name == grows.name {
		return &c.grown
	}
	return &c.shrunk
}

// chain makes a move by controllers each of which is killed at its point.
func (c *cycle) chain(m move, point func(n int) string) {
	c.t.Helper()
	w := c.e.StartWriter(c.t)
	s, on := c.begins(m, at(point(0)))
	for n := 1; on; n++ {
		require.Less(c.t, n, 40, "the run comes to no end\n%s", &s.log)
		on = !s.resumed(at(point(n)))
	}
	if s.run == "" && c.lastKilled(s) { // before it was journalled: nothing was done
		s, _ = c.begins(m, nil)
	}
	w.MustKeep(c.t, 0)
	s.must("as after an undisturbed run", *c.after(m))
}

// lastKilled tells a move that was killed before there was a run.
func (c *cycle) lastKilled(s *tale) bool { return strings.Contains(s.log.String(), "exit -1") }

// single kills a move once; the run is taken up, or taken back. It tells whether
// the point was reached and where the cluster is now.
func (c *cycle) single(m move, point string, back bool) (reached, done bool) {
	c.t.Helper()
	w := c.e.StartWriter(c.t)
	s, on := c.begins(m, at(point))
	reached = strings.Contains(s.log.String(), "exit -1")
	switch {
	case !reached:
		s.must("as after an undisturbed run", *c.after(m))
		done = true
	case !on:
		s.must("as before", s.before)
	case back:
		done = c.takenBack(s)
	default:
		if !s.resumed(nil) {
			s.fail("a resume that nobody kills has ended so")
		}
		if done = s.run != ""; done {
			s.must("as after an undisturbed run", *c.after(m))
		} else {
			s.must("as before", s.before)
		}
	}
	w.MustKeep(c.t, 0)
	return reached, done
}

// takenBack undoes a killed run. A member that was removed stays away: then
// nothing is taken back, the undo says so, and a resume brings the run to its end.
func (c *cycle) takenBack(s *tale) (done bool) {
	c.t.Helper()
	code := s.undone()
	if s.name == grows.name || len(c.names()) == 2 {
		if code != 0 && code != 3 {
			s.fail("undo: exit %d", code)
		}
		s.must("as before", s.before)
		return false
	}
	if code != 3 || !strings.Contains(s.log.String(), "cannot be undone: member remove spare-0") {
		s.fail("undo of a removal that was made: exit %d", code)
	}
	if !s.resumed(nil) {
		s.fail("a resume that nobody kills has ended so")
	}
	s.must("as after an undisturbed run", c.shrunk)
	return true
}

// round makes both moves, each with one kill, and begins anew.
func (c *cycle) round(point string, back bool) (reached bool) {
	c.t.Helper()
	began := time.Now()
	c.afresh()
	hit, done := c.single(grows, point, back)
	if !done {
		c.afresh()
		c.single(grows, "", false)
	}
	also, done := c.single(shrinks, point, back)
	if !done {
		c.single(shrinks, "", false)
	}
	c.t.Logf("%s, undo %v: growth %v, removal %v: %s", point, back, hit, also, time.Since(began).Round(time.Second))
	return hit
}

// removal kills a removal alone.
func (c *cycle) removal(point string, back bool) {
	c.t.Helper()
	c.afresh()
	c.single(grows, "", false)
	hit, done := c.single(shrinks, point, back)
	if !done {
		c.single(shrinks, "", false)
	}
	c.t.Logf("%s, undo %v: removal %v", point, back, hit)
}

// chains makes both moves by controllers each of which is killed. Each gets
// further than the one before: what lies in staging folders it has to do again.
func (c *cycle) chains(point string) {
	c.t.Helper()
	kills, began := c.kills, time.Now()
	kind, first, _ := strings.Cut(point, ":")
	from, err := strconv.Atoi(first)
	require.NoError(c.t, err)
	const more = 4
	next := func(n int) string { return fmt.Sprintf("%s:%d", kind, from+more*n) }
	c.afresh()
	c.chain(grows, next)
	c.chain(shrinks, next)
	c.t.Logf("each controller killed %s: %d kills, %s", point, c.kills-kills, time.Since(began).Round(time.Second))
}

// TestEtcdKilled kills the controller at the writes of the journal of scale-ups
// and removals. Taken up again, or taken back, each ends in the new state or the
// old one, and no acknowledged write is lost. DAYOPS_POINTS=before:37u,half:19c
// tries those alone: u takes back, c is a chain, r is of the removal alone.
func TestEtcdKilled(t *testing.T) {
	labtest.Asked(t)
	c := newCycle(t, labtest.Options{Masters: 1, Spares: 1, Closed: true, Pods: os.Getenv("DAYOPS_PODS") == "1"})
	start := time.Now()
	if only := os.Getenv("DAYOPS_POINTS"); only != "" {
		for p := range strings.SplitSeq(only, ",") {
			if point, all := strings.CutSuffix(p, "c"); all {
				c.chains(point)
				continue
			}
			point, removal := strings.CutSuffix(p, "r")
			point, back := strings.CutSuffix(point, "u")
			if removal {
				c.removal(point, back)
				continue
			}
			c.round(point, back)
		}
		return
	}
	points := []string{"half:19"}
	if long() {
		points = []string{"before:9", "after:10", "half:11", "after:12", "before:14", "half:16"}
	}
	for _, p := range points {
		c.chains(p)
	}
	kinds := []string{"before", "after", "half"}
	if !long() {
		c.round("before:37", true)
		c.round("after:24", true)
	} else { // each long form has another half of the writes; the chains come to others
		for n, i := 1+rand.IntN(2), 0; c.round(fmt.Sprintf("%s:%d", kinds[i%3], n), i%2 == 1); n += 2 {
			i++
		}
	}
	t.Logf("%d kills in %d stories, %s", c.kills, c.stories, time.Since(start).Round(time.Second))
}
