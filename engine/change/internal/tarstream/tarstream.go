// Package tarstream takes a tar stream from a host apart at its members'
// boundaries, so that good members can be kept with their raw blocks (sparse
// maps, extended attributes and all) and others left out.
//
// The host may lie. A stream is refused unless GNU tar and archive/tar read
// the same out of it: POSIX (pax) format, no other special headers than one
// extended header for each member, no key twice, no key that this package does not know.
package tarstream

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

const block = 512

// Member is one member of a stream.
type Member struct {
	Name    string // as in the header, without the slash that ends a folder's
	Link    string // target of a symlink, or name of the member that a hard link links to
	Type    byte   // tar.TypeReg, TypeDir, TypeSymlink, TypeLink; TypeFifo, TypeChar, TypeBlock
	Size    int64  // of the file, holes included
	Mode    int64  // permission bits with setuid, setgid and sticky
	UID     int
	GID     int
	ModTime time.Time
	SHA256  string // of a regular file's content; "" where it was not wanted
	Start   int64  // its raw blocks: from the first header
	End     int64  // to the end of its padding
}

// StreamError: the stream is not what tar makes of the names that it was given.
type StreamError struct {
	Name string // of the member, "" where it is about the stream
	Why  string
}

func (e *StreamError) Error() string {
	if e.Name != "" {
		return fmt.Sprintf("the host's tar stream: member %q: %s", e.Name, e.Why)
	}
	return "the host's tar stream: " + e.Why
}

// Trailer ends an archive.
func Trailer() []byte { return make([]byte, 2*block) }

// Scan reads a whole stream. want is asked about each member before its
// content is read: false leaves the content unhashed, an error ends the scan.
// A stream without its end mark is an error.
func Scan(ctx context.Context, r io.Reader, want func(Member) (bool, error)) ([]Member, error) {
	c := &counter{r: r}
	tr := tar.NewReader(c)
	var out []Member
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return out, c.finish()
		}
		if err != nil {
			return nil, &StreamError{Why: err.Error()}
		}
		m, err := member(h, c.head.Bytes(), c.from)
		if err != nil {
			return nil, err
		}
		hash, err := want(m)
		if err != nil {
			return nil, err
		}
		if hash && m.Type == tar.TypeReg {
			sum := sha256.New()
			if _, err := io.Copy(&ctxWriter{ctx, sum}, tr); err != nil {
				return nil, errors.Join(ctx.Err(), &StreamError{m.Name, err.Error()})
			}
			if end := roundUp(c.n); end != m.End {
				return nil, &StreamError{m.Name, fmt.Sprintf("it ends at byte %d, its header says %d", end, m.End)}
			}
			m.SHA256 = hex.EncodeToString(sum.Sum(nil))
		}
		// What is not read here is passed over by Next, holes in no time.
		c.record(m.End)
		out = append(out, m)
	}
}

func roundUp(n int64) int64 { return (n + block - 1) / block * block }

// ctxWriter ends when ctx does: holes are read without ever waiting for the stream.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *ctxWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// counter counts what is read and keeps the bytes from an offset on.
type counter struct {
	r    io.Reader
	n    int64
	from int64
	head bytes.Buffer
}

// maxHead is more than archive/tar takes for the headers of one member.
const maxHead = 2 << 20

func (c *counter) record(from int64) {
	c.from = from
	c.head.Reset()
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	kept := p[:n]
	if skip := c.from - c.n; skip > 0 {
		kept = kept[min(skip, int64(n)):]
	}
	if room := maxHead - c.head.Len(); room > 0 {
		c.head.Write(kept[:min(room, len(kept))])
	}
	c.n += int64(n)
	return n, err
}

// finish checks the end mark, two blocks of zeros, and that nothing but
// padding follows: archive/tar takes a stream that just stops for a whole one.
func (c *counter) finish() error {
	if c.n != c.from+2*block || len(bytes.Trim(c.head.Bytes(), "\x00")) > 0 {
		return &StreamError{Why: "it stops before its end"}
	}
	rest, err := io.ReadAll(io.LimitReader(c.r, 1<<20))
	if err != nil {
		return err
	}
	if len(rest) >= 1<<20 || len(bytes.Trim(rest, "\x00")) > 0 {
		return &StreamError{Why: "something follows its end"}
	}
	return nil
}
