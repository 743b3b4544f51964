package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Places are parameters by which a user says what cannot be found. All are optional.
type Places struct {
	Config   string `yaml:"config" doc:"absolute path of etcd's settings (EnvironmentFile syntax); found by itself where it is in the unit, the static pod's manifest or /etc/etcd/etcd.conf"`
	Unit     string `yaml:"unit" doc:"etcd's unit; etcd.service or etcd_container.service when not given, or a running one with etcd in its name whose program is etcd"`
	Endpoint string `yaml:"endpoint" doc:"URL where the host's member answers; from its settings when not given"`
	CACert   string `yaml:"cacert" doc:"absolute path on the host of the authority's certificate; from the settings when not given"`
	Cert     string `yaml:"cert" doc:"absolute path on the host of the client's certificate; the peer's when not given. With authentication on, its common name is that of a user with the role root, or the variables etcd_user and etcd_password name one (see dayops doc etcd_health)"`
	Key      string `yaml:"key" doc:"absolute path on the host of the client's key; needed with cert"`
}

// Validate checks what the tags cannot say.
func (p *Places) Validate() error {
	for name, path := range map[string]string{"config": p.Config, "cacert": p.CACert, "cert": p.Cert, "key": p.Key} {
		if path != "" && !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s is an absolute path on the host, not %q", name, path)
		}
	}
	if (p.Cert == "") != (p.Key == "") {
		return errors.New("cert and key belong together")
	}
	if p.Endpoint != "" && len(urls([]string{p.Endpoint})) == 0 {
		return fmt.Errorf("endpoint is a URL with a port, as https://10.0.0.1:2379, not %q", p.Endpoint)
	}
	if p.Unit != "" {
		_, err := reader.UnitName(p.Unit)
		return err
	}
	return nil
}

const (
	ocpManifest  = "/etc/origin/node/pods/etcd.yaml"
	kubeManifest = "/etc/kubernetes/manifests/etcd.yaml"
	defaultConf  = "/etc/etcd/etcd.conf"
	healthCert   = "/etc/kubernetes/pki/etcd/healthcheck-client.crt"
	healthKey    = "/etc/kubernetes/pki/etcd/healthcheck-client.key"
)

// Find looks for the host's member. Not found is ok false without an error; an
// error is about settings that are there and cannot be read.
func Find(ctx context.Context, r task.Reader, p Places) (in Instance, ok bool, err error) {
	settings := map[string]string{}
	for _, look := range []func() (bool, error){
		func() (bool, error) { return in.unit(ctx, r, p, settings, true) },
		func() (bool, error) { return in.pod(ctx, r, settings) },
		func() (bool, error) { return in.otherUnit(ctx, r, p, settings) },
		func() (bool, error) { return in.unit(ctx, r, p, settings, false) },
	} {
		if ok, err = look(); ok || err != nil {
			break
		}
	}
	if err != nil {
		return in, false, err
	}
	if p.Config != "" {
		if err := in.take(ctx, r, p.Config, settings); err != nil {
			return in, false, err
		}
	}
	if !ok && p.Config == "" && p.Endpoint == "" {
		return in, false, nil
	}
	if !ok {
		in.Runtime = Given
	}
	if file := settings["ETCD_CONFIG_FILE"]; file != "" { // etcd then reads nothing else
		clear(settings)
		in.YAML = file
		if err := in.takeYAML(ctx, r, file, settings); err != nil {
			return in, false, err
		}
	}
	in.fill(settings)
	in.Endpoint = cmp.Or(p.Endpoint, in.Endpoint)
	in.Ctl.CA = p.CACert
	if p.Cert != "" {
		in.Ctl.Cert, in.Ctl.Key = p.Cert, p.Key
	}
	in.client()
	in.Ctl.User, err = change.User(r, reader.EtcdService)
	return in, true, err
}

// unit takes the settings of a systemd unit: its environment, its files in
// order, its options. active asks for one that runs.
func (in *Instance) unit(ctx context.Context, r task.Reader, p Places, settings map[string]string, active bool) (bool, error) {
	names := []string{"etcd.service", "etcd_container.service"}
	if p.Unit != "" {
		names = []string{p.Unit}
	}
	units, err := r.Units(ctx, names...)
	if errors.Is(err, reader.ErrNoSystemd) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, u := range units {
		if !u.Exists() || active && !u.Active() || !active && u.Masked() {
			continue
		}
		res, err := r.Probe(ctx, "systemctl", "show", u.Name)
		if err != nil {
			return false, err
		}
		in.Runtime, in.Unit, in.Active, in.Service = UnitRuntime, u.Name, u.Active(), u
		in.Sources = append(in.Sources, u.Name)
		shown := parseShow(res.Stdout.String())
		maps.Copy(settings, shown.env)
		for _, f := range shown.files {
			if err := in.take(ctx, r, f.path, settings); err != nil && !f.optional {
				return false, err
			}
		}
		if strings.Contains(strings.Join(shown.argv, " "), "docker") {
			in.Runtime, in.Container = Container, strings.TrimSuffix(u.Name, ".service")
			in.Ctl.Wrap = []string{"docker", "exec", in.Container}
			if err := in.take(ctx, r, defaultConf, settings); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
			return true, nil
		}
		in.options(shown.argv, settings)
		return true, nil
	}
	return false, nil
}

