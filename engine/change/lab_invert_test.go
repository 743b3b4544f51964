package change_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// noBlobs: nothing here is worth a blob.
type noBlobs struct{}

func (noBlobs) Blob([]byte) (string, error) { return "blob", nil }

// listing is all of the host but what an undo may leave different.
func listing(t *testing.T, l *labtest.Lab) string {
	t.Helper()
	text, err := l.Hosts()[len(l.Hosts())-1].Listing(context.Background())
	require.NoError(t, err)
	return labtest.WithoutUndoExcluded(text)
}

// thereAndBack applies c and then its inverses, and returns what they were.
func thereAndBack(t *testing.T, h change.Host, c change.Change) []change.Change {
	t.Helper()
	ctx := context.Background()
	inverse, err := change.Invert(ctx, h, c, noBlobs{})
	require.NoError(t, err)
	out, err := change.Apply(ctx, h, c)
	require.NoError(t, err)
	require.True(t, out.Changed)
	inverse, err = change.Refine(ctx, h, inverse, c, out)
	require.NoError(t, err)
	for _, back := range inverse {
		where(t, h, back, change.Before)
		out, err := change.Apply(ctx, h, back)
		require.NoError(t, err, back.Summary())
		require.True(t, out.Changed)
		where(t, h, back, change.After)
	}
	return inverse
}

