package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Excluded is the one list of what is left out of every listing: what any login
// or time itself writes, whoever logs in and whatever they do. A folder is left
// out with all below it.
func Excluded() []string {
	return []string{
		"/proc", "/sys", "/dev", "/run", // not on disk
		"/tmp", "/var/tmp", "/var/log", // a login or any service writes there by itself
		"/var/lib/systemd",                 // timers' time stamps, linger, random seed
		"/var/lib/sudo",                    // sudo's time stamps and its "lectured" marks
		"/var/cache", "/var/lib/apt/lists", // package caches
	}
}

// Live is the data that a service rewrites by itself: its names, owners and
// modes are listed, its sizes and contents are not. An election is enough to
// write etcd's log; what the cluster holds is compared with `etcdctl endpoint hashkv`.
func Live() []string { return []string{"/var/lib/etcd/member"} }

// ListOptions add to a listing.
type ListOptions struct {
	Times bool // modification times of all but folders
	// Links: of a file with several names, the first of them. Not of the base
	// image's: overlayfs parts those when it copies one of them up.
	Links bool
}

// UndoExcluded is the one list of what an undo may leave different, beside
// Excluded: the state of the package managers, caches, accounts that a package's
// maintainer script made, and dayops's own folder of what was moved aside.
func UndoExcluded() []string {
	return []string{
		"/var/lib/dpkg", "/var/lib/apt", "/var/lib/ucf", "/var/lib/pam", // package managers' and maintainer scripts' state
		"/etc/ld.so.cache",
		"/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-",
		"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-",
		"/var/lib/dayops", "/home/operator/.local/state/dayops",
	}
}

// WithoutUndoExcluded leaves UndoExcluded out of a listing.
func WithoutUndoExcluded(listing string) string {
	var b strings.Builder
	for line := range strings.Lines(listing) {
		q, err := strconv.QuotedPrefix(line)
		name := ""
		if err == nil {
			name, err = strconv.Unquote(q)
		}
		if err != nil || !under(name, UndoExcluded()) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// Listing lists the host's file system, sorted by path, one line for each name:
//
//	path type mode owner:group size sha256 target attributes
//
// Paths, targets and attribute values are Go-quoted. Times are not in it. The
// files are read from the control machine: nothing is run on the host.
func (h *Host) Listing(ctx context.Context) (string, error) {
	return h.ListingWith(ctx, ListOptions{})
}

// ListingWith is Listing with options.
func (h *Host) ListingWith(ctx context.Context, o ListOptions) (string, error) {
	l := lister{root: h.Root(), upper: filepath.Join(h.dir(), "disk", "upper"), base: h.Base, o: o}
	if m, err := mountsBelow(h.Root()); err != nil || len(m) == 0 {
		return "", errors.Join(fmt.Errorf("%s: its file system is not mounted", h.Name), err)
	}
	if err := filepath.WalkDir(l.root, func(p string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return l.visit(p, err)
	}); err != nil {
		return "", err
	}
	if err := l.hash(ctx); err != nil {
		return "", err
	}
	return l.text(), nil
}

// item is one line; sum is filled in later for files.
type item struct {
	path, head, sum, rest string
	size                  string
	inode                 uint64 // of a file with several names
	base                  string // key of the base image's file, when it is that
}

type lister struct {
	root, upper, base string
	o                 ListOptions
	items             []*item
}

func under(p string, list []string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return p == x || strings.HasPrefix(p, x+"/") })
}

