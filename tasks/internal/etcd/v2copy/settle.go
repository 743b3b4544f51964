package v2copy

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path"
)

// Settle copies a packed copy, of which Read gave facts, and has its log say that
// all its entries are committed.
func Settle(ctx context.Context, r io.Reader, facts Facts, w io.Writer) error {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return unreadable(err)
	}
	from := tar.NewReader(z)
	packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	to := tar.NewWriter(packed)
	for {
		h, err := from.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.Join(to.Close(), packed.Close())
		case err != nil:
			return unreadable(err)
		}
		var body io.Reader = &interrupted{ctx, from}
		if path.Clean(h.Name) == facts.tail {
			body, h.Size = facts.settled(body, h.Size)
		}
		if err := to.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(to, body); err != nil {
			return err
		}
	}
}

// settled puts the record over the empty rest of the log's last file.
func (f Facts) settled(body io.Reader, size int64) (io.Reader, int64) {
	end := f.end + int64(len(f.add))
	parts := []io.Reader{io.LimitReader(body, f.end), &over{body, f.add}, body}
	return io.MultiReader(parts...), max(size, end)
}

// over gives p, and takes as much away from what it stands over.
type over struct {
	under io.Reader
	p     []byte
}

func (o *over) Read(p []byte) (int, error) {
	if len(o.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.p)
	o.p = o.p[n:]
	_, err := io.CopyN(io.Discard, o.under, int64(n))
	if errors.Is(err, io.EOF) { // the file ends here: it grows
		err = nil
	}
	return n, err
}
