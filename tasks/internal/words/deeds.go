package words

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// Object is what a Deed is done to.
type Object string

// Objects.
const (
	Host      Object = "host"      // all of it
	Unit      Object = "unit"      // systemd's, with its suffix
	Container Object = "container" // by name or ID
	Process   Object = "process"   // by number, or by name or pattern
	Member    Object = "member"    // of etcd, by ID or name
	Manifest  Object = "manifest"  // a file in a kubelet's folder of static pods, or the folder
	File      Object = "file"      // a path, or a pattern of paths, absolute
)

// Verb is what is done.
type Verb string

// Verbs. Add and Promote are of a Member alone, a File knows but Remove: it is
// deleted, moved away, or replaced.
const (
	Stop       Verb = "stop"
	Restart    Verb = "restart"
	Start      Verb = "start"
	Remove     Verb = "remove"
	Add        Verb = "add"
	AddLearner Verb = "add a learner"
	Promote    Verb = "promote"
)

// Deed is what one literal command does.
type Deed struct {
	Object Object
	Verb   Verb
	Names  []string // vague ones may be anything, see Vague; none: not said
	Later  bool     // it happens after the command has ended
	PutOff bool     // and nobody knows how long after: left in the background, or a timer's
}

// Vague tells a word whose value only a shell on the host knows.
func Vague(w string) bool { return w == "" || strings.ContainsAny(w, "$`*?[{") }

// Deeds are what argv does to the host, to units, containers, processes and
// etcd members, by the literal words systemctl, service, reboot, shutdown,
// poweroff, halt, init, telinit, docker, podman, crictl, kill, pkill, killall,
// master-restart, etcdctl member, and mv, rm and unlink. Nothing else is
// recognised: no script's content, no other program's doing. A relative path
// starts at dir, or where a cd before it leads.
func Deeds(argv []string, dir string) []Deed {
	var out []Deed
	later := false
	for _, c := range Commands(argv) {
		out = append(out, deeds(c, 0)...)
		out = append(out, files(c, dir)...)
		if c[0] == "cd" {
			dir = into(dir, c[1:])
		}
		later = later || c[0] == background
	}
	for i := range out { // which of them, only the shell knows
		out[i].Later, out[i].PutOff = out[i].Later || later, later
	}
	return out
}

// Risk is Disruptive where a Deed stops something that others rely on, or may.
func Risk(argv []string) change.Risk {
	for _, d := range Deeds(argv, "") {
		if d.disturbs() {
			return change.Disruptive
		}
	}
	return change.Safe
}

// disturbs tells whether a Deed can stop what others rely on. Of a file only
// somebody who looks at the host can tell.
func (d Deed) disturbs() bool {
	if d.Verb == Start || d.Object == File {
		return false
	}
	if d.Object == Unit {
		return len(d.Names) == 0 || slices.ContainsFunc(d.Names, func(n string) bool {
			u := change.Unit{Name: n, Restart: true, Before: reader.Unit{Name: n, LoadState: "loaded", ActiveState: "active"}}
			return Vague(n) || u.Risk() > change.Safe
		})
	}
	return true
}

func deeds(argv []string, depth int) []Deed {
	if len(argv) == 0 || depth > maxDepth {
		return nil
	}
	name, args := path.Base(argv[0]), argv[1:]
	if dir := path.Dir(argv[0]); dir == "/etc/init.d" || dir == "/etc/rc.d/init.d" {
		name, args = "service", append([]string{name}, args...)
	}
	one := func(d Deed, ok bool) []Deed {
		if !ok {
			return nil
		}
		return []Deed{d}
	}
	switch name {
	case "systemctl":
		return one(systemctl(args))
	case "service", "rc-service":
		return one(service(args))
	case "reboot", "poweroff", "halt":
		return one(goDown(name, args))
	case "shutdown":
		return one(shutdown(args))
	case "init", "telinit":
		return one(runlevel(args))
	case "docker", "podman", "nerdctl", "crictl", "docker-compose", "podman-compose":
		return containers(name, args, depth)
	case "master-exec":
		return deeds(args[min(2, len(args)):], depth+1)
	case "master-restart":
		return one(Deed{Object: Container, Verb: Restart, Names: args, Later: true}, len(args) > 0 && (args[0] == "etcd" || Vague(args[0])))
	case "kill", "pkill", "killall", "killall5":
		return one(kill(name, args))
	case "etcdctl":
		return one(member(args))
	case "mv", "rm", "unlink":
		return manifests(name, args)
	}
	return nil
}