func (l *lister) visit(p string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil // went away while we looked
	}
	if err != nil {
		return err
	}
	name := "/" + strings.TrimPrefix(strings.TrimPrefix(p, l.root), "/")
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if under(name, Excluded()) {
		if dir {
			return fs.SkipDir
		}
		return nil
	}
	it := &item{path: name, size: "-", sum: "-"}
	live := under(name, Live())
	target := "-"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if live {
			break
		}
		it.size, it.sum = strconv.FormatInt(st.Size, 10), ""
		if _, err := os.Lstat(filepath.Join(l.upper, name)); errors.Is(err, fs.ErrNotExist) {
			it.base = name
		} else if l.o.Links && st.Nlink > 1 {
			it.inode = st.Ino
		}
	case unix.S_IFLNK:
		t, err := os.Readlink(p)
		if err != nil {
			return err
		}
		target = strconv.QuoteToASCII(t)
	case unix.S_IFCHR, unix.S_IFBLK:
		target = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	attrs, err := attributes(p)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if l.o.Times && !dir && !live {
		attrs = strings.TrimSpace(attrs + fmt.Sprintf(" mtime=%d.%09d", st.Mtim.Sec, st.Mtim.Nsec))
	}
	it.head = fmt.Sprintf("%s %s %04o %d:%d", strconv.QuoteToASCII(name), kindOf(st.Mode), st.Mode&0o7777, st.Uid, st.Gid)
	it.rest = strings.TrimSpace(target + " " + attrs)
	l.items = append(l.items, it)
	return nil
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "folder"
	case unix.S_IFLNK:
		return "link"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// attributes lists the extended attributes, less overlayfs's own.
func attributes(p string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(p, buf)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOENT) || n == 0 {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	names := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var out []string
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		n, err := unix.Lgetxattr(p, name, buf)
		if err != nil {
			return "", fmt.Errorf("attribute %s: %w", name, err)
		}
		out = append(out, name+"="+strconv.QuoteToASCII(string(buf[:n])))
	}
	return strings.Join(out, " "), nil
}

// baseSums remembers the hashes of a base image's files, which never change.
type baseSums struct {
	mu   sync.Mutex
	sums map[string]string
}

func sumsPath(base string) string { return base + ".sha256" }

func readBaseSums(base string) *baseSums {
	b := &baseSums{sums: map[string]string{}}
	text, _ := os.ReadFile(sumsPath(base)) // absent the first time
	for line := range strings.Lines(string(text)) {
		if sum, q, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && len(sum) == 64 {
			if p, err := strconv.Unquote(q); err == nil {
				b.sums[p] = sum
			}
		}
	}
	return b
}

func (b *baseSums) find(p string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.sums[p]
	return s, ok && p != ""
}

func (b *baseSums) add(p, sum string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sums[p] = sum
}

func (b *baseSums) write(base string) error {
	var out strings.Builder
	for p, s := range b.sums {
		out.WriteString(s + " " + strconv.QuoteToASCII(p) + "\n")
	}
	tmp, err := os.CreateTemp(path.Dir(base), "sums-*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(out.String())
	return errors.Join(err, tmp.Close(), os.Rename(tmp.Name(), sumsPath(base)))
}

func (l *lister) hash(ctx context.Context) error {
	known := readBaseSums(l.base)
	before := len(known.sums)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, it := range l.items {
		if it.sum != "" {
			continue
		}
		if s, ok := known.find(it.base); ok {
			it.sum = s
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s, err := sumFile(filepath.Join(l.root, it.path))
			if errors.Is(err, fs.ErrNotExist) {
				s, err = "gone", nil
			}
			it.sum = s
			if err == nil && it.base != "" {
				known.add(it.base, s)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if len(known.sums) > before {
		return known.write(l.base)
	}
	return nil
}

// sumFile hashes a file without touching its access time.
func sumFile(p string) (string, error) {
	f, err := os.OpenFile(p, os.O_RDONLY|syscall.O_NOATIME|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (l *lister) text() string {
	slices.SortFunc(l.items, func(a, b *item) int { return strings.Compare(a.path, b.path) })
	var b strings.Builder
	first := map[uint64]string{}
	for _, it := range l.items {
		if it.inode != 0 {
			if first[it.inode] == "" {
				first[it.inode] = it.path
			}
			it.rest += " is=" + strconv.QuoteToASCII(first[it.inode])
		}
		b.WriteString(it.head + " " + it.size + " " + it.sum + " " + it.rest + "\n")
	}
	return b.String()
}
