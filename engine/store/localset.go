package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// localSet is a staging folder with a lock in it.
type localSet struct {
	store     *Local
	host      *os.Root // the host's folder
	dir       *os.Root // the staging folder
	lock      *os.File // held while this process lives
	folder    string   // path of the host's folder, for people
	name      string   // what the set will be called
	staging   string
	abandoned []string
	artefacts []Artefact
	pending   int // artefacts not yet closed
	scratches int
	done      bool
}

func (s *localSet) open() (err error) {
	if s.dir, err = s.host.OpenRoot(s.staging); err != nil {
		return err
	}
	s.lock, err = create(s.dir, lockName)
	if err == nil {
		err = syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		s.close()
	}
	return err
}

func create(r *os.Root, name string) (*os.File, error) {
	f, err := r.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(fileMode); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (s *localSet) Abandoned() []string { return s.abandoned }

func (s *localSet) Create(name string) (io.WriteCloser, error) {
	if !artefactName.MatchString(name) || name == SumsName || name == ManifestName {
		return nil, fmt.Errorf("%q cannot be the name of an artefact", name)
	}
	return s.create(name)
}

func (s *localSet) create(name string) (io.WriteCloser, error) {
	f, err := create(s.dir, name)
	if err != nil {
		return nil, s.store.wrap(err)
	}
	s.pending++
	return &artefactWriter{set: s, f: f, name: name, sum: sha256.New()}, nil
}

type artefactWriter struct {
	set  *localSet
	f    *os.File
	name string
	sum  hash.Hash
	size int64
	err  error
}

func (w *artefactWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.sum.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = w.set.store.wrap(err)
	}
	return n, w.err
}

// Close syncs. The artefact counts only if everything before went well.
func (w *artefactWriter) Close() error {
	if w.f == nil {
		return w.err
	}
	serr := w.f.Sync()
	cerr := w.f.Close()
	w.f = nil
	w.err = errors.Join(w.err, w.set.store.wrap(serr), w.set.store.wrap(cerr))
	if w.err == nil {
		w.set.pending--
		w.set.artefacts = append(w.set.artefacts, Artefact{Name: w.name, Size: w.size, SHA256: hex.EncodeToString(w.sum.Sum(nil))})
	}
	return w.err
}

func (s *localSet) Open(name string) (ArtefactReader, Artefact, error) {
	i := slices.IndexFunc(s.artefacts, func(a Artefact) bool { return a.Name == name })
	if i < 0 || s.done {
		return nil, Artefact{}, fmt.Errorf("%q is no complete artefact of an open set", name)
	}
	f, err := s.dir.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, Artefact{}, err
	}
	return f, s.artefacts[i], nil
}

func (s *localSet) Scratch() (io.ReadWriteSeeker, func() error, error) {
	s.scratches++
	name := fmt.Sprintf(".scratch-%d", s.scratches)
	f, err := create(s.dir, name)
	if err != nil {
		return nil, nil, s.store.wrap(err)
	}
	// Nameless from now on: a kill leaves no copy of secrets behind.
	if err := s.dir.Remove(name); err != nil {
		f.Close()
		return nil, nil, err
	}
	return &scratch{f, s.store}, f.Close, nil
}

type scratch struct {
	*os.File
	store *Local
}

func (s *scratch) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	return n, s.store.wrap(err)
}

func (s *localSet) Commit(m Manifest) (string, error) {
	if s.done {
		return "", errors.New("the set is already committed or aborted")
	}
	if s.pending > 0 {
		return "", fmt.Errorf("%d artefacts of the set are not complete", s.pending)
	}
	where, err := s.commit(m)
	return where, s.store.wrap(err)
}

func (s *localSet) commit(m Manifest) (string, error) {
	var sums strings.Builder
	for _, a := range s.artefacts {
		fmt.Fprintf(&sums, "%s  %s\n", a.SHA256, a.Name)
	}
	if err := s.write(SumsName, []byte(sums.String())); err != nil {
		return "", err
	}
	m.Version, m.Artefacts = ManifestVersion, s.artefacts
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(m); err != nil {
		return "", err
	}
	if err := s.write(ManifestName, text.Bytes()); err != nil {
		return "", err
	}
	unlock, err := lock(context.Background(), s.host)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := s.dir.Remove(lockName); err != nil {
		return "", err
	}
	if err := syncFolder(s.dir); err != nil {
		return "", err
	}
	if exists(s.host, s.name) {
		return "", fmt.Errorf("%s has appeared meanwhile", filepath.Join(s.folder, s.name))
	}
	if err := s.host.Rename(s.staging, s.name); err != nil {
		return "", err
	}
	s.done = true
	err = syncFolder(s.host)
	s.close()
	return filepath.Join(s.folder, s.name), err
}

func (s *localSet) write(name string, data []byte) error {
	w, err := s.create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

func (s *localSet) Abort() error {
	if s.done {
		return nil
	}
	s.done = true
	unlock, err := lock(context.Background(), s.host)
	if err != nil {
		return err
	}
	defer unlock()
	err = s.host.RemoveAll(s.staging)
	s.close()
	return err
}

func (s *localSet) close() {
	if s.lock != nil {
		s.lock.Close()
	}
	if s.dir != nil {
		s.dir.Close()
	}
	if s.done {
		s.host.Close()
	}
}

// lock serialises Begin, Commit and Abort for one host's folder; it is held
// for moments only.
func lock(ctx context.Context, host *os.Root) (func(), error) {
	f, err := host.OpenFile(lockName, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(fileMode); err != nil {
		f.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: held by another run: %w", f.Name(), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sweep removes the staging folders of processes that are gone, and names
// them. One whose lock is held is being written and is left alone. The caller
// holds the host's lock, so none is just being made or committed.
func sweep(host *os.Root, folder string) ([]string, error) {
	dir, err := host.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, name := range names {
		stamp, ok := strings.CutSuffix(strings.TrimPrefix(name, "."), partialMark)
		if _, _, is := parseSetName(stamp); !ok || !is || name[0] != '.' || alive(host, name) {
			continue
		}
		if err := host.RemoveAll(name); err != nil {
			return gone, err
		}
		gone = append(gone, filepath.Join(folder, name))
	}
	return gone, nil
}

func alive(host *os.Root, staging string) bool {
	fi, err := host.Lstat(staging)
	if err != nil || !fi.IsDir() {
		return true // not ours to judge
	}
	f, err := host.OpenFile(staging+"/"+lockName, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return !os.IsNotExist(err)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

func syncFolder(r *os.Root) error {
	d, err := r.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
