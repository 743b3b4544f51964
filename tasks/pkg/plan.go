package pkg

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// State is what is installed of the named packages.
type State struct {
	Installed []reader.Package
	// Newer are the names for which the host's lists have a newer version; only with latest.
	Newer []string
}

type packager struct{}

func (packager) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	found, err := r.Packages(ctx, ask(p)...)
	if err != nil {
		return State{}, err
	}
	s := State{Installed: found}
	if !p.latest() || p.UpdateCache {
		return s, nil
	}
	var have []string
	for _, n := range p.Name {
		if installed(parse(n), found) != nil {
			have = append(have, n)
		}
	}
	if len(have) > 0 {
		s.Newer, err = newer(ctx, r, have)
	}
	return s, err
}

// ask is what the database is asked for: with rpm a version is part of the
// name, so that every prefix that could be the name is asked for too.
func ask(p Params) []string {
	var names []string
	add := func(n string) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for _, n := range p.Name {
		s := parse(n)
		add(s.name)
		for i := strings.LastIndexByte(s.name, '-'); i > 0 && !s.pinned; i = strings.LastIndexByte(s.name[:i], '-') {
			if next := s.name[i+1]; next >= '0' && next <= '9' {
				add(s.name[:i])
			}
		}
	}
	return names
}

// installed is the package that fulfils s, or nil.
func installed(s spec, found []reader.Package) *reader.Package {
	for i, f := range found {
		name, arch, _ := strings.Cut(s.name, ":") // apt's name:arch
		switch {
		case (f.Name == s.name || f.Name == name && f.Arch == arch) && (!s.pinned || s.version == f.Version):
			return &found[i]
		case !s.pinned && strings.HasPrefix(s.name, f.Name+"-") && rpmVersion(s.name[len(f.Name)+1:], f):
			return &found[i]
		}
	}
	return nil
}

// rpmVersion compares what follows the name with version, version-release and
// version-release.arch, with the epoch or without.
func rpmVersion(want string, f reader.Package) bool {
	evr := f.Version
	if _, after, found := strings.Cut(f.Version, ":"); found && !strings.Contains(want, ":") {
		evr = after
	}
	version := evr
	if i := strings.LastIndexByte(evr, '-'); i >= 0 {
		version = evr[:i]
	}
	return want == version || want == evr || want == evr+"."+f.Arch
}

// newer asks the lists that the host has; nothing is fetched.
func newer(ctx context.Context, r task.Reader, names []string) ([]string, error) {
	res, err := r.Probe(ctx, policy(names)...)
	if err != nil {
		return nil, err
	}
	if res.Code == 0 {
		return parsePolicy(res.Stdout.String()), nil
	}
	for _, m := range []string{"dnf", "yum"} {
		if res, err = r.Probe(ctx, updates(m, names)...); err != nil {
			return nil, err
		}
		switch res.Code {
		case 0:
			return nil, nil
		case 100: // documented: there are updates
			return parseUpdates(res.Stdout.String(), names), nil
		case 127:
			continue
		}
		return nil, lists(m, res)
	}
	return nil, fmt.Errorf("the host has no lists of apt, dnf or yum to compare with")
}

// policy asks apt; the options keep it from writing its cache.
func policy(names []string) []string {
	return append([]string{"apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy"}, names...)
}

// updates asks dnf or yum.
func updates(m string, names []string) []string {
	return append([]string{m, "-q", "-C", "check-update"}, names...)
}

func lists(m string, res conn.Result) error {
	text := strings.TrimSpace(res.Stderr.String())
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return fmt.Errorf("%s cannot read its lists (%s); update_cache: true fetches them", m, reader.Printable(text))
}

// parsePolicy reads `apt-cache policy` in the C locale.
func parsePolicy(out string) []string {
	var names []string
	var name, have string
	for line := range strings.SplitSeq(out, "\n") {
		key, value, found := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case !strings.HasPrefix(line, " ") && strings.HasSuffix(line, ":"):
			name, have = strings.TrimSuffix(line, ":"), ""
		case found && key == "Installed":
			have = value
		case found && key == "Candidate" && have != "" && value != "(none)" && have != "(none)" && value != have:
			names = append(names, name)
		}
	}
	return names
}

// parseUpdates reads `dnf -q check-update`: name.arch, version, repository.
func parseUpdates(out string, names []string) []string {
	var found []string
	for line := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		name := f[0]
		if i := strings.LastIndexByte(name, '.'); i > 0 {
			name = name[:i]
		}
		if slices.Contains(names, name) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

func (packager) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, s := in.Params, in.State
	m, err := manager(p.Use, in.Facts.Packager)
	if err != nil {
		return task.Plan{}, err
	}
	c := &change.Package{Manager: m, Before: s.Installed}
	for _, n := range p.Name {
		spec := parse(n)
		if spec.pinned && m != "apt" {
			return task.Plan{}, fmt.Errorf("%q: %s names a version as %s-%s", n, m, spec.name, spec.version)
		}
		have := installed(spec, s.Installed)
		switch {
		case p.absent() && have != nil:
			c.Remove = append(c.Remove, have.Name)
		case p.absent():
		case p.latest() && (p.UpdateCache || have == nil || slices.Contains(s.Newer, have.Name)):
			c.Install, c.Latest = append(c.Install, n), true
		case have == nil:
			c.Install = append(c.Install, n)
		}
	}
	if len(c.Install)+len(c.Remove) == 0 {
		return task.Plan{}, nil
	}
	c.Refresh = p.UpdateCache && !p.absent()
	return task.Do(c), nil
}

func (packager) Result(in task.Input[Params, State], _ task.Outcome) any {
	res := Result{Packages: map[string]string{}}
	for _, f := range in.State.Installed {
		res.Packages[f.Name] = f.Version
	}
	res.Manager, _ = manager(in.Params.Use, in.Facts.Packager)
	return res
}