func TestLabInvertUnits(t *testing.T) {
	t.Parallel()
	h := labHost(t, labtest.Need)
	const name = "dayops-invert-test.service"
	put(t, h, name, "[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
	run(t, h, "systemctl daemon-reload")
	state := func() string {
		u := unit(t, h, name)
		return u.ActiveState + " " + u.UnitFileState
	}
	for _, tt := range []struct {
		start string
		c     change.Unit
	}{
		{"enable --now", change.Unit{Active: no(), Enabled: no(), Masked: yes()}},
		{"enable", change.Unit{Active: yes(), Enabled: no()}},
		{"disable --now", change.Unit{Active: yes(), Enabled: yes()}},
		{"disable --now", change.Unit{Restart: true, Enabled: yes()}},
		{"mask --now", change.Unit{Masked: no(), Active: yes(), Enabled: yes()}},
	} {
		run(t, h, "systemctl -q unmask "+name+"; systemctl -q disable --now "+name+"; systemctl -q "+tt.start+" "+name)
		c := tt.c
		c.Name, c.Before = name, unit(t, h, name)
		was := state()
		thereAndBack(t, h, &c)
		require.Equal(t, was, state(), "%s after %s", c.Summary(), tt.start)
	}
}

func TestLabInvertUnitFile(t *testing.T) {
	t.Parallel()
	h := labHost(t, labtest.Need)
	const path = "/etc/systemd/system/dayops-invert-file.service"
	t.Cleanup(func() {
		run(t, h, "rm -f "+path+"; systemctl daemon-reload; rm -rf "+change.AsideRoot+"/"+h.Run)
	})
	h.Run = "labinvert"
	text := "[Service]\nExecStart=/bin/true\n"
	inverse := thereAndBack2(t, h, &change.Write{Path: path, Before: reader.File{Path: path}, After: change.Content{Size: int64(len(text)), SHA256: "", Bytes: []byte(text)}})
	require.Len(t, inverse, 2)
	require.Equal(t, "daemon-reload", inverse[1].Summary())
	require.False(t, unit(t, h, "dayops-invert-file").Exists())
}

// thereAndBack2 is thereAndBack with actions among the inverses.
func thereAndBack2(t *testing.T, h change.Host, c *change.Write) []change.Change {
	t.Helper()
	ctx := context.Background()
	c.After.SHA256 = strings.Fields(run(t, h, "printf '[Service]\\nExecStart=/bin/true\\n' | sha256sum"))[0]
	inverse, err := change.Invert(ctx, h, c, noBlobs{})
	require.NoError(t, err)
	_, err = change.Apply(ctx, h, c)
	require.NoError(t, err)
	run(t, h, "systemctl daemon-reload")
	for _, back := range inverse {
		_, err := change.Apply(ctx, h, back)
		require.NoError(t, err)
	}
	return inverse
}

func TestLabInvertPackages(t *testing.T) {
	var l *labtest.Lab
	h := labHost(t, func(t testing.TB) *labtest.Lab { l = labtest.NeedAlone(t); return l })
	ctx := context.Background()
	h.Run = "labinvertpackages"
	const ours = "hello tree rng-tools5 lab-sample"
	clean := func() {
		run(t, h, "apt-get -q -y purge "+ours+" >/dev/null 2>&1; apt-get -q -y --purge autoremove >/dev/null 2>&1; rm -rf "+change.AsideRoot+"/"+h.Run)
	}
	clean()
	t.Cleanup(clean)
	run(t, h, "apt-get -q update >/dev/null")
	for _, tt := range []struct {
		start   string
		install []string
		remove  []string
		latest  bool
		back    string
	}{
		{"", []string{"hello"}, nil, false, "remove hello (apt)"},
		{"", []string{"hello", "tree"}, nil, false, "remove hello tree (apt)"},
		{"", []string{"rng-tools5"}, nil, false, "remove "},
		{"lab-sample=1.0", []string{"lab-sample"}, nil, true, "install lab-sample=1.0 (apt)"},
		{"lab-sample=1.0", []string{"lab-sample=1.1"}, nil, false, "install lab-sample=1.0 (apt)"},
		{"tree lab-sample=1.0", []string{"hello"}, []string{"tree", "lab-sample"}, false, "install lab-sample=1.0 tree="},
		{"rng-tools5", nil, []string{"rng-tools5"}, false, "install rng-tools5="},
		{"rng-tools5 rng-tools5-", []string{"rng-tools5"}, nil, false, "remove "}, // its configuration was left
	} {
		clean()
		for _, p := range strings.Fields(tt.start) {
			run(t, h, "apt-get -q -y install "+p+" >/dev/null 2>&1")
		}
		before := listing(t, l)
		all, err := h.Reader.Packages(ctx)
		require.NoError(t, err)
		now, err := h.Reader.Packages(ctx, strings.Fields(ours)...)
		require.NoError(t, err)
		c := &change.Package{Manager: "apt", Install: tt.install, Remove: tt.remove, Latest: tt.latest, Before: now}
		inverse := thereAndBack(t, h, c)
		require.Len(t, inverse, 1)
		require.Contains(t, inverse[0].Summary(), tt.back)
		after, err := h.Reader.Packages(ctx)
		require.NoError(t, err)
		require.Equal(t, all, after)
		require.Equal(t, before, listing(t, l), c.Summary())
	}
}

// Somebody upgraded what we installed: the undo leaves it alone and names it.
func TestLabInvertPackageMoved(t *testing.T) {
	h, ctx := labHost(t, labtest.NeedAlone), context.Background()
	run(t, h, "apt-get -q update >/dev/null; apt-get -q -y purge lab-sample >/dev/null 2>&1")
	t.Cleanup(func() { run(t, h, "apt-get -q -y purge lab-sample >/dev/null 2>&1") })
	c := &change.Package{Manager: "apt", Install: []string{"lab-sample=1.0"}}
	inverse, err := change.Invert(ctx, h, c, noBlobs{})
	require.NoError(t, err)
	_, err = change.Apply(ctx, h, c)
	require.NoError(t, err)
	raw, err := change.Encode(inverse[0], change.EncodeOptions{})
	require.NoError(t, err)
	kept, err := change.Decode("package", raw, change.DecodeOptions{})
	require.NoError(t, err)
	inverse, err = change.Refine(ctx, h, []change.Change{kept}, c, change.Outcome{Changed: true})
	require.NoError(t, err)
	run(t, h, "apt-get -q -y install lab-sample=1.1 >/dev/null 2>&1")
	where(t, h, inverse[0], change.Neither)
	_, err = change.Apply(ctx, h, inverse[0])
	var moved *change.MovedError
	require.ErrorAs(t, err, &moved)
	require.Equal(t, "lab-sample", moved.Path)
}

// A unit that a bracket stops runs again, also when the connection is gone by then.
func TestLabBracket(t *testing.T) {
	t.Parallel()
	h := labHost(t, labtest.Need)
	const name, mark = "dayops-bracket-test.service", "/run/dayops-bracket-test"
	put(t, h, name, "[Service]\nExecStart=/bin/sleep 1000\n")
	run(t, h, "systemctl daemon-reload; systemctl start "+name)
	t.Cleanup(func() { run(t, h, "rm -f "+mark) })
	b := &change.Bracket{
		Do: []change.Change{
			&change.Unit{Name: name, Before: unit(t, h, name), Active: no()},
			&change.Exec{Argv: []string{"/bin/sh", "-c", "systemctl is-active " + name + " >" + mark + "; sleep 3"}},
		},
		Then: []change.Change{&change.Unit{Name: name, Active: yes()}},
	}
	require.Equal(t, change.Safe, b.Risk())
	_, err := change.Apply(context.Background(), h, b)
	require.NoError(t, err)
	require.True(t, unit(t, h, name).Active())
	require.Equal(t, "inactive\n", run(t, h, "cat "+mark+"; rm "+mark))

	other := labHost(t, labtest.Need)
	done := make(chan error, 1)
	go func() {
		_, err := change.Apply(context.Background(), other, b)
		done <- err
	}()
	require.Eventually(t, func() bool { return run(t, h, "cat "+mark+" 2>/dev/null || :") != "" }, 30*time.Second, 50*time.Millisecond)
	other.Conn.Close()
	require.Error(t, <-done)
	require.False(t, unit(t, h, name).Active())
	require.Eventually(t, func() bool { return unit(t, h, name).Active() }, 30*time.Second, 100*time.Millisecond)
}
