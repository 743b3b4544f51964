package etcdca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/tasktest"
)

//go:embed testdata/openssl.cnf
var config string

// authority makes the layout of openshift-ansible in a folder.
func authority(t *testing.T, ends time.Time) (dir string) {
	dir = filepath.Join(t.TempDir(), "ca")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "certs"), 0o700))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	self := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd-signer"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, self, self, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, data := range map[string]string{
		"ca.crt":      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"ca.key":      string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"openssl.cnf": strings.ReplaceAll(config, "@DIR@", dir), "serial": "02\n", "index.txt": "", "index.txt.attr": "unique_subject = no\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	return dir
}

func look(t *testing.T, h *tasktest.Host, dir string) etcdca.Authority {
	a, err := etcdca.Look(t.Context(), reader.New(h.Conn, ""), dir)
	require.NoError(t, err)
	return a
}

func read(t *testing.T, h *tasktest.Host, path string) etcdca.File {
	f, err := etcdca.Read(t.Context(), reader.New(h.Conn, ""), path)
	require.NoError(t, err)
	return f
}

func TestSign(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	h := tasktest.Local(t)
	dir := authority(t, time.Now().AddDate(10, 0, 0))
	a := look(t, h, dir)
	problem, _ := a.Problem(time.Now(), read(t, h, dir+"/ca.crt"))
	require.Empty(t, problem)
	require.Equal(t, 1825, a.Days)

	var names etcdca.Names
	names.Add("10.0.0.9", "etcd-new", "etcd-new", "fd00::1", "not a name", "x';reboot")
	into := filepath.Join(t.TempDir(), change.StagingName(time.Now(), 1))
	host := change.Host{Name: "here", Conn: h.Conn, Run: "r", Now: time.Now, Aside: filepath.Join(t.TempDir(), "aside")}
	apply := func(c change.Change) change.Outcome {
		out, err := change.Apply(t.Context(), host, c)
		require.NoError(t, err, c.Summary())
		if out.Exec != nil {
			require.Zero(t, out.Exec.Code, string(out.Exec.Stderr.Bytes()))
		}
		return out
	}
	apply(etcdca.Prepare(into))
	for _, use := range []etcdca.Use{etcdca.Server, etcdca.Peer} {
		q := etcdca.Request{Use: use, CN: "etcd-new", Names: names, Into: into}
		require.NoError(t, q.Validate())
		sign := a.Sign(q)
		require.Equal(t, "sign a "+string(use)+" certificate for etcd-new (IP:10.0.0.9,IP:fd00::1,DNS:etcd-new), valid 1825 days", sign.Summary())
		require.True(t, apply(sign).Changed)
		require.False(t, apply(sign).Changed, "done once")
		f := read(t, h, q.Cert())
		require.Empty(t, f.Problem)
		require.Len(t, f.Certs, 1)
		require.Equal(t, names, f.Certs[0].Names)
		require.Equal(t, "etcd-new", f.Certs[0].CN)
		require.Equal(t, "etcd-signer", f.Certs[0].Issuer)
		info, err := os.Stat(q.Key())
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		require.NoError(t, exec.Command("openssl", "verify", "-purpose", "sslserver", "-CAfile", dir+"/ca.crt", q.Cert()).Run())
		require.NoError(t, exec.Command("openssl", "verify", "-purpose", "sslclient", "-CAfile", dir+"/ca.crt", q.Cert()).Run())
	}
	serial, err := os.ReadFile(dir + "/serial")
	require.NoError(t, err)
	require.Equal(t, "04\n", string(serial))

	apply(etcdca.Clear(into))
	require.NoDirExists(t, into)
	require.False(t, apply(etcdca.Clear(into)).Changed)
}

// Names that the authority leaves out are told before anything is signed; what it
// puts in place of them, when it has signed, before the certificate goes anywhere.
func TestSignedForOtherNames(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	h := tasktest.Local(t)
	dir := authority(t, time.Now().AddDate(10, 0, 0))
	good := look(t, h, dir)
	text, err := os.ReadFile(dir + "/openssl.cnf")
	require.NoError(t, err)
	spoil := func(old, now string) {
		require.Contains(t, string(text), old)
		require.NoError(t, os.WriteFile(dir+"/openssl.cnf", []byte(strings.ReplaceAll(string(text), old, now)), 0o600))
	}
	for old, now := range map[string]string{"copy_extensions = copy": "", "${ENV::SAN}": "DNS:elsewhere", "[ etcd_v3_ca_peer ]": "[ etcd_v3_ca_peer ]\nsubjectAltName = DNS:elsewhere"} {
		spoil(old, now)
		problem, _ := look(t, h, dir).Problem(time.Now(), read(t, h, dir+"/ca.crt"))
		require.Contains(t, problem, "does not take the new certificate's names", now)
	}
	spoil("${ENV::SAN}", "IP:10.0.0.8,DNS:m")
	q := etcdca.Request{Use: etcdca.Peer, CN: "m", Names: etcdca.Names{DNS: []string{"m"}, IPs: []string{"10.0.0.9"}}, Into: filepath.Join(t.TempDir(), change.StagingName(time.Now(), 1))}
	host := change.Host{Name: "here", Conn: h.Conn, Run: "r", Now: time.Now}
	_, err = change.Apply(t.Context(), host, etcdca.Prepare(q.Into))
	require.NoError(t, err)
	out, err := change.Apply(t.Context(), host, good.Sign(q))
	require.NoError(t, err)
	require.Equal(t, 1, out.Exec.Code)
	require.Contains(t, out.Exec.Stderr.String(), "not valid for 10.0.0.9")
	require.NoFileExists(t, q.Cert())
}

