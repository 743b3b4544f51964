package etcdgate

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

var there = reader.File{Exists: true, Type: reader.Regular}

func remove(p string) change.Change { return &change.Remove{Path: p} }

// What is taken from a member that runs is found whatever takes it.
func TestLosesData(t *testing.T) {
	stop, start := &change.Unit{Name: "etcd", Active: &no}, &change.Unit{Name: "etcd", Active: &yes}
	at := asUnit
	at.data = []string{"/var/lib/etcd/member", "/data/wal"}
	in := func(dir string, words ...string) change.Change { return &change.Exec{Argv: words, Dir: dir} }
	for _, c := range []struct {
		name  string
		c     change.Change
		loses bool
	}{
		{"the folder", remove("/var/lib/etcd"), true},
		{"with a slash", remove("/var/lib/etcd/"), true},
		{"above it", remove("/var/lib"), true},
		{"member", remove("/var/lib/etcd/member"), true},
		{"within", remove("/var/lib/etcd/member/snap/db"), true},
		{"the WAL", remove("/data/wal"), true},
		{"above the WAL", remove("/data"), true},
		{"moved away", &change.Move{From: "/var/lib/etcd", To: "/var/lib/old"}, true},
		{"moved over", &change.Move{From: "/root/db", To: "/var/lib/etcd/member/snap/db", Over: &there}, true},
		{"written over", &change.Write{Path: "/var/lib/etcd/member/snap/db", Before: there}, true},
		{"linked over", &change.Link{Path: "/var/lib/etcd", Target: "/data", Before: there}, true},
		{"brought over", &change.Transfer{FromPeer: "m1", FromPath: "/db", ToFile: "/data/wal/0.wal", Before: there}, true},
		{"made a folder", &change.Dir{Path: "/var/lib/etcd", Before: there}, true},
		{"rm", run("rm", "-rf", "/var/lib/etcd"), true},
		{"rm in a shell", run("sudo rm -rf /var/lib/etcd/member"), true},
		{"rm of all in it", run("rm -rf /var/lib/etcd/*"), true},
		{"rm of what the shell knows", run("rm -rf /var/lib/etcd/$x"), true},
		{"rm by a pattern", run("rm -rf /var/lib/e*"), true},
		{"rm from there", run("cd /var/lib/etcd && rm -rf member"), true},
		{"rm with chdir", in("/var/lib/etcd", "rm", "-rf", "member"), true},
		{"mv", run("mv /var/lib/etcd{,.old}; mv /var/lib/etcd /var/lib/etcd.old"), true},
		{"in its container", run("docker exec etcd_container rm -rf /var/lib/etcd/member"), true},
		{"before a stop", run("rm -rf /var/lib/etcd; systemctl stop etcd; systemctl start etcd"), true},
		{"behind a stop that is put off", run("systemctl --no-block stop etcd; rm -rf /var/lib/etcd"), true},
		{"bracket", &change.Bracket{Do: []change.Change{remove("/var/lib/etcd"), stop}, Then: []change.Change{start}}, true},

		{"what was moved aside", remove("/var/lib/etcd/dayops-member-20260101T000000Z"), false},
		{"a backup beside it", remove("/var/lib/etcd/openshift-backup-1"), false},
		{"another folder", remove("/var/lib/etcd-backup"), false},
		{"another's data", remove("/data/walrus"), false},
		{"an empty one", &change.Remove{Path: "/var/lib/etcd", OnlyEmpty: true}, false},
		{"ours", &change.Remove{Path: "/var/lib/etcd/.dayops-x", Staging: true}, false},
		{"put back where nothing is", &change.Move{From: "/root/old", To: "/var/lib/etcd"}, false},
		{"put back from aside", &change.Move{From: "/var/lib/etcd/aside/1", To: "/var/lib/etcd/x", Kept: true}, false},
		{"a new file", &change.Write{Path: "/var/lib/etcd/member/new"}, false},
		{"its settings", &change.Write{Path: "/etc/etcd/etcd.conf", Before: there}, false},
		{"the folder's mode", &change.Dir{Path: "/var/lib/etcd", Before: reader.File{Exists: true, Type: reader.Directory}}, false},
		{"ls", run("ls /var/lib/etcd"), false},
		{"one of many", run("rm -rf /var/lib/$x"), false},
		{"nobody knows what", run("rm -rf $x"), false},
		{"another pattern", run("rm -rf /var/lib/x*"), false},
	} {
		e := at.of(c.c)
		require.Equal(t, c.loses, e.data != "", "%s: %+v", c.name, e)
		if c.loses {
			require.Equal(t, halts, e.power, c.name)
			require.True(t, (&Gate{}).Minds(c.c), c.name)
			require.Equal(t, "taking away the data of", effects(at, engine.Claim{Change: c.c, Next: []change.Change{start}}).doing, "a start gives nothing back")
		}
		require.Empty(t, asUnit.of(c.c).data, "%s: a member that does not run", c.name)
	}
	for _, c := range []change.Change{run("systemctl stop etcd; rm -rf /var/lib/etcd; systemctl start etcd"),
		&change.Bracket{Do: []change.Change{stop, remove("/var/lib/etcd")}, Then: []change.Change{start}}} {
		e := at.of(c)
		require.Equal(t, bounces, e.power)
		require.Empty(t, e.data, "it was stopped before")
	}
}

