package soak

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// expiry of the locks in races, and what a busy machine may add to it.
const (
	expiry = 5 * time.Second
	slack  = 20 * time.Second
)

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// items is how many the loop below has.
const items = 4

// inside are commands that may never be under way for two runs at once.
const inside = `
- hosts: node-2
  gather_facts: false
  tasks:
    - name: Alone
      shell: mkdir /tmp/inside || { echo both >>/srv/soak/both; exit 9; }; sleep 0.2; rmdir /tmp/inside; echo {{ item }} >>/srv/soak/counter
      loop: [1, 2, 3, 4]
`

// sameInventory: the second run on this machine ends at once and says who is first.
func sameInventory(t *testing.T, d *desk, hosts []*labtest.Host) {
	d.file("long.yml", "\n- hosts: node-2\n  gather_facts: false\n  tasks:\n    - shell: touch /srv/soak/on; while [ ! -e /srv/soak/go ]; do sleep 0.1; done\n")
	first := d.begin(nil, "run", "long.yml")
	programtest.Eventually(t, time.Minute, "the first is inside", func() bool { return on(t, hosts[2], "ls /srv/soak") != "" })
	run := d.runs()[0]
	said := d.must(11, "run", "long.yml")
	require.Regexp(t, `run `+run+` \(.*pid \d+, since .*\) is changing hosts of`, said)
	said = d.must(11, "resume", run)
	require.Contains(t, said, "under way")
	on(t, hosts[2], "touch /srv/soak/go")
	code, said := first.wait()
	require.Zero(t, code, said)
	d.free(hosts, said)
}

// races: two control machines want the same host. One of them is killed or
// stopped at a random moment; the other goes on once the lock has expired.
func races(t *testing.T, d *desk, hosts []*labtest.Host) {
	n := 5
	if long() {
		n = 50
	}
	d.file("inside.yml", inside)
	r := &race{desk: d, other: newDesk(t, d.inv), h: hosts[2]}
	r.other.file("inside.yml", inside)
	for i := range n {
		r.once(t, []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP}[i%2])
		require.Equal(t, "absent\n", on(t, r.h, "cat /srv/soak/both 2>/dev/null || echo absent"), "two runs were inside at once")
		d.free(hosts, "")
	}
	if long() {
		require.Positive(t, r.overtaken, "no stopped controller was overtaken")
	}
	t.Logf("%d races; a dead or stopped holder kept a host for %s at most; %d stopped ones overtaken", n, r.waited.Round(time.Millisecond), r.overtaken)
}

// race is between two desks for a host.
type race struct {
	*desk
	other     *desk
	h         *labtest.Host
	waited    time.Duration
	overtaken int
}

// once is one race. Each run that ended well has done each item once; so has
// the first, however often it was taken up.
func (r *race) once(t *testing.T, how syscall.Signal) {
	on(t, r.h, "rm -f /srv/soak/counter")
	before := r.runs()
	first := r.begin(nil, "run", "inside.yml", "--lock-expiry", expiry.String())
	programtest.Eventually(t, time.Minute, "the first has the lock", func() bool { return on(t, r.h, "cat /var/lib/dayops/lock 2>/dev/null || :") != "" })
	run := r.newRun(before)
	time.Sleep(rand.N(time.Second))
	first.signal(how)
	took := r.other.until(t, run)
	r.waited = max(r.waited, took)
	whole := len(strings.Fields(counter(t, r.h))) == 2*items // what the first was to do was done when it was stopped
	runs := 2
	if how == syscall.SIGSTOP {
		second := r.other.begin(nil, "run", "inside.yml", "--lock-expiry", expiry.String())
		time.Sleep(rand.N(time.Second))
		first.signal(syscall.SIGCONT)
		r.woken(t, first, whole)
		code, said := second.wait()
		require.Zero(t, code, said) // nobody else has the lock
		runs++
	} else {
		first.wait()
	}
	require.Less(t, took, expiry+2*time.Second+slack)
	programtest.Eventually(t, time.Minute, "the first can go on", func() bool {
		code, said := r.begin(nil, "resume", run, "--lock-expiry", expiry.String()).wait()
		require.Contains(t, []int{0, 5, 11}, code, said)
		if code == 5 && strings.Contains(said, "nothing was done") { // killed between the lock and its first change
			require.False(t, whole, said)
			runs--
		}
		return code != 11
	})
	want := strings.Repeat("1 ", runs) + strings.Repeat("2 ", runs) + strings.Repeat("3 ", runs) + strings.TrimSpace(strings.Repeat("4 ", runs))
	got := strings.Fields(counter(t, r.h))
	slices.Sort(got)
	require.Equal(t, want, strings.Join(got, " "), "%s, with all done: %v", how, whole)
}

// woken is the end of a controller that was stopped for longer than its lock
// lived. Where something was left to do, it was kept from it.
func (r *race) woken(t *testing.T, first *job, whole bool) {
	code, said := first.wait()
	if code == 0 {
		require.True(t, whole, said)
		return
	}
	require.Equal(t, 11, code, said)
	require.Regexp(t, `run [0-9a-f]+ does not hold the lock /var/lib/dayops/lock on the host \(any more\); nothing was started`, said)
	r.overtaken++
}

// until runs the playbook until nobody holds the host any more, and gives the
// time that it took to get in.
func (d *desk) until(t *testing.T, holder string) time.Duration {
	start := time.Now()
	for {
		j := d.begin(nil, "run", "inside.yml", "--lock-expiry", expiry.String())
		began := time.Since(start)
		code, said := j.wait()
		if code == 0 {
			return began
		}
		require.Equal(t, 11, code, said)
		require.Regexp(t, regexp.MustCompile(`locked by run `+holder+` of .*pid \d+, since `), said)
		require.Less(t, time.Since(start), expiry+2*time.Second+slack, said)
	}
}
