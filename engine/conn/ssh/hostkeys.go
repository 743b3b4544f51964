package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dayops/dayops/engine/conn"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// longestLine is what the library can read of one line of known_hosts.
const longestLine = 64<<10 - 2

// knownHosts caches what known_hosts files say, until they change.
type knownHosts struct {
	mu  sync.Mutex
	dbs map[string]*keyDB
}

// keyDB is one set of known_hosts files as read.
type keyDB struct {
	db     *knownhosts.HostKeyDB
	files  []string          // as asked for
	copies map[string]string // readable copy -> file, for messages
	stamps []string          // state of files when read
}

// load reads r's known_hosts files, unless they are as they were.
func (k *knownHosts) load(d *Dialer, r *route) (*keyDB, error) {
	files := slices.Concat(r.userKnown, r.globalKnown)
	key := strings.Join(files, "\x00")
	k.mu.Lock()
	defer k.mu.Unlock()
	stamps := stampsOf(files)
	if db := k.dbs[key]; db != nil && slices.Equal(db.stamps, stamps) {
		return db, nil
	}
	db, err := readKnownHosts(files, d.notice)
	if err != nil {
		return nil, err
	}
	db.stamps = stamps
	if k.dbs == nil {
		k.dbs = map[string]*keyDB{}
	}
	k.dbs[key] = db
	return db, nil
}

func stampsOf(files []string) []string {
	stamps := make([]string, len(files))
	for i, f := range files {
		if info, err := os.Stat(f); err == nil {
			stamps[i] = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		}
	}
	return stamps
}

// readKnownHosts reads files as OpenSSH does: an absent file is empty, a line
// that cannot be read is skipped. The library would refuse all of them, so it
// gets copies where such lines are blank.
func readKnownHosts(files []string, notice func(string)) (*keyDB, error) {
	dir, err := os.MkdirTemp("", "dayops-known-hosts-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	k := &keyDB{files: files, copies: map[string]string{}}
	var names []string
	for i, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c := fmt.Sprintf("%s/%d", dir, i)
		if err := os.WriteFile(c, readableLines(f, text, notice), 0o600); err != nil {
			return nil, err
		}
		names = append(names, c)
		k.copies[c] = f
	}
	for range 1000 {
		if k.db, err = knownhosts.NewDB(names...); err == nil {
			return k, nil
		}
		if !k.blank(err, notice) {
			return nil, err
		}
	}
	return nil, err
}

// readableLines blanks lines that the library cannot take.
func readableLines(file string, text []byte, notice func(string)) []byte {
	var b bytes.Buffer
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if why := unreadable(line); why != "" {
			notice(fmt.Sprintf("%s:%d: skipped: %s", file, n, why))
			line = []byte("\n")
		}
		b.Write(line)
	}
	return b.Bytes()
}

func unreadable(line []byte) string {
	if len(line) > longestLine {
		return "the line is too long"
	}
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return ""
	}
	_, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
	if err != nil {
		return "not a line of known_hosts"
	}
	if slices.Contains(hosts, "") || key == nil {
		return "not a line of known_hosts"
	}
	return ""
}

// blank takes the line out that err complains about.
func (k *keyDB) blank(err error, notice func(string)) bool {
	m := regexp.MustCompile(`^knownhosts: (.+):(\d+): (.*)`).FindStringSubmatch(err.Error())
	if m == nil || k.copies[m[1]] == "" {
		return false
	}
	n, _ := strconv.Atoi(m[2])
	text, rerr := os.ReadFile(m[1])
	lines := bytes.SplitAfter(text, []byte("\n"))
	if rerr != nil || n < 1 || n > len(lines) {
		return false
	}
	notice(fmt.Sprintf("%s:%d: skipped: %s", k.copies[m[1]], n, m[3]))
	lines[n-1] = []byte("\n")
	return os.WriteFile(m[1], bytes.Join(lines, nil), 0o600) == nil
}

// algorithms are the host key algorithms to ask for, first those whose keys
// are on file for addr. Without that, a host with several keys may show one
// that is not on file and look like an attack. The others follow, so that a
// host that lost its old key is told apart by name.
func (k *keyDB) algorithms(addr string) []string {
	algos := slices.DeleteFunc(k.db.HostKeyAlgorithms(addr), func(a string) bool {
		return a == ssh.KeyAlgoRSA || a == ssh.CertAlgoRSAv01 || strings.Contains(a, "dss") // SHA-1
	})
	for _, a := range preferredAlgorithms() {
		if !slices.Contains(algos, a) {
			algos = append(algos, a)
		}
	}
	return algos
}

func preferredAlgorithms() []string {
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
}

// hostKeyCheck checks the key of one connection and keeps what it found.
type hostKeyCheck struct {
	d      *Dialer
	target conn.Target
	route  *route
	db     *keyDB
	first  []byte // the key that was accepted; keys are exchanged again and again
	err    error
}

func (c *hostKeyCheck) check(addr string, remote net.Addr, key ssh.PublicKey) error {
	if c.first != nil && bytes.Equal(c.first, key.Marshal()) {
		return nil
	}
	err := c.db.verify(c.target.Name, c.route, addr, remote, key)
	var refused *conn.HostKeyError
	if errors.As(err, &refused) && refused.Unknown() && c.route.policy == conn.AcceptNew {
		err = c.d.acceptNew(c.target.Name, c.route, addr, remote, key)
	}
	if err != nil {
		c.err = err
		return err
	}
	c.first = key.Marshal()
	return nil
}

// verify fails with *conn.HostKeyError.
func (k *keyDB) verify(name string, r *route, addr string, remote net.Addr, key ssh.PublicKey) error {
	err := k.db.HostKeyCallback()(addr, remote, key)
	if err == nil {
		return nil
	}
	shown := key
	if cert, ok := key.(*ssh.Certificate); ok {
		shown = cert.Key
	}
	e := &conn.HostKeyError{Host: name, Addr: r.addr(), Type: key.Type(), Got: ssh.FingerprintSHA256(shown), Files: k.files}
	var want *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		e.Revoked = true
		e.Want = k.onFile([]xknownhosts.KnownKey{revoked.Revoked})
	case errors.As(err, &want):
		e.Want = k.onFile(want.Want)
	default: // a certificate that is not good: revoked, expired, of another host or authority
		e.Revoked = strings.Contains(err.Error(), "revoked")
		var probe *xknownhosts.KeyError
		if perr := k.db.HostKeyCallback()(addr, remote, shown); errors.As(perr, &probe) {
			e.Want = k.onFile(probe.Want)
		}
	}
	return e
}

func (k *keyDB) onFile(keys []xknownhosts.KnownKey) []conn.KnownKey {
	var known []conn.KnownKey
	for _, w := range keys {
		known = append(known, conn.KnownKey{Type: w.Key.Type(), Fingerprint: ssh.FingerprintSHA256(w.Key), File: k.copies[w.Filename], Line: w.Line})
	}
	return known
}
