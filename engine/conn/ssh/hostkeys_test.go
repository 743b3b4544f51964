package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return s
}

func address(s *sshtest.Server) string { return fmt.Sprintf("[%s]:%d", s.Host, s.Port) }

func dialOnce(t *testing.T, d *Dialer, target conn.Target) error {
	t.Helper()
	c, err := d.Dial(t.Context(), target)
	if err == nil {
		require.NoError(t, c.Close())
	}
	return err
}

func TestHostKeys(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	other := newKey(t).PublicKey()
	right := xknownhosts.Line([]string{address(s.Server)}, s.HostKey)
	wrong := xknownhosts.Line([]string{address(s.Server)}, other)
	for name, c := range map[string]struct {
		lines  string
		check  func(t *testing.T, err error, e *conn.HostKeyError)
		notice int
	}{
		"right":         {right, nil, 0},
		"hashed":        {xknownhosts.Line([]string{xknownhosts.HashHostname(address(s.Server))}, s.HostKey), nil, 0},
		"wildcard":      {"127.0.* " + strings.Join(strings.Fields(right)[1:], " "), nil, 0},
		"both":          {wrong + "\n" + right, nil, 0},
		"no newline":    {"# comment\n\n" + right, nil, 0},
		"among garbage": {"garbage\n" + strings.Repeat("x", 100<<10) + "\nhost ssh-ed25519 !!!\n@unknown a ssh-ed25519 AAAA\n" + right + "\n" + wrong[:40], nil, 5},
		"type lie":      {strings.Replace(right, "ssh-ed25519", "ssh-rsa", 1) + "\n" + right, nil, 1},
		"empty": {"", func(t *testing.T, err error, e *conn.HostKeyError) {
			require.True(t, e.Unknown())
			require.Equal(t, "ssh-ed25519", e.Type)
			require.Equal(t, ssh.FingerprintSHA256(s.HostKey), e.Got)
		}, 0},
		"changed": {"\n" + wrong, func(t *testing.T, err error, e *conn.HostKeyError) {
			require.False(t, e.Unknown())
			require.Len(t, e.Want, 1)
			require.Equal(t, 2, e.Want[0].Line)
			require.Equal(t, ssh.FingerprintSHA256(other), e.Want[0].Fingerprint)
			require.Contains(t, err.Error(), "CHANGED")
			require.Contains(t, e.Want[0].File, "kh")
		}, 0},
		"revoked": {right + "\n@revoked * " + strings.Join(strings.Fields(right)[1:], " "), func(t *testing.T, err error, e *conn.HostKeyError) {
			require.True(t, e.Revoked)
			require.False(t, e.Unknown())
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			file := t.TempDir() + "/kh"
			require.NoError(t, os.WriteFile(file, []byte(c.lines), 0o600))
			var notices []string
			d := testDialer(t, Options{ConfigFile: "none", Notice: func(s string) { notices = append(notices, s) }})
			target := s.Target("web")
			target.CommonArgs = []string{"-o", "UserKnownHostsFile=" + file + " /none/there", "-o", "GlobalKnownHostsFile=none"}
			for _, policy := range []conn.HostKeyPolicy{conn.Strict, conn.AcceptNew} {
				target.HostKeys = policy
				err := dialOnce(t, d, target)
				if c.check == nil || name == "empty" && policy == conn.AcceptNew {
					require.NoError(t, err)
					continue
				}
				var e *conn.HostKeyError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "web", e.Host)
				c.check(t, err, e)
			}
			require.Len(t, notices, c.notice, "%q", notices)
		})
	}
}

// A host whose ECDSA key is not on file must not look like an attack: the one that is must be asked for.
func TestHostKeyAlgorithmOnFile(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	text, err := os.ReadFile(s.HostKeyFiles[1])
	require.NoError(t, err)
	ecdsa, err := ssh.ParsePrivateKey(text)
	require.NoError(t, err)
	for _, key := range []ssh.PublicKey{s.HostKey, ecdsa.PublicKey()} {
		require.NoError(t, os.WriteFile(s.KnownHosts, []byte(xknownhosts.Line([]string{address(s.Server)}, key)), 0o600))
		require.NoError(t, dialOnce(t, testDialer(t, Options{ConfigFile: "none"}), s.Target("web")))
	}
}

