package store

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// FilesName is the artefact with the host's files: a gzip-compressed tar whose
// members are Manifest.Items of types f, d and l, paths without the leading slash.
const FilesName = "files.tar.gz"

// Verify reads a committed set again, every byte: sums, sizes, and that the
// archive opens and holds exactly what the manifest says. What is wrong with
// the set is a *DamagedError; another error means that it could not be read.
func Verify(ctx context.Context, dir string) (Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	return VerifyFS(ctx, root.FS())
}

// VerifyFS is Verify for a set that lies elsewhere.
func VerifyFS(ctx context.Context, set fs.FS) (Manifest, error) {
	bad := &DamagedError{}
	m, err := readManifest(set, ManifestName)
	if err != nil {
		bad.add("%v", err)
		return m, bad
	}
	listed := map[string]Artefact{ManifestName: {}}
	for _, a := range m.Artefacts {
		listed[a.Name] = a
	}
	if err := checkNames(set, listed, bad); err != nil {
		return m, err
	}
	for _, a := range m.Artefacts {
		if err := checkArtefact(ctx, set, a, bad); err != nil {
			return m, err
		}
	}
	checkSums(set, listed, bad)
	if _, has := listed[FilesName]; has {
		if err := checkArchive(ctx, set, m, bad); err != nil {
			return m, err
		}
	}
	return m, bad.orNil()
}

func checkNames(set fs.FS, listed map[string]Artefact, bad *DamagedError) error {
	entries, err := fs.ReadDir(set, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := listed[e.Name()]; !ok {
			bad.add("%q is not in the manifest", e.Name())
		} else if !e.Type().IsRegular() {
			bad.add("%s is not a regular file", e.Name())
		}
	}
	if _, ok := listed[SumsName]; !ok {
		bad.add("the manifest does not list %s", SumsName)
	}
	return nil
}

func checkArtefact(ctx context.Context, set fs.FS, a Artefact, bad *DamagedError) error {
	f, err := set.Open(a.Name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		bad.add("%s is missing", a.Name)
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &ctxReader{ctx, f})
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	if n != a.Size {
		bad.add("%s has %d bytes, want %d", a.Name, n, a.Size)
	} else if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
		bad.add("%s has sha256 %s, want %s", a.Name, got, a.SHA256)
	}
	return nil
}

// checkSums: SHA256SUMS must say what the manifest says.
func checkSums(set fs.FS, listed map[string]Artefact, bad *DamagedError) {
	f, err := set.Open(SumsName)
	if err != nil {
		return // told already
	}
	defer f.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		a, known := listed[name]
		if !ok || !known || a.SHA256 != sum {
			bad.add("%s and the manifest differ about %q", SumsName, name)
		}
		seen[name] = true
	}
	if err := lines.Err(); err != nil {
		bad.add("%s: %v", SumsName, err)
	}
	for name := range listed {
		if name != SumsName && name != ManifestName && !seen[name] {
			bad.add("%s does not list %s", SumsName, name)
		}
	}
}

// archived is one item as the archive must have it.
type archived struct {
	item Item
	seen bool
}

func checkArchive(ctx context.Context, set fs.FS, m Manifest, bad *DamagedError) error {
	want := map[string]*archived{}
	for _, it := range m.Items {
		p, err := DecodePath(it.Path, it.Encoded)
		if err != nil {
			bad.add("item %q: %v", it.Path, err)
			continue
		}
		if strings.Contains("fdl", it.Type) {
			want[strings.TrimPrefix(p, "/")] = &archived{item: it}
		}
	}
	f, err := set.Open(FilesName)
	if err != nil {
		return nil // told already
	}
	defer f.Close()
	zr, err := gzip.NewReader(bufio.NewReaderSize(&ctxReader{ctx, f}, 1<<16))
	if err != nil {
		bad.add("%s: %v", FilesName, err)
		return ctx.Err()
	}
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = checkMember(h, tr, want, bad)
		}
		if err != nil {
			bad.add("%s: %v", FilesName, err)
			return ctx.Err()
		}
	}
	// The rest holds gzip's own checksum.
	if n, err := io.Copy(io.Discard, io.LimitReader(zr, 1<<20)); err != nil || n == 1<<20 {
		bad.add("%s: the end is damaged", FilesName)
	}
	for p, a := range want {
		if !a.seen {
			bad.add("%s lacks %q", FilesName, p)
		}
	}
	return ctx.Err()
}

func checkMember(h *tar.Header, content io.Reader, want map[string]*archived, bad *DamagedError) error {
	name := path.Clean(h.Name)
	a := want[name]
	if a == nil || a.seen {
		bad.add("%s has a member %q that the manifest does not have", FilesName, h.Name)
		return nil
	}
	a.seen = true
	types := map[byte]string{tar.TypeReg: "f", tar.TypeDir: "d", tar.TypeSymlink: "l", tar.TypeLink: "f"}
	if types[h.Typeflag] != a.item.Type {
		bad.add("%s: %q has type %c, want %s", FilesName, name, h.Typeflag, a.item.Type)
		return nil
	}
	if h.Typeflag == tar.TypeLink {
		first := want[path.Clean(h.Linkname)]
		if first == nil || !first.seen || first.item.SHA256 != a.item.SHA256 {
			bad.add("%s: hard link %q to %q dangles", FilesName, name, h.Linkname)
		}
		return nil
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	if h.Size != a.item.Size {
		bad.add("%s: %q has %d bytes, want %d", FilesName, name, h.Size, a.item.Size)
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.item.SHA256 {
		bad.add("%s: %q has sha256 %s, want %s", FilesName, name, got, a.item.SHA256)
	}
	return nil
}

// ctxReader ends when ctx does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
