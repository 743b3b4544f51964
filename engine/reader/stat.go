package reader

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// entryFormat makes find print one entry as a tag and 16 fields, each ended by NUL.
const entryFormat = `S\0%p\0%y\0%m\0%U\0%G\0%u\0%g\0%s\0%b\0%T@\0%C@\0%D\0%i\0%n\0%l\0%Z\0`

const entryFields = 16

// statEach is run by xargs with some of the paths. A path that is not there is
// told apart from one that may not be looked at by its nearest ancestor. find
// complains about each file without a label and prints the rest all the same.
const statEach = `how=$1 format=$2; shift 2
n=$#
while [ "$n" -gt 0 ]; do
  p=$1; shift; n=$((n-1))
  if [ -e "$p" ] || [ -L "$p" ]; then set -- "$@" "$p"; continue; fi
  d=$p
  while [ ! -e "$d" ] && [ ! -L "$d" ]; do d=${d%/*}; [ -n "$d" ] || d=/; done
  if [ -d "$d" ] && [ ! -x "$d" ]; then printf 'D\0%s\0' "$p"; else printf 'A\0%s\0' "$p"; fi
done
[ $# -gt 0 ] || exit 0
{ find "$@" -maxdepth 0 -printf "$format" 2>&1 >&3 3>&- | grep -v ': getfilecon failed' >&2; } 3>&1
[ "$how" != hash ] || find "$@" -maxdepth 0 -type f -exec sha256sum {} + | tr '\n' '\0'
exit 0`

// viaXargs hands the NUL separated paths on stdin to $1 and says when all of it is told.
const viaXargs = `command -v xargs >/dev/null && command -v find >/dev/null || exit 104
xargs -0 -n 500 /bin/sh -c "$1" dayops "$2" "$3" && printf 'E\0'`

// Stat looks at paths, in order; absent ones have Exists false. It does not
// follow a symlink at the end of a path.
func (r *Reader) Stat(ctx context.Context, paths ...string) ([]File, error) {
	return r.stat(ctx, "stat", ProbeLimit, paths)
}

// Hash is Stat with SHA256 filled in for regular files. Nothing else is opened.
func (r *Reader) Hash(ctx context.Context, paths ...string) ([]File, error) {
	return r.stat(ctx, "hash", HashLimit, paths)
}

func (r *Reader) stat(ctx context.Context, how string, limit time.Duration, paths []string) ([]File, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	asked, err := checkPaths(how, paths)
	if err != nil {
		return nil, err
	}
	answer, res, err := r.ask(ctx, question{
		script: viaXargs, args: []string{statEach, how, entryFormat},
		stdin: strings.NewReader(strings.Join(asked, "\x00") + "\x00"), limit: limit,
	})
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		return nil, commandFailed(how, res)
	}
	known, err := parseStat(string(answer))
	if err != nil {
		return nil, err
	}
	return pick(how, paths, known, res)
}

func commandFailed(how string, res conn.Result) error {
	if res.Code == codeMissing {
		return &CommandError{What: how, Code: res.Code, Stderr: "the host lacks find or xargs (findutils)"}
	}
	return failed(how, res)
}

// checkPaths returns what to ask for: each path once, without slashes at its
// end, so that a symlink is not followed.
func checkPaths(op string, paths []string) ([]string, error) {
	if len(paths) > MaxEntries {
		return nil, &TooMuchError{Limit: MaxEntries, Unit: "paths"}
	}
	seen := make(map[string]bool, len(paths))
	var asked []string
	for _, p := range paths {
		if err := checkPath(op, p); err != nil {
			return nil, err
		}
		if p = trimSlash(p); !seen[p] {
			seen[p] = true
			asked = append(asked, p)
		}
	}
	return asked, nil
}

func checkPath(op, p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return &fs.PathError{Op: op, Path: p, Err: errRelative}
	case strings.ContainsRune(p, 0):
		return &fs.PathError{Op: op, Path: p, Err: errNUL}
	}
	return nil
}

func trimSlash(p string) string {
	for len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	return p
}

// statAnswer is what a host said about paths.
type statAnswer struct {
	files  map[string]File
	denied map[string]bool
	hashes map[string]string
}

// pick puts the answer into the order of the question.
func pick(how string, paths []string, a statAnswer, res conn.Result) ([]File, error) {
	out := make([]File, len(paths))
	for i, p := range paths {
		asked := trimSlash(p)
		f, ok := a.files[asked]
		switch {
		case a.denied[asked]:
			return nil, &fs.PathError{Op: how, Path: p, Err: fs.ErrPermission}
		case !ok:
			return nil, &fs.PathError{Op: how, Path: p, Err: errors.New("the host did not answer for it: " + lastLines(res.Stderr.String(), 3))}
		}
		f.Path = p
		if how == "hash" && f.Exists && f.Type == Regular {
			if f.SHA256 = a.hashes[asked]; f.SHA256 == "" {
				return nil, &fs.PathError{Op: how, Path: p, Err: unreadable(res.Stderr.String())}
			}
		}
		out[i] = f
	}
	return out, nil
}

