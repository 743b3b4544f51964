package v2copy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dayops/dayops/engine/store"
)

// What etcdctl backup made of real members: one with a snapshot of raft, its log
// renumbered, and one of 3.5 whose log has nothing in place of v3's entries.
func TestRealCopies(t *testing.T) {
	for name, want := range map[string]Facts{
		"v2-3.4.tar.gz": {Snap: 153, Commit: 153, Term: 2, Last: 153},
		"v2-3.5.tar.gz": {Commit: 154, Term: 2, Last: 154},
	} {
		got, err := ReadFile(t.Context(), filepath.Join("testdata", name))
		require.NoError(t, err, name)
		require.Greater(t, got.Size, int64(64_000_000))
		require.Equal(t, want, plain(got), name)
		require.Equal(t, int64(60), got.Keys, name) // as both were filled
		require.Zero(t, got.Others, name)
	}
}

// plain leaves out what says where things are.
func plain(f Facts) Facts { return Facts{Snap: f.Snap, Commit: f.Commit, Term: f.Term, Last: f.Last} }

// All entries count afterwards, and nothing else is different.
func TestSettle(t *testing.T) {
	log := newLog(0)
	log.entry(1)
	log.state(1)
	log.entry(2)
	low := newLog(0) // without v3's entries, which 3.3 and 3.4 also take off what was committed
	low.state(8)
	below := newLog(0)
	below.entry(1)
	below.state(math.MaxUint64)
	full := log.file(log0)
	full.data = full.data[:len(log.out)] // without an empty rest
	real34, err := os.ReadFile(filepath.Join("testdata", "v2-3.4.tar.gz"))
	require.NoError(t, err)
	for name, text := range map[string][]byte{
		"room": archive(log.file(log0), file{name: "./member/snap/db", data: []byte("any")}), "no room": archive(full), "real": real34,
		"before raft's snapshot": archive(low.file(log0), snapshotFile("0000000000000009", []byte("{}"))), "below 0": archive(below.file(log0)),
	} {
		before, err := Read(t.Context(), bytes.NewReader(text))
		require.NoError(t, err, name)
		var out, again bytes.Buffer
		require.NoError(t, Settle(t.Context(), bytes.NewReader(text), before, &out), name)
		require.NoError(t, Settle(t.Context(), bytes.NewReader(text), before, &again), name)
		require.True(t, bytes.Equal(out.Bytes(), again.Bytes()), name)
		after, err := Read(t.Context(), bytes.NewReader(out.Bytes()))
		require.NoError(t, err, name)
		want := plain(before)
		want.Commit = want.Last
		require.Equal(t, want, plain(after), name)
		if name != "no room" {
			require.Equal(t, before.Size, after.Size, name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	facts, err := Read(t.Context(), bytes.NewReader(real34))
	require.NoError(t, err)
	require.ErrorIs(t, Settle(ctx, bytes.NewReader(real34), facts, io.Discard), context.Canceled)
}

// A set whose v2 data cannot be read is no backup.
func TestProve(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "v2-3.5.tar.gz"))
	require.NoError(t, err)
	facts, err := Prove(t.Context(), bytes.NewReader(text), store.Artefact{Name: "v2.tar.gz", Size: int64(len(text))})
	require.NoError(t, err)
	require.Equal(t, map[string]string{FactIndex: "154", FactKeys: "60"}, facts)
	_, err = Prove(t.Context(), bytes.NewReader(text), store.Artefact{Name: "v2.tar.gz", Size: int64(len(text) - 9)})
	require.ErrorContains(t, err, "v2.tar.gz: ")
}

// file is one of an archive.
type file struct {
	name string
	data []byte
	kind byte
}

func archive(files ...file) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if f.kind != 0 {
			h.Typeflag, h.Size, h.Linkname = f.kind, 0, "/etc/passwd"
		}
		if t.WriteHeader(h) == nil && h.Size > 0 {
			t.Write(f.data)
		}
	}
	t.Close()
	z.Close()
	return out.Bytes()
}

func number(field, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, field<<3), v)
}

func data(field uint64, p []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, field<<3|2), uint64(len(p))), p...)
}

// written is a log as etcd writes it.
type written struct {
	sum uint32
	out []byte
}

func newLog(sum uint32) *written {
	w := &written{sum: sum}
	w.frame(append(number(1, crcRecord), number(2, uint64(sum))...))
	return w
}

