package words

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// containers reads docker's, podman's and crictl's verbs, and what they run in a container.
func containers(program string, argv []string, depth int) []Deed {
	argv = options(argv, "Hclri", []string{"--host", "--config", "--context", "--log-level", "--runtime-endpoint", "--image-endpoint", "--timeout", "--root", "--connection", "--url"})
	if len(argv) == 0 {
		return nil
	}
	verb, args := argv[0], argv[1:]
	if (verb == "container" || verb == "pod") && len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	if verb == "compose" || strings.HasSuffix(program, "-compose") {
		all := append([]string{verb}, args...)
		if has(all, "down", "stop", "kill", "restart", "rm") {
			return []Deed{{Object: Container, Verb: Stop}}
		}
		return nil
	}
	names := options(args, "ts", []string{"--time", "--signal", "--timeout"})
	names = slices.DeleteFunc(slices.Clone(names), func(w string) bool { return strings.HasPrefix(w, "-") })
	if verb == "exec" {
		if names = options(args, "euw", []string{"--env", "--user", "--workdir", "--env-file"}); len(names) < 2 || !mayBeEtcd(names[0]) {
			return nil
		}
		var out []Deed
		for _, c := range Commands(names[1:]) {
			if base := path.Base(c[0]); base == "kill" || base == "pkill" || base == "killall" {
				out = append(out, Deed{Object: Container, Verb: Stop, Names: names[:1], Later: true})
				continue
			}
			out = append(append(out, deeds(c, depth+1)...), files(c, "")...) // its data have the same path in there
		}
		return out
	}
	d := Deed{Object: Container, Verb: Stop, Names: names}
	switch verb {
	case "restart":
		d.Verb = Restart
	case "start", "unpause":
		d.Verb = Start
	case "rm", "rmp":
		if !has(args, "-f", "--force", "-fv", "-vf", "-fa", "-af") {
			return nil // runs not, or is refused
		}
	case "kill":
		if i := slices.IndexFunc(args, func(w string) bool { return w == "-s" || w == "--signal" }); i >= 0 && i+1 < len(args) && harmless(args[i+1]) {
			return nil
		}
	case "stop", "stopp", "pause":
	default:
		return nil
	}
	if has(args, "-a", "--all", "-l", "--latest", "-fa", "-af") {
		d.Names = nil
		return []Deed{d}
	}
	d.Names = slices.DeleteFunc(d.Names, func(n string) bool { return !mayBeEtcd(n) })
	if len(d.Names) == 0 {
		return nil
	}
	return []Deed{d}
}

// Daemons are the processes whose end is etcd's, or may be.
func Daemons() []string {
	return []string{"etcd", "dockerd", "docker", "docker-current", "dockerd-current", "docker-containerd", "containerd", "containerd-shim", "conmon", "crio", "systemd", "init"}
}

func kill(program string, argv []string) (Deed, bool) {
	d := Deed{Object: Process, Verb: Stop, Later: true} // whether it is started again, its signal and its unit decide
	if program == "killall5" {
		return d, true
	}
	letters := map[string]string{"kill": "snq", "pkill": "UuGgstPFrO", "killall": "suyoZn"}[program]
	wide, full := false, false
	var names []string
	for len(argv) > 0 {
		w := argv[0]
		argv = argv[1:]
		value := ""
		if len(argv) > 0 {
			value = argv[0]
		}
		switch {
		case w == "-l" || w == "-L" || w == "--list" || w == "--help" || w == "-V":
			return Deed{}, false
		case w == "-s" || w == "--signal" || w == "-n" && program == "kill":
			if harmless(value) {
				return Deed{}, false
			}
			argv = argv[min(1, len(argv)):]
		case strings.HasPrefix(w, "--signal="):
			if harmless(strings.TrimPrefix(w, "--signal=")) {
				return Deed{}, false
			}
		case w == "--":
			names, argv = append(names, argv...), nil
		case strings.HasPrefix(w, "-") && harmless(w[1:]):
			return Deed{}, false
		case strings.HasPrefix(w, "-") && len(w) == 2 && strings.Contains(letters, w[1:]):
			wide = true
			argv = argv[min(1, len(argv)):]
		case strings.HasPrefix(w, "-"):
			full = full || w == "-f" || w == "--full"
		default:
			names = append(names, w)
		}
	}
	if program == "kill" {
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "%") || n == "$!" })
		d.Names = names
		return d, len(names) > 0
	}
	if len(names) == 0 {
		return d, wide
	}
	d.Names = slices.DeleteFunc(names, func(n string) bool { return !daemon(program, n, full) })
	return d, len(d.Names) > 0
}

// daemon tells whether a name or pattern hits one of Daemons.
func daemon(program, name string, full bool) bool {
	if strings.ContainsAny(name, "$`") {
		return true
	}
	if program == "killall" {
		return slices.Contains(Daemons(), path.Base(name))
	}
	re, err := regexp.Compile(name)
	if err != nil || full && strings.Contains(name, "etcd") {
		return true
	}
	return slices.ContainsFunc(Daemons(), re.MatchString)
}

// member reads etcdctl's verbs that change who belongs to the cluster. "member"
// may also be an option's value, as the name of a user.
func member(argv []string) (Deed, bool) {
	for i, w := range argv {
		if w != "member" {
			continue
		}
		if d, ok := memberVerb(argv[i+1:]); ok {
			return d, true
		}
	}
	return Deed{}, false
}

func memberVerb(argv []string) (Deed, bool) {
	if len(argv) == 0 {
		return Deed{}, false
	}
	d := Deed{Object: Member}
	rest := argv[1:]
	for j := 0; j < len(rest); j++ {
		if strings.HasPrefix(rest[j], "-") {
			if rest[j] == "--peer-urls" {
				j++
			}
			continue
		}
		d.Names = append(d.Names, rest[j])
	}
	d.Names = d.Names[:min(1, len(d.Names))] // v2's add has a URL behind the name
	switch argv[0] {
	case "remove":
		d.Verb = Remove
	case "promote":
		d.Verb = Promote
	case "add":
		if d.Verb = Add; has(rest, "--learner", "--learner=true") {
			d.Verb = AddLearner
		}
	default:
		return Deed{}, false
	}
	return d, true
}

// podDirs are the folders of static pods, openshift-ansible's and kubeadm's.
func podDirs() []string { return []string{"/etc/origin/node/pods", "/etc/kubernetes/manifests"} }

// inPods tells a path of a folder of static pods, with or without a pattern in it.
func inPods(p string) bool {
	return slices.ContainsFunc(podDirs(), func(dir string) bool {
		return p == dir || strings.HasPrefix(p, dir+"/") || strings.HasPrefix(dir, strings.TrimSuffix(p, "/")+"/") && strings.Count(p, "/") > 1
	})
}

// manifests reads mv and rm: what leaves the folder stops, what comes into it takes another's place.
func manifests(program string, argv []string) []Deed {
	var paths []string
	for _, w := range argv {
		if !strings.HasPrefix(w, "-") {
			paths = append(paths, w)
		}
	}
	var to string
	if program == "mv" {
		if len(paths) < 2 {
			return nil
		}
		paths, to = paths[:len(paths)-1], paths[len(paths)-1]
	}
	var gone []string
	for _, p := range paths {
		if inPods(p) {
			gone = append(gone, p)
		}
	}
	switch {
	case len(gone) > 0:
		return []Deed{{Object: Manifest, Verb: Stop, Names: gone, Later: true}}
	case to != "" && inPods(to):
		return []Deed{{Object: Manifest, Verb: Restart, Names: []string{to}, Later: true}} // where one is there already
	}
	return nil
}
