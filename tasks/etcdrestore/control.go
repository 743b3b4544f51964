package etcdrestore

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Service is one part of the control plane that uses etcd: an API server, or
// controllers, which keep what they have seen.
type Service struct {
	Unit     reader.Unit // that runs; Name "" of a static pod
	Manifest etcd.Manifest
	Port     int // of an API server's pod
}

// controlUnits run the control plane before OpenShift 3.10, and Kubernetes without pods.
func controlUnits() []string {
	return []string{
		"atomic-openshift-master-api.service", "origin-master-api.service", "atomic-openshift-master.service", "origin-master.service", "kube-apiserver.service",
		"atomic-openshift-master-controllers.service", "origin-master-controllers.service", "kube-controller-manager.service", "kube-scheduler.service",
	}
}

// pod is one manifest, and where its API server listens when it does not say so.
type pod struct {
	path string
	port int
}

func controlPods() []pod {
	const openshift, kubernetes = 8443, 6443
	return []pod{
		{"/etc/origin/node/pods/apiserver.yaml", openshift}, {"/etc/origin/node/pods/controller.yaml", 0},
		{"/etc/kubernetes/manifests/kube-apiserver.yaml", kubernetes}, {"/etc/kubernetes/manifests/kube-controller-manager.yaml", 0},
		{"/etc/kubernetes/manifests/kube-scheduler.yaml", 0},
	}
}

// findControl finds what runs of the control plane on a host.
func findControl(ctx context.Context, r task.Reader) ([]Service, error) {
	var out []Service
	units, err := r.Units(ctx, controlUnits()...)
	if err != nil && !errors.Is(err, reader.ErrNoSystemd) {
		return nil, err
	}
	for _, u := range units {
		if u.Exists() && u.Active() {
			out = append(out, Service{Unit: u})
		}
	}
	for _, p := range controlPods() {
		m, err := etcd.FindManifest(ctx, r, p.path)
		if err != nil {
			return nil, err
		}
		if !m.File.Exists || m.Down() {
			continue
		}
		s := Service{Manifest: m}
		if p.port > 0 {
			if s.Port, err = listens(ctx, r, p); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	return out, nil
}

var apiPort = regexp.MustCompile(`(?m)--secure-port=([0-9]{1,5})\b|^\s*port:\s*([0-9]{1,5})\s*$`)

// listens is the port that the manifest of an API server names.
func listens(ctx context.Context, r task.Reader, p pod) (int, error) {
	text, err := r.ReadFile(ctx, p.path, etcd.MaxSettings)
	if err != nil {
		return 0, err
	}
	if m := apiPort.FindSubmatch(text); m != nil {
		if n, err := strconv.Atoi(string(m[1]) + string(m[2])); err == nil && n > 0 && n <= 65535 {
			return n, nil
		}
	}
	return p.port, nil
}

// stop ends the service; of an API server's pod it waits until it is gone.
func (s Service) stop() []change.Change {
	if s.Unit.Name != "" {
		no := false
		return []change.Change{&change.Unit{Name: s.Unit.Name, Active: &no, Before: s.unit(true)}}
	}
	out := s.Manifest.Stop()
	if s.Port > 0 {
		const gone = 3 * time.Minute
		out = append(out, &change.Wait{Port: s.Port, Gone: true, Limit: gone, What: "the API server of " + s.Manifest.Path + " to be gone"})
	}
	return out
}

func (s Service) start() []change.Change {
	if s.Unit.Name != "" {
		yes := true
		return []change.Change{&change.Unit{Name: s.Unit.Name, Active: &yes, Before: s.unit(false)}}
	}
	return s.Manifest.Start()
}

func (s Service) unit(active bool) reader.Unit {
	u := s.Unit
	u.ActiveState, u.SubState = "inactive", "dead"
	if active {
		u.ActiveState, u.SubState = "active", "running"
	}
	return u
}
