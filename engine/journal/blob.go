package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

const blobFolder = "blobs"

// blobs are files named by the sha256 of their bytes: old contents of hosts'
// files, which may be secret. 0600 in a folder 0700.
type blobs struct{ dir string }

func (b blobs) put(data []byte) (string, error) {
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:])
	path := filepath.Join(b.dir, name)
	if _, err := os.Lstat(path); err == nil {
		return name, nil
	}
	if err := os.Mkdir(b.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	f, err := os.CreateTemp(b.dir, ".new-") // 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", &WriteError{What: "keep the old content", Err: err}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", err
	}
	return name, syncDir(b.dir)
}

var blobName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// OpenBlob opens what Blob kept. Bytes that are no longer what they were end
// in an error at the end of the reading.
func (h *History) OpenBlob(run, name string) (io.ReadCloser, error) {
	if !blobName.MatchString(name) {
		return nil, fmt.Errorf("%q is no name of a blob", name)
	}
	f, err := os.Open(filepath.Join(h.dir, run, blobFolder, name))
	if err != nil {
		return nil, err
	}
	return &checkedBlob{file: f, name: name, sum: sha256.New()}, nil
}

type checkedBlob struct {
	file *os.File
	name string
	sum  hash.Hash
}

func (c *checkedBlob) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	_, _ = c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.sum.Sum(nil)) != c.name {
		return n, fmt.Errorf("the kept content %s is damaged", c.name)
	}
	return n, err
}

func (c *checkedBlob) Close() error { return c.file.Close() }
