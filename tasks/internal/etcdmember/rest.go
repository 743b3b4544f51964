package etcdmember

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Rest is what else on a host names the cluster's members.
type Rest struct {
	Master   File // /etc/origin/master/master-config.yaml
	Server   File // kubeadm's manifest of the API server
	Pod      bool // the API server is a static pod of OpenShift
	Restart  bool // master-restart is there
	Units    []reader.Unit
	Port     int  // where the API server listens, as its configuration says
	Listens  bool `plan:"volatile"` // something listens there
	Flannel  File // /etc/sysconfig/flanneld
	Flanneld reader.Unit
}

const (
	masterConfig = "/etc/origin/master/master-config.yaml"
	apiPod       = "/etc/origin/node/pods/apiserver.yaml"
	kubeServer   = "/etc/kubernetes/manifests/kube-apiserver.yaml"
	flannelFile  = "/etc/sysconfig/flanneld"
	flannelUnit  = "flanneld.service"
)

// apiUnits run the API server before OpenShift 3.10, the likeliest first.
func apiUnits() []string {
	return []string{"atomic-openshift-master-api.service", "origin-master-api.service", "atomic-openshift-master.service", "origin-master.service"}
}

func lookRest(ctx context.Context, r task.Reader) (s Rest, err error) {
	for path, into := range map[string]*File{masterConfig: &s.Master, kubeServer: &s.Server, flannelFile: &s.Flannel} {
		if *into, err = text(ctx, r, path); err != nil {
			return s, err
		}
	}
	if s.Master.Exists {
		pod, err := r.Stat(ctx, apiPod)
		if err != nil {
			return s, err
		}
		s.Pod = pod[0].Exists
		res, err := r.Probe(ctx, "command", "-v", "master-restart")
		if err != nil {
			return s, err
		}
		s.Restart = res.Code == 0
		if err := s.port(ctx, r); err != nil {
			return s, err
		}
		if s.Units, err = r.Units(ctx, apiUnits()...); err != nil && !errors.Is(err, reader.ErrNoSystemd) {
			return s, err
		}
	}
	if s.Flannel.Exists {
		units, err := r.Units(ctx, flannelUnit)
		if err != nil && !errors.Is(err, reader.ErrNoSystemd) {
			return s, err
		}
		if len(units) > 0 {
			s.Flanneld = units[0]
		}
	}
	return s, nil
}

// port is where the API server should be found again after a restart.
func (s *Rest) port(ctx context.Context, r task.Reader) error {
	root, err := strictyaml.Parse(masterConfig, s.Master.Text)
	if err != nil {
		return nil // told when it is to be edited
	}
	if at := root.Get("servingInfo").Get("bindAddress"); at != nil {
		_, port, _ := net.SplitHostPort(at.Raw)
		s.Port, _ = strconv.Atoi(port)
	}
	res, err := r.Probe(ctx, "ss", "-H", "-ltn")
	s.Listens = s.Port > 0 && strings.Contains(res.Stdout.String(), fmt.Sprintf(":%d ", s.Port))
	return err
}

// api is the unit of the API server that runs; false where none does.
func (s Rest) api() (reader.Unit, bool) {
	for _, u := range s.Units {
		if u.Exists() && u.Active() {
			return u, true
		}
	}
	return reader.Unit{}, false
}
