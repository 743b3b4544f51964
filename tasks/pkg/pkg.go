// Package pkg is the task "package": software through the host's own manager.
package pkg

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of package.
type Params struct {
	Name        []string `yaml:"name" required:"true" alias:"pkg" split:"," doc:"packages; with a version as chrony=4.3-2 (apt) or chrony-4.3-2.el9 (dnf, yum)"`
	State       string   `yaml:"state" default:"present" enum:"present,installed,absent,removed,latest" doc:"present: installed, in any version unless one is named; latest: upgraded to the newest that the repositories' lists name"`
	UpdateCache bool     `yaml:"update_cache" alias:"update-cache" default:"false" doc:"read the repositories' lists before something is installed; with latest, always"`
	Use         string   `yaml:"use" default:"auto" enum:"auto,apt,dnf,yum" doc:"package manager; auto is the host's own"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if len(p.Name) == 0 {
		return errors.New(`"name" is empty`)
	}
	names := p.Name
	if len(names) == 0 || slices.Contains(names, "") {
		names = append(slices.Clone(names), "openssh-server") // not known yet: it may be what others rely on
	}
	for _, n := range names {
		s := parse(n)
		if err := reader.CheckPackageName(s.name); err != nil {
			return fmt.Errorf("%w: files, addresses, groups and patterns are not taken", err)
		}
		switch {
		case s.version == "" && s.pinned:
			return fmt.Errorf("%q names no version after the =", n)
		case s.pinned && reader.CheckPackageName(s.version) != nil:
			return fmt.Errorf("%q: %q is no version; a pattern is not taken", n, s.version)
		case s.pinned && p.latest():
			return fmt.Errorf(`%q names a version: that is "state: present"`, n)
		}
	}
	return nil
}

func (p *Params) latest() bool { return p.State == "latest" }
func (p *Params) absent() bool { return p.State == "absent" || p.State == "removed" }

// spec is one entry of name.
type spec struct {
	text    string
	name    string
	version string // after "="
	pinned  bool   // has a "="
}

func parse(text string) spec {
	name, version, pinned := strings.Cut(text, "=")
	return spec{text: text, name: name, version: version, pinned: pinned}
}

// manager is what the change uses: asked for, or the host's own.
func manager(use, own string) (string, error) {
	if use != "" && use != "auto" {
		return use, nil
	}
	if own == "" {
		return "", errors.New("no package manager that dayops knows (apt, dnf, yum) was found on the host")
	}
	return own, nil
}

// Result is what register sees.
type Result struct {
	Packages map[string]string `yaml:"packages" doc:"those of the named packages that were installed before the step, with their versions"`
	Manager  string            `yaml:"manager" doc:"apt, dnf or yum"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "package",
		Doc:  "Installs, upgrades or removes packages with apt, dnf or yum.",
		Long: "present is done when the package database has the package, whatever a repository offers. " +
			"latest compares with the repositories' lists as the host has them; with update_cache they are read anew each time, so that nobody can say beforehand what it will do. " +
			"A version that is named is installed also when a newer one is there; dnf and yum may keep the newer one, and the step fails then. " +
			"A package that only another one provides is not found in the database under that name: use the real name. " +
			"An apt package may start its service when it is installed, as always on Debian.",
		Example: `- name: Tools for a bad day
  package:
    name: [strace, tcpdump, lsof]

- package:
    name: chrony
    state: latest

- package:
    name: ntp
    state: absent
`,
		Facts: true,
		Kind: func(p Params) task.Kind {
			if p.latest() && p.UpdateCache {
				return task.Action
			}
			return task.State
		},
		MaxRisk: maxRisk,
		Result:  Result{},
	}, packager{})
}

func maxRisk(p Params) change.Risk {
	c := &change.Package{Manager: "yum", Latest: p.latest(), Refresh: p.UpdateCache}
	for _, n := range p.Name {
		s := parse(n)
		for name := s.name; name != ""; name = name[:max(0, strings.LastIndex(name, "-"))] { // of rpm, a version may be part of it
			c.Before = append(c.Before, reader.Package{Name: name, Version: "0"})
		}
		if p.absent() {
			c.Remove = append(c.Remove, s.name)
		} else {
			c.Install = append(c.Install, s.name)
		}
	}
	fresh := *c
	fresh.Before = nil
	return max(c.Risk(), fresh.Risk())
}