// options takes over what the command line says, which beats the environment.
func (in *Instance) options(argv []string, settings map[string]string) {
	in.Options = Flags(argv, settings)
	maps.Copy(settings, in.Options)
	if len(argv) > 0 && path.IsAbs(argv[0]) && path.Base(argv[0]) == "etcd" {
		in.Program = argv[0]
	}
}

// take adds the settings of a file.
func (in *Instance) take(ctx context.Context, r task.Reader, file string, into map[string]string) error {
	data, err := r.ReadFile(ctx, file, MaxSettings)
	if err != nil {
		return err
	}
	vars, err := ParseEnvironmentFile(string(data))
	if err != nil {
		return fmt.Errorf("%s: %w", reader.Printable(file), err)
	}
	maps.Copy(into, vars)
	in.Sources = append(in.Sources, file)
	return nil
}

// takeYAML adds the settings of etcd's own YAML file.
func (in *Instance) takeYAML(ctx context.Context, r task.Reader, path string, into map[string]string) error {
	data, err := r.ReadFile(ctx, path, MaxSettings)
	if err != nil {
		return err
	}
	n, err := strictyaml.Parse(path, data)
	if err != nil {
		return err
	}
	in.Sources = append(in.Sources, path)
	add := func(prefix string, n *strictyaml.Node) {
		for i, key := range n.Keys() {
			if v := n.Pairs[i].Value; v != nil && v.Kind == strictyaml.Scalar {
				into["ETCD_"+prefix+strings.ToUpper(strings.ReplaceAll(key, "-", "_"))] = fmt.Sprint(v.Value)
			}
		}
	}
	if n == nil {
		return nil
	}
	add("", n)
	if s := n.Get("client-transport-security"); s != nil {
		add("", s)
	}
	if s := n.Get("peer-transport-security"); s != nil {
		add("PEER_", s)
	}
	return nil
}

// pod takes the settings of a static pod.
func (in *Instance) pod(ctx context.Context, r task.Reader, settings map[string]string) (bool, error) {
	for _, manifest := range []string{ocpManifest, kubeManifest} {
		data, err := in.findPod(ctx, r, manifest)
		if err != nil || data == nil {
			if err != nil {
				return false, err
			}
			continue
		}
		m, err := parseManifest(in.Pod.Path, data)
		if err != nil {
			return false, err
		}
		in.Runtime, in.Manifest, in.Sources = PodRuntime, manifest, append(in.Sources, in.Pod.Path)
		if in.Sourced = m.file; m.file != "" {
			if err := in.take(ctx, r, m.file, settings); err != nil {
				return false, err
			}
		}
		maps.Copy(settings, m.env)
		in.options(m.argv, settings)
		if manifest == ocpManifest {
			in.Ctl.Wrap = []string{"master-exec", "etcd", "etcd"}
			return true, nil
		}
		return true, in.kubeadm(ctx, r)
	}
	return false, nil
}

// findPod reads the manifest at path, or where Stop has put it; nil when it is at neither.
func (in *Instance) findPod(ctx context.Context, r task.Reader, path string) ([]byte, error) {
	files, err := r.Hash(ctx, path, shelved(path), shelf(path))
	if err != nil {
		return nil, err
	}
	switch {
	case files[0].Exists:
		in.Pod, in.Stale = files[0], files[1]
	case files[1].Exists:
		in.Pod = files[1]
	default:
		return nil, nil
	}
	in.Shelf = files[2]
	return r.ReadFile(ctx, in.Pod.Path, MaxSettings)
}

// kubeadm finds the container that etcdctl is in, and a certificate made for
// asking. etcdctl on the host itself is used where there is no crictl.
func (in *Instance) kubeadm(ctx context.Context, r task.Reader) error {
	files, err := r.Stat(ctx, healthCert)
	if err != nil {
		return err
	}
	if files[0].Exists {
		in.PeerCert, in.PeerKey = healthCert, healthKey
	}
	res, err := r.Probe(ctx, "crictl", "ps", "--quiet", "--state", "running", "--name", "^etcd$")
	if err != nil || res.Code != 0 {
		return err
	}
	if id := strings.TrimSpace(res.Stdout.String()); containerID.MatchString(id) {
		in.Container = id
		in.Ctl.Wrap, in.Ctl.NoEnv = []string{"crictl", "exec", id}, true
	}
	return nil
}
