package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/dayops/dayops/engine/conn"
)

// getScript writes the file $1 to stdout. A fifo or a device is refused: to
// open one may wait for ever.
const getScript = `[ -f "$1" ] && exec cat -- "$1"
[ -e "$1" ] && { echo "Not a regular file" >&2; exit 1; }
exec cat -- "$1"`

// Get is conn.Conn's Get, with cat.
func (h *Host) Get(ctx context.Context, as, path string, w io.Writer) (int64, error) {
	count := &counter{to: w}
	res, err := h.Run(ctx, conn.Cmd{As: as, Stdout: count, Argv: []string{"/bin/sh", "-c", getScript, "dayops-get", operand(path)}})
	if err == nil && res.Code != 0 {
		err = FileError("get", path, res)
	}
	return count.n, err
}

type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

// operand is path so that no program takes it for an option.
func operand(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "./" + path
}

// FileError is the error of a script of ours that failed on path. It matches
// fs.ErrNotExist, fs.ErrPermission, syscall.ENOSPC and others by what the
// programs of the C locale print.
func FileError(op, path string, res conn.Result) error {
	said := lastLine(res.Stderr.String(), "")
	for _, known := range []error{
		syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS,
		syscall.EISDIR, syscall.ENOTDIR, syscall.EIO, syscall.ENAMETOOLONG, syscall.ELOOP,
	} {
		if strings.HasSuffix(strings.ToLower(said), known.Error()) {
			return &fs.PathError{Op: op, Path: path, Err: known}
		}
	}
	for _, ends := range []string{": Directory nonexistent", ": No such file"} { // dash's own words
		if strings.HasSuffix(said, ends) {
			return &fs.PathError{Op: op, Path: path, Err: syscall.ENOENT}
		}
	}
	if said == "" {
		said = fmt.Sprintf("exit code %d", res.Code)
	}
	return &fs.PathError{Op: op, Path: path, Err: errors.New(said)}
}
