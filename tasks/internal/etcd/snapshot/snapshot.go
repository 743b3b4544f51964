// Package snapshot proves that a file is a whole etcd v3 snapshot: what
// `etcdctl snapshot save` wrote, or the database that lies in a data folder at
// member/snap/db, which has no checksum.
//
// It reads bbolt's format itself, by ReadAt, with a bound on every number that
// the file gives. bbolt's own Check maps the file: on a damaged one a goroutine
// of its own faults, or recurses without end, and takes the program with it.
// What is checked is the same (tests hold one against the other), and more:
// that each page says its own number and that the buckets are etcd's.
package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Facts are what a good file says.
type Facts struct {
	Size   int64  // of the file
	SHA256 string // of the whole file, hexadecimal
	// Sealed: the file ends with the SHA-256 of the rest, and it is right. A
	// database copied from a data folder is not: nothing then proves that its
	// values are those that etcd wrote.
	Sealed bool

	// As `etcdutl snapshot status` prints them: Hash in hexadecimal, TotalKeys is
	// the entries of all buckets, old revisions and etcd's own records included.
	Hash      uint32
	Revision  int64
	TotalKeys int64
	TotalSize int64  // bytes of the database
	Version   string // storage version; "" before 3.6

	// Keys is how many keys a reader of Revision sees: what
	// `get "" --prefix --count-only` counts after a restore.
	Keys    int64
	Index   uint64   // raft's consistent index; 0 where the file does not tell
	Members []Member // by ID, as the file has them; those removed are left out

	// Auth: authentication was on. Users are its users' names, in order; none
	// where there are more than maxUsers.
	Auth  bool
	Users []string
}

// Member is a member of the cluster that the snapshot is of.
type Member struct {
	ID       uint64
	Name     string // "" before its first start
	PeerURLs []string
	// ClientURLs are where it answered when the snapshot was made.
	ClientURLs []string
	Learner    bool
}

// DamagedError: the file is no whole snapshot.
type DamagedError struct{ Why string }

func (e *DamagedError) Error() string { return e.Why }

func damaged(format string, args ...any) error { return &DamagedError{fmt.Sprintf(format, args...)} }

// VerifyFile is Verify for a regular file of the control machine. Symlinks are followed.
func VerifyFile(ctx context.Context, path string) (Facts, error) {
	f, err := os.Open(path)
	if err != nil {
		return Facts{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return Facts{}, err
	}
	if !fi.Mode().IsRegular() {
		return Facts{}, damaged("it is no regular file")
	}
	return Verify(ctx, f, fi.Size())
}

// Verify reads f twice, once in order for its SHA-256 and once along its pages.
// A *DamagedError says in one line what is wrong with the file; another error
// means that it could not be read. Memory: some MiB, and at most 128 MiB where
// the file has one value of that size. f must not change meanwhile.
func Verify(ctx context.Context, f io.ReaderAt, size int64) (Facts, error) {
	facts := Facts{Size: size}
	if err := format(f, size); err != nil {
		return facts, err
	}
	if err := facts.seal(ctx, f); err != nil {
		return facts, err
	}
	end := size
	if facts.Sealed {
		end -= sha256.Size
	}
	return facts, facts.database(ctx, f, end)
}

// format tells what cannot be a snapshot by its size and its first bytes.
func format(f io.ReaderAt, size int64) error {
	if size == 0 {
		return damaged("the file is empty")
	}
	head := make([]byte, min(size, 262))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, other := range []struct {
		at           int
		magic, looks string
	}{
		{0, "\x1f\x8b", "gzip archive: unpack it first"},
		{0, "\x28\xb5\x2f\xfd", "zstd archive: unpack it first"},
		{0, "age-encryption.org", "file encrypted with age: decrypt it first"},
		{257, "ustar", "tar archive: unpack it first"},
	} {
		if len(head) > other.at && bytes.HasPrefix(head[other.at:], []byte(other.magic)) {
			return damaged("it is no snapshot but a %s", other.looks)
		}
	}
	if size < 4*minPage {
		return damaged("it has %d bytes, less than any snapshot", size)
	}
	if at := size % sector; at != 0 && at != sha256.Size {
		return damaged("it is cut off, or no snapshot: %d bytes are neither whole sectors nor whole sectors and a SHA-256", size)
	}
	return nil
}

// sector: etcd looks for a checksum where the size is a multiple of this plus 32.
const sector = 512

// seal reads the file in order.
func (facts *Facts) seal(ctx context.Context, f io.ReaderAt) error {
	facts.Sealed = facts.Size%sector == sha256.Size
	body := facts.Size
	if facts.Sealed {
		body -= sha256.Size
	}
	sum := sha256.New()
	buf := make([]byte, 1<<20)
	for at := int64(0); at < body; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), body-at)], at)
		sum.Write(buf[:n])
		at += int64(n)
		if err != nil && at < body {
			return short(err)
		}
	}
	if facts.Sealed {
		got := sum.Sum(nil)
		want := buf[:sha256.Size]
		if _, err := io.ReadFull(io.NewSectionReader(f, body, sha256.Size), want); err != nil {
			return short(err)
		}
		if !bytes.Equal(got, want) {
			return damaged("the SHA-256 at its end is not that of the rest: it was damaged or cut off after etcd made it")
		}
		sum.Write(want)
	}
	facts.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// short: a file that ends before its size.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends before its size: it is being written or cut")
	}
	return err
}
