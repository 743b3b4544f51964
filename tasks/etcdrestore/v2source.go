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
	// Keys are so many that the restored store must list them at least: as the set
	// notes it, as its copy has it where the set is older; -1 where nobody knows.
	Keys int64
}

// Fitted is what is made of a set on the control machine: the copy of the v2 data,
// all entries of whose log count, and the snapshot as the database that goes into
// it, with raft's index in it that of the copy.
type Fitted struct {
	DB, V2  Made
	Bump    int64  // by how much the revision is higher than the snapshot's
	Problem string // why there is nothing
}

// Made is one file of them.
type Made struct {
	Size   int64
	SHA256 string
}

type fitKey struct {
	sha256, v2 string
	bump       int64
}

// files are those that this process made. They have no names any more, so
// that nothing stays of them.
type files struct {
	Fitted
	db, v2 *os.File
}

// v2 reads the archive of v2 data, where the set has one.
func (s *Source) v2(ctx context.Context) error {
	if s.V2 == nil {
		return nil
	}
	facts, err := v2copy.ReadFile(ctx, s.V2.Path)
	var damaged *v2copy.DamagedError
	other := "take another set; or give from: " + reader.Printable(s.Path) + " for the v3 data alone"
	switch {
	case errors.As(err, &damaged):
		s.Problem, s.Hint = reader.Printable(s.V2.Path)+" is no good copy of v2 data: "+reader.Printable(damaged.Why), other
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		s.Problem, s.Hint = reader.Printable(s.V2.Path)+" cannot be read: "+reason(err), other
	}
	s.V2.Copy = facts
	if s.V2.Keys < 0 && s.Problem == "" {
		s.V2.Keys = facts.Keys
	}
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

// fit makes the files, once for each way in which they may be wanted.
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
		return Fitted{Problem: fmt.Sprintf("%s of data are to be made on this machine, in %s, and cannot: %s", etcd.Size(src.Size+src.V2.Size), reader.Printable(os.TempDir()), reason(err))}, nil
	}
	if v.made == nil {
		v.made = map[fitKey]*files{}
	}
	v.made[key] = f
	return f.Fitted, nil
}

func makeFit(ctx context.Context, src Source, bump int64) (f *files, err error) {
	f = &files{Fitted: Fitted{Bump: bump}}
	defer func() {
		if err != nil && f.db != nil {
			err = errors.Join(err, f.db.Close())
		}
	}()
	f.db, f.DB, err = made("db", func(name string) error {
		body := src.Size
		if src.Sealed {
			body -= sha256.Size
		}
		return v2copy.Database(ctx, src.Path, body, name, v2copy.Fit{Index: src.V2.Copy.Last, Term: src.V2.Copy.Term, Bump: bump, Revision: src.Revision})
	})
	if err != nil {
		return f, err
	}
	f.v2, f.V2, err = made("tar.gz", func(name string) error { return settle(ctx, src.V2, name) })
	return f, err
}

func settle(ctx context.Context, v2 *V2, name string) error {
	in, err := os.Open(v2.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	return errors.Join(v2copy.Settle(ctx, in, v2.Copy, out), out.Close())
}

// made makes a file and takes its name away.
func made(kind string, make func(name string) error) (*os.File, Made, error) {
	t, err := os.CreateTemp("", "dayops-etcd-*."+kind)
	if err != nil {
		return nil, Made{}, err
	}
	name := t.Name()
	defer os.Remove(name)
	if err := errors.Join(t.Close(), make(name)); err != nil {
		return nil, Made{}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, Made{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return nil, Made{}, errors.Join(err, f.Close())
	}
	return f, Made{n, hex.EncodeToString(sum.Sum(nil))}, nil
}

// open gives the bytes of one of the files that fit made.
func (v *verified) open(src Source, bump int64, which func(*files) *os.File) (io.ReadCloser, error) {
	v.fits.Lock()
	defer v.fits.Unlock()
	f := v.made[fitKey{src.SHA256, src.V2.SHA256, bump}]
	if f == nil {
		return nil, errors.New("the data are not made yet")
	}
	const end = 1 << 62
	return io.NopCloser(io.NewSectionReader(which(f), 0, end)), nil
}
