package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentLimit bounds every exchange with the agent. It leaves time for a
// person to touch a token, within the limit of the handshake.
const agentLimit = 20 * time.Second

// keyring holds private keys and agents, each read once.
type keyring struct {
	mu     sync.Mutex
	files  map[string]*keyFile
	agents map[string]*agentKeys
}

// keyFile is one private key file.
type keyFile struct {
	once   sync.Once
	signer ssh.Signer
	public ssh.PublicKey // also of an encrypted key, where it is known
	certs  []*ssh.Certificate
	err    error // why there is no signer
}

// errEncrypted: the key needs a passphrase.
var errEncrypted = errors.New("is encrypted; load it into the agent with ssh-add")

func (k *keyring) file(path string) *keyFile {
	k.mu.Lock()
	if k.files == nil {
		k.files = map[string]*keyFile{}
	}
	f := k.files[path]
	if f == nil {
		f = &keyFile{}
		k.files[path] = f
	}
	k.mu.Unlock()
	f.once.Do(func() { f.read(path) })
	return f
}

func (f *keyFile) read(path string) {
	f.public = readPublic(path + ".pub")
	if cert, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok {
		f.certs = append(f.certs, cert)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		f.err = cause(err)
		if p := (*os.PathError)(nil); errors.As(err, &p) {
			f.err = p.Err
		}
		return
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 && len(text) > 0 {
		f.err = fmt.Errorf("can be read by others (mode %04o); chmod 600 it", info.Mode().Perm())
		return
	}
	f.signer, err = ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		f.public = f.signer.PublicKey()
	case errors.As(err, &locked):
		if locked.PublicKey != nil {
			f.public = locked.PublicKey
		}
		f.err = errEncrypted
	default:
		// A public key file as identity names a key of the agent.
		if pub, _, _, _, e := ssh.ParseAuthorizedKey(text); e == nil {
			f.public, f.err = pub, errors.New("is a public key that the agent does not have")
			return
		}
		f.err = err
	}
}

func readPublic(path string) ssh.PublicKey {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return key
}

// agentKeys are the keys of one agent, listed once.
type agentKeys struct {
	once    sync.Once
	conn    net.Conn
	signers []ssh.Signer
	err     error
}

// agent lists the keys of the agent at socket; none without a socket.
func (k *keyring) agent(socket string) *agentKeys {
	if socket == "" {
		return &agentKeys{}
	}
	k.mu.Lock()
	if k.agents == nil {
		k.agents = map[string]*agentKeys{}
	}
	a := k.agents[socket]
	if a == nil {
		a = &agentKeys{}
		k.agents[socket] = a
	}
	k.mu.Unlock()
	a.once.Do(func() { a.openWithin(socket, agentLimit) })
	return a
}

func (a *agentKeys) openWithin(socket string, limit time.Duration) {
	c, err := net.DialTimeout("unix", socket, limit)
	if err != nil {
		a.err = cause(err)
		return
	}
	a.conn = c
	a.signers, a.err = agent.NewClient(&timedConn{c, limit}).Signers()
}

// find returns the agent's signer for key, a certificate for it included.
func (a *agentKeys) find(key ssh.PublicKey) ssh.Signer {
	if key == nil {
		return nil
	}
	for _, s := range a.signers {
		if bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) {
			return s
		}
	}
	return nil
}

func (k *keyring) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.agents {
		a.once.Do(func() {})
		if a.conn != nil {
			a.conn.Close()
		}
	}
	k.agents = nil
}

// timedConn gives every exchange its limit: an agent that hangs must not hang
// all hosts. The client writes a request, then reads the answer.
type timedConn struct {
	net.Conn
	limit time.Duration
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
