//go:build soak

package e2e

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// TestEtcdRolling goes through a real cluster of three, member by member, while
// somebody writes.
func TestEtcdRolling(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 3})
	r := &rolling{t: t, h: l.Hosts(), d: newDesk(t, l.Inventory())}
	r.well()
	t.Run("restart", r.restart)
	t.Run("killed", r.killed)
	if os.Getenv("DAYOPS_SOAK") != "" {
		t.Run("defrag", r.defrag)
		t.Run("refused", r.refused)
		t.Run("no space", r.nospace)
	}
}

type rolling struct {
	t *testing.T
	h []*labtest.Host
	d *desk
}

func (r *rolling) well() {
	r.t.Helper()
	programtest.Eventually(r.t, 40*time.Second, "healthy", func() bool { return r.d.run("run", "etcd-health.yml").code == 0 })
}

// urls are all members' endpoints.
func (r *rolling) urls() string {
	var out []string
	for _, h := range r.h {
		out = append(out, "https://"+h.IP+":2379")
	}
	return strings.Join(out, ",")
}

func (r *rolling) ctl(t *testing.T, verb string) string {
	t.Helper()
	return on(t, r.h[0], "ETCDCTL_API=3 etcdctl --cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --endpoints $1 "+verb, r.urls())
}

// leader is the host that leads.
func (r *rolling) leader(t *testing.T) *labtest.Host {
	t.Helper()
	var got []struct {
		Status struct {
			Header struct {
				Member uint64 `json:"member_id"`
			}
			Leader uint64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.ctl(t, "endpoint status -w json")), &got))
	for i, g := range got {
		if g.Status.Leader == g.Status.Header.Member {
			return r.h[i]
		}
	}
	t.Fatal("nobody leads")
	return nil
}

// pids tell who was restarted, and when.
func (r *rolling) pids(t *testing.T) (pids map[string]string, begun map[string]int64) {
	pids, begun = map[string]string{}, map[string]int64{}
	for _, h := range r.h {
		f := strings.Fields(on(t, h, "systemctl show -p MainPID --value etcd; systemctl show -p ExecMainStartTimestampMonotonic --value etcd"))
		require.Len(t, f, 2)
		pids[h.Name] = f[0]
		n, err := strconv.ParseInt(f[1], 10, 64)
		require.NoError(t, err)
		begun[h.Name] = n
	}
	return pids, begun
}

const writer = `i=0
while [ ! -e /var/tmp/stop-$2 ]; do
  i=$((i+1))
  ETCDCTL_API=3 etcdctl --cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --dial-timeout 1s --command-timeout 2s --endpoints $1 put $2$i v$i >/dev/null 2>&1 && echo "$i $(date +%s%N)" >> /var/tmp/acked-$2
done`

// write puts one key after the other on the first host until stop is called, which
// gives the acknowledged keys' count and the longest pause between two. Every
// acknowledged key must be there.
func (r *rolling) write(t *testing.T, prefix string) (stop func() (int, time.Duration)) {
	h := r.h[0]
	on(t, h, `systemd-run -q --unit writer-$2 sh -c "$3" sh "$1" "$2"`, r.urls(), prefix, strings.ReplaceAll(writer, "$", "$$"))
	return func() (int, time.Duration) {
		on(t, h, "touch /var/tmp/stop-$1; while systemctl is-active -q writer-$1; do sleep 0.1; done", prefix)
		have := map[string]bool{}
		for _, k := range strings.Fields(r.ctl(t, "get --prefix "+prefix+" --keys-only")) {
			have[k] = true
		}
		n, last, longest := 0, int64(0), int64(0)
		for line := range strings.Lines(on(t, h, "cat /var/tmp/acked-$1", prefix)) {
			f := strings.Fields(line)
			require.True(t, have[prefix+f[0]], "the acknowledged write %s%s is lost", prefix, f[0])
			at, err := strconv.ParseInt(f[1], 10, 64)
			require.NoError(t, err)
			if last != 0 {
				longest = max(longest, at-last)
			}
			last = at
			n++
		}
		return n, time.Duration(longest)
	}
}

// pause is how long writes may stand still: twice the election timeout and a second.
const pause = 2*2500*time.Millisecond + time.Second

func (r *rolling) restart(t *testing.T) {
	r.t, r.d.t = t, t
	led := r.leader(t)
	before, _ := r.pids(t)
	stop := r.write(t, "restart-")
	time.Sleep(time.Second)
	o := r.d.must(0, "run", "builtin:etcd-restart.yml", "-y")
	time.Sleep(time.Second)
	n, longest := stop()
	t.Logf("restarted in %.1f s; %d writes, the longest pause %s", o.took.Seconds(), n, longest)
	after, begun := r.pids(t)
	for _, h := range r.h {
		require.NotEqual(t, before[h.Name], after[h.Name], "%s was restarted\n%s", h.Name, o)
		require.LessOrEqual(t, begun[h.Name], begun[led.Name], "the leader's turn was last")
	}
	require.Contains(t, o.out, "it led before")
	require.NotEqual(t, led.Name, r.leader(t).Name)
	require.Less(t, longest, pause)
	r.well()
}

