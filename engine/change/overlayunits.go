package change

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Units is reader.Reader's. A unit whose file is planned is there by then. One
// that has several names is the same by each of them.
func (r *OverlayReader) Units(ctx context.Context, names ...string) ([]reader.Unit, error) {
	out := make([]reader.Unit, len(names))
	var asks []string
	var at []int
	for i, n := range names {
		full, err := reader.UnitName(n)
		if err != nil {
			return nil, err
		}
		u, ok := r.o.Units[full]
		if !ok {
			asks, at = append(asks, full), append(at, i)
			continue
		}
		out[i] = u
	}
	found, err := r.base.Units(ctx, asks...)
	if err != nil {
		return nil, err
	}
	for j, u := range found {
		if planned, ok := r.o.Units[u.Key()]; ok {
			planned.Name, planned.ID = u.Name, u.ID
			out[at[j]] = planned
			continue
		}
		if u, err = r.withFiles(u); err != nil {
			return nil, err
		}
		if !u.Exists() {
			if err := r.unknown(u.Name); err != nil {
				return nil, err
			}
		}
		out[at[j]] = u
	}
	return out, nil
}

// plannedUnit tells which step has planned one of the units that systemctl is asked
// about, by any of its names.
func (r *OverlayReader) plannedUnit(ctx context.Context, argv []string) (step string) {
	if argv[0] != "systemctl" || len(r.o.Units) == 0 {
		return ""
	}
	var names []string
	for i, a := range argv {
		const verb = 1
		if _, err := reader.UnitName(a); i > verb && err == nil && argv[i-1] != "-p" && argv[i-1] != "--property" {
			names = append(names, a)
		}
	}
	units, err := r.base.Units(ctx, names...)
	if err != nil {
		return "" // it will say so itself
	}
	for _, u := range units {
		if step = r.o.touched(u.Key()); step != "" {
			break
		}
	}
	return step
}

// unitDirs is where systemd finds a unit's file, the first one wins.
func unitDirs() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// withFiles is u as the planned files leave it: new when its file is new, else
// in need of a reload.
func (r *OverlayReader) withFiles(u reader.Unit) (reader.Unit, error) {
	files := []string{u.Name, u.Key()}
	if stem, _, ok := strings.Cut(u.Name, "@"); ok {
		files = append(files, stem+"@"+path.Ext(u.Name))
	}
	for _, dir := range unitDirs() {
		for _, name := range files {
			p := path.Join(dir, name)
			f, planned := r.o.Files[p]
			switch {
			case !planned:
			case f.Unknown:
				return u, &UnknownError{Step: f.Step, What: u.Name}
			case u.Exists():
				u.NeedReload = true
				return u, nil
			case f.File.Exists:
				return newUnit(u.Name, p, f), nil
			}
		}
	}
	if u.Exists() && r.dropIn(files) {
		u.NeedReload = true
	}
	return u, nil
}

// newUnit is what systemd says of a unit whose file it has not read before.
func newUnit(name, at string, f OverlayFile) reader.Unit {
	u := reader.Unit{Name: name, LoadState: "loaded", ActiveState: "inactive", SubState: "dead", UnitFileState: "disabled", FragmentPath: at}
	switch {
	case f.File.Type == reader.Symlink && f.File.Target == "/dev/null":
		u.LoadState, u.UnitFileState = "masked", "masked"
	case f.Content != nil && !slices.Contains(strings.Fields(string(f.Content)), "[Install]"):
		u.UnitFileState = "static"
	}
	return u
}

// dropIn tells whether a drop-in of one of the files is planned.
func (r *OverlayReader) dropIn(files []string) bool {
	for p := range r.o.Files {
		for _, name := range files {
			if path.Ext(p) == ".conf" && path.Base(path.Dir(p)) == name+".d" && slices.Contains(unitDirs(), path.Dir(path.Dir(p))) {
				return true
			}
		}
	}
	return false
}
