package etcdgate

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/words"
)

// power is what becomes of the host's member.
type power int

const (
	as      power = iota // it is
	starts               // it is started
	halts                // it stops and is not started
	bounces              // it stops and starts
)

// effect is what a change does to the cluster.
type effect struct {
	power   power
	doing   string        // for people: "stopping", "rebooting the host of"
	later   bool          // after the change has ended
	within  time.Duration // not 0: it begins some time after the change, mostly within this
	host    bool          // the whole host goes with it
	data    string        // the path at which a member that runs loses its data
	members []seat
}

// seat is a change of who belongs to the cluster.
type seat struct {
	verb  words.Verb
	names []string // ID or name; none: not known
	query *change.Query
}

func (e effect) none() bool { return e.power < halts && len(e.members) == 0 }

// then is e and afterwards f.
func (e effect) then(f effect) effect {
	if f.data != "" && e.power == halts && !e.later && e.data == "" {
		return e // it runs no more
	}
	switch {
	case e.data != "": // nothing after it gives it back
	case f.data != "":
		e.power, e.doing, e.data = f.power, f.doing, f.data
	case f.power == starts && e.power == halts:
		e.power, e.doing = bounces, "restarting"
	case f.power == starts:
		e.power = max(e.power, starts)
	case f.power >= halts && (e.power != halts || !e.host):
		e.power, e.doing = f.power, f.doing
	}
	e.later, e.host, e.within = e.later || f.later, e.host || f.host, max(e.within, f.within)
	e.members = append(e.members, f.members...)
	return e
}

// target is the host's member and what else must stand for it to run.
type target struct {
	etcd.Instance
	found bool
	names []string // of its unit: the aliases too
	holds []string // units whose stop is the member's: its slice, what it requires
	boots bool     // it starts with the host
	data  []string // folders of its data, where it runs and they are at risk
}

// mayMatter tells, without a look at any host, changes that can stop something
// that an etcd may be in.
func mayMatter(c change.Change) bool {
	switch c := c.(type) {
	case *change.Reboot:
		return true
	case *change.Unit:
		return unitPower(c) >= halts
	case *change.Package:
		return slices.ContainsFunc(slices.Concat(c.Install, c.Remove), func(n string) bool {
			return asksFor(n, etcdPackages()) || asksFor(n, runtimePackages())
		})
	case *change.Exec:
		return slices.ContainsFunc(words.Deeds(c.Argv, ""), func(d words.Deed) bool { return d.Object != words.File })
	case *change.Bracket:
		return slices.ContainsFunc(slices.Concat(c.Do, c.Then), mayMatter)
	case *change.Move:
		// To a place where nothing is, it only starts: also where the host cannot be judged.
		return change.PathRisk(c.From) > change.Safe || (c.Over != nil || c.Force) && change.PathRisk(c.To) > change.Safe
	case *change.Remove:
		return change.PathRisk(c.Path) > change.Safe
	case *change.Write:
		return change.PathRisk(c.Path) > change.Safe
	case *change.Link:
		return change.PathRisk(c.Path) > change.Safe
	case *change.Transfer:
		return c.Risk() > change.Safe
	}
	return false
}

// of is what a change does to the host's member, and to the list of members.
func (t target) of(c change.Change) effect {
	switch c := c.(type) {
	case *change.Reboot:
		e := effect{power: bounces, doing: "rebooting the host of", host: true}
		if t.found && !t.boots {
			e.power, e.doing = halts, "rebooting the host (which does not start it) of"
		}
		return t.only(e)
	case *change.Unit:
		return t.unit(c.Name, unitPower(c))
	case *change.Package:
		return t.packages(c)
	case *change.Exec:
		return t.exec(c)
	case *change.Bracket:
		var e effect
		for _, part := range slices.Concat(c.Do, c.Then) {
			e = e.then(t.of(part))
		}
		return e
	case *change.Move:
		e := effect{}
		if t.holdsManifest(c.From) {
			e = t.withdrawn()
		}
		if t.PodRuntime() && path.Clean(c.To) == t.Manifest {
			e = e.then(t.placed())
		}
		return e.then(t.loses(sites(c)))
	case *change.Remove:
		if t.holdsManifest(c.Path) {
			return t.withdrawn().then(t.loses(sites(c)))
		}
	case *change.Write:
		e := t.put(c.Path)
		if c.Before.Exists && c.Before.SHA256 == c.After.SHA256 {
			e.within = 0 // the kubelet sees nothing new
		}
		return e.then(t.loses(sites(c)))
	case *change.Link:
		return t.put(c.Path).then(t.loses(sites(c)))
	case *change.Transfer:
		return t.put(c.ToFile).then(t.loses(sites(c)))
	}
	return t.loses(sites(c))
}

