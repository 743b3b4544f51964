// Package v2copy reads what `etcdctl backup --with-v3=false` made of a member,
// packed, and makes the v3 database that fits it.
//
// Such a copy is a data folder of its own: raft's last snapshot with the v2 store
// in it, and the log since. It begins a cluster of one, with --force-new-cluster.
// That drops the entries which the log does not say are committed, and a running
// member's log says so late: the last write that etcd has acknowledged is behind
// it. 3.3 and 3.4 even take off it what they leave out from behind it: then it is
// before raft's snapshot, or below 0. So all entries are made to count; one that
// was not acknowledged may be among them.
//
// A v3 database that is put into it counts raft's entries by its consistent index,
// and that must be the copy's: etcd leaves out every entry up to it, so that one
// that is ahead (3.3 and 3.4 take v3's entries out of the copy and number the
// others anew) has acknowledged nothing and swallows what is written until the log
// has grown so far; one behind raft's snapshot keeps etcd from starting.
package v2copy

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what an archive may hold.
const (
	maxFiles  = 10_000
	maxSize   = 64 << 30
	maxRecord = 256 << 20 // of a log: etcd refuses requests above some MiB
)

// Facts are what a good copy says.
type Facts struct {
	Size   int64  // bytes of its files, unpacked
	Snap   uint64 // index of raft's snapshot; 0 without one
	Commit uint64 // what the log says is committed; before Snap, or below 0, in copies by 3.3 and 3.4
	Term   uint64
	Last   uint64 // index of the last entry in the log; Snap where there is none
	// Keys are those that a listing shows for certain when all entries count, from
	// raft's snapshot and the log: without a time to live, set without a condition and
	// not by POST. The live store may have more or fewer: what was written between the
	// copy and now. -1 where the copy cannot be counted.
	Keys   int64
	Others int64 // names that may be there beside

	tail string // name of the log's last file
	end  int64  // where a record could be added to it
	add  []byte // the one that says that all entries are committed
}

// DamagedError: the archive is no whole copy.
type DamagedError struct{ Why string }

func (e *DamagedError) Error() string { return e.Why }

func damaged(format string, args ...any) error { return &DamagedError{fmt.Sprintf(format, args...)} }

// ReadFile is Read for a file of the control machine.
func ReadFile(ctx context.Context, name string) (Facts, error) {
	f, err := os.Open(name)
	if err != nil {
		return Facts{}, err
	}
	defer f.Close()
	return Read(ctx, f)
}

// Read reads a whole tar.gz in order: each record of the log and raft's snapshot
// have a checksum. A *DamagedError says in one line what is wrong with it.
// Memory: the largest record.
func Read(ctx context.Context, r io.Reader) (Facts, error) {
	c := copied{ctx: ctx, logs: map[string]logFacts{}}
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return c.facts, unreadable(err)
	}
	t := tar.NewReader(z)
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			if _, err := io.Copy(io.Discard, &interrupted{ctx, z}); err != nil { // to the checksum at its end
				return c.facts, unreadable(err)
			}
			return c.done()
		case err != nil:
			return c.facts, unreadable(err)
		case n > maxFiles:
			return c.facts, damaged("it has more than %d files", maxFiles)
		}
		if err := c.file(h, t); err != nil {
			return c.facts, err
		}
	}
}

// unreadable tells an archive that is damaged from a disk that is.
func unreadable(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return damaged("it is no whole tar.gz: %v", err)
}

// copied gathers what the files say, in whatever order they come.
type copied struct {
	ctx   context.Context
	facts Facts
	snap  string
	store *node // of that snapshot; nil where it cannot be read
	logs  map[string]logFacts
}

var (
	snapName = regexp.MustCompile(`^member/snap/[0-9a-f]{16}-([0-9a-f]{16})\.snap$`)
	logName  = regexp.MustCompile(`^member/wal/[0-9a-f]{16}-[0-9a-f]{16}\.wal$`)
)

func (c *copied) file(h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	switch {
	case h.Typeflag == tar.TypeDir:
		return nil
	case h.Typeflag != tar.TypeReg || path.IsAbs(h.Name) || name == ".." || strings.HasPrefix(name, "../"):
		return damaged("%.100q in it is no file of a data folder", h.Name)
	}
	if c.facts.Size += h.Size; c.facts.Size > maxSize {
		return damaged("it has more than %d bytes", int64(maxSize))
	}
	r = &interrupted{c.ctx, r}
	switch m := snapName.FindStringSubmatch(name); {
	case m != nil:
		index, _ := strconv.ParseUint(m[1], 16, 64)
		store, err := raftSnapshot(name, r)
		if index >= c.facts.Snap {
			c.facts.Snap, c.snap, c.store = index, name, store
		}
		return err
	case logName.MatchString(name):
		f, err := readLog(name, r)
		c.logs[name] = f
		return err
	}
	return nil
}

// done puts together what the logs say, the last one last.
func (c *copied) done() (Facts, error) {
	f := &c.facts
	if len(c.logs) == 0 {
		return *f, damaged("it has no log (member/wal/*.wal)")
	}
	var names []string
	for n := range c.logs {
		names = append(names, n)
	}
	slices.Sort(names)
	var vote uint64
	f.Last = f.Snap
	for _, n := range names {
		l := c.logs[n]
		if l.state {
			f.Commit, f.Term, vote = l.commit, l.term, l.vote
		}
		if l.entries {
			f.Last = l.last
		}
	}
	switch {
	case f.Term == 0:
		return *f, damaged("its log says nothing about what was committed")
	case f.Last < f.Snap:
		return *f, damaged("its log ends at %d, before raft's snapshot %d", f.Last, f.Snap)
	case int64(f.Commit) > int64(f.Last):
		return *f, damaged("its log ends at %d, %d was committed", f.Last, f.Commit)
	}
	f.tail = names[len(names)-1]
	c.count(names)
	f.end, f.add = c.logs[f.tail].end, c.logs[f.tail].committed(f.Term, vote, f.Last)
	return *f, nil
}

// interrupted ends reading when the context does.
type interrupted struct {
	ctx context.Context
	r   io.Reader
}

func (i *interrupted) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// raftSnapshot checks a message of a checksum (field 1) and the snapshot (2), and
// gives the store in it, nil where it cannot be read.
func raftSnapshot(name string, r io.Reader) (*node, error) {
	b := bufio.NewReader(r)
	var want, size uint64
	for _, field := range []struct {
		tag  byte
		into *uint64
	}{{0x08, &want}, {0x12, &size}} {
		tag, err := b.ReadByte()
		if err != nil || tag != field.tag {
			return nil, cutOff(name, err)
		}
		if *field.into, err = binary.ReadUvarint(b); err != nil {
			return nil, cutOff(name, err)
		}
	}
	if size > maxSize {
		return nil, cutOff(name, nil)
	}
	sum := &summed{sum: crc32.New(castagnoli())}
	body := bufio.NewReader(io.TeeReader(io.LimitReader(b, int64(size)), sum))
	store := readState(body)
	if _, err := io.Copy(io.Discard, body); err != nil || uint64(sum.n) != size {
		return nil, cutOff(name, err)
	}
	if uint64(sum.sum.Sum32()) != want {
		return nil, damaged("%s is damaged: its checksum is not that of its data", name)
	}
	return store, nil
}

// summed is a checksum that counts.
type summed struct {
	sum hash.Hash32
	n   int64
}

func (s *summed) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.sum.Write(p)
}

func cutOff(name string, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return unreadable(err)
	}
	return damaged("%s is damaged or cut off", name)
}
