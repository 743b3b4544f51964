package change

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
)

// Proof judges an artefact that lies in a set which nobody sees yet, and gives
// facts for its manifest. An error says in one line what is wrong with it; then
// there is no set. a is what was written: a proof that reads the whole file
// compares its checksum.
type Proof func(ctx context.Context, f io.ReaderAt, a store.Artefact) (facts map[string]string, err error)

// UnprovenError: an artefact was refused by its proof.
type UnprovenError struct {
	Path string // on the host
	Name string // of the artefact
	Err  error
}

func (e *UnprovenError) Error() string {
	return fmt.Sprintf("%s is not a good %s, there is no backup: %v", reader.Printable(e.Path), e.Name, e.Err)
}

func (e *UnprovenError) Unwrap() error { return e.Err }

// raws takes files as they are.
func (s *treeSet) raws(ctx context.Context, files []RawFile) error {
	for _, f := range files {
		if s.h.Proofs[f.Proof] == nil && f.Proof != "" {
			return fmt.Errorf("nobody knows how to prove %s: %q", f.Name, f.Proof)
		}
	}
	for _, f := range files {
		if err := s.raw(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// raw streams a file while the host hashes it by itself; both must agree.
func (s *treeSet) raw(ctx context.Context, f RawFile) error {
	before, err := s.h.lstat(ctx, f.Path)
	if err != nil {
		return err
	}
	if before.Type != reader.Regular {
		return &MovedError{Path: f.Path, What: "type", Planned: "a regular file", Found: presence(before)}
	}
	s.total += before.Size
	w, err := s.set.Create(f.Name)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	host := make(chan looked, 1)
	go func() { host <- s.sumOf(ctx, f.Path) }()
	_, err = s.h.Conn.Get(ctx, s.h.As, f.Path, &counted{to: io.MultiWriter(w, s.progress()), total: before.Size})
	if err = errors.Join(err, w.Close()); err != nil {
		stop()
	}
	after := <-host
	switch {
	case err != nil:
		return err
	case after.err != nil:
		return after.err
	}
	r, a, err := s.set.Open(f.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	if a.SHA256 != after.file.SHA256 || !still(before, after.file) || before.Inode != after.file.Inode {
		return &MovedError{Path: f.Path, What: "content", Planned: "sha256 " + reader.Printable(after.file.SHA256), Found: "sha256 " + a.SHA256 + " as it was read"}
	}
	return s.prove(ctx, f, r, a)
}

// looked is a file as its host sees it by itself.
type looked struct {
	file reader.File
	err  error
}

// sumScript uses openssl where it can: several times as fast as coreutils on
// processors that know SHA-256.
const sumScript = `openssl dgst -sha256 -r <"$1" 2>/dev/null || sha256sum <"$1"`

// sumOf has the host compute the checksum of a file that may be large, and
// looks at it afterwards.
func (s *treeSet) sumOf(ctx context.Context, path string) (l looked) {
	res, err := s.h.script(ctx, sumScript, nil, path)
	if err == nil && res.Code != 0 {
		err = stepFailed("compute the sha256 of "+reader.Printable(path), res)
	}
	if err != nil {
		return looked{err: err}
	}
	if l.file, l.err = s.h.lstat(ctx, path); l.err == nil {
		l.file.SHA256, _, _ = strings.Cut(res.Stdout.String(), " ") // compared with ours, whatever it is
	}
	return l
}

// prove has the proof read what was written.
func (s *treeSet) prove(ctx context.Context, f RawFile, r io.ReaderAt, a store.Artefact) error {
	if f.Proof == "" {
		return nil
	}
	facts, err := s.h.Proofs[f.Proof](ctx, r, a)
	if err != nil {
		return &UnprovenError{Path: f.Path, Name: f.Name, Err: err}
	}
	if s.m.Facts == nil {
		s.m.Facts = map[string]string{}
	}
	maps.Copy(s.m.Facts, facts)
	return nil
}
