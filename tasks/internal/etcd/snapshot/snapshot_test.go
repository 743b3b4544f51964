package snapshot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
)

// spec is a database as etcd would write it.
type spec struct {
	keys, changes, deleted int // each of keys is put changes times, the first deleted ones are then deleted
	value                  int // bytes
	freelist               bool
	pageSize               int
	foreign                bool // no bucket of etcd's
	nested                 bool
	noise                  bool // pages that were used and are free again
	users                  int  // of authentication, which is on where there are any
}

func usual() spec { return spec{keys: 300, changes: 3, deleted: 20, value: 100} }

func (s spec) revisions() int { return s.keys*s.changes + s.deleted }

// event is mvccpb.KeyValue with what matters: key, a revision, value.
func event(key string, value []byte) []byte {
	e := append([]byte{0x0a, byte(len(key))}, key...)
	e = append(e, 0x10, 7)
	e = binary.AppendUvarint(append(e, 0x2a), uint64(len(value)))
	return append(e, value...)
}

func rev(main, sub int64, gone bool) []byte {
	k := binary.BigEndian.AppendUint64(nil, uint64(main))
	k = binary.BigEndian.AppendUint64(append(k, '_'), uint64(sub))
	if gone {
		k = append(k, 't')
	}
	return k
}

func database(t testing.TB, s spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: !s.freelist, PageSize: s.pageSize, NoSync: true})
	require.NoError(t, err)
	if s.foreign {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("data")); return err }))
		require.NoError(t, db.Close())
		return path
	}
	bucket := func(tx *bolt.Tx, name string) *bolt.Bucket {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		require.NoError(t, err)
		b.FillPercent = 0.9
		return b
	}
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"alarm", "auth", "authRoles", "authUsers", "cluster", "lease"} {
			bucket(tx, name)
		}
		if s.users > 0 {
			require.NoError(t, bucket(tx, "auth").Put([]byte("authEnabled"), []byte{1}))
			require.NoError(t, bucket(tx, "auth").Put([]byte("authRevision"), []byte{0, 1}))
		}
		for i := range s.users {
			require.NoError(t, bucket(tx, "authUsers").Put([]byte(fmt.Sprintf("user%04d", i)), []byte{0x0a, 4}))
		}
		m := bucket(tx, "members")
		for i, name := range []string{"etcd-1", "etcd-2", "etcd-3"} {
			id := 0x8e9e05c52164694d + uint64(i)
			raw, _ := json.Marshal(map[string]any{"id": id, "peerURLs": []string{"https://10.0.0.1:2380"}, "name": name})
			require.NoError(t, m.Put([]byte(fmt.Sprintf("%x", id)), raw))
		}
		require.NoError(t, bucket(tx, "members_removed").Put([]byte("8e9e05c52164694f"), []byte("removed")))
		meta := bucket(tx, "meta")
		require.NoError(t, meta.Put([]byte("storageVersion"), []byte("3.6.0")))
		return meta.Put([]byte("consistent_index"), binary.BigEndian.AppendUint64(nil, 4711))
	}))
	at := int64(2)
	for round := range s.changes {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			b := bucket(tx, "key")
			for k := range s.keys {
				v := bytes.Repeat([]byte{byte(k + round)}, s.value)
				require.NoError(t, b.Put(rev(at, 0, false), event(fmt.Sprintf("/registry/%d", k), v)))
				at++
			}
			return nil
		}))
	}
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b := bucket(tx, "key")
		for k := range s.deleted {
			require.NoError(t, b.Put(rev(at, 0, true), event(fmt.Sprintf("/registry/%d", k), nil)))
			at++
		}
		if s.nested {
			_, err := b.CreateBucket([]byte("inside"))
			return err
		}
		return nil
	}))
	if s.noise {
		for range 2 {
			require.NoError(t, db.Update(func(tx *bolt.Tx) error {
				b := bucket(tx, "noise")
				for i := range 500 {
					require.NoError(t, b.Put([]byte(fmt.Sprint(i)), make([]byte, 300)))
				}
				return nil
			}))
			require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("noise")) }))
		}
	}
	require.NoError(t, db.Close())
	return path
}

// sealed is the file with its SHA-256, as snapshot save has it.
func sealed(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	return append(data, sum[:]...)
}

func verify(data []byte) (snapshot.Facts, error) {
	return snapshot.Verify(context.Background(), bytes.NewReader(data), int64(len(data)))
}

