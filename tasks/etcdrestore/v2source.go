package etcdrestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcd/v2copy"
)

// V2 is the v2 data of a set.
type V2 struct {
	Path   string // of the archive, absolute
	Size   int64
	SHA256 string
	Copy   v2copy.Facts
}

// Fitted is the v3 database that is put into the copy of the v2 data: the
// snapshot, with raft's index in it that of the copy.
type Fitted struct {
	Size    int64
	SHA256  string
	Bump    int64  // by how much its revision is higher than the snapshot's
	Problem string // why there is none
}

type fitKey struct {
	sha256, v2 string
	bump       int64
}

// fitted is a database that this process made. Its file has no name any more, so
// that nothing stays of it.
type fitted struct {
	Fitted
	file *os.File
}

// v2 reads the archive of v2 data, where the set has one.
func (s *Source) v2(ctx context.Context) error {
	if s.V2 == nil {
		return nil
	}
	facts, err := v2copy.ReadFile(ctx, s.V2.Path)
	var damaged *v2copy.DamagedError
	switch {
	case errors.As(err, &damaged):
		s.Problem, s.Hint = reader.Printable(s.V2.Path)+" is no good copy of v2 data: "+reader.Printable(damaged.Why), "take another set; or give from: "+reader.Printable(s.Path)+" for the v3 data alone"
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		s.Problem, s.Hint = reader.Printable(s.V2.Path)+" cannot be read: "+reason(err), ""
	}
	s.V2.Copy = facts
	return nil
}

// bump is how far the revision goes up with the tool of this host.
func (s State) bump(p Params) int64 {
	v := s.Tool.Ctl
	if s.Tool.Utl.Known() {
		v = s.Tool.Utl
	}
	if !v.HasBump() {
		return 0
	}
	return p.BumpRevision
}

// fit makes the database, once for each way in which it may be wanted.
func (v *verified) fit(ctx context.Context, src Source, bump int64) (Fitted, error) {
	if src.Problem != "" {
		return Fitted{}, nil
	}
	v.fits.Lock()
	defer v.fits.Unlock()
	key := fitKey{src.SHA256, src.V2.SHA256, bump}
	if f := v.made[key]; f != nil {
		return f.Fitted, nil
	}
	f, err := makeFit(ctx, src, bump)
	switch {
	case err != nil && ctx.Err() != nil:
		return Fitted{}, err
	case err != nil:
		return Fitted{Problem: fmt.Sprintf("%s of the v3 data are to be made on this machine, in %s, and cannot: %s", etcd.Size(src.Size), reader.Printable(os.TempDir()), reason(err))}, nil
	}
	if v.made == nil {
		v.made = map[fitKey]*fitted{}
	}
	v.made[key] = f
	return f.Fitted, nil
}

func makeFit(ctx context.Context, src Source, bump int64) (*fitted, error) {
	t, err := os.CreateTemp("", "dayops-etcd-*.db")
	if err != nil {
		return nil, err
	}
	name := t.Name()
	defer os.Remove(name)
	if err := t.Close(); err != nil {
		return nil, err
	}
	body := src.Size
	if src.Sealed {
		body -= sha256.Size
	}
	if err := v2copy.Database(ctx, src.Path, body, name, v2copy.Fit{Index: src.V2.Copy.Commit, Term: src.V2.Copy.Term, Bump: bump, Revision: src.Revision}); err != nil {
		return nil, err
	}
	f := &fitted{Fitted: Fitted{Bump: bump}}
	if f.file, err = os.Open(name); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if f.Size, err = io.Copy(sum, f.file); err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, nil
}

// open gives the bytes of a database that fit made.
func (v *verified) open(src Source, bump int64) (io.ReadCloser, error) {
	v.fits.Lock()
	defer v.fits.Unlock()
	f := v.made[fitKey{src.SHA256, src.V2.SHA256, bump}]
	if f == nil {
		return nil, errors.New("the database is not made yet")
	}
	return io.NopCloser(io.NewSectionReader(f.file, 0, f.Size)), nil
}
