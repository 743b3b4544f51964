package etcdca

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Certificate is what a certificate says, without the certificate.
type Certificate struct {
	CN        string
	Issuer    string
	Serial    string // hexadecimal
	NotBefore time.Time
	NotAfter  time.Time
	Names     Names
	CA        bool
	SHA256    string // of the whole certificate, hexadecimal
	PublicKey string // SHA-256 of its public key, hexadecimal
}

// File is a file of certificates. Problem says why it has none that can be read.
type File struct {
	Path    string
	Problem string // "is not there"
	File    reader.File
	Certs   []Certificate // in the file's order: a member's own stands first
	// Stranger says which authority of the member's did not sign this certificate;
	// "" where one did, or where nothing is to be compared.
	Stranger string

	parsed []*x509.Certificate
}

const maxFile = 1 << 20

// Read reads a file of certificates. The error is the connection's alone.
func Read(ctx context.Context, r task.Reader, path string) (File, error) {
	f := File{Path: path}
	files, err := r.Hash(ctx, path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Problem = "cannot be read: permission denied"
		return f, nil
	case err != nil:
		return f, err
	case !files[0].Exists:
		f.Problem = "is not there"
		return f, nil
	}
	f.File = files[0]
	data, err := r.ReadFile(ctx, path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Problem = "is not there"
	case errors.Is(err, fs.ErrPermission):
		f.Problem = "cannot be read: permission denied"
	case err != nil:
		f.Problem = "cannot be read: " + reader.Printable(err.Error())
	default:
		parsed := Parse(path, data)
		f.Problem, f.Certs, f.parsed = parsed.Problem, parsed.Certs, parsed.parsed
	}
	return f, ctx.Err()
}

// Parse reads the certificates of a PEM file.
func Parse(path string, data []byte) (f File) {
	f.Path = path
	const most = 100
	for len(f.Certs) < most {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return File{Path: path, Problem: "is no certificate that can be read"}
		}
		f.Certs, f.parsed = append(f.Certs, about(c)), append(f.parsed, c)
	}
	if len(f.Certs) == 0 {
		f.Problem = "has no certificate"
	}
	return f
}

func about(c *x509.Certificate) Certificate {
	out := Certificate{CN: reader.Printable(c.Subject.CommonName), Issuer: reader.Printable(c.Issuer.CommonName), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), CA: c.IsCA, SHA256: sumOf(c.Raw), PublicKey: sumOf(c.RawSubjectPublicKeyInfo)}
	for _, ip := range c.IPAddresses {
		out.Names.Add(ip.String())
	}
	for _, name := range c.DNSNames {
		out.Names.Add(name)
	}
	return out
}

// NotAfter is the earliest end of the file's certificates.
func (f File) NotAfter() time.Time {
	var end time.Time
	for _, c := range f.Certs {
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// Has tells whether the file holds the very certificate.
func (f File) Has(c Certificate) bool {
	return slices.ContainsFunc(f.Certs, func(x Certificate) bool { return x.SHA256 == c.SHA256 })
}

// Names are the subject alternative names that etcd looks at.
type Names struct {
	IPs []string
	DNS []string
}

// dnsName also takes the wildcards that some sites have.
var dnsName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$`)

// Add takes an address or a host's name, once; what is neither is left out: names
// come from hosts, and go into a signing request.
func (n *Names) Add(names ...string) {
	const longest, most = 253, 100
	for _, s := range names {
		if ip := net.ParseIP(s); ip != nil {
			if s = ip.String(); !slices.Contains(n.IPs, s) && len(n.IPs) < most {
				n.IPs = append(n.IPs, s)
			}
			continue
		}
		if len(s) <= longest && dnsName.MatchString(s) && !slices.Contains(n.DNS, s) && len(n.DNS) < most {
			n.DNS = append(n.DNS, s)
		}
	}
}

// Union are the names of both, n's first.
func (n Names) Union(more Names) Names {
	out := Names{IPs: slices.Clone(n.IPs), DNS: slices.Clone(n.DNS)}
	out.Add(more.IPs...)
	out.Add(more.DNS...)
	return out
}

// Missing are those of want that n has not.
func (n Names) Missing(want Names) []string {
	var out []string
	for _, ip := range want.IPs {
		if !slices.Contains(n.IPs, ip) {
			out = append(out, ip)
		}
	}
	for _, d := range want.DNS {
		if !slices.Contains(n.DNS, d) {
			out = append(out, d)
		}
	}
	return out
}

// SAN is "IP:10.0.0.1,DNS:etcd-1", as openssl reads it.
func (n Names) SAN() string {
	var b bytes.Buffer
	add := func(kind, name string) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(kind + ":" + name)
	}
	for _, ip := range n.IPs {
		add("IP", ip)
	}
	for _, d := range n.DNS {
		add("DNS", d)
	}
	return b.String()
}
