package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/gofrs/flock"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// HostKey is a key that a host showed. That proves that the host has it, not
// that the host is the right one: a person compares the fingerprint.
type HostKey struct {
	Host        string // inventory name
	Addr        string // as in known_hosts: "name" or "[name]:port"
	Type        string // "ssh-ed25519"
	Fingerprint string // "SHA256:..."
	Known       bool   // this very key is on file
	Err         error  // *conn.HostKeyError when another key is on file, or this one is revoked
	File        string // known_hosts file that Trust adds it to

	addr string
	key  ssh.PublicKey
}

// Scan connects to t, reads its host key and disconnects without
// authenticating. types are host key types as in known_hosts ("ssh-ed25519",
// "ecdsa-sha2-nistp256", "ssh-rsa", ...), one connection each, because servers
// hold such connections against us; without types it is one connection, and
// the key that the host would show to Dial. Jump hosts must be known already:
// Jumps lists them.
func (d *Dialer) Scan(ctx context.Context, t conn.Target, types ...string) ([]HostKey, error) {
	r, err := d.route(t)
	if err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: t.Address, Stage: "config", Err: err}
	}
	via, err := d.bastionFor(ctx, t, r)
	if err != nil {
		return nil, err
	}
	db, err := d.known.load(d, r)
	if err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: r.addr(), Stage: "config", Err: err}
	}
	if len(types) == 0 {
		key, err := d.scanOne(ctx, t, r, via, db, db.algorithms(r.knownAs()))
		if err != nil {
			return nil, err
		}
		return []HostKey{key}, nil
	}
	var keys []HostKey
	for _, typ := range types {
		algos := []string{typ}
		if typ == ssh.KeyAlgoRSA {
			algos = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		key, err := d.scanOne(ctx, t, r, via, db, algos)
		if e := (*conn.HostKeyError)(nil); errors.As(key.Err, &e) && !e.Revoked &&
			!slices.ContainsFunc(e.Want, func(k conn.KnownKey) bool { return k.Type == key.Type }) {
			key.Err = nil // keys on file are of other types; that is no contradiction
		}
		if lacks := (*ssh.AlgorithmNegotiationError)(nil); errors.As(err, &lacks) {
			continue
		}
		if err != nil {
			return keys, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

var errScanned = errors.New("the key is read")

func (d *Dialer) scanOne(ctx context.Context, t conn.Target, r *route, via *bastion, db *keyDB, algos []string) (HostKey, error) {
	free, err := d.slots.take(ctx, slotKeys(r, via)...)
	if err != nil {
		return HostKey{}, err
	}
	defer free()
	raw, err := d.wire(ctx, t, r, via, time.Now().Add(r.dialLimit))
	if err != nil {
		return HostKey{}, err
	}
	k := HostKey{Host: t.Name, addr: r.knownAs(), Addr: knownhosts.Normalize(r.knownAs())}
	if len(r.userKnown) > 0 {
		k.File = r.userKnown[0]
	}
	config := &ssh.ClientConfig{
		User: r.user, HostKeyAlgorithms: algos, ClientVersion: "SSH-2.0-dayops",
		HostKeyCallback: func(addr string, remote net.Addr, key ssh.PublicKey) error {
			k.Err = db.verify(t.Name, r, addr, remote, key)
			k.Known = k.Err == nil
			if unknown := (*conn.HostKeyError)(nil); errors.As(k.Err, &unknown) && unknown.Unknown() {
				k.Err = nil
			}
			if cert, ok := key.(*ssh.Certificate); ok {
				key = cert.Key
			}
			k.key, k.Type, k.Fingerprint = key, key.Type(), ssh.FingerprintSHA256(key)
			return errScanned
		},
	}
	client, err := d.handshake(ctx, t, r, raw, config)
	if client != nil {
		client.Close()
	}
	if k.key != nil {
		return k, nil
	}
	return HostKey{}, err
}

// Trust adds keys to their known_hosts files. A key that is on file is left
// out; one that contradicts the file is an error and nothing is added.
func (d *Dialer) Trust(keys ...HostKey) error {
	for _, k := range keys {
		if k.Err != nil {
			return k.Err
		}
		if k.File == "" {
			return fmt.Errorf("%s: the ssh configuration names no known_hosts file", k.Host)
		}
	}
	for _, k := range keys {
		if k.Known {
			continue
		}
		if err := d.append(k); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dialer) append(k HostKey) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.limits.dial)
	defer cancel()
	return appendKnownHost(ctx, k.File, k.addr, k.key, nil)
}

// acceptNew adds the key of a host that is not on file. Under the lock it
// looks again: another run may have added one, the same or not.
func (d *Dialer) acceptNew(name string, r *route, addr string, remote net.Addr, key ssh.PublicKey) error {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	if len(r.userKnown) == 0 {
		return fmt.Errorf("%s: the ssh configuration names no known_hosts file to add the key to", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.limits.dial)
	defer cancel()
	return appendKnownHost(ctx, r.userKnown[0], addr, key, func() (bool, error) {
		db, err := d.known.load(d, r)
		if err != nil {
			return false, err
		}
		err = db.verify(name, r, addr, remote, key)
		if refused := (*conn.HostKeyError)(nil); errors.As(err, &refused) && refused.Unknown() {
			return false, nil
		}
		return err == nil, err
	})
}

// appendKnownHost adds one line to file, whole and synced, under a lock on the
// file. done, where given, looks under the lock whether the line is still wanted.
func appendKnownHost(ctx context.Context, file, addr string, key ssh.PublicKey, done func() (bool, error)) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	lock := flock.New(file, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	defer lock.Close()
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return fmt.Errorf("lock %s: %w", file, err)
	}
	if done != nil {
		if there, err := done(); there || err != nil {
			return err
		}
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	line := knownhosts.Line([]string{addr}, key) + "\n"
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := f.WriteString(line); err != nil {
		return err
	}
	return f.Sync()
}
