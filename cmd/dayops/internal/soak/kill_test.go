package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// reset makes the start state of testdata/kill.yml.
const reset = `systemctl stop -q soak 2>/dev/null
rm -rf /srv/soak /etc/systemd/system/soak.service /etc/systemd/system/multi-user.target.wants/soak.service /var/lib/dayops
mkdir -p /srv/soak/old/sub && cd /srv/soak && echo a >old/a && echo b >old/sub/b && echo first >lines && echo old >listed && setfacl -m u:nobody:r listed
head -c 1500000 /dev/zero >large`

// look tells the end state: names, modes, owners and contents of what the
// playbook touches, the unit, and how often each line was counted.
const look = `cd /srv/soak || exit
find . /etc/systemd/system/soak.service -printf '%p %y %m %U:%G %l\n' | sort
find . -type f ! -name counter ! -name delegated -exec sha256sum {} + | sort -k2
sha256sum /etc/systemd/system/soak.service
sort counter delegated 2>/dev/null | uniq -c
getfacl -cps listed
systemctl is-enabled soak; systemctl is-active soak; :`

// bench is a lab with a desk, and what an undisturbed run leaves.
type bench struct {
	*desk
	hosts []*labtest.Host
	want  map[string]string
	start map[string]string
	takes time.Duration
	kills int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 3})
	b := &bench{desk: newDesk(t, l.Inventory()), hosts: l.Hosts()}
	for from, to := range map[string]string{"kill.yml": "kill.yml", "templates/soak.j2": "templates/soak.j2"} {
		text, err := os.ReadFile(filepath.Join("testdata", from))
		require.NoError(t, err)
		b.file(to, string(text))
	}
	b.file("files/large", strings.Repeat("not so empty\n", 100000))
	everywhere(t, b.hosts, reset)
	b.start = everywhere(t, b.hosts, look)
	j := b.begin(nil, "run", "kill.yml", "-y")
	code, said := j.wait()
	require.Zero(t, code, said)
	b.takes = j.took
	b.free(b.hosts, said)
	b.want = everywhere(t, b.hosts, look)
	require.NotEqual(t, b.start, b.want)
	t.Logf("an undisturbed run takes %s, with %s", j.took.Round(time.Millisecond), lastLines(said, 3))
	return b
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// story is a run from its start state to its end, with what happened on the way.
type story struct {
	*bench
	run string
	log strings.Builder
}

func (s *story) note(format string, args ...any) { fmt.Fprintf(&s.log, format+"\n", args...) }

// began starts the playbook from its start state; kill may end it. It tells
// whether there is a run to take up.
func (b *bench) began(env []string, kill func(*job)) (*story, bool) {
	everywhere(b.t, b.hosts, reset)
	s, before := &story{bench: b}, b.runs()
	j := b.begin(env, "run", "kill.yml", "-y")
	kill(j)
	code, said := j.wait()
	s.note("run with %s: exit %d after %s", env, code, j.took)
	if code == 0 {
		b.takes = min(b.takes, j.took) // else most moments are after the end, once the machine is quieter
		b.same(said, b.want)
		return s, false
	}
	require.Equal(b.t, -1, code, said)
	b.kills++
	if s.run = b.newRun(before); s.run == "" {
		b.same(s.log.String(), b.start)
		return s, false
	}
	return s, true
}

// resume takes the run up; kill may end it. It tells whether the run has ended:
// then everything is as after an undisturbed run.
func (s *story) resume(env []string, kill func(*job)) bool {
	s.t.Helper()
	j := s.begin(env, "resume", s.run, "-y")
	kill(j)
	code, said := j.wait()
	s.note("resume with %s: exit %d after %s", env, code, j.took)
	if code == -1 {
		s.kills++
		return false
	}
	s.note("%s", said)
	if code == 5 && strings.Contains(said, "nothing was done") {
		s.same(s.log.String(), s.start)
		return true
	}
	ended := code == 5 && strings.Contains(said, "nothing of it is left to do") // killed after its last write
	if ended {
		code = 0
	}
	require.Zero(s.t, code, s.log.String())
	s.same(s.log.String(), s.want)
	s.free(s.hosts, s.log.String())
	return true
}

func let(*job) {}

func at(point string) []string { return []string{"DAYOPS_CRASH=" + point} }