func (w *written) frame(p []byte) {
	fill := (8 - len(p)%8) % 8
	word := uint64(len(p))
	if fill > 0 {
		word |= uint64(0x80|fill) << 56
	}
	w.out = append(append(binary.LittleEndian.AppendUint64(w.out, word), p...), make([]byte, fill)...)
}

func (w *written) record(kind uint64, p []byte) {
	w.sum = crc32.Update(w.sum, castagnoli(), p)
	w.frame(append(append(number(1, kind), number(2, uint64(w.sum))...), data(3, p)...))
}

func (w *written) entry(index uint64) {
	w.record(entryRecord, append(append(append(number(1, 0), number(2, 7)...), number(3, index)...), data(4, []byte("x"))...))
}

func (w *written) state(commit uint64) {
	w.record(stateRecord, append(append(number(1, 7), number(2, 1)...), number(3, commit)...))
}

func (w *written) file(name string) file {
	return file{name: name, data: append(bytes.Clone(w.out), make([]byte, 4096)...)}
}

const (
	log0 = "./member/wal/0000000000000000-0000000000000000.wal"
	log1 = "./member/wal/0000000000000001-000000000000000b.wal"
)

func snapshotFile(index string, p []byte) file {
	sum := crc32.Checksum(p, castagnoli())
	return file{name: "./member/snap/0000000000000007-" + index + ".snap", data: append(number(1, uint64(sum)), data(2, p)...)}
}

func TestRead(t *testing.T) {
	log := newLog(0)
	for i := uint64(1); i <= 10; i++ {
		log.entry(i)
	}
	log.state(10)
	next := newLog(log.sum)
	next.entry(11)
	next.state(11)
	next.entry(12)
	whole := []file{{name: "./", kind: tar.TypeDir}, next.file(log1), log.file(log0), snapshotFile("0000000000000009", []byte("{}")), {name: "./member/snap/db", data: []byte("any")}}
	got, err := Read(t.Context(), bytes.NewReader(archive(whole...)))
	require.NoError(t, err)
	require.Equal(t, Facts{Snap: 9, Commit: 11, Term: 7, Last: 12}, plain(got))

	flip := func(f file, at int) file {
		f.data = bytes.Clone(f.data)
		f.data[at] ^= 1
		return f
	}
	packed := archive(whole...)
	short := newLog(0)
	short.entry(1)
	silent := newLog(0)
	silent.entry(1)
	silent.state(5)
	snap := snapshotFile("0000000000000009", []byte("{}"))
	for name, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"empty":               {nil, "no whole tar.gz"},
		"text":                {[]byte("no archive"), "no whole tar.gz"},
		"cut":                 {packed[:len(packed)/2], "cut off"},
		"no log":              {archive(snap), "has no log"},
		"no state":            {archive(short.file(log0)), "nothing about what was committed"},
		"log ends early":      {archive(silent.file(log0)), "its log ends at 1, 5 was committed"},
		"log before snapshot": {archive(log.file(log0), snapshotFile("000000000000000b", nil)), "its log ends at 10, before raft's snapshot 11"},
		"flipped log":         {archive(flip(log.file(log0), 60)), "is damaged"},
		"flipped snapshot":    {archive(log.file(log0), flip(snap, len(snap.data)-1)), "its checksum"},
		"snapshot cut":        {archive(log.file(log0), file{name: snap.name, data: snap.data[:4]}), "damaged or cut off"},
		"log cut":             {archive(file{name: log0, data: log.out[:len(log.out)-5]}), "damaged or cut off"},
		"log without head":    {archive(file{name: log0, data: log.out[16:]}), "damaged"},
		"huge record":         {archive(file{name: log0, data: binary.LittleEndian.AppendUint64(nil, 1<<50)}), "a record of"},
		"link":                {archive(file{name: "./member/wal/x", kind: tar.TypeSymlink}), "no file of a data folder"},
		"device":              {archive(file{name: "./member/wal/x", kind: tar.TypeChar}), "no file of a data folder"},
		"above":               {archive(file{name: "../../etc/shadow", data: []byte("x")}), "no file of a data folder"},
		"absolute":            {archive(file{name: "/etc/shadow", data: []byte("x")}), "no file of a data folder"},
	} {
		_, err := Read(t.Context(), bytes.NewReader(c.archive))
		var damaged *DamagedError
		require.ErrorAs(t, err, &damaged, name)
		require.ErrorContains(t, err, c.says, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Read(ctx, bytes.NewReader(packed))
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzRead(f *testing.F) {
	log := newLog(0)
	log.entry(1)
	log.state(1)
	f.Add(log.out, []byte("\x08\x00\x12\x00"))
	f.Fuzz(func(t *testing.T, wal, snap []byte) {
		facts, err := Read(t.Context(), bytes.NewReader(archive(file{name: log0, data: wal}, file{name: "member/snap/0000000000000001-0000000000000001.snap", data: snap})))
		var damaged *DamagedError
		if err != nil && !errors.As(err, &damaged) {
			t.Fatal(err)
		}
		if err == nil && (facts.Term == 0 || int64(facts.Commit) > int64(facts.Last) || facts.Last < facts.Snap) {
			t.Fatal(facts)
		}
	})
}

// snapshotOf makes a database like etcd's, with a checksum behind it.
func snapshotOf(t *testing.T, term bool) (path string, size int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "snapshot.db")
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"key", "meta", "members", "members_removed", "cluster", "lease"} {
			b, err := tx.CreateBucket([]byte(name))
			if err == nil && name == "lease" {
				err = b.Put([]byte("x"), []byte("y"))
			}
			if err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte("meta"))
		if term {
			require.NoError(t, meta.Put([]byte("term"), make([]byte, 8)))
			require.NoError(t, meta.Put([]byte("confState"), []byte("{}")))
		}
		return meta.Put([]byte("consistent_index"), binary.BigEndian.AppendUint64(nil, 504))
	}))
	require.NoError(t, db.Close())
	fi, err := os.Stat(path)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 32))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return path, fi.Size()
}

