package change

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// AsideRoot is where root's old data goes on a host; other accounts have
// ~/.local/state/dayops/aside. One folder per run and item, 0700: the old data
// as "data", and a "record" of where it came from.
const AsideRoot = "/var/lib/dayops/aside"

// asideBase sets $base.
const asideBase = `if [ -z "$base" ]; then
  if [ "$(id -u)" = 0 ]; then base=` + AsideRoot + `
  else home=$(getent passwd "$(id -u)" | cut -d: -f6); base=${home:-$HOME}/.local/state/dayops/aside; fi
fi
`

// deviceOf prints the file system of $1: of what is no folder that of its
// folder, since overlayfs has other numbers for files than for folders.
const deviceOf = `device() { if [ -d "$1" ] && [ ! -L "$1" ]; then stat -c %d -- "$1"; else stat -c %d -- "${1%/*}/"; fi; }
`

// asideFunctions are two. aside moves $1 aside, keep leaves it where it is and
// has it aside too; both print where. On one file system aside is a rename and
// keep a hard link: what is kept must be replaced, not rewritten. Else a whole
// copy is made first; then $1 goes in one step, by a rename to a hidden name
// beside it. The record comes before the data.
//
// Ended at any point, $1 is there whole or not at all. What may stay behind is
// a record without data, and the hidden rest (".dayops-...") of what was copied.
const asideFunctions = deviceOf + `place() {
  base=$2 run=$3 record=$4
  ` + asideBase + `  umask 077
  mkdir -p -- "$base/$run" && chmod 0700 "$base" || return 1
  n=1
  until mkdir -- "$base/$run/$n" 2>/dev/null; do
    if [ ! -d "$base/$run/$n" ] || [ "$n" -gt 9999 ]; then echo "cannot make a folder in $base/$run" >&2; return 1; fi
    n=$((n+1))
  done
  to=$base/$run/$n
  printf '%s\n' "$record" >"$to/record" || { rm -rf -- "$to"; return 1; }
}
aside() {
  place "$@" || return 1
  p=$1
  if [ "$(device "$p")" = "$(device "$to")" ]; then mv -T -- "$p" "$to/data" || { rm -rf -- "$to"; return 1; }
  else
    gone=${p%/*}/.dayops-$run-$n
    { cp -a -T -- "$p" "$to/data.part" && mv -T -- "$to/data.part" "$to/data" && mv -nT -- "$p" "$gone"; } || { rm -rf -- "$to"; return 1; }
    rm -rf -- "$gone" || return 1
  fi
  printf '%s\0' "$to/data"
}
keep() {
  place "$@" || return 1
  ln -P -T -- "$1" "$to/data" 2>/dev/null || { cp -a -T -- "$1" "$to/data.part" && mv -T -- "$to/data.part" "$to/data"; } || { rm -rf -- "$to"; return 1; }
  printf '%s\0' "$to/data"
}
`

var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// asideArgs are $2 to $4 of the functions.
func (h Host) asideArgs(path string) ([]string, error) {
	run := h.Run
	if run == "" {
		run = "adhoc"
	}
	if !runName.MatchString(run) {
		return nil, fmt.Errorf("%q is no id of a run", run)
	}
	record := "time: " + h.now().UTC().Format(time.RFC3339) + "\npath: " + (&url.URL{Path: path}).EscapedPath()
	return []string{h.Aside, run, record}, nil
}

// asidePath is what a function printed.
func asidePath(out string) []string {
	p, _, _ := strings.Cut(out, "\x00") // a guard may have dropped it
	if p == "" {
		return nil
	}
	return []string{p}
}

// AsideEntry is one item that lies aside on a host.
type AsideEntry struct {
	Run  string
	N    int
	Path string // where it was
	Time time.Time
	Data string // where it lies
	Size int64  // bytes used, by du
}

// Same tells whether two lists speak of one item.
func (e AsideEntry) Same(o AsideEntry) bool {
	return e.Run == o.Run && e.N == o.N && e.Data == o.Data && e.Path == o.Path && e.Time.Equal(o.Time)
}

const listAside = `base=$1
` + asideBase + `[ -d "$base" ] || exit 0
cd "$base" || exit 1
for r in */*/record; do
  [ -f "$r" ] || continue
  d=${r%/record}
  set -- $(du -sk -- "$d" 2>/dev/null)
  printf '%s\0%s\0%s\0%s\0' "$base" "$d" "${1:-0}" "$(head -c 20000 -- "$r")"
done`

// ListAside lists what earlier runs moved aside on the host, as the account
// h.As, by run and number.
func ListAside(ctx context.Context, h Host) ([]AsideEntry, error) {
	res, err := h.script(ctx, listAside, nil, h.Aside)
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		return nil, stepFailed("list what lies aside", res)
	}
	return parseAside(res.Stdout.String())
}

func parseAside(answer string) ([]AsideEntry, error) {
	var out []AsideEntry
	f := strings.Split(answer, "\x00")
	if len(f)%4 != 1 {
		return nil, fmt.Errorf("the host's list of what lies aside makes no sense: %d fields", len(f))
	}
	for ; len(f) > 4; f = f[4:] {
		run, number, ok := strings.Cut(f[1], "/")
		n, err1 := strconv.Atoi(number)
		kib, err2 := strconv.ParseInt(f[2], 10, 50)
		if !ok || err1 != nil || err2 != nil || !runName.MatchString(run) || !strings.HasPrefix(f[0], "/") {
			return nil, fmt.Errorf("the host's list of what lies aside makes no sense: %s", reader.Printable(f[1]))
		}
		e := AsideEntry{Run: run, N: n, Size: kib << 10, Data: f[0] + "/" + f[1] + "/data"}
		for line := range strings.Lines(f[3]) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "time":
				e.Time, _ = time.Parse(time.RFC3339, value)
			case "path":
				e.Path, _ = url.PathUnescape(value)
			}
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b AsideEntry) int {
		if a.Run != b.Run {
			return strings.Compare(a.Run, b.Run)
		}
		return a.N - b.N
	})
	return out, nil
}

const purgeAside = `base=$1 run=$2
` + asideBase + `[ -d "$base/$run" ] || exit 114
[ ! -L "$base" ] && [ ! -L "$base/$run" ] || exit 1
rm -rf -- "${base:?}/${run:?}"`

// PurgeAside removes for good what one run moved aside: for who holds the lock
// of the host, since a run may need it for its way back.
func PurgeAside(ctx context.Context, h Host, run string) error {
	if !runName.MatchString(run) {
		return fmt.Errorf("%q is no id of a run", reader.Printable(run))
	}
	res, err := h.script(ctx, purgeAside, nil, h.Aside, run)
	switch {
	case err != nil:
		return err
	case res.Code == codeInTheWay:
		return fmt.Errorf("nothing of run %s lies aside here", run)
	case res.Code != 0:
		return stepFailed("remove what lies aside of run "+run, res)
	}
	return nil
}
