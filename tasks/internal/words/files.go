package words

import (
	"path"
	"strings"
)

// files reads mv, rm and unlink: what is not at its path any more afterwards, and
// what something else is put in the place of. Paths that start with what only a
// shell knows are left out.
func files(argv []string, dir string) []Deed {
	program := path.Base(argv[0])
	switch program {
	case "mv", "rm", "unlink":
	default:
		return nil
	}
	var names []string
	only := false
	for _, w := range argv[1:] {
		switch {
		case w == "--" && !only:
			only = true
		case !only && strings.HasPrefix(w, "-") && len(w) > 1:
		default:
			names = append(names, w)
		}
	}
	if program == "mv" && len(names) < 2 {
		return nil
	}
	d := Deed{Object: File, Verb: Remove}
	for _, n := range names {
		if p := at(dir, n); p != "" {
			d.Names = append(d.Names, p)
		}
	}
	if len(d.Names) == 0 {
		return nil
	}
	return []Deed{d}
}

// at is a path that starts at dir; "" where it is not known.
func at(dir, p string) string {
	switch {
	case strings.HasPrefix(p, "/"):
		return path.Clean(p)
	case p == "" || dir == "" || strings.HasPrefix(p, "~") || strings.ContainsAny(p[:1], "$`"):
		return ""
	}
	return path.Join(dir, p)
}

// into is where a cd leads.
func into(dir string, argv []string) string {
	argv = options(argv, "", nil)
	if len(argv) != 1 || argv[0] == "-" || strings.ContainsAny(argv[0], "$`*?[") {
		return ""
	}
	return at(dir, argv[0])
}
