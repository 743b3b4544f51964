package change_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// labHost is a host with systemd and apt, reached by ssh and sudo. A test that
// changes what every test on the host would notice has it alone.
func labHost(t *testing.T, need func(testing.TB) *labtest.Lab) change.Host {
	t.Helper()
	l := need(t)
	h := l.Hosts()[len(l.Hosts())-1]
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none", ConfigFile: "none", SSHProgram: "none"})
	t.Cleanup(func() { d.Close() })
	c, err := d.Dial(context.Background(), conn.Target{Name: h.Name, Address: h.IP, User: "operator", KeyFile: l.Key(),
		CommonArgs: []string{"-o", "UserKnownHostsFile=" + l.KnownHosts()}})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return change.Host{Name: h.Name, Conn: c, As: "root", Reader: reader.New(c, "root"), Run: "labtest", Now: time.Now}
}

func run(t *testing.T, h change.Host, script string) string {
	t.Helper()
	res, err := h.Conn.Run(context.Background(), conn.Cmd{Argv: []string{"/bin/sh", "-c", script}, As: "root", Limit: time.Minute})
	require.NoError(t, err)
	require.Zero(t, res.Code, res.Stderr.String()+res.Stdout.String())
	return res.Stdout.String()
}

// put makes a unit whose name no other test uses.
func put(t *testing.T, h change.Host, name, text string) {
	t.Helper()
	path := "/usr/lib/systemd/system/" + name // one in /etc could not be masked
	require.NoError(t, h.Conn.Put(context.Background(), conn.Put{Path: path, As: "root", Mode: 0o644, Size: int64(len(text))}, bytes.NewReader([]byte(text))))
	t.Cleanup(func() {
		run(t, h, "systemctl stop "+name+"; systemctl disable "+name+"; systemctl unmask "+name+"; rm -f "+path+"; systemctl daemon-reload; systemctl reset-failed "+name+" || :")
	})
}

func where(t *testing.T, h change.Host, c change.Change, want change.Where) {
	t.Helper()
	got, err := change.Observe(context.Background(), h, c)
	require.NoError(t, err)
	require.Equal(t, want.String(), got.String(), c.Summary())
}

func unit(t *testing.T, h change.Host, name string) reader.Unit {
	t.Helper()
	u, err := h.Reader.Units(context.Background(), name)
	require.NoError(t, err)
	return u[0]
}

func yes() *bool { b := true; return &b }
func no() *bool  { return new(bool) }

// apply is the conformance of one change of a unit.
func apply(t *testing.T, h change.Host, c *change.Unit) {
	t.Helper()
	ctx := context.Background()
	c.Before = unit(t, h, c.Name)
	where(t, h, c, change.Before)
	var o change.Overlay
	change.Foresee(&o, c)
	foreseen, err := change.Over(h.Reader, &o).Units(ctx, c.Name)
	require.NoError(t, err)
	out, err := change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.True(t, out.Changed)
	now := unit(t, h, c.Name)
	require.Equal(t, foreseen[0].Active(), now.Active(), c.Summary())
	require.Equal(t, foreseen[0].UnitFileState, now.UnitFileState, c.Summary())
	require.Equal(t, foreseen[0].Masked(), now.Masked(), c.Summary())
	require.Equal(t, foreseen[0].NeedReload, now.NeedReload, c.Summary())
	if c.Restart || c.Reload || c.DaemonReload {
		return
	}
	where(t, h, c, change.After)
	out, err = change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.False(t, out.Changed)
}