func TestDatabase(t *testing.T) {
	for _, term := range []bool{false, true} {
		from, size := snapshotOf(t, term)
		before, err := os.ReadFile(from)
		require.NoError(t, err)
		out := filepath.Join(t.TempDir(), "db")
		fit := Fit{Index: 444, Term: 3, Bump: 1000, Revision: 301}
		require.NoError(t, Database(t.Context(), from, size, out, fit))
		after, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Equal(t, before, after, "the snapshot is only read")

		db, err := bolt.Open(out, 0o600, &bolt.Options{ReadOnly: true})
		require.NoError(t, err)
		require.NoError(t, db.View(func(tx *bolt.Tx) error {
			for name, there := range map[string]bool{"key": true, "meta": true, "lease": true, "members": false, "members_removed": false, "cluster": false} {
				require.Equal(t, there, tx.Bucket([]byte(name)) != nil, name)
			}
			meta := tx.Bucket([]byte("meta"))
			require.Equal(t, binary.BigEndian.AppendUint64(nil, 444), meta.Get([]byte("consistent_index")))
			require.Nil(t, meta.Get([]byte("confState")))
			if term {
				require.Equal(t, binary.BigEndian.AppendUint64(nil, 3), meta.Get([]byte("term")))
			} else {
				require.Nil(t, meta.Get([]byte("term")))
			}
			require.Equal(t, []byte("\x00\x00\x00\x00\x00\x00\x05\x15_\x00\x00\x00\x00\x00\x00\x00\x00"), meta.Get([]byte("scheduledCompactRev")))
			require.Equal(t, []byte{}, tx.Bucket([]byte("key")).Get([]byte("\x00\x00\x00\x00\x00\x00\x05\x15_\x00\x00\x00\x00\x00\x00\x00\x00")))
			return nil
		}))
		require.NoError(t, db.Close())
		again := filepath.Join(t.TempDir(), "db")
		require.NoError(t, Database(t.Context(), from, size, again, fit))
		a, err := os.ReadFile(out)
		require.NoError(t, err)
		b, err := os.ReadFile(again)
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, b), "made again it is the same: a plan is held to it")
	}
}

func TestNoDatabase(t *testing.T) {
	from, size := snapshotOf(t, false)
	out := filepath.Join(t.TempDir(), "db")
	require.Error(t, Database(t.Context(), from, size+100, out, Fit{Index: 1}))
	require.NoFileExists(t, out)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Database(ctx, from, size, out, Fit{Index: 1}), context.Canceled)
	require.NoFileExists(t, out)
	require.ErrorIs(t, Database(t.Context(), filepath.Join(t.TempDir(), "none"), size, out, Fit{Index: 1}), os.ErrNotExist)
	_, err := ReadFile(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorIs(t, unreadable(&os.PathError{Err: io.ErrClosedPipe}), io.ErrClosedPipe)
}
