package change

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// leftScript lists packages that are removed but for their configuration.
const leftScript = `command -v dpkg-query >/dev/null || exit 0
dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\n' | sed -n 's/^rc[^	]*	//p'`

// invert notes all that is installed: what a package brings along, only the
// manager knows. Refine compares.
func (p *Package) invert(ctx context.Context, h Host, _ Keeper) ([]Change, error) {
	if len(p.Install)+len(p.Remove) == 0 {
		return nil, nil
	}
	was, err := h.read().Packages(ctx)
	if err != nil {
		return nil, err
	}
	back := &Package{Manager: p.Manager, Back: true, NoStart: p.NoStart, Was: sortedPackages(was)}
	if p.Manager == "apt" {
		res, err := h.script(ctx, leftScript, nil)
		if err != nil {
			return nil, err
		}
		back.Left = strings.Fields(res.Stdout.String())
	}
	return []Change{back}, nil
}

// refine replaces Was by what differs from it now; nil when nothing does.
func (p *Package) refine(ctx context.Context, h Host) (*Package, error) {
	if p.Was == nil {
		return p, nil
	}
	now, err := h.read().Packages(ctx)
	if err != nil {
		return nil, err
	}
	back := &Package{Manager: p.Manager, Back: true, NoStart: p.NoStart, Left: p.Left}
	was, is := versions(p.Was), versions(now)
	for _, k := range slices.SortedFunc(maps.Keys(was), comparePackage) {
		for _, v := range was[k] {
			if !slices.Contains(is[k], v) {
				back.Install = append(back.Install, p.name(k, v))
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(is), comparePackage) {
		several := len(is[k])+len(was[k]) > 2
		for _, v := range is[k] {
			if !slices.Contains(was[k], v) && (len(was[k]) == 0 || several) {
				back.Remove = append(back.Remove, p.name(k, "")+p.suffix(v, several))
			}
		}
		if !slices.Equal(was[k], is[k]) {
			back.Before = append(back.Before, slices.DeleteFunc(slices.Clone(now), func(n reader.Package) bool { return n.Name != k.Name })...)
		}
	}
	if len(back.Install)+len(back.Remove) == 0 {
		return nil, nil
	}
	back.Left = slices.DeleteFunc(slices.Clone(p.Left), func(n string) bool { return !slices.Contains(back.Remove, n) })
	back.Before = slices.Compact(sortedPackages(back.Before))
	return back, nil
}

// versions are the sorted versions of each package and architecture; rpm may
// have several of a kernel.
func versions(list []reader.Package) map[reader.Package][]string {
	out := map[reader.Package][]string{}
	for _, p := range list {
		k := reader.Package{Name: p.Name, Arch: p.Arch}
		out[k] = append(out[k], p.Version)
		slices.Sort(out[k])
	}
	return out
}

func comparePackage(a, b reader.Package) int {
	return strings.Compare(a.Name+" "+a.Arch, b.Name+" "+b.Arch)
}

// name is how the manager is asked for a package: of a foreign architecture
// only where the name alone would be another.
func (p *Package) name(k reader.Package, version string) string {
	name := k.Name
	foreign := slices.ContainsFunc(p.Was, func(o reader.Package) bool { return o.Name == k.Name && o.Arch != k.Arch })
	switch {
	case p.Manager == "apt":
		if foreign && k.Arch != "all" {
			name += ":" + k.Arch
		}
		if version != "" {
			name += "=" + version
		}
	case version != "":
		name += "-" + version + "." + k.Arch
	case foreign:
		name += "." + k.Arch
	}
	return name
}

// suffix names one of several versions that rpm keeps beside each other.
func (p *Package) suffix(version string, several bool) string {
	if !several || p.Manager == "apt" {
		return ""
	}
	return "-" + version
}

// goBack is apply of a Back. What apt removes loses its configuration too, if
// that came with it: moved aside, and forgotten by dpkg, which would not put it
// there again else. Data that a daemon made since stays.
func (p *Package) goBack(ctx context.Context, h Host, install, remove []string) (Outcome, error) {
	args, err := h.asideArgs("/")
	if err != nil {
		return Outcome{}, err
	}
	head := []string{p.Manager, args[0], args[1], h.now().UTC().Format(time.RFC3339), strings.Join(p.Left, " "), flag(p.NoStart)}
	args = slices.Concat(head, install, []string{"/"}, remove)
	res, err := h.script(ctx, backScript, nil, args...)
	switch {
	case err != nil:
		return Outcome{}, err
	case res.Code == codeMissing:
		return Outcome{}, &StepError{Doing: p.Summary(), Output: "the host has no " + p.Manager}
	case res.Code != 0:
		return Outcome{}, &StepError{Doing: p.Summary(), Code: res.Code, Output: tail(res.Stderr.String(), 20)}
	}
	out := Outcome{Changed: true}
	for at := range strings.SplitSeq(res.Stdout.String(), "\x00") {
		if strings.HasPrefix(at, "/") {
			out.Aside = append(out.Aside, at)
		}
	}
	after, err := p.installed(ctx, h)
	if err != nil {
		return out, err
	}
	if rest := append(p.missing(after), p.leftover(after)...); len(rest) > 0 {
		return out, &StepError{Doing: p.Summary(), Output: "done, and still not as wanted: " + strings.Join(rest, " ")}
	}
	return out, nil
}
