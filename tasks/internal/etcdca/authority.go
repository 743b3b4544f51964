// Package etcdca signs certificates of etcd members with the authority that
// openshift-ansible leaves on the first etcd host: /etc/etcd/ca, with openssl.cnf,
// ca.crt, ca.key, serial and index.txt; or with a given one, see Given.
//
// A plan that needs certificates does, in this order:
//
//	a, err := etcdca.Find(ctx, r, etcdca.Dir, given) // Check, on the host that has the authority
//	a.Problem(now, trusted...)                  // Plan: "" or why it cannot sign; trusted are the members' CA files
//	rq := etcdca.Request{Use: etcdca.Peer, CN: name, Names: names, Into: a.Into(name, now)}
//	etcdca.Prepare(rq.Into), a.Sign(rq), ...     // changes of the CA host, one after the other
//	etcdca.Bring(a.On(host), rq.Cert(), before, attr)   // change of the member: one file, from host to host
//	etcdca.Clear(rq.Into)                       // change of the CA host, in Finally: the folder with the keys goes
//
// Keys are made on the CA host, as the guide has it, 0600 in a staging folder 0700,
// which Clear removes: they are on their own host alone then.
package etcdca

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Dir is where openshift-ansible puts the authority, and Generated where it makes certificates.
const (
	Dir       = "/etc/etcd/ca"
	Generated = "/etc/etcd/generated_certs"
)

// Authority is an authority as it was found on a host.
type Authority struct {
	Found   bool // the folder has an openssl.cnf or a ca.crt
	Dir     string
	Cert    File
	Days    int // that it signs for
	Lacks   []string
	OpenSSL bool   // the host has the program
	Key     string // of a given authority: its path
	Local   bool   // it is on the control machine
}

// Look reads the authority in dir. The error is the connection's alone.
func Look(ctx context.Context, r task.Reader, dir string) (Authority, error) {
	a := Authority{Dir: dir}
	names := []string{"openssl.cnf", "ca.crt", "ca.key", "serial", "index.txt"}
	var paths []string
	for _, n := range names {
		paths = append(paths, path.Join(dir, n))
	}
	files, err := r.Stat(ctx, paths...)
	if errors.Is(err, fs.ErrPermission) {
		a.Found, a.Lacks = true, []string{dir + " cannot be read: become root"}
		return a, nil
	}
	if err != nil {
		return a, err
	}
	for _, f := range files {
		if !f.Exists {
			a.Lacks = append(a.Lacks, f.Path+" is not there")
		}
	}
	if a.Found = files[0].Exists || files[1].Exists; !a.Found {
		return a, nil
	}
	if a.Cert, err = Read(ctx, r, paths[1]); err != nil {
		return a, err
	}
	if err := a.config(ctx, r, files[0]); err != nil {
		return a, err
	}
	res, err := r.Probe(ctx, "command", "-v", "openssl")
	a.OpenSSL = res.Code == 0
	return a, err
}

// config reads what openssl.cnf says that matters here.
func (a *Authority) config(ctx context.Context, r task.Reader, f reader.File) error {
	if !f.Exists {
		return nil
	}
	data, err := r.ReadFile(ctx, f.Path, maxFile)
	if errors.Is(err, fs.ErrPermission) {
		a.Lacks = append(a.Lacks, f.Path+" cannot be read: become root")
		return nil
	}
	if err != nil {
		return err
	}
	got := parseConfig(string(data))
	for _, s := range []string{"etcd_v3_req", "etcd_ca", "etcd_v3_ca_server", "etcd_v3_ca_peer"} { // that signing needs
		if got[s] == nil {
			a.Lacks = append(a.Lacks, fmt.Sprintf("%s has no section %s", f.Path, s))
		}
	}
	if !names(got, "etcd_v3_ca_server") || !names(got, "etcd_v3_ca_peer") {
		a.Lacks = append(a.Lacks, f.Path+" does not take the new certificate's names from SAN: subjectAltName = ${ENV::SAN} in etcd_v3_req, and copy_extensions = copy in etcd_ca")
	}
	if dir := got["etcd_ca"]["dir"]; dir != "" && path.Clean(dir) != path.Clean(a.Dir) {
		a.Lacks = append(a.Lacks, fmt.Sprintf("%s is about %s", f.Path, reader.Printable(dir)))
	}
	if n, err := strconv.Atoi(got["etcd_ca"]["default_days"]); err == nil && n > 0 {
		a.Days = n
	} else {
		a.Lacks = append(a.Lacks, f.Path+" does not say for how many days (default_days of etcd_ca)")
	}
	return nil
}

