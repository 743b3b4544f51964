package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// undoStories are what people do with an undo beside the plain case.
func undoStories(b *undoBench) {
	for _, s := range []struct {
		name string
		tell func(*undoBench)
	}{
		{"changed since", undoChangedSince}, {"failed", undoFailed}, {"killed", undoKilled}, {"undo of an undo", undoUndone},
		{"without a run", undoWithoutRun}, {"what cannot be undone", undoNever}, {"relied on", undoReliedOn}, {"folder", undoFolder}, {"touched twice", undoTouched},
	} {
		b.t.(*testing.T).Run(s.name, func(t *testing.T) {
			defer func(was testing.TB) { b.t = was }(b.t)
			b.t = t
			on(t, b.host, "rm -rf /srv/story; mkdir -p /srv/story; cd /srv/story; printf 'one\ntwo\nthree\n' >a; cp a b; cp a c; setfacl -m u:nobody:rw b; chmod 640 c; ln -s nowhere dangling")
			s.tell(b)
		})
	}
}

func write(p, text string) step {
	return step{"copy": args{"dest": "/srv/story/" + p, "content": text}}
}

// undoChangedSince: what somebody changed is left alone and named, the rest goes back.
func undoChangedSince(b *undoBench) {
	before := b.state()
	b.playbook("p.yml", play([]step{write("a", "new\n"), write("b", "new\n"), write("new", "new\n"), {"file": args{"path": "/srv/story/c", "mode": "0600"}},
		{"file": args{"path": "/srv/story/d", "state": "directory"}}, {"service": args{"name": "cron", "enabled": false, "state": "stopped"}}}[:5], nil))
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	on(b.t, b.host, "cd /srv/story; echo theirs >>a; chmod 644 c; echo x >d/theirs; mkdir sub")
	said = b.must(3, "undo", id, "-y")
	for _, want := range []string{"left alone, somebody changed it since: write /srv/story/a", "--force /srv/story/a   (takes it back all the same)",
		"left alone, somebody changed it since: set /srv/story/c", "left alone, somebody changed it since: remove the folder /srv/story/d", "PARTIAL", "exit 3 (incomplete)"} {
		require.Contains(b.t, said, want)
	}
	require.Equal(b.t, "new\ntheirs\n640?\n", on(b.t, b.host, "cd /srv/story; cat a; [ $(stat -c %a c) = 644 ] && echo '640?'; test ! -e new; getfacl -c b | grep -q nobody && grep -q two b"))
	said = b.must(0, "undo", id, "-y", "--force", "/srv/story/a", "--force", "/srv/story/c", "--force", "/srv/story/d")
	require.Contains(b.t, said, "-theirs\n")
	require.Contains(b.t, said, "+two\n")
	on(b.t, b.host, "rmdir /srv/story/sub")
	b.equal(before, b.state(), said)
	require.Contains(b.t, b.must(0, "undo", id, "-y"), "changed=0")
}

// undoFailed: a run that failed goes back as far as it came.
func undoFailed(b *undoBench) {
	before := b.state()
	b.playbook("p.yml", play([]step{write("a", "new\n"), write("new", "new\n"), {"file": args{"path": "/srv/story/b", "state": "file", "owner": "nobody", "mode": "4755"}},
		{"command": "false", "changed_when": false}, write("c", "never\n")}, nil))
	id, code, said := b.run("run", "p.yml")
	require.Equal(b.t, 2, code, said)
	code, said = b.begin(nil, "undo", id, "-y").wait()
	require.Equal(b.t, 3, code, said) // what failed may have done something
	require.Contains(b.t, said, "cannot be undone: run false")
	b.equal(before, b.state(), said)
}

