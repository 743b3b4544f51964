// Package demo makes hosts for a demonstration out of OpenSSH's own sshd: each
// is a host key and a dressed tree of files, reached through `sshd -i` as
// ProxyCommand. No daemon runs, no port is open, no root is needed.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/dress"
)

// Options say which hosts to make.
type Options struct {
	Dir   string // made anew; an older demo in it is removed
	Count int    // 1 to 100: a master that is an etcd member, an lb as the third, else nodes
	Now   time.Time
}

// mark is the file by which a folder is known as a demo's.
const mark = ".dayops-demo"

type maker struct {
	dir, sshd, user string
	hosts           []dress.Host
	local           error // why the hosts are reached by the local connection, if they are
	files           int
	skipped         int
}

// Make makes the hosts and their inventory.yml, known_hosts and id_ed25519, and
// tries each host once. Where sshd is missing or will not serve this account the
// inventory says `ansible_connection: local`. The report is for a person.
func Make(ctx context.Context, o Options) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	m, err := prepare(o)
	if err != nil {
		return "", err
	}
	c, err := dress.New("demo.example.com", 1, o.Now, m.hosts)
	if err != nil {
		return "", err
	}
	for _, h := range m.hosts {
		r, err := c.Apply(m.path(h, "root"), h.Name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", h.Name, err)
		}
		m.files += r.Files
		m.skipped += len(r.Skipped)
	}
	m.local = m.serve(ctx)
	if err := m.writeInventory(); err != nil {
		return "", err
	}
	return m.report(), nil
}

func prepare(o Options) (*maker, error) {
	if o.Count < 1 || o.Count > 100 {
		return nil, fmt.Errorf("%d hosts: a demo has 1 to 100", o.Count)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(dir, "'\"\\\n%$`") {
		return nil, fmt.Errorf("%q: a demo's folder must have no quote, backslash, %%, $ or newline in its path", dir)
	}
	if err := clear(dir); err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	m := &maker{dir: dir, user: me.Username}
	for i := range o.Count {
		h := dress.Host{Name: fmt.Sprintf("demo-%d", i), IP: fmt.Sprintf("192.0.2.%d", 10+i), Roles: []string{"node"}}
		switch i {
		case 0:
			h.Roles = []string{"master", "node", "etcd"}
		case 2:
			h.Roles = []string{"node", "lb"}
		}
		m.hosts = append(m.hosts, h)
	}
	return m, nil
}

// clear empties an older demo's folder, and no other.
func clear(dir string) error {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(found) > 0 && !slices.ContainsFunc(found, func(e os.DirEntry) bool { return e.Name() == mark }) {
		return fmt.Errorf("%s is not empty and not a demo's folder", dir)
	}
	for _, e := range found {
		if e.Name() == mark {
			continue
		}
		// Trees hold folders that their owner may not write: open them before removing.
		p := filepath.Join(dir, e.Name())
		_ = filepath.WalkDir(p, func(q string, e os.DirEntry, err error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(q, 0o700)
			}
			return nil
		})
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, mark), nil, 0o600)
}

func (m *maker) path(h dress.Host, name string) string { return filepath.Join(m.dir, h.Name, name) }

// serve writes each host's sshd configuration and keys, and tries them.
func (m *maker) serve(ctx context.Context) error {
	var err error
	if m.sshd, err = findSSHD(); err != nil {
		return err
	}
	if err := keygen(ctx, filepath.Join(m.dir, "id_ed25519"), "dayops-demo"); err != nil {
		return err
	}
	pub, err := os.ReadFile(filepath.Join(m.dir, "id_ed25519.pub"))
	if err != nil {
		return err
	}
	var known strings.Builder
	for _, h := range m.hosts {
		line, err := m.serveHost(ctx, h, pub)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		known.WriteString(line)
	}
	if err := os.WriteFile(m.knownHosts(), []byte(known.String()), 0o600); err != nil {
		return err
	}
	for _, h := range m.hosts {
		if err := m.try(ctx, h); err != nil {
			return fmt.Errorf("%s: sshd does not serve this account: %w", h.Name, err)
		}
	}
	return nil
}

func (m *maker) serveHost(ctx context.Context, h dress.Host, pub []byte) (known string, err error) {
	home := m.path(h, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	if err := keygen(ctx, m.path(h, "ssh_host_ed25519_key"), h.Name); err != nil {
		return "", err
	}
	key, err := os.ReadFile(m.path(h, "ssh_host_ed25519_key.pub"))
	if err != nil {
		return "", err
	}
	f := strings.Fields(string(key))
	if len(f) < 2 {
		return "", errors.New("ssh-keygen wrote no public key")
	}
	// A home of its own: the account's start-up files are slow, and not the demo's.
	config := fmt.Sprintf(`# sshd -i of the demo host %s
HostKey "%s"
AuthorizedKeysFile "%s"
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
PrintMotd no
PrintLastLog no
SetEnv "HOME=%s"
Subsystem sftp internal-sftp
`, h.Name, m.path(h, "ssh_host_ed25519_key"), m.path(h, "authorized_keys"), home)
	script := fmt.Sprintf(`#!/bin/sh
# Standard input and output are the connection.
if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi
exec '%s' -i -f '%s' -E '%s'
`, m.sshd, m.path(h, "sshd_config"), m.path(h, "sshd.log"))
	return fmt.Sprintf("%s %s %s\n", h.Name, f[0], f[1]), errors.Join(
		os.WriteFile(m.path(h, "authorized_keys"), pub, 0o600),
		os.WriteFile(m.path(h, "sshd_config"), []byte(config), 0o600),
		os.WriteFile(m.path(h, "connect"), []byte(script), 0o700))
}

func (m *maker) knownHosts() string { return filepath.Join(m.dir, "known_hosts") }

// findSSHD looks where ordinary users' PATH does not.
func findSSHD() (string, error) {
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	p, err := exec.LookPath("sshd")
	if err != nil {
		return "", errors.New("sshd is not installed (package openssh-server)")
	}
	return filepath.Abs(p)
}

func keygen(ctx context.Context, path, comment string) error {
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
