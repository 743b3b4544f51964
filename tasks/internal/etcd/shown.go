package etcd

import (
	"regexp"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

var containerID = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// shown is what `systemctl show` says that matters here.
type shown struct {
	env   map[string]string
	files []envFile
	argv  []string
}

type envFile struct {
	path     string
	optional bool
}

// parseShow reads the properties of one unit.
func parseShow(answer string) shown {
	s := shown{env: map[string]string{}}
	for line := range strings.Lines(answer) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "=")
		if !ok {
			continue
		}
		switch key {
		case "Environment":
			for _, w := range Words(value) {
				if k, v, ok := strings.Cut(w, "="); ok && varName.MatchString(k) {
					s.env[k] = v
				}
			}
		case "EnvironmentFiles", "EnvironmentFile":
			path, rest, _ := strings.Cut(value, " (")
			s.files = append(s.files, envFile{path: path, optional: strings.HasPrefix(rest, "ignore_errors=yes")})
		case "ExecStart":
			if _, argv, ok := strings.Cut(value, "argv[]="); ok && s.argv == nil {
				argv, _, _ = strings.Cut(argv, " ; ignore_errors=")
				s.argv = Words(argv)
			}
		}
	}
	return s
}

// manifest is what a static pod's manifest says that matters here.
type manifest struct {
	argv []string
	env  map[string]string
	file string // settings that a shell in the pod reads
}

var sourced = regexp.MustCompile(`(?m)^\s*(?:source|\.)\s+(/[A-Za-z0-9_./-]+)\s*$`)

// parseManifest reads the container named etcd, or the only one.
func parseManifest(path string, data []byte) (manifest, error) {
	m := manifest{env: map[string]string{}}
	n, err := strictyaml.Parse(path, data)
	if err != nil {
		return m, err
	}
	containers := n.Get("spec").Get("containers")
	if containers == nil || containers.Kind != strictyaml.Seq || len(containers.Items) == 0 {
		return m, n.Mistake("the manifest has no containers", "")
	}
	c := containers.Items[0]
	for _, other := range containers.Items {
		if scalar(other.Get("name")) == "etcd" {
			c = other
		}
	}
	for _, key := range []string{"command", "args"} {
		if list := c.Get(key); list != nil {
			for _, it := range list.Items {
				m.argv = append(m.argv, scalar(it))
			}
		}
	}
	if env := c.Get("env"); env != nil {
		for _, it := range env.Items {
			if k := scalar(it.Get("name")); varName.MatchString(k) && it.Get("value") != nil {
				m.env[k] = scalar(it.Get("value"))
			}
		}
	}
	for _, a := range m.argv {
		if found := sourced.FindStringSubmatch(a); found != nil {
			m.file = found[1]
		}
	}
	return m, nil
}

func scalar(n *strictyaml.Node) string {
	if n == nil || n.Kind != strictyaml.Scalar {
		return ""
	}
	if s, ok := n.Value.(string); ok {
		return s
	}
	return n.Raw
}
