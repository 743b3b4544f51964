package change

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Package)(nil)

// Kind is "package".
func (p *Package) Kind() string { return "package" }

// Summary is one line for people.
func (p *Package) Summary() string {
	var parts []string
	verb := "install "
	if p.Latest {
		verb = "install the newest "
	}
	if len(p.Install) > 0 {
		parts = append(parts, verb+reader.Printable(strings.Join(p.Install, " ")))
	}
	if len(p.Remove) > 0 {
		parts = append(parts, "remove "+reader.Printable(strings.Join(p.Remove, " ")))
	}
	if len(parts) == 0 {
		parts = append(parts, "read the repositories' lists")
	}
	return strings.Join(parts, ", ") + " (" + p.Manager + ")"
}

// Diff is "".
func (p *Package) Diff() string { return "" }

// Risk is Disruptive when a package whose daemon others rely on may be
// restarted or go away.
func (p *Package) Risk() Risk {
	for _, list := range [][]string{p.Install, p.Remove} {
		for _, n := range list {
			for _, b := range p.Before {
				if runs(b.Name) && p.names(n, b.Name) {
					return Disruptive
				}
			}
		}
	}
	return Safe
}

// names tells whether n may ask for the installed package called name: an rpm
// name may carry a version whose start cannot be told for sure.
func (p *Package) names(n, name string) bool {
	if p.Manager == "apt" {
		return baseName(p.Manager, n) == name
	}
	return n == name || strings.HasPrefix(n, name+"-") || strings.HasPrefix(n, name+".")
}

// runs tells packages that bring a daemon that others rely on.
func runs(name string) bool {
	switch name {
	case "openssh-server", "etcd-server", "docker.io", "docker-ce", "containerd.io", "network-manager", "iptables-services":
		return true
	}
	return reliedOn(name)
}

// Reversal is Partial: maintainer scripts leave traces.
func (p *Package) Reversal() Reversal {
	if len(p.Install)+len(p.Remove) == 0 {
		return Reversal{Exact, "no package changes"}
	}
	return Reversal{Partial, "the old versions come back where a repository still has them; what maintainer scripts did stays"}
}

// Opaque is false.
func (p *Package) Opaque() bool { return false }

// baseName is a package's name without the version that Install may carry.
// Of rpm names the version cannot be cut off for sure: see matches.
func baseName(manager, name string) string {
	if manager == "apt" {
		name, _, _ = strings.Cut(name, "=")
		name, _, _ = strings.Cut(name, ":")
	}
	return name
}

// matches tells whether the installed package is what name asks for, and
// whether in the version that it asks for.
func matches(manager, name string, have reader.Package) (is, version bool) {
	if manager == "apt" {
		_, want, ok := strings.Cut(name, "=")
		return baseName(manager, name) == have.Name, !ok || want == have.Version
	}
	_, bare, epoch := strings.Cut(have.Version, ":")
	if !epoch {
		bare = have.Version
	}
	ver, _, _ := strings.Cut(bare, "-")
	full := []string{have.Name, have.Name + "." + have.Arch}
	for _, v := range []string{have.Version, bare, ver} {
		full = append(full, have.Name+"-"+v, have.Name+"-"+v+"."+have.Arch)
	}
	return slices.Contains(full, name), true
}

// missing are those of Install that are not there in the wanted version.
func (p *Package) missing(now []reader.Package) []string {
	return slices.DeleteFunc(slices.Clone(p.Install), func(name string) bool {
		return slices.ContainsFunc(now, func(have reader.Package) bool {
			is, version := matches(p.Manager, name, have)
			return is && version
		})
	})
}

// leftover are those of Remove that are still there.
func (p *Package) leftover(now []reader.Package) []string {
	return slices.DeleteFunc(slices.Clone(p.Remove), func(name string) bool {
		return !slices.ContainsFunc(now, func(have reader.Package) bool {
			is, _ := matches(p.Manager, name, have)
			return is
		})
	})
}

func (p *Package) check() error {
	if p.Manager != "apt" && p.Manager != "dnf" && p.Manager != "yum" {
		return fmt.Errorf("%q is no package manager that dayops knows: apt, dnf, yum", reader.Printable(p.Manager))
	}
	for _, n := range append(slices.Clone(p.Install), p.Remove...) {
		name := n
		if p.Manager == "apt" {
			name, _, _ = strings.Cut(n, "=")
			if _, v, ok := strings.Cut(n, "="); ok && reader.CheckPackageName(v) != nil {
				return fmt.Errorf("%q is no version of a package", reader.Printable(v))
			}
		}
		if err := reader.CheckPackageName(name); err != nil {
			return err
		}
	}
	return nil
}

