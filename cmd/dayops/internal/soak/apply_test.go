package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

const someWrites = `
- hosts: node-0,node-1
  gather_facts: false
  tasks:
    - copy: {content: "new\n", dest: /srv/soak/a, mode: "0640"}
    - lineinfile: {path: /srv/soak/b, line: more, create: true}
    - file: {path: /srv/soak/d/e, state: directory}
    - file: {path: /srv/soak/l, src: a, state: link}
    - copy: {content: "last\n", dest: /srv/soak/d/e/f}
`

const someLook = `cd /srv/soak; find . -printf '%p %y %m %l\n' | sort; cat a b d/e/f 2>/dev/null; :`

// undoneInPart takes a run back on one host, then all but one path, then the rest.
func undoneInPart(t *testing.T, d *desk, hosts []*labtest.Host) {
	d.file("some.yml", someWrites)
	everywhere(t, hosts, "echo old >/srv/soak/a; chmod 600 /srv/soak/a")
	start := everywhere(t, hosts, someLook)
	before := d.runs()
	code, said := d.begin(nil, "run", "some.yml").wait()
	require.Zero(t, code, said)
	run, done := d.newRun(before), everywhere(t, hosts, someLook)
	require.NotEqual(t, start["node-1"], done["node-1"])

	code, said = d.begin(nil, "undo", run, "-y", "--limit", "node-0").wait()
	require.Zero(t, code, said)
	now := everywhere(t, hosts, someLook)
	require.Equal(t, start["node-0"], now["node-0"], said)
	require.Equal(t, done["node-1"], now["node-1"], said)

	code, said = d.begin(nil, "undo", run, "-y", "--limit", "node-1", "--leave", "/srv/soak/a").wait()
	require.Equal(t, 3, code, said)
	require.Contains(t, said, "/srv/soak/a")
	require.Equal(t, ". d 755 \n./a f 640 \nnew\n", on(t, hosts[1], someLook))
	code, said = d.begin(nil, "undo", run, "-y").wait()
	require.Zero(t, code, said)
	require.Equal(t, start, everywhere(t, hosts, someLook), said)
}

// applied: a run that holds to a saved plan goes on holding to it.
func applied(t *testing.T, d *desk, hosts []*labtest.Host) {
	d.file("some.yml", someWrites)
	begin := func() {
		everywhere(t, hosts, "rm -rf /srv/soak /var/lib/dayops; mkdir /srv/soak; echo old >/srv/soak/a; chmod 600 /srv/soak/a")
		_ = os.Remove(filepath.Join(d.dir, "some.plan"))
		code, said := d.begin(nil, "plan", "some.yml", "-o", "some.plan").wait()
		require.Zero(t, code, said)
	}
	begin()
	code, said := d.begin(nil, "apply", "some.plan").wait()
	require.Zero(t, code, said)
	want := everywhere(t, hosts, someLook)
	points, kills := []int{3, 8, 15, 21}, 0
	if long() {
		points = nil
		for i := rand.IntN(2); i < 45; i += 2 { // another half in each long form
			points = append(points, i)
		}
	}
	for _, at := range points {
		begin()
		before := d.runs()
		kind := []string{"after", "half", "before"}[at%3]
		code, _ = d.begin([]string{fmt.Sprintf("DAYOPS_CRASH=%s:%d", kind, at)}, "apply", "some.plan").wait()
		run := d.newRun(before)
		if code == 0 || run == "" {
			continue
		}
		kills++
		code, said = d.begin(nil, "resume", run).wait()
		if code == 5 && strings.Contains(said, "nothing was done") {
			continue
		}
		require.True(t, code == 0 || code == 5 && strings.Contains(said, "nothing of it is left to do"), "killed %s %d: exit %d\n%s", kind, at, code, said)
		require.Equal(t, want, everywhere(t, hosts, someLook), "killed %s %d\n%s", kind, at, said)
	}
	require.Positive(t, kills)
	// What the plan stands on moves while nobody is at the desk: the rest is not done.
	begin()
	before := d.runs()
	d.begin([]string{"DAYOPS_CRASH=after:9"}, "apply", "some.plan").wait()
	on(t, hosts[1], "mkdir -p /srv/soak/d/e; echo theirs >/srv/soak/d/e/f")
	code, said = d.begin(nil, "resume", d.newRun(before)).wait()
	require.Equal(t, 6, code, said)
	require.Contains(t, said, "not as planned")
	require.NotContains(t, said, "forecast said")
	require.Equal(t, "theirs\n", on(t, hosts[1], "cat /srv/soak/d/e/f"))
	t.Logf("%d kills", kills)
}