// killed: the controller dies in the middle; resume restarts the others, and no
// member twice.
func (r *rolling) killed(t *testing.T) {
	r.t, r.d.t = t, t
	before, _ := r.pids(t)
	j := r.d.command("run", "builtin:etcd-restart.yml", "-y").begin()
	programtest.Eventually(t, 60*time.Second, "one is restarted", func() bool {
		now, _ := r.pids(t)
		for name, pid := range now {
			if pid != before[name] && pid != "0" {
				return true
			}
		}
		return false
	})
	require.NoError(t, j.cmd.Process.Signal(syscall.SIGKILL))
	j.wait()
	middle, _ := r.pids(t)
	require.NotEqual(t, before, middle)
	o := r.d.must(0, "resume", "-y")
	after, _ := r.pids(t)
	again := 0
	for name, pid := range after {
		require.NotEqual(t, before[name], pid, "%s was restarted\n%s", name, o)
		if middle[name] != before[name] && middle[name] != pid {
			again++
		}
	}
	t.Logf("killed after %d of 3; %d of them again in the resume", changed(before, middle), again)
	require.LessOrEqual(t, again, 1, "only what was under way when the controller died")
	r.well()
}

func changed(a, b map[string]string) (n int) {
	for k := range a {
		if a[k] != b[k] {
			n++
		}
	}
	return n
}

// refused: nothing is changed.
func (r *rolling) refused(t *testing.T) {
	r.t, r.d.t = t, t
	before, _ := r.pids(t)
	on(t, r.h[2], "systemctl stop etcd")
	o := r.d.run("run", "builtin:etcd-restart.yml", "-y")
	require.Equal(t, 2, o.code, "%s", o)
	require.Contains(t, o.out, "member "+r.h[2].Name+" does not answer at https://"+r.h[2].IP+":2379")
	require.Contains(t, o.out, "3 voters, 2 healthy; stopping "+r.h[0].Name+" leaves 1, 2 are needed")
	on(t, r.h[2], "systemctl start etcd")
	r.well()
	after, _ := r.pids(t)
	for _, h := range r.h[:2] {
		require.Equal(t, before[h.Name], after[h.Name], "%s was left alone", h.Name)
	}
}

// sizes are the databases' files.
func (r *rolling) sizes(t *testing.T) (out []int64) {
	for _, h := range r.h {
		n, err := strconv.ParseInt(strings.TrimSpace(on(t, h, "stat -c %s /var/lib/etcd/member/snap/db")), 10, 64)
		require.NoError(t, err)
		out = append(out, n)
	}
	return out
}

// fill writes 100 kB into one key n times, or until etcd refuses, and forgets the
// old versions where compact is set.
func (r *rolling) fill(t *testing.T, n int, compact bool) {
	on(t, r.h[0], `ctl() { ETCDCTL_API=3 etcdctl --cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --endpoints $urls "$@"; }
urls=$1; i=0
while [ $i -lt $2 ]; do i=$((i+1)); head -c 1000000 /dev/zero | tr '\\0' x | ctl put large >/dev/null 2>&1 || break; done
[ -z "$3" ] || ctl compaction --physical $(ctl get large -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')`, r.urls(), strconv.Itoa(n), map[bool]string{true: "yes"}[compact])
}

func (r *rolling) defrag(t *testing.T) {
	r.t, r.d.t = t, t
	r.fill(t, 40, true)
	before := r.sizes(t)
	led := r.leader(t)
	o := r.d.must(0, "run", "builtin:etcd-defrag.yml", "-y")
	require.Equal(t, before, r.sizes(t), "less than 100 MiB unused is left")
	require.Contains(t, o.out, "% unused")
	book := r.d.file("defrag.yml", "- hosts: etcd\n  become: yes\n  tasks:\n    - etcd_defrag: {unused_mib: 10}\n")
	stop := r.write(t, "defrag-")
	o = r.d.must(0, "run", book, "-y")
	n, longest := stop()
	after := r.sizes(t)
	t.Logf("defragmented in %.1f s: %v, then %v; %d writes, the longest pause %s\n%s", o.took.Seconds(), before, after, n, longest, o.out)
	for i := range after {
		require.Less(t, after[i], before[i]/2)
	}
	require.Contains(t, o.out, " before, ")
	require.NotEqual(t, led.Name, r.leader(t).Name, "another leads while the leader is defragmented")
	require.Less(t, longest, pause)
	require.Zero(t, r.d.run("run", book, "-y").code)
	r.well()
}

// nospace: the quota is reached, and lifted again.
func (r *rolling) nospace(t *testing.T) {
	r.t, r.d.t = t, t
	for _, h := range r.h {
		on(t, h, "sed -i s/^ETCD_QUOTA_BACKEND_BYTES=.*/ETCD_QUOTA_BACKEND_BYTES=20000000/ /etc/etcd/etcd.conf")
	}
	r.d.must(0, "run", "builtin:etcd-restart.yml", "-y")
	r.fill(t, 60, false)
	o := r.d.run("run", "builtin:etcd-restart.yml", "-y")
	require.Equal(t, 2, o.code, "%s", o)
	require.Contains(t, o.out, "alarm NOSPACE raised by ")
	o = r.d.must(0, "run", "builtin:etcd-defrag.yml", "-y", "-e", "disarm=yes")
	t.Log(o.out)
	r.ctl(t, "put after nospace")
	for _, n := range r.sizes(t) {
		require.Less(t, n, int64(10_000_000))
	}
	r.well()
}
