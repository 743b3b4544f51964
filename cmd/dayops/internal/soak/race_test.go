package soak

import (
	"math/rand/v2"
	"os"
	"regexp"
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
	h := hosts[2]
	d.file("inside.yml", inside)
	other := newDesk(t, d.inv)
	other.file("inside.yml", inside)
	var waited, overtaken = time.Duration(0), 0
	for i := range n {
		on(t, h, "rm -f /srv/soak/counter")
		before := d.runs()
		first := d.begin(nil, "run", "inside.yml", "--lock-expiry", expiry.String())
		programtest.Eventually(t, time.Minute, "the first has the lock", func() bool { return on(t, h, "cat /var/lib/dayops/lock 2>/dev/null || :") != "" })
		run := d.newRun(before)
		time.Sleep(rand.N(time.Second))
		how := []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP}[i%2]
		first.signal(how)
		since := time.Now()
		took := other.until(t, run)
		waited = max(waited, took-since.Sub(since))
		if how == syscall.SIGSTOP {
			second := other.begin(nil, "run", "inside.yml", "--lock-expiry", expiry.String())
			time.Sleep(rand.N(time.Second))
			first.signal(syscall.SIGCONT)
			code, said := first.wait()
			require.Contains(t, []int{0, 11}, code, said)
			if code == 11 {
				overtaken++
			}
			code, said = second.wait()
			require.Contains(t, []int{0, 11}, code, said)
		} else {
			first.wait()
		}
		require.Less(t, took, expiry+2*time.Second+slack)
		programtest.Eventually(t, time.Minute, "the first can go on", func() bool {
			code, said := d.begin(nil, "resume", run, "--lock-expiry", expiry.String()).wait()
			require.Contains(t, []int{0, 5, 11}, code, said)
			return code != 11
		})
		require.Equal(t, "absent\n", on(t, h, "cat /srv/soak/both 2>/dev/null || echo absent"), "two runs were inside at once")
		d.free(hosts, "")
	}
	t.Logf("%d races; a dead or stopped holder kept a host for %s at most; %d overtaken", n, waited.Round(time.Millisecond), overtaken)
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
