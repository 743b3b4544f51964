package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/conn"
	"golang.org/x/crypto/ssh"
)

// maxKeys is how many keys are offered: sshd ends the connection at the sixth
// failure (MaxAuthTries 6).
const maxKeys = 5

// authentication is what one connection has to show for itself, in order:
// keys, then the password once.
type authentication struct {
	signers  []ssh.Signer
	names    []string // of signers
	password string
	noPass   bool
	noAsk    bool

	begun    bool     // the server asked who we are
	spent    bool     // the password was sent
	answered bool     // keyboard-interactive had its one answer
	offered  []string // what was tried, for messages
	unusable []string // keys that could not be tried
}

// authFor collects what r can authenticate with.
func (d *Dialer) authFor(t conn.Target, r *route) (*authentication, error) {
	a := &authentication{password: t.Password.Reveal(), noPass: r.noPassword, noAsk: r.noAsking}
	if !r.noKeys {
		d.collectKeys(a, r)
	}
	if len(a.signers) == 0 && a.password == "" {
		// The server may take no proof at all (it often does on a jump host with a
		// firewall), but a key that was asked for by name must be usable.
		if r.keyFile != "" {
			return nil, &conn.AuthError{Host: t.Name, Addr: r.addr(), User: r.user, Tried: a.unusable, Err: errors.New("no usable key")}
		}
	}
	return a, nil
}

func (d *Dialer) collectKeys(a *authentication, r *route) {
	ring := d.keys.agent(r.agent)
	files := r.identities
	if r.keyFile != "" {
		files = slices.Insert(slices.Clone(files), 0, r.keyFile)
	}
	var certs []*ssh.Certificate
	for _, path := range r.certificates {
		if c, ok := readPublic(path).(*ssh.Certificate); ok {
			certs = append(certs, c)
		} else {
			a.unusable = append(a.unusable, "certificate "+path+" (cannot be read)")
		}
	}
	for i, path := range files {
		f := d.keys.file(path)
		signer, name := f.signer, "publickey "+path
		if held := ring.find(f.public); held != nil {
			signer, name = held, name+" (agent)"
		}
		if signer == nil {
			asked := i == 0 && r.keyFile != "" || errors.Is(f.err, errEncrypted)
			if asked || f.public != nil {
				a.unusable = append(a.unusable, fmt.Sprintf("publickey %s (%v)", path, f.err))
			}
			continue
		}
		for _, c := range slices.Concat(f.certs, certs) {
			if !bytes.Equal(c.Key.Marshal(), signer.PublicKey().Marshal()) {
				continue
			}
			if s, err := ssh.NewCertSigner(c, signer); err == nil {
				a.add(s, name+" with its certificate")
			}
		}
		a.add(signer, name)
	}
	if ring.err != nil {
		a.unusable = append(a.unusable, fmt.Sprintf("agent %s (%v)", r.agent, ring.err))
	}
	if r.onlyThese {
		return
	}
	for _, s := range ring.signers {
		a.add(s, "publickey of the agent "+ssh.FingerprintSHA256(s.PublicKey()))
	}
}

func (a *authentication) add(s ssh.Signer, name string) {
	blob := s.PublicKey().Marshal()
	known := slices.ContainsFunc(a.signers, func(o ssh.Signer) bool { return bytes.Equal(o.PublicKey().Marshal(), blob) })
	if known || len(a.signers) == maxKeys {
		return
	}
	a.signers = append(a.signers, s)
	a.names = append(a.names, name)
}

func (a *authentication) methods() []ssh.AuthMethod {
	var all []ssh.AuthMethod
	if len(a.signers) > 0 {
		all = append(all, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			a.offered = append(a.offered, a.names...)
			return a.signers, nil
		}))
	}
	if a.password == "" {
		return all
	}
	if !a.noPass {
		all = append(all, ssh.PasswordCallback(func() (string, error) {
			a.offered = append(a.offered, "password")
			a.spent = true
			return a.password, nil
		}))
	}
	if !a.noAsk {
		all = append(all, ssh.KeyboardInteractive(a.answer))
	}
	return all
}

// next is asked before each method. It ends the talk when the password was
// refused: the same one must not be tried again by other means.
func (a *authentication) next(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	a.begun = true
	for _, m := range []string{"password", "keyboard-interactive"} {
		if a.spent && slices.Contains(c.TriedMethods, m) {
			return nil, errors.New("the password was refused")
		}
	}
	return nil, nil
}

// answer gives the password to a single question that is not echoed, once.
// Anything else is more than we can know.
func (a *authentication) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	a.offered = append(a.offered, "keyboard-interactive")
	if a.answered || a.spent || len(questions) != 1 || echos[0] {
		return nil, errors.New("the server asks for more than a password")
	}
	a.answered, a.spent = true, true
	return []string{a.password}, nil
}

func (a *authentication) failure(t conn.Target, r *route, err error) error {
	tried := slices.Concat(a.offered, a.unusable)
	if len(tried) == 0 {
		tried = []string{"nothing (no key, no agent, no password)"}
	}
	return &conn.AuthError{Host: t.Name, Addr: r.addr(), User: r.user, Tried: tried, Err: err}
}
