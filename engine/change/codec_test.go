package change

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// oneOfEach has every field that goes into JSON set.
func oneOfEach() []Change {
	on := true
	f := reader.File{Path: "/f\xff", Exists: true, Type: reader.Regular, Mode: 0o640, UID: 3, GID: -1, Owner: "sys", Group: "sys",
		Size: 5, Mtime: time.Unix(5, 6).UTC(), Links: 2, SHA256: sum("x"), Label: "l"}
	attr := Attr{Mode: mode(0o4750), Owner: "root", Group: "0"}
	unit := &Unit{Name: "etcd", Before: reader.Unit{Name: "etcd.service", LoadState: "loaded"}, Active: &on, Enabled: &on, Masked: new(bool), Restart: true, Reload: true, DaemonReload: true, Unless: "/p", Force: true}
	q := Query{Argv: []string{"etcdctl"}, List: "members", Key: "name", Value: "a", Field: "ID", Hex: true, What: "the ID of a"}
	exec := &Exec{Argv: []string{"a", ""}, Env: map[string]string{"A": "b"}, Dir: "/", Stdin: []byte("in"), Limit: time.Minute, Done: &Probe{Argv: []string{"test"}, Code: 1, Path: "/x", Absent: true}, Class: Destructive, Purpose: "p",
		Words: map[string]Query{"id": q}, Undo: []*Exec{{Argv: []string{"b"}, Stdin: []byte("in"), Done: &Probe{Find: &q, Is: "true", Absent: true}}}, UndoWhy: "w"}
	return []Change{
		&Write{Path: "/f", Before: f, Was: []byte("old"), After: text("new"), Attr: attr, Backup: true, Hide: true, Force: true},
		&Attrs{Path: "/f", Before: f, Attr: attr, Recursive: true, Touch: true, Force: true},
		&Dir{Path: "/d", Before: f, Attr: attr, Force: true},
		&Link{Path: "/l", Target: "/\xfe", Hard: true, Before: f, Attr: attr, Force: true},
		&Move{From: "/a", To: "/b", Before: f, Over: &f, Kept: true, Force: true},
		&Remove{Path: "/a", Before: f, OnlyEmpty: true, Force: true},
		unit,
		&Package{Manager: "apt", Install: []string{"a=1"}, Remove: []string{"b"}, Latest: true, Refresh: true, Before: []reader.Package{{Name: "a", Version: "0", Arch: "all"}}, NoStart: true, Back: true, Was: []reader.Package{{Name: "c"}}, Left: []string{"d"}},
		exec,
		&Transfer{FromFile: &f, FromTree: &Tree{Root: "/r", Items: []TreeItem{{"/x", true, true, "w"}}, Exclude: []string{"*"}, MaxFile: 1, MaxTotal: 2, Packages: true, Trust: true},
			ToLocal: "/l", ToSet: &SetTarget{Dir: "/d", Host: "h", Kind: "k", Facts: map[string]string{"a": "b"}}, ToDir: "/t", Note: "n", FromPeer: "p", FromPath: "/p", ToFile: "/q", Attr: attr, Before: f},
		&Wait{Port: 1, Address: "a", Path: "/p", Match: "m", Unit: "u", Argv: []string{"x"}, Find: &q, Is: "false", Gone: true, Delay: 1, Every: 2, Limit: 3},
		&Reboot{BootID: "b", Limit: time.Hour, Delay: 1, Settle: 2, Message: "m", Test: []string{"t"}},
		&Bracket{Do: []Change{unit}, Then: []Change{exec}},
	}
}

