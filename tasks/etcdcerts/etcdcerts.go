// Package etcdcerts reports the certificates of an etcd cluster, and renews them.
package etcdcerts

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

// Params are the parameters of etcd_certs.
type Params struct {
	etcd.Places  `yaml:",inline"`
	WarnExpiry   strictyaml.Duration `yaml:"warn_expiry" default:"60d" doc:"certificates that expire sooner are a warning; 0 is never"`
	MaxExpiry    strictyaml.Duration `yaml:"max_expiry" default:"7d" doc:"certificates that expire sooner are a failure, as are expired ones; 0 is only expired ones"`
	Renew        bool                `yaml:"renew" default:"false" doc:"renew members' server and peer certificates that expire within renew_before, and restart those members one after the other"`
	Before       strictyaml.Duration `yaml:"renew_before" default:"60d" doc:"which ones are renewed"`
	CAHost       string              `yaml:"ca_host" doc:"inventory name of the host with the authority; the first etcd host that has one when not given"`
	etcdca.Given `yaml:",inline"`
	CADir        string              `yaml:"ca_dir" default:"/etc/etcd/ca" doc:"folder of the authority on that host, as openshift-ansible makes it"`
	Healthy      strictyaml.Duration `yaml:"healthy_within" default:"5m" doc:"a member that is not healthy that long after its restart ends the task: the others keep their certificates"`
	Spread       strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"members' clocks further apart are refused when certificates are renewed; 0 is never"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	switch {
	case p.WarnExpiry < 0 || p.MaxExpiry < 0 || p.Before < 0 || p.Spread < 0 || p.Healthy <= 0:
		return errors.New("healthy_within is above 0, the other times are not below")
	case p.WarnExpiry > 0 && p.WarnExpiry < p.MaxExpiry:
		return errors.New("warn_expiry is less than max_expiry")
	case !path.IsAbs(p.CADir):
		return fmt.Errorf("ca_dir is an absolute path on the host, not %q", p.CADir)
	case p.CAHost != "" && p.Local():
		return errors.New("local_ca_cert is on the control machine, ca_host names another")
	}
	if err := p.Given.Validate(); err != nil {
		return err
	}
	return p.Places.Validate()
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_certs",
		Doc:  "Reports when the certificates of an etcd cluster expire, and with renew signs new ones and brings them in, one member after the other.",
		Long: `Every certificate of every member is reported: the server's, the peer's, the one that asks, the authority's, the masters' own for etcd where they lie on the same host; and addresses of a member that its certificate does not have.
With renew: yes, server and peer certificates that expire within renew_before are signed anew by the authority that openshift-ansible leaves on the first etcd host (/etc/etcd/ca: openssl.cnf, ca.key, index.txt), one at a time, each with a new key, for all names that the old one has and those that the member's URLs and its host's name need. Each member in turn gets its files, with the mode and owner of the old ones, is restarted as etcd_restart does, and must be healthy before the next. The old files are kept on the member for an undo; the folder on the authority's host that the new keys were made in is removed.
Where a certificate has expired already nobody can ask the cluster: then all members get their files first and are restarted after that, and the play must cover all of them.
Refused before the first change: no authority, one that has expired or is not the one that the members trust, a cluster that is not healthy or cannot miss one member more. A given authority signs instead with ca_cert and ca_key (of a host; kubeadm's are /etc/kubernetes/pki/etcd/ca.crt and ca.key) or local_ca_cert and local_ca_key (of the control machine); its key stays where it lies. Without them kubeadm's certificates are reported and not renewed (kubeadm certs renew). The authority itself is never renewed.`,
		Example: `- name: Nothing expires within two months
  etcd_certs:
    renew: yes
    renew_before: 60d
  become: yes
`,
		Kind: func(p Params) task.Kind {
			if p.Renew {
				return task.State
			}
			return task.Assert
		},
		MaxRisk: func(p Params) change.Risk {
			if p.Renew {
				return change.Disruptive
			}
			return change.Safe
		},
		Facts:  true,
		Reach:  []string{"etcd"},
		Result: Result{},
	}, certs{})
}

// State is what one host says about its member and its authority.
type State struct {
	etcdroll.State
	Authority etcdca.Authority
	Trusted   []etcdca.File // the members' authorities
	Others    []etcdca.File // of masters on the same host
	Pairs     []Pair
}

// Pair is a certificate of the member with its key.
type Pair struct {
	Use  etcdca.Use
	Cert etcdca.File
	Key  reader.File
}

type certs struct{}

type (
	input = task.ClusterInput[Params, State]
	host  = task.HostInput[Params, State]
)

// Check reads the member, its certificates and the authority.
func (certs) Check(ctx context.Context, r task.Reader, p Params) (s State, err error) {
	if s.State, err = etcdroll.Look(ctx, r, p.Places); err != nil {
		return s, err
	}
	if s.Authority, err = etcdca.Find(ctx, r, p.CADir, p.Given); err != nil || !s.Found {
		return s, err
	}
	in := s.Instance
	for _, file := range []string{in.CA, in.PeerCA} {
		if file != "" && !slices.ContainsFunc(s.Trusted, func(f etcdca.File) bool { return f.Path == file }) {
			s.Trusted = append(s.Trusted, s.file(file))
		}
	}
	for _, pair := range []struct {
		use       etcdca.Use
		cert, key string
	}{{etcdca.Server, in.Cert, in.Key}, {etcdca.Peer, in.PeerCert, in.PeerKey}} {
		if !path.IsAbs(pair.cert) || !path.IsAbs(pair.key) || slices.ContainsFunc(s.Pairs, func(p Pair) bool { return p.Cert.Path == pair.cert }) {
			continue
		}
		// Only mode and owner: no sum is made of a key.
		files, err := r.Stat(ctx, pair.key)
		if err != nil {
			return s, err
		}
		s.Pairs = append(s.Pairs, Pair{Use: pair.use, Cert: s.file(pair.cert), Key: files[0]})
	}
	return s, s.others(ctx, r)
}