func TestHostCertificate(t *testing.T) {
	t.Parallel()
	authority, host := newKey(t), newKey(t)
	cert := ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	require.NoError(t, cert.SignCert(rand.Reader, authority))
	signer, err := ssh.NewCertSigner(&cert, host)
	require.NoError(t, err)
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Config: func(c *ssh.ServerConfig) { c.AddHostKey(signer) }})
	line := func(marker string, key ssh.PublicKey) string {
		return marker + " * " + strings.Join(strings.Fields(xknownhosts.Line([]string{"x"}, key))[1:], " ") + "\n"
	}
	target := s.Target("web")
	target.HostKeys = conn.AcceptNew // must not help any of these
	d := testDialer(t, Options{ConfigFile: "none"})
	require.NoError(t, os.WriteFile(s.KnownHosts, []byte(line("@cert-authority", authority.PublicKey())), 0o600))
	require.NoError(t, dialOnce(t, d, target))
	var e *conn.HostKeyError
	require.NoError(t, os.WriteFile(s.KnownHosts, []byte(line("@cert-authority", authority.PublicKey())+line("@revoked", authority.PublicKey())), 0o600))
	require.ErrorAs(t, dialOnce(t, d, target), &e)
	require.True(t, e.Revoked)
	require.NoError(t, os.WriteFile(s.KnownHosts, []byte(line("@cert-authority", newKey(t).PublicKey())), 0o600))
	require.ErrorAs(t, dialOnce(t, d, target), &e)
	require.False(t, e.Unknown())
}

// Many accept-new hosts at once: every line whole, each host once.
func TestAcceptNewAtOnce(t *testing.T) {
	t.Parallel()
	const hosts = 12
	file := t.TempDir() + "/deep/er/known_hosts"
	dialers := []*Dialer{testDialer(t, Options{ConfigFile: "none"}), testDialer(t, Options{ConfigFile: "none"})}
	var targets []conn.Target
	for i := range hosts {
		s := sshtest.StartInProcess(t, sshtest.Behaviour{})
		target := s.Target(fmt.Sprint("h", i))
		target.HostKeys = conn.AcceptNew
		target.CommonArgs = []string{"-o", "UserKnownHostsFile=" + file, "-o", "GlobalKnownHostsFile=none"}
		targets = append(targets, target)
	}
	var all sync.WaitGroup
	for _, d := range dialers {
		for _, target := range targets {
			all.Go(func() {
				if c, err := d.Dial(t.Context(), target); err != nil {
					t.Error(err)
				} else {
					c.Close()
				}
			})
		}
	}
	all.Wait()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), hosts)
	_, err = xknownhosts.New(file)
	require.NoError(t, err)
	for _, target := range targets {
		target.HostKeys = conn.Strict
		require.NoError(t, dialOnce(t, testDialer(t, Options{ConfigFile: "none"}), target))
	}
}

func TestAcceptNewAfterMissingNewline(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	require.NoError(t, os.WriteFile(s.KnownHosts, []byte("# no end of line"), 0o600))
	target := s.Target("web")
	target.HostKeys = conn.AcceptNew
	require.NoError(t, dialOnce(t, testDialer(t, Options{ConfigFile: "none"}), target))
	text, err := os.ReadFile(s.KnownHosts)
	require.NoError(t, err)
	require.Equal(t, "# no end of line\n"+xknownhosts.Line([]string{address(s.Server)}, s.HostKey)+"\n", string(text))
}

func TestScanAndTrust(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	require.NoError(t, os.Remove(s.KnownHosts))
	d := testDialer(t, Options{ConfigFile: "none"})
	keys, err := d.Scan(t.Context(), s.Target("web"))
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, int32(1), s.Connections.Load())
	require.Equal(t, HostKey{Host: "web", Addr: address(s.Server), Type: "ssh-ed25519", Fingerprint: ssh.FingerprintSHA256(s.HostKey), File: s.KnownHosts,
		addr: net.JoinHostPort(s.Host, fmt.Sprint(s.Port)), key: keys[0].key}, keys[0])
	require.NoError(t, d.Trust(keys...))
	require.NoError(t, dialOnce(t, d, s.Target("web")))

	keys, err = d.Scan(t.Context(), s.Target("web"), "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
	require.NoError(t, err)
	require.Len(t, keys, 2, "the server has no RSA key")
	require.True(t, keys[0].Known)
	require.False(t, keys[1].Known)
	require.NoError(t, d.Trust(keys...))

	require.NoError(t, os.WriteFile(s.KnownHosts, []byte(xknownhosts.Line([]string{address(s.Server)}, newKey(t).PublicKey())), 0o600))
	keys, err = d.Scan(t.Context(), s.Target("web"))
	require.NoError(t, err)
	require.Error(t, keys[0].Err)
	require.ErrorContains(t, keys[0].Err, "CHANGED")
	var e *conn.HostKeyError
	require.True(t, errors.As(d.Trust(keys...), &e))
}

// fixedKey is the same key each time, for fuzzing.
func fixedKey() (ssh.Signer, ssh.PublicKey) {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	return s, s.PublicKey()
}
