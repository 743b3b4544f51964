package etcdca

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// Use is what a certificate is for: the name of its files and, after
// "etcd_v3_ca_", of its section in openssl.cnf.
type Use string

// Both are clients' and servers' certificates at once.
const (
	Server Use = "server"
	Peer   Use = "peer"
)

// Request is one certificate to be signed, with a new key.
type Request struct {
	Use   Use
	CN    string
	Names Names
	Into  string // folder of the CA host that the files are made in, see Into
}

var commonName = regexp.MustCompile(`^[A-Za-z0-9*_]([A-Za-z0-9._:*@ -]{0,62}[A-Za-z0-9_])?$`)

// Validate refuses what cannot go into a certificate.
func (q Request) Validate() error {
	switch {
	case !commonName.MatchString(q.CN):
		return fmt.Errorf("%q is no name that a certificate can have: letters, digits and . _ - : @, at most 64", reader.Printable(q.CN))
	case q.Names.SAN() == "":
		return errors.New("a certificate without an address and a name")
	case q.Use != Server && q.Use != Peer:
		return fmt.Errorf("a certificate is for server or peer, not %q", q.Use)
	case !path.IsAbs(q.Into):
		return errors.New("no folder to make the certificate in")
	}
	return nil
}

// staging is another name for every host and plan.
func staging(host string, now time.Time) string {
	const most = 1_000_000
	return change.StagingName(now, int(crc32.ChecksumIEEE([]byte(host))%most))
}

// Key and Cert are the paths of the files on the CA host.
func (q Request) Key() string  { return path.Join(q.Into, string(q.Use)+".key") }
func (q Request) Cert() string { return path.Join(q.Into, string(q.Use)+".crt") }

// Prepare makes the folder of one or more requests.
func Prepare(into string) change.Change {
	mode := fs.FileMode(0o700)
	return &change.Dir{Path: into, Before: reader.File{Path: into}, Attr: change.Attr{Mode: &mode}, Staging: true}
}

// Clear removes the folder with the keys for good, when all has been brought to
// where it belongs, or nothing has come of it.
func Clear(into string) change.Change {
	return &change.Remove{Path: into, Before: reader.File{Path: into, Exists: true, Type: reader.Directory}, Staging: true}
}

// signScript makes a key and a request and has it signed, as the guide does.
// The certificate gets its name last, when the authority's own files are in
// order: where it is, all of it is done. What openssl tells beside errors is
// long, and nobody's concern.
const signScript = `use=$1 cn=$2 ca=$3
umask 077
set -e
say() { "$@" >.said 2>&1 && return 0; code=$?; tail -n 15 .said >&2; exit $code; }
say openssl req -new -config "$ca/openssl.cnf" -keyout "$use.key" -out "$use.csr" -reqexts etcd_v3_req -batch -nodes -subj "/CN=$cn"
say openssl ca -name etcd_ca -config "$ca/openssl.cnf" -out "$use.new" -in "$use.csr" -extensions "etcd_v3_ca_$use" -batch -notext
say openssl verify -CAfile "$ca/ca.crt" "$use.new"
IFS=,
for n in $SAN; do
  case $n in IP:*) how=-checkip;; *) how=-checkhost;; esac
  if openssl x509 -noout -in "$use.new" "$how" "${n#*:}" | grep -q 'NOT match'; then
    echo "what the authority signed is not valid for ${n#*:}: see subjectAltName and copy_extensions in $ca/openssl.cnf" >&2; exit 1
  fi
done
rm -f .said
mv -f "$use.new" "$use.crt"`

// Sign is what makes the certificate on the CA host, after Prepare. Two
// requests must not be signed at the same time: the authority's files have no lock.
// A given authority's key is named, and never in the words.
func (a Authority) Sign(q Request) change.Change {
	argv := []string{"/bin/sh", "-c", signScript, "dayops", string(q.Use), q.CN, a.Dir}
	stays := "the authority's index keeps the serial number"
	if a.Key != "" {
		argv = []string{"/bin/sh", "-c", givenScript, "dayops", string(q.Use), q.CN, a.Cert.Path, a.Key, strconv.Itoa(a.Days)}
		stays = ""
	}
	return &change.Exec{
		Argv: argv,
		Env:  map[string]string{"SAN": q.Names.SAN(), "HOME": q.Into, "LC_ALL": "C"},
		Dir:  q.Into, Limit: signLimit, Staging: true,
		Done: &change.Probe{Path: q.Cert()},
		Undo: []*change.Exec{{
			Argv: []string{"rm", "-f", "--", q.Key(), q.Cert(), path.Join(q.Into, string(q.Use)+".csr")}, Limit: signLimit,
			Done: &change.Probe{Path: q.Cert(), Absent: true}, Purpose: "delete the new key and certificate in " + q.Into,
		}},
		UndoWhy: stays,
		Purpose: fmt.Sprintf("sign a %s certificate for %s (%s), valid %d days", q.Use, q.CN, q.Names.SAN(), a.Days),
	}
}

// Bring copies a file that was made on the CA host to where before tells it to
// be on the host of the step. What was there is kept on that host for an undo.
func Bring(caHost, from string, before reader.File, attr change.Attr) change.Change {
	return &change.Transfer{FromPeer: caHost, FromPath: from, ToFile: before.Path, Before: before, Attr: attr}
}

const signLimit = time.Minute
