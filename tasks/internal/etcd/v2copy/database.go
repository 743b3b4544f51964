package v2copy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
)

// Fit says what a database is made to fit.
type Fit struct {
	Index uint64 // consistent index: the copy's commit
	Term  uint64
	// Bump raises the revision by so much, and marks what was before as compacted,
	// as etcd's own tools do with --bump-revision --mark-compacted; 0 leaves it.
	Bump     int64
	Revision int64 // of the snapshot
}

// openLimit is for the lock that bbolt takes: nobody else has the file.
const openLimit = 10 * time.Second

// Database copies the first size bytes of a snapshot, all but its checksum, to out,
// a file that this makes, verifies that and has it fit: the consistent index, no member of the old
// cluster, the revision. What was written to out so far is removed on an error.
func Database(ctx context.Context, from string, size int64, out string, fit Fit) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out))
		}
	}()
	if err := duplicate(ctx, from, size, out); err != nil {
		return err
	}
	// bbolt maps the file and dies of a damaged one: this very one must be whole.
	if _, err := snapshot.VerifyFile(ctx, out); err != nil {
		return err
	}
	db, err := bolt.Open(out, 0o600, &bolt.Options{Timeout: openLimit, NoFreelistSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(fit.apply)
}

func duplicate(ctx context.Context, from string, size int64, out string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	n, err := io.Copy(dst, &interrupted{ctx, io.LimitReader(src, size)})
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes, not %d", from, n, size)
	}
	return err
}

func (fit Fit) apply(tx *bolt.Tx) error {
	for _, name := range []string{"members", "members_removed", "cluster"} { // etcd makes them again
		if err := tx.DeleteBucket([]byte(name)); err != nil && !errors.Is(err, bolt.ErrBucketNotFound) { //nolint:staticcheck // the name of both bbolt lines
			return err
		}
	}
	meta, keys := tx.Bucket([]byte("meta")), tx.Bucket([]byte("key"))
	if meta == nil || keys == nil {
		return errors.New("the database has no bucket meta or key")
	}
	if err := meta.Put([]byte("consistent_index"), binary.BigEndian.AppendUint64(nil, fit.Index)); err != nil {
		return err
	}
	if meta.Get([]byte("term")) != nil { // since 3.5
		if err := meta.Put([]byte("term"), binary.BigEndian.AppendUint64(nil, fit.Term)); err != nil {
			return err
		}
	}
	if err := meta.Delete([]byte("confState")); err != nil {
		return err
	}
	if fit.Bump <= 0 {
		return nil
	}
	if err := keys.Put(revision(fit.Revision+fit.Bump), nil); err != nil {
		return err
	}
	return meta.Put([]byte("scheduledCompactRev"), revision(fit.Revision+fit.Bump))
}

// revision is a key of the bucket key: main, "_", sub.
func revision(main int64) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(main))
	return binary.BigEndian.AppendUint64(append(b, '_'), 0)
}