// Data of a member that runs are kept whatever the votes; nobody's are not.
func TestDataRule(t *testing.T) {
	e := effect{power: halts, doing: "taking away the data of", data: "/var/lib/etcd"}
	_, refused := made(3, 1, 0).at(1).verdict("file", e)
	require.Equal(t, "3 voters, 2 healthy; taking away the data of m2 leaves 1, 2 are needed", refused)
	for voters := 1; voters <= 5; voters++ {
		for down := range min(3, voters+1) {
			for i := range voters {
				warn, refused := made(voters, down, 0).at(i).verdict("file", e)
				require.Contains(t, refused, fmt.Sprintf("%d voter", voters))
				require.Empty(t, warn)
			}
		}
	}
	_, refused = made(3, 0, 0).at(0).verdict("file", e)
	require.Equal(t, "3 voters, 3 healthy; taking away the data of m1 leaves 2, 2 are needed: it runs, and loses what it has in /var/lib/etcd for good", refused)
	require.Contains(t, made(3, 0, 0).hint(e), "stop the member first")
	for want, cl := range map[string]*cluster{"x": {unread: "x"}, "y": {lost: "y"}, "": made(3, 0, 0)} {
		_, refused = cl.verdict("file", e)
		require.Equal(t, want, refused)
	}
	_, refused = (&cluster{down: true}).verdict("file", e)
	require.Contains(t, refused, "earlier steps start the member")
}

// hostOf is a host with an etcd.service, or without.
type hostOf struct {
	task.Reader
	etcd, active, listens bool
	dir                   string
	link                  map[string]string
	looks                 int
	pid                   string // of who listens; "": not told
	mu                    sync.Mutex
}

