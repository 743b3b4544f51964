package etcdca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// ReadMember reads the files whose expiry stops a member, each once, and holds
// what the member shows to others against the authorities by which those judge:
// etcdctl of before 3.4 tells nothing but a deadline of such a mistake. The
// error is the connection's alone.
func ReadMember(ctx context.Context, r task.Reader, in etcd.Instance) ([]File, error) {
	var files []File
	for _, path := range in.Certificates() {
		f, err := Read(ctx, r, path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if in.ClientCertAuth {
		judge(files, in.Ctl.Cert, in.CA)
	}
	judge(files, in.PeerCert, in.PeerCA)
	for i := range files {
		files[i].parsed = nil
	}
	return files, nil
}

// judge marks a certificate that none of an authority's signed.
func judge(files []File, cert, authority string) {
	// Go verifies no SHA-1 signatures, which old authorities made.
	at := func(path string) int {
		return slices.IndexFunc(files, func(f File) bool { return f.Path == path && f.Problem == "" })
	}
	c, ca := at(cert), at(authority)
	if c < 0 || ca < 0 || files[c].Stranger != "" {
		return
	}
	leaf, roots, between := files[c].parsed[0], x509.NewCertPool(), x509.NewCertPool()
	for _, x := range files[ca].parsed {
		roots.AddCert(x)
	}
	for _, x := range files[c].parsed[1:] {
		between.AddCert(x)
	}
	var unknown x509.UnknownAuthorityError // what else there is, as times, is judged elsewhere
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if errors.As(err, &unknown) && !slices.Contains([]x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.ECDSAWithSHA1}, leaf.SignatureAlgorithm) {
		files[c].Stranger = fmt.Sprintf("is not signed by the authority in %s (its issuer is %q)", authority, files[c].Certs[0].Issuer)
	}
}

// Wrong is why a certificate does not serve its member, its time aside; "" where
// nothing is known against it.
func (f File) Wrong() string {
	if f.Problem != "" {
		return f.Problem
	}
	return f.Stranger
}