func unreadable(stderr string) error {
	if strings.Contains(stderr, "Permission denied") {
		return fs.ErrPermission
	}
	if l := lastLines(stderr, 1); l != "" {
		return errors.New(l)
	}
	return errors.New("no checksum came back")
}

// fields cuts an answer at its NULs; the last one must be ended too.
func fields(what, answer string) ([]string, error) {
	if answer == "" {
		return nil, senseless(what, "")
	}
	if !strings.HasSuffix(answer, "\x00") {
		return nil, senseless(what, answer[max(0, len(answer)-100):])
	}
	return strings.Split(answer[:len(answer)-1], "\x00"), nil
}

// parseStat reads what statEach prints: S entries, A absent, D denied,
// checksum lines, and E at the end.
func parseStat(answer string) (statAnswer, error) {
	a := statAnswer{files: map[string]File{}, denied: map[string]bool{}, hashes: map[string]string{}}
	fs, err := fields("find", answer)
	if err != nil {
		return a, err
	}
	for len(fs) > 0 {
		tag := fs[0]
		fs = fs[1:]
		switch {
		case tag == "E":
			if len(fs) > 0 {
				return a, senseless("find", fs[0])
			}
			return a, nil
		case tag == "S" && len(fs) >= entryFields:
			f, err := parseEntry(fs[:entryFields])
			if err != nil {
				return a, err
			}
			a.files[f.Path], fs = f, fs[entryFields:]
		case (tag == "A" || tag == "D") && len(fs) > 0:
			if tag == "A" {
				a.files[fs[0]] = File{}
			} else {
				a.denied[fs[0]] = true
			}
			fs = fs[1:]
		default:
			sum, name, ok := parseSum(tag)
			if !ok {
				return a, senseless("find", tag)
			}
			a.hashes[name] = sum
		}
	}
	return a, senseless("find", "no end")
}

// parseSum reads a line of sha256sum: the sum, a space, " " or "*", the name.
// A backslash before the sum says that the name is escaped.
func parseSum(line string) (sum, name string, ok bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	if len(line) < 67 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*') || !isSum(line[:64]) {
		return "", "", false
	}
	sum, name = line[:64], line[66:]
	if escaped {
		name = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
	}
	return sum, name, true
}

func isSum(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}

// parseEntry reads the fields of entryFormat after the tag.
func parseEntry(f []string) (File, error) {
	if len(f) != entryFields {
		return File{}, senseless("find", strings.Join(f, " "))
	}
	p := numbers{}
	e := File{Path: f[0], Exists: true, Type: FileType(f[1]),
		Mode: ModeOf(uint32(p.uint(f[2], 8, 16))), UID: int(p.uint(f[3], 10, 32)), GID: int(p.uint(f[4], 10, 32)),
		Owner: f[5], Group: f[6],
		Size: int64(p.uint(f[7], 10, 63)), Blocks: int64(p.uint(f[8], 10, 63)),
		Mtime: p.time(f[9]), Ctime: p.time(f[10]),
		Dev: p.uint(f[11], 10, 64), Inode: p.uint(f[12], 10, 64), Links: int(p.uint(f[13], 10, 31)),
		Target: f[14], Label: strings.TrimSuffix(f[15], "\n"),
	}
	switch e.Type {
	case Regular, Directory, Symlink, Fifo, Socket, BlockDev, CharDev:
	default:
		p.bad = true
	}
	if p.bad || !strings.HasPrefix(e.Path, "/") || e.Owner == "" || e.Group == "" || (e.Target != "") != (e.Type == Symlink) {
		return File{}, senseless("find", strings.Join(f, " "))
	}
	return e, nil
}

// numbers parses numbers and remembers whether one was none.
type numbers struct{ bad bool }

func (n *numbers) uint(s string, base, bits int) uint64 {
	v, err := strconv.ParseUint(s, base, bits)
	if err != nil {
		n.bad = true
	}
	return v
}

// time reads seconds since 1970 with a fraction: "1795314787.4586837460".
func (n *numbers) time(s string) time.Time {
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec > 1<<40 || sec < -1<<40 {
		n.bad = true
		return time.Time{}
	}
	frac = (frac + "000000000")[:9]
	nano := n.uint(frac, 10, 32)
	return time.Unix(sec, int64(nano))
}