// systemctl reads a verb and its units.
func systemctl(argv []string) (Deed, bool) {
	var words []string
	now, later := false, false
	for len(argv) > 0 {
		w := argv[0]
		argv = argv[1:]
		switch {
		case w == "--now":
			now = true
		case w == "--no-block":
			later = true
		case w == "-s" && len(argv) > 0, w == "--signal" && len(argv) > 0:
			if harmless(argv[0]) {
				return Deed{}, false
			}
			argv = argv[1:]
		case strings.HasPrefix(w, "--signal=") && harmless(strings.TrimPrefix(w, "--signal=")):
			return Deed{}, false
		case slices.Contains([]string{"-H", "-M", "-t", "-p", "-P", "-n", "-o", "--host", "--machine", "--type", "--property", "--lines", "--output",
			"--state", "--root", "--job-mode", "--kill-whom", "--kill-who", "--what", "--message", "--when"}, w) && len(argv) > 0:
			argv = argv[1:]
		case strings.HasPrefix(w, "-"):
		default:
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return Deed{}, false
	}
	units := unitNames(words[1:])
	switch verb := words[0]; verb {
	case "stop", "freeze":
		return Deed{Object: Unit, Verb: Stop, Names: units, Later: later}, true
	case "kill":
		return Deed{Object: Unit, Verb: Stop, Names: units, Later: true}, true // whether systemd starts it again, the signal and the unit decide
	case "restart", "try-restart", "condrestart", "reload-or-restart", "try-reload-or-restart", "reload-or-try-restart", "force-reload":
		return Deed{Object: Unit, Verb: Restart, Names: units, Later: later}, true
	case "disable", "mask":
		return Deed{Object: Unit, Verb: Stop, Names: units, Later: later}, now
	case "start", "isolate":
		return target(verb, units, later)
	case "reboot", "kexec", "soft-reboot":
		return Deed{Object: Host, Verb: Restart, Later: true}, true
	case "poweroff", "halt", "rescue", "emergency", "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "exit", "switch-root":
		return Deed{Object: Host, Verb: Stop, Later: true}, true
	}
	return Deed{}, Vague(words[0])
}

// target knows the units whose start is the host's end.
func target(verb string, units []string, later bool) (Deed, bool) {
	for _, u := range units {
		switch strings.TrimSuffix(u, ".target") {
		case "reboot", "kexec", "runlevel6", "ctrl-alt-del", "soft-reboot":
			return Deed{Object: Host, Verb: Restart, Later: true}, true
		case "poweroff", "halt", "shutdown", "rescue", "emergency", "runlevel0", "runlevel1", "exit", "suspend", "hibernate", "sleep":
			return Deed{Object: Host, Verb: Stop, Later: true}, true
		case "multi-user", "graphical", "default", "runlevel3", "runlevel5":
			continue
		}
		if verb == "isolate" {
			return Deed{Object: Host, Verb: Stop, Later: true}, true
		}
	}
	return Deed{Object: Unit, Verb: Start, Names: units, Later: later}, verb == "start" && len(units) > 0
}

func unitNames(words []string) []string {
	var out []string
	for _, w := range words {
		if full, err := reader.UnitName(w); err == nil && !Vague(w) {
			w = full
		}
		out = append(out, w)
	}
	return out
}

func service(argv []string) (Deed, bool) {
	if len(argv) < 2 || strings.HasPrefix(argv[0], "-") {
		return Deed{}, false
	}
	units := unitNames(argv[:1])
	switch argv[1] {
	case "stop":
		return Deed{Object: Unit, Verb: Stop, Names: units}, true
	case "start":
		return Deed{Object: Unit, Verb: Start, Names: units}, true
	case "restart", "condrestart", "try-restart", "force-reload", "reload-or-restart", "--full-restart":
		return Deed{Object: Unit, Verb: Restart, Names: units}, true
	}
	return Deed{Object: Unit, Verb: Stop, Names: units}, Vague(argv[1])
}

func has(argv []string, words ...string) bool {
	return slices.ContainsFunc(argv, func(w string) bool { return slices.Contains(words, w) })
}

func goDown(name string, argv []string) (Deed, bool) {
	if has(argv, "--help", "--version", "-w", "--wtmp-only") {
		return Deed{}, false
	}
	d := Deed{Object: Host, Verb: Stop, Later: true}
	if (name == "reboot" || has(argv, "--reboot")) && !has(argv, "-p", "--poweroff", "--halt") {
		d.Verb = Restart
	}
	return d, true
}

func shutdown(argv []string) (Deed, bool) {
	d := Deed{Object: Host, Verb: Stop, Later: true}
	for _, w := range argv {
		if w == "--help" || w == "--version" || w == "--show" || shortFlag(w, 'c') || shortFlag(w, 'k') {
			return Deed{}, false
		}
		if w == "--reboot" || shortFlag(w, 'r') {
			d.Verb = Restart
		}
	}
	return d, true
}

// shortFlag tells -f, alone or among others.
func shortFlag(w string, f byte) bool {
	return len(w) > 1 && w[0] == '-' && w[1] != '-' && strings.IndexByte(w, f) > 0
}

func runlevel(argv []string) (Deed, bool) {
	for _, w := range argv {
		switch w {
		case "0", "1", "s", "S":
			return Deed{Object: Host, Verb: Stop, Later: true}, true
		case "6":
			return Deed{Object: Host, Verb: Restart, Later: true}, true
		}
		if Vague(w) {
			return Deed{Object: Host, Verb: Stop, Later: true}, true
		}
	}
	return Deed{}, false
}

var hexID = regexp.MustCompile(`^[0-9a-f]{3,64}$`)

// mayBeEtcd tells a container that etcd may run in by its name, or of which
// only the ID is said.
func mayBeEtcd(name string) bool {
	return strings.Contains(name, "etcd") || hexID.MatchString(name) || Vague(name)
}

func harmless(signal string) bool {
	s := strings.TrimPrefix(strings.ToUpper(signal), "SIG")
	return s == "0" || s == "CONT" || s == "18"
}
