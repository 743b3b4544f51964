package reader

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// listEach is run by xargs. A root that is there is taken by its name; else it
// is a glob for this shell, with IFS empty so that nothing is split.
const listEach = `format=$2; shift 2
IFS=
for root do
  if [ -e "$root" ] || [ -L "$root" ]; then set -- "$root"; else set -- $root; fi
  for p do
    if [ -e "$p" ] || [ -L "$p" ]; then
      { find "$p" -ignore_readdir_race -printf "$format" 2>&1 >&3 3>&- | grep -v ': getfilecon failed' >&2; } 3>&1
      continue
    fi
    d=$p
    while [ ! -e "$d" ] && [ ! -L "$d" ]; do d=${d%/*}; [ -n "$d" ] || d=/; done
    if [ -d "$d" ] && [ ! -x "$d" ]; then printf 'D\0%s\0' "$p"; else printf 'A\0%s\0' "$p"; fi
  done
done
exit 0`

// IncompleteError: a listing lacks what could not be looked at.
type IncompleteError struct {
	Denied []string // roots that may not be looked at
	Detail string   // what find said about the rest: the end of it
	Lines  []string // and all of it, as far as it was kept
}

func (e *IncompleteError) Error() string {
	var parts []string
	for _, p := range e.Denied {
		parts = append(parts, Printable(p)+": permission denied")
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return "the listing is incomplete: " + strings.Join(parts, "; ")
}

// Is matches fs.ErrPermission where that is the reason.
func (e *IncompleteError) Is(target error) bool {
	return target == fs.ErrPermission && (len(e.Denied) > 0 || strings.Contains(e.Detail, "Permission denied"))
}

// Literal is path as a root of List that is this path alone, whatever it holds
// that a glob would.
func Literal(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]", `\`, `[\\]`).Replace(path)
}

// List walks the trees below roots, which are included; globs in roots are
// expanded on the host, and a root that matches nothing is an entry with Exists
// false. An entry that two roots reach is listed once. More than MaxEntries is
// a *TooMuchError; with an *IncompleteError comes what could be listed.
func (r *Reader) List(ctx context.Context, roots ...string) ([]File, error) {
	if len(roots) == 0 {
		return nil, nil
	}
	asked, err := checkPaths("list", roots)
	if err != nil {
		return nil, err
	}
	seen := 0
	answer, res, err := r.ask(ctx, question{
		script: viaXargs, args: []string{listEach, "list", entryFormat},
		stdin: strings.NewReader(strings.Join(asked, "\x00") + "\x00"),
		more: func(part []byte) error {
			if seen += bytes.Count(part, []byte{0}); seen > (MaxEntries+1)*(entryFields+1) {
				return &TooMuchError{Limit: MaxEntries, Unit: "entries"}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		return nil, commandFailed("list", res)
	}
	files, denied, err := parseList(string(answer))
	if err != nil {
		return nil, err
	}
	if detail := lastLines(res.Stderr.String(), 5); detail != "" || len(denied) > 0 {
		return files, &IncompleteError{Denied: denied, Detail: detail, Lines: nonEmpty(res.Stderr.String())}
	}
	return files, nil
}

// parseList reads what listEach prints.
func parseList(answer string) (files []File, denied []string, err error) {
	rest, err := fields("find", answer)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	add := func(f File) error {
		if seen[f.Path] {
			return nil
		}
		seen[f.Path] = true
		if files = append(files, f); len(files) > MaxEntries {
			return &TooMuchError{Limit: MaxEntries, Unit: "entries"}
		}
		return nil
	}
	for len(rest) > 0 {
		tag := rest[0]
		rest = rest[1:]
		switch {
		case tag == "E" && len(rest) == 0:
			return files, denied, nil
		case tag == "S" && len(rest) >= entryFields:
			var f File
			if f, err = parseEntry(rest[:entryFields]); err == nil {
				err = add(f)
			}
			rest = rest[entryFields:]
		case tag == "A" && len(rest) > 0:
			err = add(File{Path: rest[0]})
			rest = rest[1:]
		case tag == "D" && len(rest) > 0:
			denied = append(denied, rest[0])
			rest = rest[1:]
		default:
			err = senseless("find", fmt.Sprintf("%s (%d more)", tag, len(rest)))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, senseless("find", "no end")
}

func nonEmpty(s string) []string {
	return slices.DeleteFunc(strings.Split(s, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
}
