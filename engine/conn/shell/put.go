package shell

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// alongMost is the size up to which a file goes along with the script that commits it.
const alongMost = 64 << 10

// uploadScript puts stdin into the new file $1. Noclobber makes it refuse a
// file that is there. An input of less than $2 bytes, if that is known, was cut
// off with the link; nobody else will remove what came of it. $3, if it is not
// empty, is where the guard's folder notes the file, for who gets the lock when
// we die before the commit.
const uploadScript = `umask 077
[ -z "$3" ]||printf '%s\n' "$1" >"$3"||exit
set -C;cat >"$1"||exit
[ "$2" -lt 0 ]||[ "$(wc -c <"$1")" -ge "$2" ]||{ rm -f -- "$1";echo "The content was cut off" >&2;exit 1;}`

// commitScript makes the temporary file $2 the file $1. The content is
// compared and synced first, then owner, mode and label are set, then the file
// is renamed and the folder $3 synced. $4 mode, $5 owner, $6 group, $7 size,
// $8 sha256, $9 "along" when the content comes on stdin. It removes $2 however
// it fails. "sync -d" is refused by versions that would sync every file system.
const commitScript = `umask 077
p=$1 t=$2 d=$3 mode=$4 own=$5 grp=$6 size=$7 sum=$8
no() { echo "$*" >&2; exit 1; }
if [ "$9" = along ]; then set -C; : >"$t" || exit 1; set +C; fi
trap 'rm -f -- "$t"' EXIT
trap 'exit 1' HUP INT TERM PIPE
if [ "$9" = along ]; then cat >>"$t" || exit 1; fi
n=$(wc -c <"$t") || exit 1
[ "$n" -eq "$size" ] || no "$((n)) bytes arrived of $size"
if s=$(sha256sum <"$t" 2>/dev/null) || s=$(shasum -a 256 <"$t" 2>/dev/null) || s=$(openssl dgst -sha256 -r <"$t" 2>/dev/null); then
  [ "${s%% *}" = "$sum" ] || no "the content that arrived has sha256 ${s%% *} instead of $sum"
fi
sync -d -- "$t" 2>/dev/null || dd if=/dev/null of="$t" conv=notrunc,fsync 2>/dev/null || no "cannot sync the file"
if [ -L "$p" ]; then old=
elif [ -d "$p" ]; then no "Is a directory"
elif [ -e "$p" ]; then old=$(stat -c %u:%g -- "$p") || exit 1
else old=; fi
[ -n "$own" ] || own=${old%%:*}
[ -n "$grp" ] || grp=${old##*:}
if [ -n "$own$grp" ]; then chown -- "$own${grp:+:$grp}" "$t" || exit 1; fi
chmod -- "$mode" "$t" || exit 1
label=
if [ -e /sys/fs/selinux/enforce ]; then
  if [ -n "$old" ]; then chcon --reference="$p" -- "$t" 2>/dev/null
  else c=$(matchpathcon -n "$p" 2>/dev/null) && chcon -- "$c" "$t" 2>/dev/null
  fi || label=restore
fi
mv -fT -- "$t" "$p" || exit 1
trap - EXIT
[ -z "$label" ] || restorecon -- "$p" 2>/dev/null
sync -d -- "$d" 2>/dev/null
exit 0`

