package etcdca

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Given are the parameters that name an authority which is no folder of
// openshift-ansible: two files of a host (kubeadm's are
// /etc/kubernetes/pki/etcd/ca.crt and ca.key), or two of the control machine.
// The key is used where it lies: openssl signs there.
type Given struct {
	CACert    string         `yaml:"ca_cert" doc:"certificate of a given authority on ca_host, or on the first etcd host that has ca_key, instead of ca_dir; kubeadm's is /etc/kubernetes/pki/etcd/ca.crt"`
	CAKey     string         `yaml:"ca_key" doc:"its key there, without a passphrase; it stays there: openssl signs on that host"`
	LocalCert task.LocalFile `yaml:"local_ca_cert" doc:"certificate of a given authority on the control machine"`
	LocalKey  task.LocalFile `yaml:"local_ca_key" doc:"its key there, without a passphrase; it stays there: openssl signs on the control machine. A saved plan has its sum"`
	Days      int            `yaml:"ca_days" default:"1825" doc:"for how many days a given authority signs; openshift-ansible's says so itself"`
}

// Validate checks what the tags cannot say.
func (g *Given) Validate() error {
	switch {
	case (g.CACert == "") != (g.CAKey == ""):
		return errors.New("ca_cert and ca_key go together")
	case (g.LocalCert.Name == "") != (g.LocalKey.Name == ""):
		return errors.New("local_ca_cert and local_ca_key go together")
	case g.CACert != "" && g.Local():
		return errors.New("an authority is on a host (ca_cert) or on the control machine (local_ca_cert), not both")
	case g.Days <= 0:
		return errors.New("ca_days is more than 0")
	}
	for name, p := range map[string]string{"ca_cert": g.CACert, "ca_key": g.CAKey} {
		if p != "" && (!path.IsAbs(p) || path.Clean(p) != p) {
			return fmt.Errorf("%s is an absolute path on the host, not %q", name, p)
		}
	}
	return nil
}

// Local tells of an authority on the control machine.
func (g Given) Local() bool { return g.LocalCert.Name != "" }

// Find looks for what can sign: the given authority, or openshift-ansible's in
// dir. One of the control machine is the same whichever host is asked.
func Find(ctx context.Context, r task.Reader, dir string, g Given) (Authority, error) {
	switch {
	case g.Local():
		return g.here(), nil
	case g.CACert != "":
		return g.look(ctx, r)
	}
	return Look(ctx, r, dir)
}

// look finds the two files on a host. Where the key is not, there is no authority.
func (g Given) look(ctx context.Context, r task.Reader) (Authority, error) {
	a := Authority{Dir: path.Dir(g.CAKey), Key: g.CAKey, Days: g.Days}
	files, err := r.Stat(ctx, g.CAKey)
	if errors.Is(err, fs.ErrPermission) {
		a.Found, a.Lacks = true, []string{g.CAKey + " cannot be read: become root"}
		return a, nil
	}
	if err != nil || !files[0].Exists {
		return a, err
	}
	a.Found = true
	if a.Cert, err = Read(ctx, r, g.CACert); err != nil {
		return a, err
	}
	res, err := r.Probe(ctx, "command", "-v", "openssl")
	if a.OpenSSL = res.Code == 0; err != nil || !a.OpenSSL {
		return a, err
	}
	// The public half tells whether the two belong together.
	res, err = r.Probe(ctx, "openssl", "pkey", "-in", g.CAKey, "-pubout", "-passin", "pass:")
	if err != nil {
		return a, err
	}
	b, _ := pem.Decode(res.Stdout.Bytes())
	switch {
	case res.Code != 0 || b == nil:
		a.Lacks = append(a.Lacks, g.CAKey+" is no key that can be used without a passphrase")
	case a.Cert.Problem == "" && sumOf(b.Bytes) != a.Cert.Certs[0].PublicKey:
		a.Lacks = append(a.Lacks, fmt.Sprintf("%s is not the key of %s", g.CAKey, g.CACert))
	}
	return a, nil
}

// here reads the two files of the control machine. Of the key only whether it
// belongs to the certificate is kept.
func (g Given) here() Authority {
	a := Authority{Found: true, Local: true, Dir: filepath.Dir(g.LocalKey.Path), Key: absolute(g.LocalKey.Path), Days: g.Days}
	_, err := exec.LookPath("openssl")
	a.OpenSSL = err == nil
	cert, err := content(g.LocalCert)
	if err != nil {
		a.Cert = File{Path: g.LocalCert.Path, Problem: "cannot be read: " + reader.Printable(err.Error())}
		return a
	}
	a.Cert = Parse(absolute(g.LocalCert.Path), cert)
	key, err := content(g.LocalKey)
	if err != nil {
		a.Lacks = append(a.Lacks, fmt.Sprintf("%s cannot be read: %s", g.LocalKey.Path, reader.Printable(err.Error())))
		return a
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil && a.Cert.Problem == "" {
		a.Lacks = append(a.Lacks, fmt.Sprintf("%s is not the key of %s, or needs a passphrase", g.LocalKey.Path, g.LocalCert.Path))
	}
	return a
}

func absolute(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}

func content(f task.LocalFile) ([]byte, error) {
	if f.Open == nil {
		return nil, errors.New("it is no file")
	}
	rd, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	return io.ReadAll(io.LimitReader(rd, maxFile))
}

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// On is the host that signs, where the authority was found by asking host.
func (a Authority) On(host string) string {
	if a.Local {
		return task.ControlMachine
	}
	return host
}

// Into is a staging folder of the authority's host for one host's new
// certificates. The time makes it another one for every plan, so that no
// half-made file of an earlier one is taken.
func (a Authority) Into(host string, now time.Time) string {
	base := Generated
	switch {
	case a.Local: // whoever runs dayops may make a folder there
		base = "/var/tmp"
	case a.Key != "":
		base = "/var/lib/dayops"
	}
	return path.Join(base, staging(host, now))
}

// givenScript makes a key and a request and has it signed by the authority's two
// files. They are not written to: the serial number is a random one.
const givenScript = `use=$1 cn=$2 ca=$3 key=$4 days=$5
umask 077
set -e
say() { "$@" >.said 2>&1 && return 0; code=$?; tail -n 15 .said >&2; exit $code; }
cat >"$use.cnf" <<'END'
[ req ]
distinguished_name = dn
[ dn ]
[ v3 ]
authorityKeyIdentifier = keyid
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth,serverAuth
keyUsage = digitalSignature,keyEncipherment
subjectKeyIdentifier = hash
subjectAltName = ${ENV::SAN}
END
serial=$(openssl rand -hex 16)
say openssl req -new -newkey rsa:2048 -nodes -sha256 -config "$use.cnf" -keyout "$use.key" -out "$use.csr" -batch -subj "/CN=$cn"
say openssl x509 -req -sha256 -in "$use.csr" -CA "$ca" -CAkey "$key" -passin pass: -set_serial "0x$serial" -days "$days" -extfile "$use.cnf" -extensions v3 -out "$use.new"
say openssl verify -CAfile "$ca" "$use.new"
rm -f .said
mv -f "$use.new" "$use.crt"`