func (s *State) file(path string) etcdca.File {
	i := slices.IndexFunc(s.Certificates, func(f etcdca.File) bool { return f.Path == path })
	if i < 0 {
		return etcdca.File{Path: path, Problem: "is no absolute path"}
	}
	return s.Certificates[i]
}

// others are certificates by which API servers on the same host ask etcd.
func (s *State) others(ctx context.Context, r task.Reader) error {
	for _, path := range []string{"/etc/origin/master/master.etcd-client.crt", "/etc/kubernetes/pki/apiserver-etcd-client.crt"} {
		f, err := etcdca.Read(ctx, r, path)
		if err != nil {
			return err
		}
		if f.File.Exists {
			s.Others = append(s.Others, f)
		}
	}
	return nil
}

// needs are the names by which others reach the member.
func needs(in etcd.Instance) (n etcdca.Names) {
	for _, u := range slices.Concat(in.ClientURLs, in.ListenURLs, in.PeerURLs) {
		p, err := url.Parse(u)
		if err == nil && p.Scheme == "https" && p.Hostname() != "0.0.0.0" && p.Hostname() != "::" {
			n.Add(p.Hostname())
		}
	}
	return n
}

// names are those of a new certificate: the old one's, and what is missing.
func names(s State, old etcdca.File, f facts.Host) etcdca.Names {
	var n etcdca.Names
	if len(old.Certs) > 0 {
		n = old.Certs[0].Names
	}
	n = n.Union(needs(s.Instance))
	for _, name := range []string{f.Hostname, f.FQDN} {
		if name != "" && !strings.HasPrefix(name, "localhost") {
			n.Add(name)
		}
	}
	return n
}

// Result is what register sees, for each host.
type Result struct {
	Msg          string     `yaml:"msg" doc:"one line"`
	Found        bool       `yaml:"found" doc:"whether the host has an etcd"`
	Name         string     `yaml:"name" doc:"the member's name"`
	Certificates []Reported `yaml:"certificates" doc:"every file, as it was before a renewal"`
	Renewed      bool       `yaml:"renewed" doc:"whether the member got new ones"`
}

// Reported is one file.
type Reported struct {
	Path    string   `yaml:"path" doc:"on the host"`
	Problem string   `yaml:"problem" doc:"why it has no certificate that can be read; empty where it has"`
	CN      string   `yaml:"cn" doc:"common name of the first certificate"`
	Issuer  string   `yaml:"issuer" doc:"common name of who signed it"`
	Serial  string   `yaml:"serial" doc:"hexadecimal"`
	Names   []string `yaml:"names" doc:"addresses and names that it is for"`
	End     string   `yaml:"not_after" doc:"when the first of the file's certificates expires"`
	Days    int      `yaml:"days" doc:"whole days until then"`
}

// Result tells about one host.
func (certs) Result(in task.Input[Params, State], out task.Outcome) any {
	s := in.State
	r := Result{Found: s.Found, Name: s.Instance.Name, Renewed: out.Changed && in.Params.Renew && len(due(s, in.Params, in.Now)) > 0, Certificates: []Reported{}}
	var first time.Time
	for _, f := range s.all() {
		r.Certificates = append(r.Certificates, reported(f, in.Now))
		if end := f.NotAfter(); f.Problem == "" && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	switch {
	case !s.Found:
		r.Msg = "no etcd here"
	case len(r.Certificates) == 0:
		r.Msg = fmt.Sprintf("%s has no certificates", r.Name)
	case r.Renewed:
		r.Msg = fmt.Sprintf("%s has new certificates", r.Name)
	case first.IsZero():
		r.Msg = fmt.Sprintf("%s: no certificate can be read", r.Name)
	default:
		r.Msg = fmt.Sprintf("%s: %d certificates, the first expires in %d days", r.Name, len(r.Certificates), days(first, in.Now))
	}
	return r
}

func reported(f etcdca.File, now time.Time) Reported {
	out := Reported{Path: f.Path, Problem: f.Problem, Names: []string{}}
	if f.Problem == "" {
		c := f.Certs[0]
		out.CN, out.Issuer, out.Serial, out.Names = c.CN, c.Issuer, c.Serial, slices.Concat([]string{}, c.Names.IPs, c.Names.DNS)
		out.End, out.Days = f.NotAfter().Format(time.RFC3339), days(f.NotAfter(), now)
	}
	return out
}

func days(end, now time.Time) int {
	const day = 24 * time.Hour
	return int(end.Sub(now) / day)
}

// all are the host's files, each once.
func (s State) all() []etcdca.File {
	out := slices.Concat(s.Certificates, s.Others)
	if s.Authority.Found && !s.Authority.Local && !slices.ContainsFunc(out, func(f etcdca.File) bool { return f.Path == s.Authority.Cert.Path }) {
		out = append(out, s.Authority.Cert)
	}
	return out
}