// status is what etcdutl's does, with bbolt.
func status(t testing.TB, path string) (hash uint32, total, size int64) {
	t.Helper()
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		size = tx.Size()
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			h.Write(name)
			return b.ForEach(func(k, v []byte) error {
				h.Write(k)
				h.Write(v)
				total++
				return nil
			})
		})
	}))
	return h.Sum32(), total, size
}

func TestUsers(t *testing.T) {
	for users, want := range map[int][]string{0: nil, 2: {"user0000", "user0001"}, 1001: nil} {
		s := usual()
		s.users = users
		facts, err := verify(sealed(t, database(t, s)))
		require.NoError(t, err)
		require.Equal(t, users > 0, facts.Auth)
		require.Equal(t, want, facts.Users)
	}
}

func TestGoodFiles(t *testing.T) {
	for name, s := range map[string]spec{
		"usual":           usual(),
		"with free pages": {keys: 300, changes: 2, value: 50, freelist: true, noise: true},
		"free, no list":   {keys: 300, changes: 2, value: 50, noise: true},
		"large values":    {keys: 20, changes: 2, deleted: 1, value: 60000},
		"one key":         {keys: 1, changes: 1, value: 1},
		"no key":          {changes: 1},
		"three levels":    {keys: 9000, changes: 2, deleted: 3, value: 20, pageSize: 1024},
		"larger pages":    {keys: 3000, changes: 2, value: 200, pageSize: 16384, freelist: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := database(t, s)
			copied, err := snapshot.VerifyFile(t.Context(), path)
			require.NoError(t, err)
			hash, total, size := status(t, path)
			data := sealed(t, path)
			whole, err := verify(data)
			require.NoError(t, err)
			sum := sha256.Sum256(data)
			require.Equal(t, hex.EncodeToString(sum[:]), whole.SHA256)
			require.True(t, whole.Sealed)
			require.False(t, copied.Sealed)
			require.EqualValues(t, len(data), whole.Size)
			copied.Sealed, copied.Size, copied.SHA256 = true, whole.Size, whole.SHA256
			require.Equal(t, whole, copied)
			want := int64(0)
			if s.keys > 0 {
				want = int64(1 + s.revisions())
			}
			require.Equal(t, want, whole.Revision)
			require.EqualValues(t, s.keys-s.deleted, whole.Keys)
			require.Equal(t, total, whole.TotalKeys)
			require.Equal(t, hash, whole.Hash)
			require.LessOrEqual(t, whole.TotalSize, size) // bbolt's is the file's where it grew ahead
			require.Equal(t, "3.6.0", whole.Version)
			require.EqualValues(t, 4711, whole.Index)
			require.Len(t, whole.Members, 2, "the third is removed")
			require.Equal(t, snapshot.Member{ID: 0x8e9e05c52164694d, Name: "etcd-1", PeerURLs: []string{"https://10.0.0.1:2380"}}, whole.Members[0])
		})
	}
}

// A restore with --bump-revision leaves an entry without a key: a backup that is
// taken afterwards is as good as any.
func TestRaisedRevision(t *testing.T) {
	path := database(t, usual())
	before, err := snapshot.VerifyFile(t.Context(), path)
	require.NoError(t, err)
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("key")).Put(rev(before.Revision+1_000_000_000, 0, false), nil)
	}))
	require.NoError(t, db.Close())
	after, err := snapshot.VerifyFile(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, before.Revision+1_000_000_000, after.Revision)
	require.Equal(t, before.Keys, after.Keys)
}