// undoKilled: the controller is killed at many points. What was done goes back,
// what was in doubt is looked at.
func undoKilled(b *undoBench) {
	before := b.state()
	b.playbook("p.yml", play([]step{write("a", "new\n"), {"file": args{"path": "/srv/story/b", "state": "absent"}},
		{"file": args{"path": "/srv/story/c", "src": "a", "state": "link", "force": true}}, {"file": args{"path": "/srv/story/d/e/f", "state": "directory"}},
		{"copy": args{"src": "large", "dest": "/srv/story/a"}}, {"copy": args{"src": "tree/", "dest": "/srv/story/t/"}},
		{"package": args{"name": "lab-sample=1.0", "state": "present"}}, {"service": args{"name": "chrony", "state": "stopped"}}}, nil))
	on(b.t, b.host, "apt-get -q update >/dev/null")
	points, undone := []int{4, 9, 16, 23}, 0
	if long() {
		points = nil
		for i := rand.IntN(2); i < 40; i += 2 { // another half in each long form
			points = append(points, i)
		}
	}
	for _, at := range points {
		known := b.runs()
		ended, said := b.begin([]string{fmt.Sprintf("DAYOPS_CRASH=after:%d", at)}, "run", "p.yml").wait()
		require.Contains(b.t, []int{-1, 0}, ended, said) // 0: it has fewer writes
		id := b.newRun(known)
		if id == "" {
			continue // killed before it was written down
		}
		code, told := b.begin(nil, "undo", id, "-y").wait()
		if strings.Contains(told, "changed nothing") { // its lock frees itself when it expires
			b.begin(nil, "unlock", b.host.Name, "-i", b.inv, "-y").wait()
		}
		require.Zero(b.t, code, "killed at %d: %s\n%s", at, said, told)
		if ended == -1 {
			undone++
		}
		if after := b.state(); after != before {
			b.equal(before, after, fmt.Sprintf("killed at %d\n%s", at, told))
			return
		}
	}
	require.Empty(b.t, on(b.t, b.host, "ls /var/lib/dayops/lock 2>/dev/null; grep -ls DAYOPS_ID= /proc/[0-9]*/environ; :"))
	if !long() {
		require.Len(b.t, points, undone)
	}
	require.GreaterOrEqual(b.t, undone, 4)
	b.t.Logf("%d runs killed and undone", undone)
}

// undoUndone: an undo is a run, and goes back too.
func undoUndone(b *undoBench) {
	before := b.state()
	b.playbook("p.yml", play([]step{write("a", "new\n"), write("new", "new\n"), {"file": args{"path": "/srv/story/b", "state": "absent"}},
		{"file": args{"path": "/srv/story/c", "state": "hard", "src": "/srv/story/a", "force": true}},
		{"copy": args{"src": "tree/", "dest": "/srv/story/dangling/"}}}, nil))
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	done := b.state()
	for _, want := range []string{before, done, before, done, before} {
		known := b.runs()
		said = b.must(0, "undo", id, "-y")
		b.equal(want, b.state(), said)
		if b.t.Failed() {
			return
		}
		for _, other := range b.runs() {
			if text := b.begin(nil, "history", "show", other); !slices.Contains(known, other) {
				if _, s := text.wait(); !strings.Contains(s, "DRY RUN") {
					id = other
				}
			}
		}
	}
}

// undoWithoutRun proposes the last run that changed something, and never acts unasked.
func undoWithoutRun(b *undoBench) {
	before := b.state()
	b.playbook("p.yml", play([]step{write("a", "one\nzwei\nthree\n")}, nil))
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	b.playbook("q.yml", play([]step{{"stat": args{"path": "/srv/story/a"}}}, nil))
	_, code, said = b.run("run", "q.yml")
	require.Zero(b.t, code, said)
	said = b.must(6, "undo")
	require.Contains(b.t, said, id+", p.yml")
	require.Contains(b.t, said, "-zwei\n")
	require.Contains(b.t, said, "+two\n")
	require.NotEqual(b.t, before, b.state())
	said = b.must(0, "undo", "-y", "--limit", b.host.Name)
	b.equal(before, b.state(), said)
}

