package etcdgate

import (
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/words"
)

func TestListener(t *testing.T) {
	const said = "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n" +
		"LISTEN 0 4096 10.0.0.1:2379 0.0.0.0:* users:((\"etcd\",pid=35,fd=7))\nLISTEN 0 4096 127.0.0.1:2379 0.0.0.0:* users:((\"etcd\",pid=35,fd=8))\n" +
		"LISTEN 0 128 [::]:22 [::]:* users:((\"sshd\",pid=7,fd=3),(\"systemd\",pid=1,fd=3))\nLISTEN 0 5 *:12380 *:*\n"
	for port, want := range map[string]string{"2379": "35", "22": "1 7", "12380": unknown, "2380": "", "9": ""} {
		require.Equal(t, want, listenerIn(said, port), port)
	}
}

// How long it may take until a member goes, by what stops it.
func TestWithin(t *testing.T) {
	const manifest = "/etc/kubernetes/manifests/etcd.yaml"
	for _, c := range []struct {
		name string
		on   target
		c    change.Change
		want time.Duration
	}{
		{"in the background", asUnit, run("(sleep 20; systemctl stop etcd) &"), putOffLimit},
		{"a timer", asUnit, run("systemd-run", "--on-active=60", "systemctl", "restart", "etcd"), putOffLimit},
		{"its process", asUnit, run("(sleep 20; pkill etcd) &"), putOffLimit},
		{"some process", asUnit, run("kill 4711; nohup ./run &"), 0},
		{"another unit", asUnit, run("(sleep 20; systemctl stop nginx) &"), 0},
		{"now", asUnit, run("systemctl stop etcd"), 0},
		{"at once", asUnit, run("systemctl --no-block stop etcd"), 0},
		{"a task", asUnit, &change.Unit{Name: "etcd", Restart: true}, 0},
		{"manifest away", asPod, &change.Move{From: manifest, To: "/root/x"}, kubeletLimit},
		{"manifest removed", asPod, &change.Remove{Path: manifest}, kubeletLimit},
		{"manifest by a command", asPod, run("mv " + manifest + " /root/"), kubeletLimit},
		{"manifest anew", asPod, &change.Write{Path: manifest, Before: there, After: change.Content{SHA256: "x"}}, kubeletLimit},
		{"its mode alone", asPod, &change.Write{Path: manifest, Before: reader.File{Exists: true, SHA256: "x"}, After: change.Content{SHA256: "x"}}, 0},
	} {
		require.Equal(t, c.want, c.on.of(c.c).within, c.name)
	}
}

// A claim is held until the member was seen to go, or to be another, or its limit
// is over; then its member counts as one that may go at any time.
func TestPutOffIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		to          func(*hostOf)
		after, want time.Duration
		marked      bool
	}{
		"stops":            {func(h *hostOf) { h.active = false }, 61 * time.Second, 61 * time.Second, false},
		"starts anew":      {func(h *hostOf) { h.pid = "99" }, 61 * time.Second, 61 * time.Second, false},
		"stays":            {func(*hostOf) {}, 0, putOffLimit, true},
		"is not told well": {func(h *hostOf) { h.pid = "" }, 61 * time.Second, putOffLimit, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &hostOf{etcd: true, active: true, pid: "35", dir: "/var/lib/etcd"}
			g := New(Options{})
			claim := h.claim(run("systemd-run", "--on-active=60", "systemctl", "stop", "etcd"))
			on, err := g.look(t.Context(), claim)
			require.NoError(t, err)
			w := &watch{g: g, c: claim, e: effects(on, claim)}
			w.expect(t.Context(), on)
			require.True(t, g.leaves(t.Context(), claim, "m1"), name)
			began := time.Now()
			go func() {
				time.Sleep(c.after)
				h.change(c.to)
			}()
			w.goes(t.Context())
			require.InDelta(t, c.want.Seconds(), time.Since(began).Seconds(), 2, name)
			require.Equal(t, c.marked, g.leaves(t.Context(), claim, "m1"), name)
			if c.marked {
				h.change(func(h *hostOf) { h.pid = "99" })
				require.False(t, g.leaves(t.Context(), claim, "m1"), name)
			}
		})
	}
}

// Where nobody says who listens, a restart by the kubelet may be over already.
func TestExpectsNothingUnseen(t *testing.T) {
	h := &hostOf{etcd: true, active: true, dir: "/var/lib/etcd"}
	claim := h.claim(run("true"))
	on, err := look(t.Context(), claim)
	require.NoError(t, err)
	for power, want := range map[power]time.Duration{halts: kubeletLimit, bounces: 0} {
		g := New(Options{})
		w := &watch{g: g, c: claim, e: effect{power: power, within: kubeletLimit}}
		w.expect(t.Context(), on)
		require.Equal(t, want, w.within)
		require.False(t, g.leaves(t.Context(), claim, "m1"), "what cannot be seen to go is not counted as going")
	}
}

func FuzzListener(f *testing.F) {
	f.Add("LISTEN 0 4096 10.0.0.1:2379 0.0.0.0:* users:((\"etcd\",pid=35,fd=7))", "2379")
	f.Add("x :22 y :22\x00", "22")
	f.Fuzz(func(t *testing.T, said, port string) {
		if who := listenerIn(said, port); strings.Trim(who, "0123456789 ") != "" && who != unknown {
			t.Fatal(who)
		}
	})
}

// A path meets itself, what is above it and what is below it, and no other.
func FuzzSite(f *testing.F) {
	f.Add("/var/lib/etcd", "x")
	f.Add("/var/[x", "*")
	f.Fuzz(func(t *testing.T, p, leaf string) {
		if !path.IsAbs(p) {
			return
		}
		s := site{path: path.Clean(p)}
		if !s.meets(s.path) || !s.meets(path.Join(s.path, "below")) || !(site{path: path.Join(s.path, "below")}).meets(s.path) {
			t.Fatal(p)
		}
		(site{path: path.Join(p, leaf), pattern: true}).meets(usual)
		for _, d := range words.Deeds([]string{"rm", "-rf", p, leaf}, p) {
			sitesOf(d)
		}
	})
}
