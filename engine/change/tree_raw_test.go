package change

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
)

// spoiling is a connection that hands over something else than the host has.
type spoiling struct {
	conn.Conn
	spoil func(w io.Writer, content []byte) error
}

func (s spoiling) Get(_ context.Context, _, path string, w io.Writer) (int64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return int64(len(content)), s.spoil(w, content)
}

func rawHost(t *testing.T) (Host, Tree, string) {
	h := localHost(t)
	root := t.TempDir()
	sh(t, root, "mkdir etc && echo conf >etc/etcd.conf && printf 'the data' >db && ln -s db link && mkdir folder")
	h.Proofs = map[string]Proof{
		"text": func(_ context.Context, f io.ReaderAt, a store.Artefact) (map[string]string, error) {
			b := make([]byte, a.Size)
			if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			if !strings.HasPrefix(string(b), "the ") || hexSum(b) != a.SHA256 {
				return nil, errors.New("it does not begin with the")
			}
			return map[string]string{"words": "2"}, nil
		},
	}
	return h, Tree{Items: []TreeItem{{Path: filepath.Join(root, "etc")}}}, root
}

func rawInto(dir string, tree Tree, raw ...RawFile) *Transfer {
	return &Transfer{FromTree: &tree, ToSet: &SetTarget{Dir: dir, Host: "here", Kind: "test", Raw: raw, Facts: map[string]string{"member": "a"}}}
}

func TestRawArtefact(t *testing.T) {
	h, tree, root := rawHost(t)
	var last, total int64
	h.Progress = func(d, n int64) { last, total = d, n }
	dir := t.TempDir()
	tr := rawInto(dir, tree, RawFile{Path: filepath.Join(root, "db"), Name: "data.db", Proof: "text"}, RawFile{Path: filepath.Join(root, "etc/etcd.conf"), Name: "plain"})
	tr.ToSet.Missed = []Missed{{Path: "data.db", Why: "it is old"}}
	out, err := Apply(t.Context(), h, tr)
	require.NoError(t, err)
	require.False(t, out.Changed)
	require.Equal(t, []Missed{{Path: "data.db", Why: "it is old"}}, out.Missed)
	res := out.Data.(SetResult)
	require.Equal(t, "the data", read(filepath.Join(res.Path, "data.db")))
	require.Equal(t, "conf\n", read(filepath.Join(res.Path, "plain")))
	m, err := store.Verify(t.Context(), res.Path)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"member": "a", "words": "2"}, m.Facts)
	require.True(t, m.Partial)
	require.Equal(t, map[string]string{"member": "a"}, tr.ToSet.Facts, "a change is not altered by applying it")
	require.Positive(t, total)
	require.LessOrEqual(t, last, total)
}

// Whatever is wrong with a raw file, there is no set afterwards, and no rest of one.
func TestNoSetOfABadRawFile(t *testing.T) {
	for name, c := range map[string]struct {
		file  RawFile
		spoil func(w io.Writer, content []byte) error
		says  string
	}{
		"refused":       {RawFile{Path: "etc/etcd.conf", Name: "data.db", Proof: "text"}, nil, "not a good data.db, there is no backup: it does not begin with the"},
		"unknown proof": {RawFile{Path: "db", Name: "data.db", Proof: "magic"}, nil, `nobody knows how to prove data.db: "magic"`},
		"absent":        {RawFile{Path: "none", Name: "data.db"}, nil, "type was a regular file, is "},
		"a symlink":     {RawFile{Path: "link", Name: "data.db"}, nil, "type was a regular file, is "},
		"a folder":      {RawFile{Path: "folder", Name: "data.db"}, nil, "type was a regular file, is "},
		"a bad name":    {RawFile{Path: "db", Name: "../data.db"}, nil, "cannot be the name"},
		"a flipped bit": {RawFile{Path: "db", Name: "data.db", Proof: "text"}, func(w io.Writer, b []byte) error {
			b[5] ^= 1
			_, err := w.Write(b)
			return err
		}, "content was sha256 "},
		"cut off":  {RawFile{Path: "db", Name: "data.db"}, func(w io.Writer, b []byte) error { _, err := w.Write(b[:4]); return err }, "content was sha256 "},
		"too long": {RawFile{Path: "db", Name: "data.db"}, func(w io.Writer, b []byte) error { _, err := w.Write(append(b, '!')); return err }, "the host sends more than the 8 bytes"},
		"broken":   {RawFile{Path: "db", Name: "data.db"}, func(io.Writer, []byte) error { return io.ErrUnexpectedEOF }, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			h, tree, root := rawHost(t)
			if c.spoil != nil {
				h.Conn = spoiling{h.Conn, c.spoil}
			}
			dir := t.TempDir()
			c.file.Path = filepath.Join(root, c.file.Path)
			_, err := Apply(t.Context(), h, rawInto(dir, tree, c.file))
			require.ErrorContains(t, err, c.says)
			left, err := os.ReadDir(filepath.Join(dir, "here"))
			require.NoError(t, err)
			require.Len(t, left, 1, "the lock file alone")
		})
	}
}

// The file is written to while it is read: by its checksum or its times.
func TestRawFileThatChanges(t *testing.T) {
	h, tree, root := rawHost(t)
	file := filepath.Join(root, "db")
	h.Conn = spoiling{h.Conn, func(w io.Writer, b []byte) error {
		time.Sleep(50 * time.Millisecond) // the checksum is computed meanwhile
		if err := os.WriteFile(file, bytes.ToUpper(b), 0o600); err != nil {
			return err
		}
		_, err := w.Write(b)
		return err
	}}
	_, err := Apply(t.Context(), h, rawInto(t.TempDir(), tree, RawFile{Path: file, Name: "data.db"}))
	if err != nil { // read before the change, it is what it was
		require.ErrorContains(t, err, "content was sha256 ")
	}
}