// undoNever: it is said before the run what cannot be undone, and why; an undo names it.
func undoNever(b *undoBench) {
	on(b.t, b.host, "systemctl start cron 2>/dev/null || systemctl start chrony")
	b.playbook("p.yml", play([]step{{"package": args{"name": "lab-sample", "state": "present", "update_cache": true}}, {"service": args{"name": "chrony", "state": "restarted"}},
		{"copy": args{"dest": "/srv/story/a", "content": "new\n", "backup": true}}, {"command": "touch /srv/story/flag", "name": "command"}}, nil))
	said := b.must(0, "plan", "p.yml")
	for _, want := range []string{"no undo: dayops does not know what the command does", "no undo: a restart cannot be taken back", "partial undo: the old versions come back"} {
		require.Contains(b.t, said, want)
	}
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	said = b.must(3, "undo", id, "-y")
	for _, want := range []string{"cannot be undone: run touch /srv/story/flag", "cannot be undone: restart chrony.service", "undone in part: install lab-sample"} {
		require.Contains(b.t, said, want)
	}
	require.Equal(b.t, "a\nb\nc\ndangling\nflag\n", on(b.t, b.host, "ls /srv/story"))
	b.playbook("p.yml", play([]step{{"service": args{"name": "chrony", "state": "restarted"}}, {"command": "true", "changed_when": false}}, nil))
	id, code, said = b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	said = b.must(0, "undo", id, "-y")
	require.Contains(b.t, said, "cannot be undone: restart chrony.service")
	require.NotContains(b.t, said, "run true")
}

// undoReliedOn: an undo that stops what others rely on needs approval as any run.
func undoReliedOn(b *undoBench) {
	on(b.t, b.host, `printf '[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/haproxy.service; systemctl daemon-reload`)
	b.playbook("p.yml", play([]step{{"service": args{"name": "haproxy", "state": "started"}}}, nil))
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said) // to start it disturbs nobody
	said = b.must(6, "undo", id)
	require.Contains(b.t, said, "stop haproxy.service  DISRUPTIVE")
	require.Equal(b.t, "active\n", on(b.t, b.host, "systemctl is-active haproxy"))
	c := programtest.NewTerminal(b.t)
	j := b.prepare(nil, "undo", id)
	c.Give(j.cmd)
	j.launch()
	c.Answer("[y/N] ", "y")
	asked := c.Answer("[y/N] ", "n")
	require.Contains(b.t, asked, "DISRUPTIVE")
	code, _ = j.wait()
	require.Equal(b.t, 6, code)
	require.Equal(b.t, "active\n", on(b.t, b.host, "systemctl is-active haproxy"))
	b.must(0, "undo", id, "-y")
	require.Equal(b.t, "inactive\n", on(b.t, b.host, "systemctl is-active haproxy || :"))
	on(b.t, b.host, "rm /etc/systemd/system/haproxy.service; systemctl daemon-reload")
}

// undoFolder: what somebody put into a folder that the run made stays, with the folder.
func undoFolder(b *undoBench) {
	b.playbook("p.yml", play([]step{{"file": args{"path": "/srv/story/x/y*/z", "state": "directory"}}, {"copy": args{"src": "tree", "dest": "/srv/story/x/"}}, write("a", "new\n")}, nil))
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	on(b.t, b.host, "echo theirs >'/srv/story/x/y*/theirs'")
	said = b.must(3, "undo", id, "-y")
	require.Equal(b.t, "one\nx\nx/y*\nx/y*/theirs\n", on(b.t, b.host, "cd /srv/story; head -1 a; find x"), said)
}

// undoTouched: what changed times alone leaves nothing to take back, and is no undo that is missing.
func undoTouched(b *undoBench) {
	before := b.state()
	b.playbook("p.yml", play([]step{{"file": args{"path": "/srv/story/a", "state": "touch", "mode": "0600"}}, {"file": args{"path": "/srv/story/a", "state": "touch"}}}, nil))
	id, code, said := b.run("run", "p.yml")
	require.Zero(b.t, code, said)
	said = b.must(0, "undo", id, "-y")
	require.Contains(b.t, said, "undone in part: touch /srv/story/a")
	b.equal(before, b.state(), said)
}