func (h *hostOf) change(f func(*hostOf)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

func (h *hostOf) Units(_ context.Context, names ...string) (out []reader.Unit, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks++
	for _, n := range names {
		u := reader.Unit{Name: n, LoadState: "not-found", ActiveState: "inactive"}
		if h.etcd && n == "etcd.service" {
			u.LoadState, u.UnitFileState = "loaded", "enabled"
			if h.active {
				u.ActiveState = "active"
			}
		}
		out = append(out, u)
	}
	return out, nil
}

func (h *hostOf) Hash(_ context.Context, paths ...string) ([]reader.File, error) {
	return make([]reader.File, len(paths)), nil
}

func (h *hostOf) ReadFile(context.Context, string, int64) ([]byte, error) { return nil, fs.ErrNotExist }

func (h *hostOf) Probe(_ context.Context, argv ...string) (conn.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := ""
	switch {
	case argv[0] == "ss" && (h.active || h.listens):
		out = "LISTEN 0 4096 127.0.0.1:2379 0.0.0.0:*"
		if h.pid != "" {
			out += " users:((\"etcd\",pid=" + h.pid + ",fd=7))"
		}
		out += "\n"
	case argv[0] == "readlink":
		if out = argv[2]; h.link[out] != "" {
			out = h.link[out]
		}
		out += "\n"
	case strings.Join(argv, " ") == "systemctl show etcd.service":
		out = "ExecStart={ path=/usr/bin/etcd ; argv[]=/usr/bin/etcd --data-dir " + h.dir + " --listen-client-urls http://127.0.0.1:2379 ; ignore_errors=no ; pid=35 }\n"
	}
	return conn.Result{Stdout: conn.Capture{Head: []byte(out)}}, nil
}

func (h *hostOf) claim(c change.Change) engine.Claim {
	read := func(context.Context, string) (task.Reader, error) { return h, nil }
	return engine.Claim{Task: "file", Host: "m1", Change: c, Live: read, Read: read, Inventory: map[string][]string{"etcd": {"m1"}}}
}

// Only what runs has anything to lose, and who has no etcd is not looked at.
func TestConcernedWithData(t *testing.T) {
	here := remove("/var/lib/etcd")
	for name, c := range map[string]struct {
		host *hostOf
		c    change.Change
		want bool
	}{
		"runs":                     {&hostOf{etcd: true, active: true}, here, true},
		"stopped":                  {&hostOf{etcd: true}, here, false},
		"runs behind its unit":     {&hostOf{etcd: true, listens: true}, here, true},
		"no etcd":                  {&hostOf{}, here, false},
		"data elsewhere":           {&hostOf{etcd: true, active: true, dir: "/srv/k8s"}, here, false},
		"elsewhere, taken":         {&hostOf{etcd: true, active: true, dir: "/srv/k8s"}, remove("/srv/k8s"), true},
		"elsewhere, stopped":       {&hostOf{etcd: true, dir: "/srv/k8s"}, remove("/srv/k8s"), false},
		"where the link leads":     {&hostOf{etcd: true, active: true, link: map[string]string{"/var/lib/etcd/member": "/srv/x/member"}}, remove("/srv/x"), true},
		"through the link":         {&hostOf{etcd: true, active: true, link: map[string]string{"/var/lib/etcd/member": "/srv/x/member"}}, here, true},
		"of no concern to anybody": {&hostOf{etcd: true, active: true}, remove("/srv/other"), false},
	} {
		if c.host.dir == "" {
			c.host.dir = "/var/lib/etcd"
		}
		g := New(Options{})
		require.Equal(t, c.want, g.Concerned(t.Context(), c.host.claim(c.c)), name)
	}

	bare := &hostOf{}
	g := New(Options{})
	for range 3 {
		require.False(t, g.Concerned(t.Context(), bare.claim(remove("/srv/other"))))
	}
	require.LessOrEqual(t, bare.looks, 2, "asked once where its data lie")
	bare.looks = 0
	c := bare.claim(remove("/srv/other"))
	c.Inventory = map[string][]string{"all": {"m1"}}
	require.False(t, g.Concerned(t.Context(), c))
	require.Zero(t, bare.looks)
	require.False(t, g.Minds(&change.Write{Path: "/etc/etcd/etcd.conf", Before: there}))
}

// In a dry run what comes before counts: of the plan, and of earlier steps.
func TestForeseesWhoRuns(t *testing.T) {
	stop, start := &change.Unit{Name: "etcd", Active: &no}, &change.Unit{Name: "etcd", Active: &yes}
	up, down := &hostOf{etcd: true, active: true, dir: "/var/lib/etcd"}, &hostOf{etcd: true, dir: "/var/lib/etcd"}
	for name, c := range map[string]struct {
		live, read    *hostOf
		halted        bool
		earlier, next []change.Change
		want          bool
	}{
		"nothing":                         {live: up, read: up, want: true},
		"stopped by the plan":             {live: up, read: up, earlier: []change.Change{stop}, next: []change.Change{start}},
		"and started again":               {live: up, read: up, earlier: []change.Change{stop, start}, want: true},
		"stopped by a step":               {live: up, read: down, halted: true},
		"by a step, started by the plan":  {live: up, read: up, halted: true, next: []change.Change{start}},
		"by a step, started by another":   {live: up, read: up, halted: true, want: true},
		"started by a step":               {live: down, read: up, want: true},
		"down, and started by the plan":   {live: down, read: up, next: []change.Change{start}},
		"stopped by the plan, but behind": {live: up, read: down, next: []change.Change{stop}, want: true},
	} {
		g := New(Options{})
		g.halted["m1"] = c.halted
		claim := c.live.claim(remove("/var/lib/etcd"))
		claim.Check, claim.Earlier, claim.Next = true, c.earlier, c.next
		claim.Read = func(context.Context, string) (task.Reader, error) { return c.read, nil }
		require.Equal(t, c.want, g.Concerned(t.Context(), claim), name)
	}
}