func TestLabUnits(t *testing.T) {
	t.Parallel()
	h, ctx := labHost(t, labtest.Need), context.Background()
	const name = "dayops-change-test.service"
	put(t, h, name, "[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
	require.False(t, unit(t, h, "no-such-unit").Exists())

	apply(t, h, &change.Unit{Name: name, DaemonReload: true, Active: yes(), Enabled: yes()})
	require.True(t, unit(t, h, name).Active())
	apply(t, h, &change.Unit{Name: "dayops-change-test", Active: no()})
	apply(t, h, &change.Unit{Name: name, Enabled: no()})
	apply(t, h, &change.Unit{Name: name, Masked: yes(), Enabled: nil})
	stopped := &change.Unit{Name: name, Active: yes(), Before: unit(t, h, name)}
	_, err := change.Apply(ctx, h, stopped)
	require.ErrorContains(t, err, "masked")
	require.ErrorContains(t, err, "systemctl said")
	apply(t, h, &change.Unit{Name: name, Masked: no(), Active: yes()})

	pid := run(t, h, "systemctl show -p MainPID "+name)
	apply(t, h, &change.Unit{Name: name, Reload: true})
	require.Equal(t, pid, run(t, h, "systemctl show -p MainPID "+name))
	apply(t, h, &change.Unit{Name: name, Restart: true})
	require.NotEqual(t, pid, run(t, h, "systemctl show -p MainPID "+name))

	// Somebody stopped it, and another enables it at the same time.
	moved := &change.Unit{Name: name, Active: yes(), Enabled: yes(), Before: unit(t, h, name)}
	where(t, h, moved, change.Before)
	run(t, h, "systemctl stop "+name)
	where(t, h, moved, change.Neither)
	_, err = change.Apply(ctx, h, moved)
	var m *change.MovedError
	require.ErrorAs(t, err, &m)
	require.False(t, unit(t, h, name).Enabled())
}

// TestLabUnitUnless leaves a unit alone for the sake of a path, and only then.
func TestLabUnitUnless(t *testing.T) {
	t.Parallel()
	h, ctx := labHost(t, labtest.Need), context.Background()
	const name, path = "dayops-change-unless.service", "/run/dayops-change-unless"
	put(t, h, name, "[Service]\nExecStart=/bin/sleep 1000\n")
	run(t, h, "touch "+path)
	t.Cleanup(func() { run(t, h, "rm -f "+path) })
	c := &change.Unit{Name: name, Active: yes(), Before: unit(t, h, name), Unless: path}
	where(t, h, c, change.After)
	out, err := change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.False(t, out.Changed)
	require.Equal(t, []string{"not done: start " + name + ", unless there is " + path + "; dayops resume goes on from there, dayops undo takes it back"}, out.Notes)
	require.False(t, unit(t, h, name).Active())
	run(t, h, "rm "+path)
	apply(t, h, c)
	require.True(t, unit(t, h, name).Active())
}

func TestLabUnitFails(t *testing.T) {
	t.Parallel()
	h, ctx := labHost(t, labtest.Need), context.Background()
	const name = "dayops-change-bad.service"
	put(t, h, name, "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo why it fails >&2; exit 3'\n")
	_, err := change.Apply(ctx, h, &change.Unit{Name: name, DaemonReload: true, Active: yes(), Before: unit(t, h, name)})
	require.ErrorContains(t, err, "why it fails")
	_, err = change.Apply(ctx, h, &change.Unit{Name: "no-such-unit", Active: yes(), Before: unit(t, h, "no-such-unit")})
	require.ErrorContains(t, err, "no unit no-such-unit.service")
	_, err = change.Apply(ctx, h, &change.Unit{Name: "x; rm -rf /", Active: yes()})
	require.ErrorContains(t, err, "no name of a unit")

	// A service that dies at once, and one that has done its work.
	const once = "dayops-change-once.service"
	put(t, h, once, "[Service]\nType=oneshot\nExecStart=/bin/true\n")
	out, err := change.Apply(ctx, h, &change.Unit{Name: once, DaemonReload: true, Restart: true, Before: unit(t, h, once)})
	require.NoError(t, err)
	require.True(t, out.Changed)
}

func TestLabPackages(t *testing.T) {
	h, ctx := labHost(t, labtest.NeedAlone), context.Background()
	look := func(names ...string) []reader.Package {
		p, err := h.Reader.Packages(ctx, names...)
		require.NoError(t, err)
		return p
	}
	t.Cleanup(func() {
		run(t, h, "apt-get -q -y purge hello rng-tools5 >/dev/null 2>&1; apt-get -q -y autoremove >/dev/null 2>&1; rm -f /usr/sbin/policy-rc.d")
	})
	require.Empty(t, look("hello"))
	c := &change.Package{Manager: "apt", Install: []string{"hello"}, Refresh: true, Before: look("hello")}
	where(t, h, c, change.Before)
	out, err := change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.True(t, out.Changed)
	where(t, h, c, change.After)
	out, err = change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.False(t, out.Changed)

	version := look("hello")[0].Version
	same := &change.Package{Manager: "apt", Install: []string{"hello=" + version}, Before: look("hello")}
	where(t, h, same, change.After)
	newest := &change.Package{Manager: "apt", Install: []string{"hello"}, Latest: true, Before: look("hello")}
	out, err = change.Apply(ctx, h, newest)
	require.NoError(t, err)
	require.False(t, out.Changed)

	gone := &change.Package{Manager: "apt", Remove: []string{"hello"}, Before: look("hello")}
	where(t, h, gone, change.Before)
	out, err = change.Apply(ctx, h, gone)
	require.NoError(t, err)
	require.True(t, out.Changed)
	where(t, h, gone, change.After)

	// hello came back behind our back.
	run(t, h, "apt-get -q -y install hello >/dev/null 2>&1")
	both := &change.Package{Manager: "apt", Install: []string{"tree-is-no-package"}, Remove: []string{"hello"}}
	where(t, h, both, change.Neither)
	_, err = change.Apply(ctx, h, both)
	var m *change.MovedError
	require.ErrorAs(t, err, &m)

	_, err = change.Apply(ctx, h, &change.Package{Manager: "apt", Install: []string{"no-such-package"}})
	require.ErrorContains(t, err, "Unable to locate package no-such-package")
	_, err = change.Apply(ctx, h, &change.Package{Manager: "yum", Install: []string{"hello2"}})
	require.ErrorContains(t, err, "the host has no yum")
	_, err = change.Apply(ctx, h, &change.Package{Manager: "apt", Install: []string{"-o", "x"}})
	require.ErrorContains(t, err, "no name of a package")
}

func TestLabPackageNoStart(t *testing.T) {
	h, ctx := labHost(t, labtest.NeedAlone), context.Background()
	purge := func() {
		run(t, h, "apt-get -q -y purge rng-tools5 >/dev/null 2>&1; apt-get -q -y autoremove >/dev/null 2>&1; rm -f /usr/sbin/policy-rc.d")
	}
	purge()
	t.Cleanup(purge)
	// What a crash left behind is taken away; it lets daemons start anyway.
	run(t, h, `printf '#!/bin/sh\n# dayops\nexit 0\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; apt-get -q update >/dev/null`)
	c := &change.Package{Manager: "apt", Install: []string{"rng-tools5"}, NoStart: true}
	_, err := change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.False(t, unit(t, h, "rngd").Active(), "the package started its daemon")
	require.True(t, unit(t, h, "rngd").Exists())
	require.Equal(t, "gone", strings.TrimSpace(run(t, h, "[ -e /usr/sbin/policy-rc.d ] && echo there || echo gone")))
	// A policy of the site that lets daemons start is not replaced.
	purge()
	run(t, h, `printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d`)
	_, err = change.Apply(ctx, h, c)
	require.ErrorContains(t, err, "is there already and lets daemons start")
}

func TestLabFiles(t *testing.T) {
	t.Parallel()
	h, ctx := labHost(t, labtest.Need), context.Background()
	t.Cleanup(func() { run(t, h, "rm -rf /etc/dayops-change-test "+change.AsideRoot+"/labtest") })
	look := func(p string) reader.File {
		f, err := h.Reader.Hash(ctx, p)
		require.NoError(t, err)
		return f[0]
	}
	const dir, file = "/etc/dayops-change-test", "/etc/dayops-change-test/a file"
	mode := reader.ModeOf(0o640)
	for _, c := range []change.Change{
		&change.Dir{Path: dir, Before: look(dir), Attr: change.Attr{Owner: "operator", Group: "root"}},
		&change.Write{Path: file, Attr: change.Attr{Mode: &mode, Owner: "operator", Group: "systemd-journal"},
			After: change.Content{Size: 3, SHA256: "dc51b8c96c2d745df3bd5590d990230a482fd247123599548e0632fdbf97fc22", Bytes: []byte("ok\n")}},
	} {
		out, err := change.Apply(ctx, h, c)
		require.NoError(t, err)
		require.True(t, out.Changed)
		where(t, h, c, change.After)
	}
	require.Equal(t, "640 operator systemd-journal", strings.TrimSpace(run(t, h, "stat -c '%a %U %G' '"+file+"'")))
	_, err := change.Apply(ctx, h, &change.Attrs{Path: file, Before: look(file), Attr: change.Attr{Owner: "nobody-knows"}})
	require.EqualError(t, err, `the host has no user "nobody-knows"`)
	_, err = change.Apply(ctx, h, &change.Dir{Path: dir + "/x", Attr: change.Attr{Group: "no-such-group"}})
	require.EqualError(t, err, `the host has no group "no-such-group"`)

	gone := &change.Remove{Path: dir, Before: look(dir)}
	out, err := change.Apply(ctx, h, gone)
	require.NoError(t, err)
	require.Equal(t, []string{change.AsideRoot + "/labtest/1/data"}, out.Aside)
	require.Equal(t, "700", strings.TrimSpace(run(t, h, "stat -c %a "+change.AsideRoot)))
	list, err := change.ListAside(ctx, h)
	require.NoError(t, err)
	require.Equal(t, dir, list[len(list)-1].Path)
	require.NoError(t, change.PurgeAside(ctx, h, "labtest"))
}

func TestLabWaits(t *testing.T) {
	t.Parallel()
	h, ctx := labHost(t, labtest.Need), context.Background()
	limit := 5 * time.Second
	for _, w := range []*change.Wait{
		{Port: 22}, {Port: 22, Match: "^SSH-2"}, {Port: 22, Address: "127.0.0.1"}, {Unit: "ssh"}, {Path: "/etc/hostname", Match: `^node`},
		{Port: 1, Gone: true}, {Argv: []string{"systemctl", "is-active", "ssh"}},
	} {
		w.Limit = limit
		out, err := change.Apply(ctx, h, w)
		require.NoError(t, err, w.Summary())
		require.False(t, out.Changed)
		where(t, h, w, change.After)
	}
	w := &change.Wait{Unit: "no-such", Limit: 3 * time.Second, Every: 50 * time.Millisecond} // one look may take long
	_, err := change.Apply(ctx, h, w)
	var we *change.WaitError
	require.ErrorAs(t, err, &we)
	require.Equal(t, "no-such.service is inactive (dead)", we.Last)
}
