package change

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// CopyResult is what a Transfer of a tree into a folder of its host learned.
type CopyResult struct {
	Path  string // the folder
	Items int
	Bytes int64
}

// copyScript copies the names on its input from the tree $1 into a new folder
// $2, or $2-2, $2-3 where that is taken, and prints its path. Nothing shows
// there before it is whole. $3 is how many bytes it takes; $4 and on are tar's words.
const copyScript = `umask 077
from=$1 to=$2 need=$3; shift 3
parent=${to%/*}
at=$parent
while [ ! -d "$at" ]; do at=${at%/*}; done
free=$(df -Pk "${at:-/}" | awk 'NR == 2 { print $4 }')
[ "$free" -gt $((need / 1024 * 11 / 10 + 65536)) ] || { echo "needs $need bytes below $to, $free KiB are free" >&2; exit 102; }
mkdir -p "$parent" || exit 103
n=1 name=$to
while :; do
  part=$parent/.${name##*/}.partial
  if [ ! -e "$name" ] && [ ! -L "$name" ] && mkdir -m 0700 "$part" 2>/dev/null; then break; fi
  n=$((n + 1)) name=$to-$n
  [ $n -lt 100 ] || { echo "$to-2 to $to-99 are taken" >&2; exit 103; }
done
trap 'rm -rf "$part"' EXIT
trap 'exit 143' HUP INT TERM
{ tar --create "$@" --directory="$from" --no-recursion --null --no-unquote --files-from=-; echo $? >"$part.code"; } |
  tar --extract "$@" --directory="$part" --preserve-permissions $([ "$(id -u)" != 0 ] || echo --same-owner)
last=$? first=$(cat "$part.code")
rm -f "$part.code"
[ "$last" -le 1 ] && [ "$first" -le 2 ] || exit 104
chmod 0700 "$part"
sync -f "$part" 2>/dev/null || sync
mv "$part" "$name" && trap - EXIT && printf '%s' "$name"`

// copyTree leaves a copy of a tree on its own host, private, beside earlier
// ones. What differs from the original afterwards is missed.
func copyTree(ctx context.Context, h Host, tree Tree, dir string) (Outcome, error) {
	out := Outcome{Start: h.Now()}
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
		return out, fmt.Errorf("%q is no absolute path of a folder", dir)
	}
	list, err := ListTree(ctx, h.Reader, tree)
	if err != nil {
		return out, err
	}
	tool, err := askTar(ctx, h)
	if err != nil {
		return out, err
	}
	root := treeRoot(tree.Root)
	var names strings.Builder
	for _, f := range list.Files {
		names.WriteString(f.Path[len(root)+1:] + "\x00")
	}
	var where strings.Builder
	args := append([]string{root + "/", dir, fmt.Sprint(list.Bytes), "--file=-", "--format=pax", "--ignore-failed-read", "--numeric-owner"}, tool.options...)
	w := &limitWriter{w: &where, left: 8 << 10}
	res, err := h.Conn.Run(ctx, shCommand(h, io.Reader(strings.NewReader(names.String())), w, copyScript, args...))
	if err := errors.Join(w.err, err); err != nil {
		return out, err
	}
	made := where.String()
	if res.Code != 0 || made != dir && !strings.HasPrefix(made, dir+"-") {
		return out, fmt.Errorf("no copy in %s: %s", dir, lastLine(res.Stderr.String()))
	}
	out.Changed, out.Missed = true, list.Missed
	out.Outputs = map[string]string{"path": made}
	out.Data = CopyResult{Path: made, Items: len(list.Files), Bytes: list.Bytes}
	missed, err := compareCopy(ctx, h, root, made, list.Files)
	out.Missed = append(out.Missed, missed...)
	out.End = h.Now()
	return out, err
}

// compareCopy hashes the copies and their originals.
func compareCopy(ctx context.Context, h Host, root, dir string, files []reader.File) (missed []Missed, err error) {
	for len(files) > 0 {
		part := files[:min(len(files), batchNames)]
		files = files[len(part):]
		var copies, originals []string
		for _, f := range part {
			copies = append(copies, dir+f.Path[len(root):])
			originals = append(originals, f.Path)
		}
		got, _, err := lookAll(ctx, h.Reader.Hash, copies)
		if err != nil {
			return missed, err
		}
		want, refused, err := lookAll(ctx, h.Reader.Hash, originals)
		if err != nil {
			return missed, err
		}
		for i, p := range originals {
			a, b := want[p], got[copies[i]]
			switch {
			case refused[p] != "":
				missed = append(missed, Missed{reader.Printable(p[len(root):]), refused[p]})
			case a.Exists && (a.Type != b.Type || a.SHA256 != b.SHA256 || a.Target != b.Target):
				missed = append(missed, Missed{reader.Printable(p[len(root):]), "the copy on the host differs"})
			}
		}
	}
	return missed, nil
}