// only keeps what is done to a member where there is one.
func (t target) only(e effect) effect {
	if !t.found {
		return effect{members: e.members}
	}
	return e
}

// PodRuntime tells a member in a static pod.
func (t target) PodRuntime() bool { return t.found && t.Runtime == etcd.PodRuntime }

// contained tells a member that stops with its container runtime.
func (t target) contained() bool {
	return t.found && (t.Runtime == etcd.PodRuntime || t.Runtime == etcd.Container)
}

// holdsManifest tells the manifest's path, or a folder above it.
func (t target) holdsManifest(p string) bool {
	p = path.Clean(p)
	return t.PodRuntime() && t.Pod.Path == t.Manifest && (p == t.Manifest || strings.HasPrefix(t.Manifest, p+"/"))
}

func (t target) put(p string) effect {
	if t.PodRuntime() && path.Clean(p) == t.Manifest {
		return t.placed()
	}
	return effect{}
}

// withdrawn is a manifest that goes from where the kubelet looks.
func (t target) withdrawn() effect {
	return effect{power: halts, doing: "stopping", within: kubeletLimit}
}

// placed is a manifest that comes where the kubelet looks.
func (t target) placed() effect {
	if t.Pod.Path == t.Manifest {
		return effect{power: bounces, doing: "restarting", within: kubeletLimit}
	}
	return effect{power: starts}
}

func unitPower(u *change.Unit) power {
	switch {
	case u.Active != nil && !*u.Active:
		return halts
	case u.Restart:
		return bounces
	case u.Active != nil:
		return starts
	}
	return as
}

func (t target) unit(name string, p power) effect {
	full, err := reader.UnitName(name)
	if err != nil || words.Vague(name) {
		full = ""
	}
	if p == as || !t.found || full != "" && !t.with(full, p) {
		return effect{}
	}
	e := effect{power: p, doing: map[power]string{halts: "stopping", bounces: "restarting"}[p]}
	if !t.own(full) && p == starts && !t.PodRuntime() {
		return effect{} // what held it is there again; the member is not
	}
	return e
}

// own tells the member's unit, by any of its names.
func (t target) own(unit string) bool { return unit == t.Unit || slices.Contains(t.names, unit) }

// with tells whether the member stops when the unit does.
func (t target) with(unit string, p power) bool {
	switch {
	case t.own(unit):
		return true
	case p == starts:
		return t.contained() && slices.Contains(runtimeUnits(), unit)
	case slices.Contains(t.holds, unit):
		return true
	case unit == "network.service", unit == "networking.service": // take the links down
		return true
	}
	return t.contained() && (slices.Contains(runtimeUnits(), unit) || strings.HasSuffix(unit, ".slice") || strings.HasSuffix(unit, ".scope"))
}

func runtimeUnits() []string {
	return []string{"docker.service", "docker.socket", "docker-latest.service", "containerd.service", "crio.service", "cri-o.service", "podman.service"}
}

func etcdPackages() []string { return []string{"etcd", "etcd-server", "etcd3"} }

func runtimePackages() []string {
	return []string{"docker", "docker-ce", "docker.io", "docker-engine", "docker-latest", "docker-common", "containerd", "containerd.io", "cri-o", "podman", "runc"}
}