// installed asks for the packages that the change is about.
func (p *Package) installed(ctx context.Context, h Host) ([]reader.Package, error) {
	var names []string
	for _, n := range append(slices.Clone(p.Install), p.Remove...) {
		if p.Manager == "apt" {
			n, _, _ = strings.Cut(n, "=")
		}
		names = append(names, n)
	}
	if p.Back { // names with old versions do not find the new ones
		for _, b := range p.Before {
			names = append(names, b.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return h.read().Packages(ctx, names...)
}

// wanted tells whether the packages of a name are as the change wants them: a
// manager that was ended half way has done some.
func (p *Package) wanted(name string, now []reader.Package) bool {
	for _, n := range p.Install {
		for _, have := range now {
			if is, version := matches(p.Manager, n, have); is && version && have.Name == name {
				return true
			}
		}
	}
	there := slices.ContainsFunc(now, func(have reader.Package) bool { return have.Name == name })
	return !there && slices.ContainsFunc(p.Remove, func(n string) bool { return baseName(p.Manager, n) == name })
}

// moved compares what the plan saw installed with what is, except where it is
// already as wanted.
func (p *Package) moved(now []reader.Package) error {
	if len(p.missing(now)) == 0 && len(p.leftover(now)) == 0 {
		return nil
	}
	versions := func(list []reader.Package, name string) string {
		var v []string
		for _, b := range list {
			if b.Name == name {
				v = append(v, b.Version)
			}
		}
		if slices.Sort(v); len(v) == 0 {
			return "not installed"
		}
		return strings.Join(v, ", ")
	}
	for _, list := range [][]reader.Package{p.Before, now} {
		for _, b := range list {
			if was, is := versions(p.Before, b.Name), versions(now, b.Name); was != is && !p.wanted(b.Name, now) {
				return &MovedError{Path: b.Name, What: "version", Planned: was, Found: is}
			}
		}
	}
	return nil
}

// A manager that was ended half way leaves some packages as wanted and the rest
// as before: Before. What dpkg has half installed it names itself, with the
// command that helps.
//
// observe cannot tell for Latest without asking the repositories: that is
// Before as long as the versions are as planned from, and After once they differ.
func (p *Package) observe(ctx context.Context, h Host) (Where, error) {
	if err := p.check(); err != nil {
		return Neither, err
	}
	now, err := p.installed(ctx, h)
	if err != nil {
		return Neither, err
	}
	there := len(p.missing(now)) == 0 && len(p.leftover(now)) == 0
	if p.Latest {
		same := slices.Equal(sortedPackages(p.Before), sortedPackages(now))
		return side(there && !same, same), nil
	}
	if len(p.Install)+len(p.Remove) == 0 {
		return Before, nil
	}
	return side(there, p.moved(now) == nil), nil
}

func sortedPackages(list []reader.Package) []reader.Package {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b reader.Package) int {
		return strings.Compare(a.Name+" "+a.Version+" "+a.Arch, b.Name+" "+b.Version+" "+b.Arch)
	})
	return list
}

func (p *Package) apply(ctx context.Context, h Host) (Outcome, error) {
	if err := p.check(); err != nil {
		return Outcome{}, err
	}
	before, err := p.installed(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	install, upgrade, remove := p.missing(before), []string(nil), p.leftover(before)
	if p.Latest {
		upgrade = slices.DeleteFunc(slices.Clone(p.Install), func(n string) bool { return slices.Contains(install, n) })
	}
	if len(install)+len(upgrade)+len(remove) == 0 && !(p.Refresh && len(p.Install)+len(p.Remove) == 0) {
		return Outcome{}, nil
	}
	if err := p.moved(before); err != nil {
		return Outcome{}, err
	}
	if p.Back {
		return p.goBack(ctx, h, install, remove)
	}
	args := slices.Concat([]string{p.Manager, flag(p.Refresh), flag(p.NoStart && p.Manager == "apt")},
		[]string{fmt.Sprint(len(install))}, install, []string{fmt.Sprint(len(upgrade))}, upgrade, remove)
	res, err := h.script(ctx, packageScript, nil, args...)
	switch {
	case err != nil:
		return Outcome{}, err
	case res.Code == codeMissing:
		return Outcome{}, &StepError{Doing: p.Summary(), Output: "the host has no " + p.Manager}
	case res.Code != 0:
		return Outcome{}, &StepError{Doing: p.Summary(), Code: res.Code, Output: tail(res.Stdout.String()+res.Stderr.String(), 20)}
	}
	after, err := p.installed(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	if rest := append(p.missing(after), p.leftover(after)...); len(rest) > 0 && p.Manager == "apt" {
		return Outcome{Changed: true}, &StepError{Doing: p.Summary(), Output: "done, and still not as wanted: " + strings.Join(rest, " ")}
	}
	return Outcome{Changed: !slices.Equal(sortedPackages(before), sortedPackages(after))}, nil
}

func flag(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// asked is what n will be once it is installed, as far as n tells: its version
// where apt is given one, or an inverse names all of an rpm.
func (p *Package) asked(n string) reader.Package {
	have := reader.Package{Name: baseName(p.Manager, n)}
	switch {
	case p.Latest:
	case p.Manager == "apt":
		_, have.Version, _ = strings.Cut(n, "=")
	case p.Back: // name-version-release.arch
		arch := strings.LastIndexByte(n, '.')
		release := strings.LastIndexByte(n[:max(arch, 0)], '-')
		if version := strings.LastIndexByte(n[:max(release, 0)], '-'); version > 0 {
			have = reader.Package{Name: n[:version], Version: n[version+1 : arch], Arch: n[arch+1:]}
		}
	}
	return have
}

func (p *Package) effect(o *Overlay) {
	for _, n := range p.Install {
		have := p.asked(n)
		for _, b := range p.Before {
			if is, version := matches(p.Manager, n, b); is && version && !p.Latest {
				have = b
			}
		}
		o.setPackage(have.Name, &have)
	}
	for _, n := range p.Remove {
		o.setPackage(baseName(p.Manager, n), nil)
	}
	if len(p.missing(p.Before)) > 0 || p.Latest {
		o.brings(p.Summary())
	}
}
