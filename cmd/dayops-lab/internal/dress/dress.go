// Package dress puts onto a host the files that OpenShift 3.10 keeps there: what
// the guide backs up, with plausible contents, odd owners, modes and names.
package dress

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/pki"
	"golang.org/x/sys/unix"
)

// Host is one host to dress. Roles: master, node, etcd, new_etcd (a fresh host), lb; a master is also a node.
type Host struct {
	Name, IP string
	Roles    []string
}

// Is reports whether the host has the role.
func (h Host) Is(role string) bool { return slices.Contains(h.Roles, role) }

// Cluster is what the hosts of one cluster share: names, authorities.
type Cluster struct {
	Domain string
	Hosts  []Host
	NoV2   bool // this etcd has no v2 API to enable
	Pods   bool // etcd on masters is a static pod

	seed   uint64
	now    time.Time
	etcdCA *pki.CA
	ca     *pki.CA
	etcd   map[string]etcdCerts // by host, issued in inventory order
}

type etcdCerts struct{ server, peer pki.Pair }

// Report says what Apply made.
type Report struct {
	Files   int      // regular files
	Skipped []string // what this account or file system could not do, with the reason
}

// New makes a cluster's authorities and etcd certificates.
func New(domain string, seed uint64, now time.Time, hosts []Host) (*Cluster, error) {
	c := &Cluster{Domain: domain, Hosts: hosts, seed: seed, now: now, etcd: map[string]etcdCerts{}}
	var err error
	if c.etcdCA, err = pki.NewCA(fmt.Sprintf("etcd-signer@%d", now.Unix()), now); err != nil {
		return nil, err
	}
	if c.ca, err = pki.NewCA(fmt.Sprintf("openshift-signer@%d", now.Unix()), now); err != nil {
		return nil, err
	}
	for _, h := range c.with("etcd") {
		ip := net.ParseIP(h.IP)
		if ip == nil {
			return nil, fmt.Errorf("%s: %q is not an address", h.Name, h.IP)
		}
		server, err := c.etcdCA.Issue(h.Name, []string{h.Name, h.Name + "." + domain}, ip)
		if err != nil {
			return nil, err
		}
		peer, err := c.etcdCA.Issue(h.Name, []string{h.Name, h.Name + "." + domain}, ip)
		if err != nil {
			return nil, err
		}
		c.etcd[h.Name] = etcdCerts{server, peer}
	}
	return c, nil
}

func (c *Cluster) with(role string) []Host {
	var out []Host
	for _, h := range c.Hosts {
		if h.Is(role) {
			out = append(out, h)
		}
	}
	return out
}

// first reports whether h is the first host of the role.
func (c *Cluster) first(role string, h Host) bool {
	all := c.with(role)
	return len(all) > 0 && all[0].Name == h.Name
}

// kind is the type of an entry.
type kind int

const (
	file kind = iota
	folder
	symlink
	hardlink
	fifo
	socket
	sparse // a file of Size bytes with Data at its end
)

// entry is one thing to make below the root.
type entry struct {
	path   string
	kind   kind
	mode   uint32 // with setuid, setgid, sticky; 0 is 0644, or 0755 of a folder
	owner  string // "user:group", names or numbers; "" is root:root
	data   string // contents, or the target of a link
	size   int64
	xattrs map[string]string
}

// Apply dresses the tree at root as the named host. Owners, labels and special
// files that this account may not make are left out and reported.
func (c *Cluster) Apply(root, name string) (Report, error) {
	var r Report
	i := slices.IndexFunc(c.Hosts, func(h Host) bool { return h.Name == name })
	if i < 0 {
		return r, fmt.Errorf("no host %q in the cluster", name)
	}
	entries, err := c.entries(c.Hosts[i])
	if err != nil {
		return r, err
	}
	ids, err := readIDs(root)
	if err != nil {
		return r, err
	}
	for _, e := range entries {
		if err := e.make(root, ids, &r); err != nil {
			return r, fmt.Errorf("%q: %w", e.path, err)
		}
	}
	return r, nil
}

func (e entry) make(root string, ids ids, r *Report) error {
	p := filepath.Join(root, e.path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	if e.kind != folder {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	skip := func(what string, err error) error {
		if err != nil && errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENOTSUP) {
			r.Skipped = append(r.Skipped, fmt.Sprintf("%s: %s: %v", e.path, what, err))
			return nil
		}
		return err
	}
	if err := e.create(root, p, r); err != nil {
		return skip("make", err)
	}
	if e.kind == hardlink {
		return nil
	}
	uid, gid, err := ids.find(e.owner)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 || uid != 0 || gid != 0 { // an ordinary user does not even try root:root
		if err := skip("owner "+e.owner, os.Lchown(p, uid, gid)); err != nil {
			return err
		}
	}
	if e.kind == symlink {
		return nil
	}
	mode := e.mode
	if mode == 0 {
		mode = 0o644
		if e.kind == folder {
			mode = 0o755
		}
	}
	if err := unix.Chmod(p, mode); err != nil { // after chown, which clears setuid and setgid
		return err
	}
	for k, v := range e.xattrs {
		if err := skip("attribute "+k, unix.Setxattr(p, k, []byte(v), 0)); err != nil {
			return err
		}
	}
	return nil
}

func (e entry) create(root, p string, r *Report) error {
	switch e.kind {
	case folder:
		return os.MkdirAll(p, 0o755)
	case symlink:
		return os.Symlink(e.data, p)
	case hardlink:
		return os.Link(filepath.Join(root, e.data), p)
	case fifo:
		return unix.Mkfifo(p, 0o600)
	case socket:
		return unix.Mknod(p, unix.S_IFSOCK|0o600, 0)
	case file, sparse:
	}
	r.Files++
	f, err := os.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if e.kind == sparse {
		err = f.Truncate(e.size)
		if err == nil {
			_, err = f.WriteAt([]byte(e.data), e.size-int64(len(e.data)))
		}
	} else {
		_, err = f.WriteString(e.data)
	}
	return errors.Join(err, f.Close())
}

// ids are the accounts of the host that is dressed, not of this machine.
type ids struct{ users, groups map[string]int }

func readIDs(root string) (ids, error) {
	u, err := readDB(filepath.Join(root, "etc/passwd"))
	if err != nil {
		return ids{}, err
	}
	g, err := readDB(filepath.Join(root, "etc/group"))
	return ids{u, g}, err
}

// readDB reads name and number of each line; a tree without the file has root alone.
func readDB(path string) (map[string]int, error) {
	out := map[string]int{"root": 0}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 {
			if n, err := strconv.Atoi(f[2]); err == nil {
				out[f[0]] = n
			}
		}
	}
	return out, err
}

func (d ids) find(owner string) (uid, gid int, err error) {
	if owner == "" {
		owner = "root:root"
	}
	u, g, _ := strings.Cut(owner, ":")
	if uid, err = lookup(d.users, u); err != nil {
		return 0, 0, err
	}
	gid, err = lookup(d.groups, g)
	return uid, gid, err
}

func lookup(db map[string]int, name string) (int, error) {
	if n, ok := db[name]; ok {
		return n, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	if name == "etcd" { // a tree without an account database
		return 997, nil
	}
	return 0, user.UnknownUserError(name)
}