func TestCodec(t *testing.T) {
	for _, c := range oneOfEach() {
		raw, err := Encode(c, EncodeOptions{Content: true})
		require.NoError(t, err)
		back, err := Decode(c.Kind(), raw, DecodeOptions{})
		require.NoError(t, err)
		require.Equal(t, c, back)
		require.Equal(t, Digest(c), Digest(back))
		again, err := Encode(back, EncodeOptions{Content: true})
		require.NoError(t, err)
		require.Equal(t, string(raw), string(again))

		raw, err = Encode(c, EncodeOptions{})
		require.NoError(t, err)
		for _, secret := range []string{`"new"`, `"old"`, `"in"`} {
			require.NotContains(t, string(raw), secret)
		}
		_, err = Decode(c.Kind(), append(raw[:len(raw)-1:len(raw)-1], `,"nope":1}`...), DecodeOptions{})
		require.Error(t, err)
		_, err = Decode("nope", raw, DecodeOptions{})
		require.ErrorContains(t, err, "no kind of change")
		require.NotEmpty(t, c.Reversal().Why)
	}
	_, err := Encode(&Bracket{Do: []Change{&Write{}}}, EncodeOptions{})
	require.ErrorContains(t, err, "a bracket holds")
	_, err = Decode("bracket", json.RawMessage(`{"do":[{"kind":"bracket","change":{}}]}`), DecodeOptions{})
	require.ErrorContains(t, err, "cannot be in a bracket")
}

func TestCodecBlob(t *testing.T) {
	raw, err := Encode(&Write{Path: "/f", After: Content{Size: 3, SHA256: sum("new"), Blob: "b1"}}, EncodeOptions{})
	require.NoError(t, err)
	c, err := Decode("write", raw, DecodeOptions{Open: func(ref string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("blob " + ref)), nil
	}})
	require.NoError(t, err)
	r, err := c.(*Write).After.open()
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "blob b1", string(got))
}

// A digest says what a change does, not what it was planned from.
func TestDigest(t *testing.T) {
	now := reader.File{Path: "/f", Exists: true, Type: reader.Regular, Mtime: time.Unix(1, 0), Inode: 7, SHA256: sum("a")}
	later := now
	later.Mtime, later.Inode = time.Unix(2, 0), 8
	a := &Write{Path: "/f", Before: now, Was: []byte("a"), After: text("b")}
	require.Equal(t, Digest(a), Digest(&Write{Path: "/f/", Before: later, After: Content{Size: 1, SHA256: sum("b"), Blob: "x"}}))
	seen := map[string]Change{}
	on, off := true, false
	for _, c := range append(oneOfEach(), a,
		&Write{Path: "/f", After: text("c")}, &Write{Path: "/g", After: text("b")}, &Write{Path: "/f", After: text("b"), Attr: Attr{Mode: mode(0o600)}},
		&Attrs{Path: "/f"}, &Dir{Path: "/f"}, &Remove{Path: "/f"}, &Unit{Name: "x", Active: &on}, &Unit{Name: "x", Active: &off},
		&Unit{Name: "x", Active: &off, Before: reader.Unit{ActiveState: "active"}}, &Exec{Argv: []string{"a", "b"}}, &Exec{Argv: []string{"a b"}},
		&Bracket{Do: []Change{&Exec{Argv: []string{"a"}}}}, &Bracket{Then: []Change{&Exec{Argv: []string{"a"}}}}) {
		if was := seen[Digest(c)]; was != nil && !(was.Kind() == "unit" && c.Kind() == "unit") {
			t.Errorf("%s and %s have one digest", was.Summary(), c.Summary())
		}
		seen[Digest(c)] = c
	}
	require.Len(t, Digest(a), 64)
}

func FuzzDecode(f *testing.F) {
	for _, c := range oneOfEach() {
		raw, err := Encode(c, EncodeOptions{Content: true})
		require.NoError(f, err)
		f.Add(c.Kind(), []byte(raw))
	}
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		c, err := Decode(kind, raw, DecodeOptions{})
		if err != nil {
			return
		}
		out, err := Encode(c, EncodeOptions{Content: true})
		require.NoError(t, err)
		back, err := Decode(kind, out, DecodeOptions{})
		require.NoError(t, err)
		again, err := Encode(back, EncodeOptions{Content: true})
		require.NoError(t, err)
		require.True(t, bytes.Equal(out, again))
		require.NotContains(t, c.Summary(), "\n")
	})
}