// asksFor tells whether a name with or without a version is one of these packages.
func asksFor(n string, packages []string) bool {
	name, _, _ := strings.Cut(n, "=")
	name, _, _ = strings.Cut(name, ":")
	return slices.ContainsFunc(packages, func(p string) bool {
		rest, ok := strings.CutPrefix(name, p)
		return ok && (rest == "" || len(rest) > 1 && rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9' || rest[0] == '.' && p != "docker")
	})
}

func (t target) packages(c *change.Package) effect {
	relevant := func(n string) bool {
		return t.found && (asksFor(n, etcdPackages()) && t.Runtime == etcd.UnitRuntime || asksFor(n, runtimePackages()) && t.contained())
	}
	switch {
	case slices.ContainsFunc(c.Remove, relevant):
		return effect{power: halts, doing: "removing the packages of"}
	case slices.ContainsFunc(c.Install, relevant):
		return effect{power: bounces, doing: "upgrading the packages of"}
	}
	return effect{}
}

// exec is what a command's literal words do.
func (t target) exec(c *change.Exec) effect {
	var e effect
	for _, d := range words.Deeds(c.Argv, c.Dir) {
		e = e.then(t.deed(d, c.Words))
	}
	return e
}

func (t target) deed(d words.Deed, queries map[string]change.Query) effect {
	p := map[words.Verb]power{words.Stop: halts, words.Restart: bounces, words.Start: starts}[d.Verb]
	e := effect{power: p, doing: map[power]string{halts: "stopping", bounces: "restarting"}[p], later: d.Later}
	hit := false
	if d.PutOff {
		e.within = putOffLimit
	}
	switch d.Object {
	case words.Host:
		e.host, hit = true, true
		e.doing = map[power]string{halts: "switching off the host of", bounces: "rebooting the host of"}[p]
		if p == bounces && !t.boots {
			e.power = halts
		}
	case words.Unit:
		hit = len(d.Names) == 0 || slices.ContainsFunc(d.Names, func(n string) bool { return t.unit(n, p).power != as })
	case words.Container:
		hit = t.contained() && (len(d.Names) == 0 || slices.ContainsFunc(d.Names, t.isContainer))
	case words.Process:
		hit = len(d.Names) == 0 || slices.ContainsFunc(d.Names, t.isProcess)
		if !slices.ContainsFunc(d.Names, func(n string) bool { return strings.Contains(n, "etcd") }) {
			e.within = 0 // a number is hardly ever the member's
		}
	case words.Manifest:
		hit = slices.ContainsFunc(d.Names, t.covers)
		if hit && p == bounces && t.Pod.Path != t.Manifest {
			e = effect{power: starts}
		} else {
			e.within = max(e.within, kubeletLimit)
		}
	case words.File:
		return t.loses(sitesOf(d))
	case words.Member:
		s := seat{verb: d.Verb, names: d.Names}
		for name, q := range queries {
			if len(d.Names) > 0 && strings.Contains(d.Names[0], "{"+name+"}") {
				s.query = &q
			}
		}
		return effect{members: []seat{s}}
	}
	if !hit {
		return effect{}
	}
	return t.only(e)
}

// isContainer tells a container that may be the member's.
func (t target) isContainer(name string) bool {
	if words.Vague(name) || strings.Contains(name, "etcd") || t.Container == "" {
		return true
	}
	hex := strings.Trim(t.Container, "0123456789abcdef") == ""
	return !hex || strings.HasPrefix(t.Container, name) || strings.HasPrefix(name, t.Container)
}

// isProcess tells a process whose end may be the member's: a number may be any.
func (t target) isProcess(name string) bool {
	if words.Vague(name) || strings.Contains(name, "etcd") || strings.Trim(name, "0123456789-") == "" {
		return true
	}
	for _, d := range words.Daemons() {
		if runtime := d != "etcd" && d != "systemd" && d != "init"; strings.Contains(d, path.Base(name)) && (!runtime || t.contained()) {
			return true
		}
	}
	return false
}

// covers tells a path or pattern that means the manifest, or a folder above it.
func (t target) covers(p string) bool {
	if !t.PodRuntime() {
		return false
	}
	ok, err := path.Match(p, t.Manifest)
	return ok || err != nil || strings.Contains(p, "$") || strings.HasPrefix(t.Manifest, strings.TrimSuffix(p, "/")+"/")
}
