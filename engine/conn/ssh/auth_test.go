package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/secret"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// startAgent serves keys on a socket.
func startAgent(t *testing.T, keys ...any) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		require.NoError(t, ring.Add(agent.AddedKey{PrivateKey: k}))
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	require.NoError(t, err)
	l, err := net.Listen("unix", dir+"/s")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, c)
		}
	}()
	return dir + "/s"
}

func rawKey(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	k, err := ssh.ParseRawPrivateKey(text)
	require.NoError(t, err)
	return k
}

func freshKey(t *testing.T) any {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return &k
}

func requireAuthError(t *testing.T, err error, says string) *conn.AuthError {
	t.Helper()
	var e *conn.AuthError
	require.ErrorAs(t, err, &e)
	require.Contains(t, err.Error(), says)
	return e
}

func TestKeys(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Config: func(c *ssh.ServerConfig) {
		c.AuthLogCallback = func(_ ssh.ConnMetadata, method string, _ error) {
			if method == "publickey" {
				tries.Add(1)
			}
		}
	}})
	good := rawKey(t, s.KeyFile)
	encrypted := filepath.Join(t.TempDir(), "encrypted")
	block, err := ssh.MarshalPrivateKeyWithPassphrase(good.(*ed25519.PrivateKey), "", []byte("secret"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(encrypted, pem.EncodeToMemory(block), 0o600))
	open := filepath.Join(t.TempDir(), "open")
	text, _ := os.ReadFile(s.KeyFile)
	require.NoError(t, os.WriteFile(open, text, 0o644))
	garbage := filepath.Join(t.TempDir(), "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("no key"), 0o600))
	full := startAgent(t, freshKey(t), freshKey(t), freshKey(t), freshKey(t), freshKey(t), freshKey(t), freshKey(t), good)

	target := s.Target("web")
	try := func(agent, file string, more ...string) error {
		d := testDialer(t, Options{ConfigFile: "none", Agent: agent})
		tt := target
		tt.KeyFile, tt.CommonArgs = file, append(more, target.CommonArgs...)
		return dialOnce(t, d, tt)
	}
	require.NoError(t, try("", s.KeyFile))
	require.NoError(t, try(full, s.KeyFile), "the named key comes before the agent's")
	require.NoError(t, try(full, encrypted), "picked in the agent by its public key")
	require.NoError(t, try(full, s.KeyFile+".pub"), "a public key names one of the agent")
	require.NoError(t, try(full, "", "-i", s.KeyFile+".pub"))
	requireAuthError(t, try("", encrypted), "is encrypted; load it into the agent with ssh-add")
	requireAuthError(t, try("", "/none/there"), "no such file")
	requireAuthError(t, try("", open), "can be read by others (mode 0644)")
	requireAuthError(t, try("", garbage), "garbage")
	requireAuthError(t, try("", ""), "nothing (no key, no agent, no password)")
	requireAuthError(t, try("/none/agent", ""), "agent /none/agent")
	tries.Store(0)
	e := requireAuthError(t, try(full, ""), "publickey of the agent SHA256:")
	require.Equal(t, int32(maxKeys), tries.Load(), "more end the connection (MaxAuthTries)")
	require.Len(t, e.Tried, maxKeys)
	require.Equal(t, s.User, e.User)
	tries.Store(0)
	requireAuthError(t, try(full, "", "-o", "IdentitiesOnly=yes"), "nothing")
	require.Zero(t, tries.Load())
	requireAuthError(t, try("", s.KeyFile, "-o", "PubkeyAuthentication=no"), "refused user")
}

func TestAgentThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("unix", dir+"/s")
	require.NoError(t, err)
	defer l.Close() // accepts and says nothing
	a := &agentKeys{}
	done := make(chan struct{})
	go func() { a.openWithin(dir+"/s", 100*time.Millisecond); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("hangs")
	}
	require.Error(t, a.err)
}

func TestUserCertificate(t *testing.T) {
	t.Parallel()
	authority := newKey(t)
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Config: func(c *ssh.ServerConfig) {
		check := ssh.CertChecker{IsUserAuthority: func(k ssh.PublicKey) bool { return string(k.Marshal()) == string(authority.PublicKey().Marshal()) }}
		c.PublicKeyCallback = func(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if _, ok := key.(*ssh.Certificate); !ok {
				return nil, errors.New("only certificates")
			}
			return check.Authenticate(m, key)
		}
	}})
	d := testDialer(t, Options{ConfigFile: "none"})
	requireAuthError(t, dialOnce(t, d, s.Target("web")), "publickey "+s.KeyFile)
	pub := readPublic(s.KeyFile + ".pub")
	cert := &ssh.Certificate{Key: pub, CertType: ssh.UserCert, ValidPrincipals: []string{s.User}, ValidBefore: ssh.CertTimeInfinity}
	require.NoError(t, cert.SignCert(rand.Reader, authority))
	require.NoError(t, os.WriteFile(s.KeyFile+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600))
	require.NoError(t, dialOnce(t, testDialer(t, Options{ConfigFile: "none"}), s.Target("web")))
	require.NoError(t, dialOnce(t, testDialer(t, Options{ConfigFile: "none", Agent: startAgent(t, rawKey(t, s.KeyFile))}), s.Target("web")))
	elsewhere := t.TempDir() + "/c.pub"
	require.NoError(t, os.Rename(s.KeyFile+"-cert.pub", elsewhere))
	target := s.Target("web")
	target.CommonArgs = append(target.CommonArgs, "-o", "CertificateFile="+elsewhere)
	require.NoError(t, dialOnce(t, testDialer(t, Options{ConfigFile: "none"}), target))
}

// A password is tried once, whatever ways of giving it the server offers.
func TestPasswordOnce(t *testing.T) {
	t.Parallel()
	const password = "pä ss'\"$wört"
	for name, asks := range map[string][]string{"password": nil, "keyboard": {"Password: "}, "both": {"Password: "}, "two questions": {"Password: ", "Code: "}} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			judge := func(p string) (*ssh.Permissions, error) {
				tries.Add(1)
				if p == password {
					return nil, nil
				}
				return nil, errors.New("wrong")
			}
			s := sshtest.StartInProcess(t, sshtest.Behaviour{Config: func(c *ssh.ServerConfig) {
				c.PublicKeyCallback = nil
				if name == "password" || name == "both" {
					c.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) { return judge(string(p)) }
				}
				if asks != nil {
					c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
						a, err := ask("", "", asks, make([]bool, len(asks)))
						if err != nil || len(a) == 0 {
							return nil, errors.New("no answer")
						}
						return judge(a[0])
					}
				}
			}})
			d := testDialer(t, Options{ConfigFile: "none"})
			target := s.Target("web")
			target.KeyFile = ""
			target.Password = secret.New(password)
			err := dialOnce(t, d, target)
			if name == "two questions" {
				requireAuthError(t, err, "keyboard-interactive")
				require.Zero(t, tries.Load())
				return
			}
			require.NoError(t, err)
			tries.Store(0)
			target.Password = secret.New("wrong")
			e := requireAuthError(t, dialOnce(t, d, target), "refused user")
			require.Equal(t, int32(1), tries.Load())
			require.NotContains(t, fmt.Sprintf("%+v %v", e, e.Err), "wrong pass")
			require.Equal(t, int32(2), s.Connections.Load(), "a failed authentication is not tried again")
			require.NotContains(t, strings.Join(e.Tried, " "), "wrong")
		})
	}
}
