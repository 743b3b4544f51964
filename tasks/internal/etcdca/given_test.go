package etcdca_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/tasktest"
)

func local(path string) task.LocalFile {
	return task.LocalFile{Name: path, Path: path, Exists: true, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

func find(t *testing.T, h *tasktest.Host, g etcdca.Given) etcdca.Authority {
	t.Helper()
	g.Days = 90
	require.NoError(t, g.Validate())
	a, err := etcdca.Find(t.Context(), reader.New(h.Conn, ""), etcdca.Dir, g)
	require.NoError(t, err)
	return a
}

// TestSignGiven: two files of a host, or of the control machine, sign, and are
// not written to; nothing of the key is in what is kept or run.
func TestSignGiven(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	h := tasktest.Local(t)
	dir := authority(t, time.Now().AddDate(10, 0, 0))
	crt, key := dir+"/ca.crt", dir+"/ca.key"
	secret, err := os.ReadFile(key)
	require.NoError(t, err)
	b, _ := pem.Decode(secret)
	before, err := os.ReadDir(dir)
	require.NoError(t, err)
	for name, g := range map[string]etcdca.Given{"of a host": {CACert: crt, CAKey: key}, "of the control machine": {LocalCert: local(crt), LocalKey: local(key)}} {
		a := find(t, h, g)
		problem, _ := a.Problem(time.Now(), read(t, h, crt))
		require.Empty(t, problem, name)
		require.Equal(t, map[bool]string{true: task.ControlMachine, false: "m"}[g.Local()], a.On("m"))
		require.NotContains(t, a.Into("m", time.Now()), etcdca.Generated)

		q := etcdca.Request{Use: etcdca.Peer, CN: "m", Names: etcdca.Names{IPs: []string{"10.0.0.9", "fd00::1"}, DNS: []string{"m"}}, Into: t.TempDir()}
		sign := a.Sign(q)
		require.Equal(t, change.Exact, sign.Reversal().Class)
		for _, word := range sign.(*change.Exec).Argv {
			require.NotContains(t, word, string(b.Bytes))
			require.NotContains(t, word, "PRIVATE")
		}
		out, err := change.Apply(t.Context(), change.Host{Name: "here", Conn: h.Conn, Run: "r", Now: time.Now}, sign)
		require.NoError(t, err)
		require.Zero(t, out.Exec.Code, string(out.Exec.Stderr.Bytes()))
		f := read(t, h, q.Cert())
		require.Empty(t, f.Problem)
		require.Equal(t, q.Names, f.Certs[0].Names)
		require.Equal(t, "etcd-signer", f.Certs[0].Issuer)
		require.False(t, f.Certs[0].CA)
		require.WithinDuration(t, time.Now().AddDate(0, 0, 90), f.NotAfter(), time.Hour)
		for _, purpose := range []string{"sslserver", "sslclient"} {
			require.NoError(t, exec.Command("openssl", "verify", "-purpose", purpose, "-CAfile", crt, q.Cert()).Run())
		}
		info, err := os.Stat(q.Key())
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	after, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, after, len(before))
}

func TestGivenProblems(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	h := tasktest.Local(t)
	now := time.Now()
	good, other, expired := authority(t, now.AddDate(1, 0, 0)), authority(t, now.AddDate(1, 0, 0)), authority(t, now.Add(-time.Hour))
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	//nolint:staticcheck // what old tools write is what is to be refused
	enc, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k), []byte("x"), x509.PEMCipherAES128)
	require.NoError(t, err)
	locked := filepath.Join(t.TempDir(), "locked.key")
	require.NoError(t, os.WriteFile(locked, pem.EncodeToMemory(enc), 0o600))
	for _, c := range []struct{ crt, key, want string }{
		{good + "/ca.crt", good + "/ca.key", ""},
		{good + "/ca.crt", other + "/ca.key", "is not the key of"},
		{good + "/ca.crt", locked, "passphrase"},
		{good + "/ca.crt", good + "/serial", "passphrase"},
		{good + "/serial", good + "/ca.key", "has no certificate"},
		{expired + "/ca.crt", expired + "/ca.key", "the authority itself expired"},
		{other + "/ca.crt", other + "/ca.key", "does not hold the authority's certificate"},
	} {
		trusted := read(t, h, good+"/ca.crt")
		if c.want != "" && c.crt == expired+"/ca.crt" {
			trusted = read(t, h, c.crt)
		}
		for _, g := range []etcdca.Given{{CACert: c.crt, CAKey: c.key}, {LocalCert: local(c.crt), LocalKey: local(c.key)}} {
			problem, hint := find(t, h, g).Problem(now, trusted)
			if c.want == "" {
				require.Empty(t, problem)
				continue
			}
			require.Contains(t, problem, c.want)
			require.NotEmpty(t, hint)
		}
	}
	require.False(t, find(t, h, etcdca.Given{CACert: good + "/ca.crt", CAKey: "/nowhere/ca.key"}).Found)
}

// A control machine without openssl is told before anything is changed.
func TestGivenNeedsOpenSSL(t *testing.T) {
	h := tasktest.Local(t)
	good := authority(t, time.Now().AddDate(1, 0, 0))
	trusted := read(t, h, good+"/ca.crt")
	t.Setenv("PATH", t.TempDir())
	problem, hint := find(t, h, etcdca.Given{LocalCert: local(good + "/ca.crt"), LocalKey: local(good + "/ca.key")}).Problem(time.Now(), trusted)
	require.Equal(t, "the authority's host has no openssl", problem)
	require.Equal(t, "install it", hint)
}

func TestGivenParameters(t *testing.T) {
	for want, g := range map[string]etcdca.Given{
		"ca_cert and ca_key go together":             {CACert: "/a", Days: 1},
		"local_ca_cert and local_ca_key go together": {LocalKey: local("/a"), Days: 1},
		"not both":               {CACert: "/a", CAKey: "/b", LocalCert: local("/a"), LocalKey: local("/b"), Days: 1},
		"ca_days is more than 0": {},
		"absolute path":          {CACert: "a", CAKey: "/b", Days: 1},
	} {
		require.ErrorContains(t, g.Validate(), want)
	}
}
