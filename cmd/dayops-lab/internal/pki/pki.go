// Package pki issues the certificates of throwaway clusters.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// Valid is how long every certificate lasts: the 1825 days of openshift-ansible.
const Valid = 1825 * 24 * time.Hour

// Pair is a certificate and its key, both PEM.
type Pair struct {
	Cert, Key []byte
	Serial    int64
	Subject   string    // "/CN=name", as openssl's index.txt writes it
	NotAfter  time.Time // UTC
}

// CA signs certificates with serial numbers that count up from 1.
type CA struct {
	Pair

	mu     sync.Mutex
	cert   *x509.Certificate
	key    crypto.Signer
	issued []Pair
	now    time.Time
}

// NewCA makes a self-signed authority whose common name is cn.
func NewCA(cn string, now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(Valid),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	ca := &CA{key: key, now: now}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	ca.Pair, err = pair(der, key, ca.cert)
	return ca, err
}

// Issue signs a certificate for client and server use.
func (ca *CA) Issue(cn string, dns []string, ips ...net.IP) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(ca.issued) + 1)), Subject: pkix.Name{CommonName: cn},
		NotBefore: ca.now.Add(-time.Hour), NotAfter: ca.now.Add(Valid),
		BasicConstraintsValid: true, DNSNames: dns, IPAddresses: ips,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		return Pair{}, err
	}
	p, err := pair(der, key, tmpl)
	if err == nil {
		ca.issued = append(ca.issued, p)
	}
	return p, err
}

// Issued lists what was signed, by serial number.
func (ca *CA) Issued() []Pair {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return append([]Pair(nil), ca.issued...)
}

func pair(der []byte, key crypto.Signer, c *x509.Certificate) (Pair, error) {
	kb, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode key of %s: %w", c.Subject.CommonName, err)
	}
	return Pair{
		Cert:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb}),
		Serial: c.SerialNumber.Int64(), Subject: "/CN=" + c.Subject.CommonName, NotAfter: c.NotAfter.UTC(),
	}, nil
}