func TestStaging(t *testing.T) {
	h := localHost(t)
	dir := t.TempDir()
	at := time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC)
	stage := filepath.Join(dir, "made", StagingName(at, 1))
	require.Equal(t, ".dayops-staging-20261122T031207Z-1", filepath.Base(stage))
	mk := &Dir{Path: stage, Attr: Attr{Mode: mode(0o700)}, Staging: true}
	rm := &Remove{Path: stage, Staging: true}
	require.True(t, Quiet(mk) && Quiet(rm) && Quiet(&Exec{Staging: true}) && !Quiet(&Exec{}) && !Quiet(&Dir{}) && !Quiet(&Remove{}))
	for _, c := range []Change{mk, rm, &Exec{Staging: true}} {
		require.Equal(t, Exact, c.Reversal().Class)
		require.Equal(t, Safe, c.Risk())
	}
	where, err := Observe(t.Context(), h, rm)
	require.NoError(t, err)
	require.Equal(t, After, where)

	inverse, err := Invert(t.Context(), h, mk, nil)
	require.NoError(t, err)
	_, err = Apply(t.Context(), h, mk)
	require.NoError(t, err)
	sh(t, stage, "mkdir sub && echo secret >sub/snapshot.db && ln -s "+dir+" sub/out && echo stays >"+dir+"/stays")
	where, err = Observe(t.Context(), h, rm)
	require.NoError(t, err)
	require.Equal(t, Before, where)
	none, err := Invert(t.Context(), h, rm, nil)
	require.NoError(t, err)
	require.Empty(t, none)
	out, err := Apply(t.Context(), h, rm)
	require.NoError(t, err)
	require.True(t, out.Changed)
	require.Empty(t, out.Aside)
	require.NoFileExists(t, stage)
	require.FileExists(t, dir+"/stays")
	out, err = Apply(t.Context(), h, rm)
	require.NoError(t, err)
	require.False(t, out.Changed)

	// An undo of the folder takes all that is in it along, its parent only when it is empty.
	_, err = Apply(t.Context(), h, mk)
	require.NoError(t, err)
	sh(t, stage, "echo secret >snapshot.db")
	for _, c := range inverse {
		_, err = Apply(t.Context(), h, c)
		require.NoError(t, err)
	}
	require.NoDirExists(t, filepath.Join(dir, "made"))
}

// Nothing but a staging folder is ever removed for good.
func TestOnlyStagingIsRemovedForGood(t *testing.T) {
	h := localHost(t)
	dir := t.TempDir()
	name := StagingName(time.Unix(0, 0), 1)
	sh(t, dir, "mkdir data "+name+"x && ln -s data "+name+" && echo keep >data/keep && mkdir sub && touch sub/"+name)
	for _, p := range []string{dir, dir + "/data", dir + "/" + name + "x", dir + "/" + name, dir + "/data/../" + name, dir + "/sub/" + name, "/", "/.dayops-staging-", name, dir + "/" + name + "/.."} {
		_, err := Apply(t.Context(), h, &Remove{Path: p, Staging: true})
		require.Error(t, err, p)
		_, err = Apply(t.Context(), h, &Dir{Path: dir + "/other", Staging: true})
		require.Error(t, err)
	}
	require.FileExists(t, dir+"/data/keep")
	require.FileExists(t, dir+"/sub/"+name)
}

func TestVoids(t *testing.T) {
	yes, stage := true, "/var/lib/"+StagingName(time.Unix(0, 0), 1)
	for _, c := range []struct {
		by, made Change
		want     bool
	}{
		{&Remove{Path: stage, Staging: true}, &Dir{Path: stage, Staging: true}, true},
		{&Remove{Path: stage, Staging: true}, &Exec{Staging: true, Done: &Probe{Path: stage + "/db"}}, true},
		{&Remove{Path: stage, Staging: true}, &Exec{Done: &Probe{Path: stage + "/db"}}, false},
		{&Remove{Path: stage, Staging: true}, &Exec{Staging: true, Done: &Probe{Path: "/var/lib/db"}}, false},
		{&Remove{Path: stage, Staging: true}, &Exec{}, false},
		{&Remove{Path: "/a"}, &Write{Path: "/ab"}, false},
		{&Remove{Path: stage}, &Dir{Path: stage}, false},
		{&Unit{Name: "etcd", Active: &yes}, &Unit{Name: "etcd.service"}, false},
	} {
		require.Equal(t, c.want, Voids(c.by, c.made), "%s, %s", c.by.Summary(), c.made.Summary())
	}
}

func TestStagingInJSON(t *testing.T) {
	for _, c := range []Change{&Dir{Path: "/a/" + StagingName(time.Unix(0, 0), 1), Staging: true, Before: reader.File{Path: "x"}}, &Remove{Path: "/a", Staging: true}, &Exec{Argv: []string{"x"}, Staging: true}} {
		raw, err := Encode(c, EncodeOptions{})
		require.NoError(t, err)
		back, err := Decode(c.Kind(), raw, DecodeOptions{})
		require.NoError(t, err)
		require.True(t, Quiet(back))
		require.Equal(t, Digest(c), Digest(back))
	}
	require.NotEqual(t, Digest(&Remove{Path: "/a", Staging: true}), Digest(&Remove{Path: "/a"}))
}
