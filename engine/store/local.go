package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	folderMode = 0o700
	fileMode   = 0o600

	lockName    = ".lock"    // of a host's folder, and in a staging folder while its run lives
	partialMark = ".partial" // ends the name of a staging folder

	maxManifest = 512 << 20
)

// Local is a Store in a folder of the control machine:
// DIR/HOST/2026-11-22T031207Z/. Names come from the request alone, never from
// a host, and no symlink below DIR is followed.
type Local struct{ dir string }

// NewLocal keeps sets below dir, which Begin makes when it is missing.
func NewLocal(dir string) *Local { return &Local{dir: dir} }

// Location is the folder.
func (l *Local) Location() string { return l.dir }

// Begin makes HOST/.STAMP.partial and holds a lock in it for as long as the set is open.
func (l *Local) Begin(ctx context.Context, host string, at time.Time) (Set, error) {
	name, err := hostFolder(host)
	if err != nil {
		return nil, err
	}
	root, err := l.openHost(name)
	if err != nil {
		return nil, l.wrap(err)
	}
	s, err := l.begin(ctx, root, name, at)
	if err != nil {
		root.Close()
		return nil, l.wrap(err)
	}
	return s, nil
}

func (l *Local) begin(ctx context.Context, host *os.Root, name string, at time.Time) (*localSet, error) {
	unlock, err := lock(ctx, host)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s := &localSet{store: l, host: host, folder: filepath.Join(l.dir, name)}
	if s.abandoned, err = sweep(host, s.folder); err != nil {
		return nil, err
	}
	if s.name, err = freeName(host, at); err != nil {
		return nil, err
	}
	s.staging = "." + s.name + partialMark
	if err := mkdir(host, s.staging); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, host.RemoveAll(s.staging))
	}
	return s, nil
}

// openHost opens DIR/NAME, and makes both, private, where they are missing.
func (l *Local) openHost(name string) (*os.Root, error) {
	if err := makeParents(l.dir); err != nil {
		return nil, err
	}
	top, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	made := true
	if err := mkdir(top, name); errors.Is(err, fs.ErrExist) {
		made = false
	} else if err != nil {
		return nil, err
	}
	host, err := openFolder(top, name)
	if err != nil {
		return nil, err
	}
	// Also one that somebody else made: what lies in it is secret.
	if err := host.Chmod(".", folderMode); err != nil {
		host.Close()
		return nil, err
	}
	if made {
		err = syncFolder(top)
	}
	return host, err
}

// openFolder opens name below r, unless it is a symlink or a file.
func openFolder(r *os.Root, name string) (*os.Root, error) {
	fi, err := r.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(r.Name(), name), Err: syscall.ENOTDIR}
	}
	return r.OpenRoot(name)
}

func makeParents(dir string) error {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil // the user's own: its mode is the user's business
	}
	if err := makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, folderMode); err != nil {
		if fi, serr := os.Stat(dir); serr == nil && fi.IsDir() {
			return nil // another run was quicker
		}
		return err
	}
	return os.Chmod(dir, folderMode)
}

func mkdir(r *os.Root, name string) error {
	if err := r.Mkdir(name, folderMode); err != nil {
		return err
	}
	return r.Chmod(name, folderMode)
}

// freeName is the stamp, with -2, -3 when that second is taken.
func freeName(host *os.Root, at time.Time) (string, error) {
	stamp := at.UTC().Format(stampForm)
	for n := 1; n < 10_000; n++ {
		name := stamp
		if n > 1 {
			name = fmt.Sprintf("%s-%d", stamp, n)
		}
		if !exists(host, name) && !exists(host, "."+name+partialMark) {
			return name, nil
		}
	}
	return "", fmt.Errorf("10,000 sets of one second in %s", host.Name())
}

func exists(r *os.Root, name string) bool {
	_, err := r.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// Sets reads the manifests of all sets of a host.
func (l *Local) Sets(ctx context.Context, host string) ([]Info, error) {
	name, err := hostFolder(host)
	if err != nil {
		return nil, err
	}
	sets, err := l.sets(ctx, name)
	for i := range sets {
		sets[i].Host = host
	}
	return sets, err
}

// sets reads those of one host's folder.
func (l *Local) sets(ctx context.Context, name string) ([]Info, error) {
	top, err := os.OpenRoot(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer top.Close()
	root, err := openFolder(top, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	type numbered struct {
		Info
		n int
	}
	var found []numbered
	for _, e := range entries {
		at, n, ok := parseSetName(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := readManifest(root.FS(), e.Name()+"/"+ManifestName)
		if err != nil {
			continue
		}
		found = append(found, numbered{Info{At: at, Path: filepath.Join(l.dir, name, e.Name()), Manifest: m}, n})
	}
	slices.SortFunc(found, func(a, b numbered) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.n, b.n)) })
	var out []Info
	for _, f := range found {
		out = append(out, f.Info)
	}
	return out, nil
}

// Kind lists the committed sets of one kind, of all hosts, oldest first.
func (l *Local) Kind(ctx context.Context, kind string) ([]Info, error) {
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []Info
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sets, err := l.sets(ctx, e.Name())
		if err != nil {
			return nil, err
		}
		for _, s := range sets {
			if s.Manifest.Kind == kind {
				s.Host = s.Manifest.Host
				out = append(out, s)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Info) int { return a.At.Compare(b.At) })
	return out, nil
}

func readManifest(fsys fs.FS, name string) (Manifest, error) {
	var m Manifest
	f, err := fsys.Open(name)
	if err != nil {
		return m, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return m, err
	}
	if len(data) > maxManifest {
		return m, fmt.Errorf("%s is larger than %d bytes", name, maxManifest)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	if m.Version != ManifestVersion {
		return m, fmt.Errorf("%s has version %d, this program reads %d", name, m.Version, ManifestVersion)
	}
	return m, nil
}

// wrap turns "no space" into a FullError.
func (l *Local) wrap(err error) error {
	if err == nil || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return &FullError{Location: l.dir, Free: l.Free(), Err: err}
}

// Free is the room below the folder, for this account; -1 when not known. A folder
// that is still to be made has that of the one above it.
func (l *Local) Free() int64 {
	dir, err := filepath.Abs(l.dir)
	var st syscall.Statfs_t
	for err == nil {
		if err = syscall.Statfs(dir, &st); err == nil {
			return int64(st.Bavail) * int64(st.Bsize)
		}
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			dir, err = filepath.Dir(dir), nil
		}
	}
	return -1
}