// names tells whether what a section signs has the names that are asked for: its
// own come first, then those of the request, where they are copied.
func names(got map[string]map[string]string, section string) bool {
	const asked = "ENV::SAN"
	if own, has := got[section]["subjectAltName"]; has {
		return strings.Contains(own, asked)
	}
	copies := got["etcd_ca"]["copy_extensions"]
	return got[section] == nil || strings.Contains(got["etcd_v3_req"]["subjectAltName"], asked) && (copies == "copy" || copies == "copyall")
}

// parseConfig reads openssl's configuration: sections of name = value. What is
// before the first section has the name "".
func parseConfig(s string) map[string]map[string]string {
	const most = 10000 // lines
	out, section := map[string]map[string]string{}, ""
	n := 0
	for line := range strings.Lines(s) {
		if n++; n > most {
			break
		}
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			if name, _, ok = strings.Cut(name, "]"); ok {
				section = strings.TrimSpace(name)
				if out[section] == nil {
					out[section] = map[string]string{}
				}
			}
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok {
			if out[section] == nil {
				out[section] = map[string]string{}
			}
			out[section][strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

// Where is its folder, or the key of a given one, for people.
func (a Authority) Where() string {
	if a.Key != "" {
		return a.Key
	}
	return a.Dir
}

// Until is when what it signs now ends: no later than the authority itself, or
// nobody could verify it then.
func (a Authority) Until(now time.Time) time.Time {
	until := now.AddDate(0, 0, a.Days)
	if end := a.Cert.NotAfter(); end.Before(until) {
		return end
	}
	return until
}

// Problem says why the authority cannot sign what the members will accept, and
// what to do; "" where it can. trusted are the files by which members judge one
// another; each must hold the authority's certificate.
func (a Authority) Problem(now time.Time, trusted ...File) (problem, hint string) {
	switch {
	case !a.Found:
		return "no authority in " + a.Where(), "openshift-ansible leaves it on the first etcd host; kubeadm's certificates are renewed with kubeadm certs renew"
	case len(a.Lacks) > 0 && a.Key != "":
		return "the given authority cannot sign: " + strings.Join(a.Lacks, "; "), "name its certificate and key with ca_cert and ca_key, or local_ca_cert and local_ca_key"
	case len(a.Lacks) > 0:
		return "the authority cannot sign: " + strings.Join(a.Lacks, "; "), "restore " + a.Dir + " from a backup of this host"
	case !a.OpenSSL:
		return "the authority's host has no openssl", "install it"
	case a.Cert.Problem != "":
		return a.Cert.Path + " " + a.Cert.Problem, "restore it from a backup of this host"
	}
	own := a.Cert.Certs[0]
	switch {
	case !own.CA:
		return a.Cert.Path + " is not the certificate of an authority", "restore it from a backup of this host"
	case !own.NotAfter.After(now):
		return fmt.Sprintf("the authority itself expired on %s", own.NotAfter.Format(time.DateOnly)), "it must be replaced first, on all members and masters (openshift-ansible: redeploy-etcd-ca)"
	case now.Before(own.NotBefore):
		return fmt.Sprintf("the authority is not valid before %s", own.NotBefore.Format(time.DateOnly)), "is this machine's clock right? dayops run ntp.yml"
	}
	for _, f := range trusted {
		switch {
		case f.Problem != "":
			return f.Path + " " + f.Problem, "see cacert of dayops doc etcd_health"
		case !f.Has(own):
			return fmt.Sprintf("%s does not hold the authority's certificate (%s): members would refuse what it signs", f.Path, a.Cert.Path),
				"this is the authority of another cluster, or one that was replaced; name the host with the right one"
		}
	}
	return "", ""
}