// Put is conn.Conn's Put. A small file takes one command.
func (h *Host) Put(ctx context.Context, p conn.Put, r io.Reader) error {
	if err := errors.Join(checkPut(p), checkGuard(p.Guard)); err != nil {
		return &fs.PathError{Op: "put", Path: p.Path, Err: err}
	}
	start := make([]byte, 0, 4<<10)
	buf := bytes.NewBuffer(start)
	if _, err := io.CopyN(buf, r, alongMost+1); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the content of %s: %w", p.Path, err)
	}
	target := operand(p.Path)
	temp := path.Join(path.Dir(target), ".dayops-"+newID())
	if !path.IsAbs(target) {
		temp = "./" + temp
	}
	sum := sha256.New()
	if buf.Len() <= alongMost {
		sum.Write(buf.Bytes())
		size := int64(buf.Len())
		return h.commit(ctx, p, temp, size, hex.EncodeToString(sum.Sum(nil)), buf)
	}
	content := &counter{to: sum}
	source := io.TeeReader(io.MultiReader(buf, r), content)
	err := h.upload(ctx, p, temp, source)
	if err == nil {
		err = h.commit(ctx, p, temp, content.n, hex.EncodeToString(sum.Sum(nil)), nil)
	}
	if err != nil {
		h.discard(ctx, p.As, temp)
	}
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		at.Path = p.Path // rather than the temporary name
	}
	return err
}

func (h *Host) upload(ctx context.Context, p conn.Put, temp string, r io.Reader) error {
	if h.Upload != nil && p.Guard == nil { // an SFTP server does not look at the lock
		return h.Upload(ctx, p.As, temp, r)
	}
	return h.catUpload(ctx, p, temp, r)
}

// CatUpload is what Upload stands for where it is not set.
func (h *Host) CatUpload(ctx context.Context, as, temp string, r io.Reader) error {
	return h.catUpload(ctx, conn.Put{As: as, Size: -1}, temp, r)
}

func (h *Host) catUpload(ctx context.Context, p conn.Put, temp string, r io.Reader) error {
	guard, note := p.Guard, ""
	if guard != nil {
		up := *guard
		up.ID += ".up"
		guard, note = &up, path.Join(up.Dir, "runs", up.Run, up.ID+".temp")
	}
	res, err := h.Run(ctx, conn.Cmd{As: p.As, Stdin: r, Argv: []string{"/bin/sh", "-c", uploadScript, "dayops-put", temp, fmt.Sprint(p.Size), note}, Guard: guard, Text: true})
	if err == nil && res.Code != 0 {
		err = FileError("put", temp, res)
	}
	return err
}

// commit compares what was read with what was announced, then lets the host do the rest.
func (h *Host) commit(ctx context.Context, p conn.Put, temp string, size int64, sum string, along io.Reader) error {
	switch {
	case p.Size >= 0 && size != p.Size:
		return &fs.PathError{Op: "put", Path: p.Path, Err: fmt.Errorf("the content has %d bytes instead of %d", size, p.Size)}
	case p.SHA256 != "" && sum != p.SHA256:
		return &fs.PathError{Op: "put", Path: p.Path, Err: fmt.Errorf("the content has sha256 %s instead of %s", sum, p.SHA256)}
	}
	how := ""
	if along != nil {
		how = "along"
	}
	target := operand(p.Path)
	res, err := h.Run(ctx, conn.Cmd{As: p.As, Stdin: along, Guard: p.Guard, Text: true, Argv: []string{
		"/bin/sh", "-c", commitScript, "dayops-put", target, temp, path.Dir(temp), octal(p.Mode), p.Owner, p.Group, fmt.Sprint(size), sum, how,
	}})
	if err == nil && res.Code != 0 {
		err = FileError("put", p.Path, res)
	}
	return err
}

// discard removes what a failed Put may have left, also when ctx is over.
func (h *Host) discard(ctx context.Context, as, temp string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	_, _ = h.Run(ctx, conn.Cmd{As: as, Argv: []string{"rm", "-f", "--", temp}})
}

func checkPut(p conn.Put) error {
	switch {
	case p.Path == "" || strings.HasSuffix(p.Path, "/") || path.Base(p.Path) == "." || path.Base(p.Path) == "..":
		return errors.New("no path of a file")
	case strings.ContainsRune(p.Path, 0):
		return errors.New("the path has a NUL byte")
	}
	if err := checkAccount(p.Owner); err != nil {
		return err
	}
	return checkAccount(p.Group)
}

// octal is a mode as chmod reads it.
func octal(m fs.FileMode) string {
	n := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		n |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		n |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	return fmt.Sprintf("%04o", n)
}