// same compares the hosts with want and shows only what differs.
func (b *bench) same(story string, want map[string]string) {
	b.t.Helper()
	now := everywhere(b.t, b.hosts, look)
	for _, h := range b.hosts {
		if now[h.Name] != want[h.Name] {
			b.t.Fatalf("%s\n%s has changed:\n- %s\n+ %s", story, h.Name, minus(want[h.Name], now[h.Name]), minus(now[h.Name], want[h.Name]))
		}
	}
}

// minus is the lines of a that b lacks.
func minus(a, b string) string {
	has := map[string]bool{}
	for l := range strings.Lines(b) {
		has[l] = true
	}
	var out []string
	for l := range strings.Lines(a) {
		if !has[l] {
			out = append(out, l)
		}
	}
	return strings.Join(out, "  ")
}

// The short form has 20 kills.
const (
	journalKills = 14
	momentKills  = 6
)

// TestKilled kills the controller and looks how the run ends.
func TestKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	t.Run("at writes of the journal", b.atJournal)
	t.Run("at any moment", b.atRandom)
}

// atJournal kills controllers at writes of the journal: with nothing written,
// half of it, and all of it.
func (b *bench) atJournal(t *testing.T) {
	b.t, b.kills = t, 0
	start := time.Now()
	if !long() {
		points := []string{"before:9", "after:4", "half:13", "before:25", "after:12", "before:2", "after:3", "before:30", "half:20", "after:25", "before:5", "after:40"}
		for b.kills < journalKills {
			kills := b.kills
			b.chain(func(n int) string {
				if b.kills >= journalKills {
					return "after:100000" // it comes to its end
				}
				return points[n%len(points)]
			})
			require.Greater(t, b.kills, kills, "nothing was killed")
		}
		t.Logf("%d kills in %s", b.kills, time.Since(start).Round(time.Second))
		return
	}
	// Each controller gets a few writes further than the one before it: it needs
	// one to take the run up, and one for each host to plan.
	const point = "half:8"
	b.chain(func(int) string { return point })
	t.Logf("each controller killed %s: %d kills, %s", point, b.kills, time.Since(start).Round(time.Second))
	// As root: sudo is a fifth of a host's work, and is killed in the chain above and at any moment below.
	defer func(inv string) { b.inv = inv }(b.inv)
	b.inv = b.asRoot()
	b.atBoundaries()
	kinds := []string{"before", "after", "half"}
	n, kills := 1, b.kills
	for ; b.single(fmt.Sprintf("%s:%d", kinds[n%3], n)); n += 25 {
	}
	t.Logf("killed once, at every 25th of %d writes: %d kills, %s", n-25, b.kills-kills, time.Since(start).Round(time.Second))
}

// asRoot is the inventory with root as the account.
func (b *bench) asRoot() string {
	b.t.Helper()
	text, err := os.ReadFile(b.inv)
	require.NoError(b.t, err)
	root := strings.NewReplacer("ansible_user: operator", "ansible_user: root", "ansible_become: true", "ansible_become: false").Replace(string(text))
	require.NotEqual(b.t, string(text), root)
	b.file("root.yml", root)
	return filepath.Join(b.dir, "root.yml")
}

// chain kills one controller after the other until the run has ended.
func (b *bench) chain(point func(n int) string) {
	s, on := b.began(at(point(0)), let)
	for n := 1; on; n++ {
		require.Less(b.t, n, 1000, "the run comes to no end\n%s", &s.log)
		on = !s.resume(at(point(n)), let)
	}
}

// single kills a run once, at a point that it may not come to.
func (b *bench) single(point string) bool {
	s, on := b.began(at(point), let)
	if on {
		require.True(b.t, s.resume(nil, let), &s.log)
	}
	return on
}

// atRandom kills controllers, also those of resumes, at any moment.
func (b *bench) atRandom(t *testing.T) {
	b.t, b.kills = t, 0
	n := momentKills
	if long() {
		n = 200
	}
	start := time.Now()
	for b.kills < n {
		s, on := b.began(nil, func(j *job) { j.killAfter(rand.N(b.takes)) })
		for on {
			on = !s.resume(nil, func(j *job) {
				if b.kills < n && rand.IntN(8) > 0 {
					j.killAfter(rand.N(b.takes))
				}
			})
		}
	}
	t.Logf("%d kills in %s", b.kills, time.Since(start).Round(time.Second))
}

func (j *job) killAfter(d time.Duration) {
	select {
	case <-time.After(d):
		j.signal(syscall.SIGKILL)
	case <-j.ended:
	}
}