// TestSignUndone: the files go, the serial number stays taken.
func TestSignUndone(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	h := tasktest.Local(t)
	a := look(t, h, authority(t, time.Now().AddDate(10, 0, 0)))
	q := etcdca.Request{Use: etcdca.Peer, CN: "m", Names: etcdca.Names{DNS: []string{"m"}}, Into: filepath.Join(t.TempDir(), change.StagingName(time.Now(), 1))}
	host := change.Host{Name: "here", Conn: h.Conn, Run: "r", Now: time.Now}
	var back []change.Change
	for _, c := range []change.Change{etcdca.Prepare(q.Into), a.Sign(q)} {
		inverse, err := change.Invert(t.Context(), host, c, nil)
		require.NoError(t, err)
		_, err = change.Apply(t.Context(), host, c)
		require.NoError(t, err)
		back = append(inverse, back...)
	}
	require.Equal(t, change.Partial, a.Sign(q).Reversal().Class)
	for _, c := range back {
		_, err := change.Apply(t.Context(), host, c)
		require.NoError(t, err, c.Summary())
	}
	require.NoDirExists(t, q.Into)
}

// TestSignFails: a key of another authority signs nothing, and says why.
func TestSignFails(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	h := tasktest.Local(t)
	dir, other := authority(t, time.Now().AddDate(10, 0, 0)), authority(t, time.Now().AddDate(10, 0, 0))
	key, err := os.ReadFile(other + "/ca.key")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+"/ca.key", key, 0o600))
	q := etcdca.Request{Use: etcdca.Peer, CN: "m", Names: etcdca.Names{DNS: []string{"m"}}, Into: t.TempDir()}
	out, err := change.Apply(t.Context(), change.Host{Name: "here", Conn: h.Conn, Run: "r", Now: time.Now}, look(t, h, dir).Sign(q))
	require.NoError(t, err)
	require.NotZero(t, out.Exec.Code)
	require.Contains(t, string(out.Exec.Stderr.Bytes()), "do not match")
	require.NoFileExists(t, q.Cert())
}

func TestProblems(t *testing.T) {
	h := tasktest.Local(t)
	now := time.Now()
	good, expired, other := authority(t, now.AddDate(1, 0, 0)), authority(t, now.Add(-time.Hour)), authority(t, now.AddDate(1, 0, 0))
	broken := authority(t, now.AddDate(1, 0, 0))
	require.NoError(t, os.Remove(broken+"/serial"))
	require.NoError(t, os.WriteFile(broken+"/openssl.cnf", []byte("[ etcd_ca ]\ndir = /elsewhere\n"), 0o600))
	nocert := authority(t, now.AddDate(1, 0, 0))
	require.NoError(t, os.WriteFile(nocert+"/ca.crt", []byte("x"), 0o600))
	for _, c := range []struct{ dir, trust, want string }{
		{good, good, ""},
		{t.TempDir(), good, "no authority in"},
		{expired, expired, "the authority itself expired on"},
		{good, other, "does not hold the authority's certificate"},
		{good, t.TempDir(), "/ca.crt is not there"},
		{nocert, good, "ca.crt has no certificate"},
		{broken, broken, "serial is not there; " + broken + "/openssl.cnf has no section etcd_v3_req"},
		{broken, broken, "is about /elsewhere"},
		{broken, broken, "does not say for how many days"},
	} {
		problem, hint := look(t, h, c.dir).Problem(now, read(t, h, c.trust+"/ca.crt"))
		if c.want == "" {
			require.Empty(t, problem)
			continue
		}
		require.Contains(t, problem, c.want)
		require.NotEmpty(t, hint)
	}
	a := look(t, h, good)
	require.WithinDuration(t, now.AddDate(1, 0, 0), a.Until(now), time.Minute, "no longer than the authority itself")
}

func TestRequests(t *testing.T) {
	ok := etcdca.Request{Use: etcdca.Peer, CN: "etcd-1", Names: etcdca.Names{IPs: []string{"10.0.0.1"}}, Into: "/x"}
	require.NoError(t, ok.Validate())
	for _, bad := range []func(q *etcdca.Request){
		func(q *etcdca.Request) { q.CN = "a/CN=b" }, func(q *etcdca.Request) { q.CN = "" }, func(q *etcdca.Request) { q.CN = strings.Repeat("a", 65) },
		func(q *etcdca.Request) { q.Names = etcdca.Names{} }, func(q *etcdca.Request) { q.Use = "client" }, func(q *etcdca.Request) { q.Into = "x" },
	} {
		q := ok
		bad(&q)
		require.Error(t, q.Validate())
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	require.Equal(t, "/etc/etcd/generated_certs/.dayops-staging-20261122T090000Z-196760", etcdca.Authority{}.Into("../x", now))
	require.NotEqual(t, etcdca.Authority{}.Into("a", now), etcdca.Authority{}.Into("b", now))
	want := etcdca.Names{IPs: []string{"10.0.0.1"}, DNS: []string{"a"}}
	require.Equal(t, []string{"a"}, ok.Names.Missing(want))
	require.Equal(t, "IP:10.0.0.1,DNS:a", ok.Names.Union(want).SAN())
}

func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := etcdca.Parse("x", data)
		require.Equal(t, got.Problem == "", len(got.Certs) > 0)
		for _, c := range got.Certs {
			require.NotContains(t, c.CN, "\x1b")
			require.NotContains(t, c.Names.SAN(), "\n")
		}
	})
}
