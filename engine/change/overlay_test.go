package change

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// replay foresees changes one after the other, each made against the overlay
// of those before, then makes them, and compares every path.
func replay(t *testing.T, dir string, paths []string, changes ...func(look func(string) reader.File) Change) {
	t.Helper()
	ctx, h := context.Background(), here(t)
	look := func(r interface {
		Hash(context.Context, ...string) ([]reader.File, error)
	}) func(string) reader.File {
		return func(p string) reader.File {
			f, err := r.Hash(ctx, p)
			require.NoError(t, err)
			return f[0]
		}
	}
	o := &Overlay{Step: "step"}
	over := Over(h.Reader, o)
	for _, c := range changes {
		Foresee(o, c(look(over)))
	}
	type seen struct {
		file reader.File
		text string
		err  error
	}
	var foreseen []seen
	for _, p := range paths {
		text, err := over.ReadFile(ctx, filepath.Join(dir, p), 1000)
		foreseen = append(foreseen, seen{look(over)(filepath.Join(dir, p)), string(text), err})
	}
	listed, err := over.List(ctx, dir)
	require.NoError(t, err)
	for _, c := range changes {
		_, err := Apply(ctx, h, c(look(h.Reader)))
		require.NoError(t, err)
	}
	for i, p := range paths {
		got := look(h.Reader)(filepath.Join(dir, p))
		requireForeseen(t, foreseen[i].file, got)
		text, err := h.Reader.ReadFile(ctx, filepath.Join(dir, p), 1000)
		require.Equal(t, string(text), foreseen[i].text, p)
		require.Equal(t, err == nil, foreseen[i].err == nil, "%s: %v, %v", p, err, foreseen[i].err)
	}
	really, err := h.Reader.List(ctx, dir)
	require.NoError(t, err)
	var want, got []string
	for _, f := range listed {
		got = append(got, f.Path)
	}
	for _, f := range really {
		want = append(want, f.Path)
	}
	require.ElementsMatch(t, want, got)
}

func TestOverlayReplay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: changes owners")
	}
	type look = func(string) reader.File
	dir := t.TempDir()
	at := func(n string) string { return filepath.Join(dir, n) }
	require.NoError(t, both(mkdir("d"), mkdir("d/sub"), write("d/sub/f", "deep", 0o640), write("d/g", "g", 0o600), write("f", "text", 0o644))(dir))
	require.NoError(t, os.Symlink("g", at("d/link")))
	replay(t, dir, []string{"d", "d/sub", "d/sub/f", "d/g", "d/link", "e", "e/sub/f", "e/g", "e/h", "f", "l", "l/g", "l/h", "n/m/o", "n/m", "n", "d/new", "none"},
		func(l look) Change {
			return &Write{Path: at("d/h"), Before: l(at("d/h")), After: text("planned first")}
		},
		func(l look) Change {
			return &Attrs{Path: at("d/g"), Before: l(at("d/g")), Attr: Attr{Mode: mode(0o4711)}}
		},
		func(l look) Change { return &Move{From: at("d"), To: at("e"), Before: l(at("d"))} },
		func(l look) Change { return &Link{Path: at("l"), Target: "e", Before: l(at("l"))} },
		func(l look) Change { return &Dir{Path: at("d"), Before: l(at("d")), Attr: Attr{Mode: mode(0o711)}} },
		func(l look) Change {
			return &Write{Path: at("d/new"), Before: l(at("d/new")), After: text("new here")}
		},
		func(l look) Change { return &Remove{Path: at("e/sub"), Before: l(at("e/sub"))} },
		func(l look) Change { return &Move{From: at("f"), To: at("e/f"), Before: l(at("f"))} },
		func(l look) Change { return &Move{From: at("e/f"), To: at("f"), Before: l(at("e/f"))} },
		func(l look) Change { return &Remove{Path: at("e/link"), Before: l(at("e/link"))} },
	)
}

func TestOverlayUnknown(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	require.NoError(t, write("f", "there", 0o644)(dir))
	o := &Overlay{Step: "install the tool"}
	over := Over(h.Reader, o)
	_, err := over.ReadFile(ctx, dir+"/none", 10)
	require.ErrorIs(t, err, fs.ErrNotExist)
	Foresee(o, &Exec{Argv: []string{"make", "install"}})
	o.Step = "a later step"
	Foresee(o, &Exec{Argv: []string{"make", "install"}})
	Foresee(o, &Exec{Argv: []string{"x"}, Done: &Probe{Path: dir + "/made"}})

	text, err := over.ReadFile(ctx, dir+"/f", 10)
	require.NoError(t, err)
	require.Equal(t, "there", string(text))
	var u *UnknownError
	_, err = over.ReadFile(ctx, dir+"/none", 10)
	require.ErrorAs(t, err, &u)
	require.Equal(t, "install the tool", u.Step)
	_, err = over.Stat(ctx, dir+"/f", dir+"/none")
	require.ErrorAs(t, err, &u)
	_, err = over.List(ctx, dir+"/none*")
	require.ErrorAs(t, err, &u)
	_, err = over.Packages(ctx, "no-such-package")
	require.ErrorAs(t, err, &u)
	_, err = over.Probe(ctx, "test", "-e", dir+"/none")
	require.ErrorAs(t, err, &u)
	_, err = over.Probe(ctx, "test", "-e", dir+"/f")
	require.NoError(t, err)
	_, err = over.Stat(ctx, dir+"/made")
	require.ErrorAs(t, err, &u)
	require.Equal(t, "a later step", u.Step)
	_, err = over.Probe(ctx, "test", "-e", dir+"/made")
	require.ErrorAs(t, err, &u)
	_, err = over.Probe(ctx, "rm", dir+"/f")
	var refused *reader.RefusedError
	require.ErrorAs(t, err, &refused)
}

func TestOverlayUnitsAndPackages(t *testing.T) {
	ctx, h := context.Background(), here(t)
	o := &Overlay{Step: "time"}
	over := Over(h.Reader, o)
	active := true
	Foresee(o, &Package{Manager: "apt", Install: []string{"chrony-of-tomorrow=4"}, Remove: []string{"bash"}})
	Foresee(o, &Unit{Name: "chrony", Active: &active, Enabled: &active})
	units, err := over.Units(ctx, "chrony.service")
	require.NoError(t, err)
	require.True(t, units[0].Active() && units[0].Enabled() && units[0].Exists())
	found, err := over.Packages(ctx, "chrony-of-tomorrow", "bash", "coreutils")
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, "coreutils", found[0].Name)
	require.Equal(t, reader.Package{Name: "chrony-of-tomorrow", Version: "4"}, found[1])
	_, err = over.Probe(ctx, "systemctl", "is-active", "chrony")
	var u *UnknownError
	require.ErrorAs(t, err, &u)
	require.Equal(t, "time", u.Step)
}