func TestBadFiles(t *testing.T) {
	data := sealed(t, database(t, usual()))
	plain := data[:len(data)-sha256.Size]
	edit := func(from []byte, change func([]byte) []byte) []byte { return change(bytes.Clone(from)) }
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 0x10; return b }
	}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"empty":                 {nil, "the file is empty"},
		"a word":                {[]byte("hello\n"), "it has 6 bytes, less than any snapshot"},
		"gzip":                  {append([]byte("\x1f\x8b\x08"), make([]byte, 8189)...), "gzip archive: unpack it first"},
		"tar":                   {append(append(make([]byte, 257), "ustar"...), make([]byte, 8192-262)...), "tar archive"},
		"zeros":                 {make([]byte, 8192), "it is no etcd database"},
		"text":                  {bytes.Repeat([]byte("some text here.\n"), 1024), "it is no etcd database"},
		"cut by a byte":         {data[:len(data)-1], "it is cut off, or no snapshot"},
		"cut by a page":         {data[:len(data)-4096], "the SHA-256 at its end is not that of the rest"},
		"a bit of a value":      {edit(data, flip(len(data)/2)), "the SHA-256 at its end is not that of the rest"},
		"a bit of the sum":      {edit(data, flip(len(data)-1)), "the SHA-256 at its end is not that of the rest"},
		"a bit of page 0":       {edit(data, flip(16)), "the SHA-256 at its end is not that of the rest"},
		"copied, cut":           {plain[:16384], "it is cut off: "},
		"copied, both metas":    {edit(edit(plain, flip(20)), flip(4096+20)), "neither has bbolt's mark with a right sum"},
		"copied, a page number": {edit(plain, flip(3*4096)), "says that it is page"},
		"foreign":               {sealed(t, database(t, spec{foreign: true})), "a bbolt database, but not etcd's"},
		"nested":                {sealed(t, database(t, spec{keys: 2, changes: 1, nested: true})), `"inside" in bucket "key" has the flags`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(c.data)
			var bad *snapshot.DamagedError
			require.ErrorAs(t, err, &bad)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	_, err := snapshot.VerifyFile(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "no regular file")
	_, err = snapshot.VerifyFile(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = snapshot.Verify(ctx, bytes.NewReader(data), int64(len(data)))
	require.ErrorIs(t, err, context.Canceled)
	_, err = snapshot.Verify(t.Context(), bytes.NewReader(data[:9000]), int64(len(data)))
	require.ErrorContains(t, err, "it ends before its size")
}

// A sealed file with any one bit changed is refused, whichever it is.
func TestEveryBitCounts(t *testing.T) {
	data := sealed(t, database(t, spec{keys: 30, changes: 2, value: 40}))
	for range 300 {
		bad := bytes.Clone(data)
		bad[rand.IntN(len(bad))] ^= 1 << rand.IntN(8)
		_, err := verify(bad)
		require.Error(t, err)
	}
}

// What bbolt's own check refuses, ours refuses: without a checksum to help.
// bbolt looks from a process of its own, because it may not survive.
func TestNoLessStrictThanBbolt(t *testing.T) {
	if file := os.Getenv("SNAPSHOT_ASK_BBOLT"); file != "" {
		askBbolt(t, file)
		return
	}
	if testing.Short() {
		t.Skip("needs some seconds")
	}
	path := database(t, spec{keys: 400, changes: 2, value: 30, freelist: true})
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	refused := 0
	for i := range 60 {
		bad := bytes.Clone(good)
		// Heads and elements of pages, where structure is.
		at := 4096*(2+rand.IntN(len(bad)/4096-2)) + rand.IntN(200)
		bad[at] ^= 1 << rand.IntN(8)
		file := filepath.Join(t.TempDir(), fmt.Sprint(i))
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoLessStrictThanBbolt$")
		cmd.Env = append(os.Environ(), "SNAPSHOT_ASK_BBOLT="+file, "GOMEMLIMIT=200MiB", "GODEBUG=")
		out, theirs := cmd.CombinedOutput()
		_, ours := verify(bad)
		if theirs != nil {
			refused++
			require.Error(t, ours, "byte %d: bbolt says %.500s", at, out)
		}
	}
	t.Logf("bbolt refused %d", refused)
}

func askBbolt(t *testing.T, file string) {
	db, err := bolt.Open(file, 0o400, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		return nil
	}))
}

func FuzzVerify(f *testing.F) {
	for _, s := range []spec{{keys: 3, changes: 1, value: 5, pageSize: 512}, {keys: 40, changes: 2, value: 9, deleted: 2, pageSize: 512, freelist: true, noise: true}} {
		path := database(f, s)
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data[:min(len(data), 60000)])
		f.Add(sealed(f, path)[:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, whole := range [][]byte{data, resum(data)} {
			facts, err := verify(whole)
			var bad *snapshot.DamagedError
			if err != nil {
				require.ErrorAs(t, err, &bad)
				require.NotContains(t, err.Error(), "\n")
				continue
			}
			require.LessOrEqual(t, facts.Keys, facts.TotalKeys)
		}
	})
}

// resum gives both metas a right sum, so that what is behind them is reached.
func resum(data []byte) []byte {
	data = bytes.Clone(data)
	for _, at := range []int{0, 512, 4096} {
		if len(data) < at+80 {
			break
		}
		m := data[at+16:]
		binary.LittleEndian.PutUint32(m, 0xED0CDAED)
		binary.LittleEndian.PutUint32(m[4:], 2)
		binary.LittleEndian.PutUint64(m[56:], fnv(m[:56]))
	}
	return data[:len(data)/512*512]
}

func fnv(p []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range p {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}
