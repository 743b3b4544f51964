package reader

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
)

// readScript prints the first $2 bytes of the regular file $1. A symlink is followed.
const readScript = `p=$1
if [ ! -e "$p" ]; then
  d=$p
  while [ ! -e "$d" ]; do d=${d%/*}; [ -n "$d" ] || d=/; done
  [ ! -d "$d" ] || [ -x "$d" ] || exit 102
  exit 101
fi
[ -f "$p" ] || exit 103
[ -r "$p" ] || exit 102
exec head -c "$2" -- "$p"`

// ReadFile returns the whole file, following symlinks. A file larger than max
// bytes is a *TooMuchError, whatever its size claims to be. Only regular files
// are opened, those of /proc and /sys among them.
func (r *Reader) ReadFile(ctx context.Context, path string, max int64) ([]byte, error) {
	if err := checkPath("read", path); err != nil {
		return nil, err
	}
	if max < 0 || max > maxAnswer {
		max = maxAnswer
	}
	data, res, err := r.ask(ctx, question{
		script: readScript, args: []string{path, strconv.FormatInt(max+1, 10)}, max: max,
	})
	var much *TooMuchError
	switch {
	case errors.As(err, &much):
		much.Path = path
		return nil, much
	case err != nil:
		return nil, err
	case res.Code == codeAbsent:
		err = fs.ErrNotExist
	case res.Code == codeDenied:
		err = fs.ErrPermission
	case res.Code == codeType:
		err = errors.New("not a regular file")
	case res.Code != 0:
		err = failed("head", res)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return data, nil
}
