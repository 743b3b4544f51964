// Package lab boots throwaway hosts with systemd, sshd and etcd on one machine,
// dressed as an OpenShift 3.10 cluster, and takes them away again.
//
// Each host is a systemd-nspawn container on its own 1 GiB ext4 image (a loop
// device: it can be full) laid over a base image that all labs share. What is
// made is written down in the lab's folder first, so that Down finds it after
// a kill at any point.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limits of the lab's own waits.
const (
	bootLimit = 90 * time.Second // until sshd answers on every host
	etcdLimit = 90 * time.Second // until every etcd member is healthy
	downLimit = 60 * time.Second
	lockLimit = 5 * time.Second
)

// Options say which lab to boot.
type Options struct {
	Dir     string // state folder; made by Up, removed by Down
	Masters int
	Nodes   int

	Etcds     int    // hosts that are etcd members and nothing else
	Members   int    // how many masters are etcd members, the first ones; 0: all, or none where Etcds > 0
	Spares    int    // hosts of the group new_etcd: no etcd, but a package source that offers it
	Etcd      string // release line: "3.2", "3.3", "3.4" (Debian's, the default), "3.5", "3.6", "3.7"
	SpareEtcd string // the line that the spares' package source offers; "" is Etcd's
	Pods      bool   // stand-ins for static pods on masters (etcd, API, controllers) and for flanneld on nodes
	Closed    bool   // the spares' firewall rejects all but ssh, as RHEL's does at first

	Seed  uint64    // of the made-up file contents
	Log   io.Writer // progress, a line each; nil is silent
	Owned bool      // this process owns the lab: once it is dead, the next Up of anyone removes the lab
}

// Lab is a running lab.
type Lab struct {
	dir   string
	state state
	hosts []*Host
}

// Host is one host of a lab.
type Host struct {
	lab *Lab
	hostState
}

// Open finds the lab whose state folder is dir.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := readState(dir)
	if err != nil {
		return nil, fmt.Errorf("no lab in %s: %w", dir, err)
	}
	return newLab(dir, s), nil
}

func newLab(dir string, s state) *Lab {
	l := &Lab{dir: dir, state: s}
	for _, h := range s.Hosts {
		l.hosts = append(l.hosts, &Host{lab: l, hostState: h})
	}
	return l
}

// Dir is the lab's state folder, absolute.
func (l *Lab) Dir() string { return l.dir }

// Hosts lists the hosts: masters, nodes, dedicated etcd hosts, spares.
func (l *Lab) Hosts() []*Host { return slices.Clone(l.hosts) }

// Masters lists the masters.
func (l *Lab) Masters() []*Host { return l.with("master") }

// Members lists the hosts that were etcd members at start.
func (l *Lab) Members() []*Host { return l.with("etcd") }

// Spares lists the hosts of the group new_etcd.
func (l *Lab) Spares() []*Host { return l.with("new_etcd") }

// Nodes lists the hosts that are nodes only.
func (l *Lab) Nodes() []*Host {
	return slices.DeleteFunc(l.with("node"), func(h *Host) bool { return h.Is("master") })
}

func (l *Lab) with(role string) []*Host {
	var out []*Host
	for _, h := range l.hosts {
		if h.Is(role) {
			out = append(out, h)
		}
	}
	return out
}

// Host finds a host by name.
func (l *Lab) Host(name string) (*Host, error) {
	var names []string
	for _, h := range l.hosts {
		if h.Name == name {
			return h, nil
		}
		names = append(names, h.Name)
	}
	return nil, fmt.Errorf("no host %q in the lab %s: it has %s", name, l.dir, strings.Join(names, ", "))
}

// Files that a lab's state folder holds, for its users.

// Inventory is the path of the YAML inventory (inventory.ini beside it says the same).
func (l *Lab) Inventory() string { return filepath.Join(l.dir, "inventory.yml") }

// KnownHosts is the path of the hosts' keys as they were at boot.
func (l *Lab) KnownHosts() string { return filepath.Join(l.dir, "known_hosts") }

// Key is the path of the private key that root, operator and opspass accept.
func (l *Lab) Key() string { return filepath.Join(l.dir, "id_ed25519") }

// PasswordVars is the path of a variables file (0600) that logs in as opspass, whose sudo asks for a password.
func (l *Lab) PasswordVars() string { return filepath.Join(l.dir, "opspass.yml") }

// Password is opspass's password, for login and for sudo.
func (l *Lab) Password() string { return l.state.Password }

// Is reports whether the host has the role: master, node, etcd or new_etcd.
func (h *Host) Is(role string) bool { return slices.Contains(h.Roles, role) }

// Addr is the host's sshd, "10.x.y.z:22".
func (h *Host) Addr() string { return net.JoinHostPort(h.IP, "22") }

// Root is the host's file system as the control machine sees it.
func (h *Host) Root() string { return filepath.Join(h.dir(), "root") }

func (h *Host) dir() string { return filepath.Join(h.lab.dir, "hosts", h.Name) }

// Up boots a lab and returns when every host answers and etcd is healthy. A
// whole lab that is already up in o.Dir is returned as it is; the remains of a
// broken one are removed first.
func Up(ctx context.Context, o Options) (*Lab, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("the lab needs root (containers, mounts, a bridge)")
	}
	if err := need("systemd-nspawn", "ip", "mkfs.ext4", "mount", "umount", "nsenter", "ssh-keygen", "chroot"); err != nil {
		return nil, err
	}
	if err := sweep(ctx, o.Log); err != nil {
		return nil, err
	}
	if err := claimDir(o.Dir); err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, lockPath(o.Dir), lockLimit)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if l, err := Open(o.Dir); err == nil {
		if whole := l.whole(); whole && l.state.shape() == o.shape() {
			return l, nil
		} else if whole {
			return nil, fmt.Errorf("%s holds a lab of another shape: run dayops-lab down first", o.Dir)
		}
		fmt.Fprintln(o.Log, "removing the remains of an earlier lab")
		if err := teardown(ctx, o.Dir); err != nil {
			return nil, err
		}
	}
	l, err := build(ctx, o)
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), downLimit)
		defer cancel()
		return nil, errors.Join(err, teardown(clean, o.Dir))
	}
	return l, nil
}

func (o *Options) complete() error {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Dir == "" {
		o.Dir = ".lab"
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	if strings.ContainsAny(dir, ":,\\\n\" '") {
		return fmt.Errorf("%q: a lab's folder must have no colon, comma, quote, backslash or white space in its path (mount options)", dir)
	}
	o.Dir = dir
	return o.completeEtcd()
}

// completeEtcd fills in which hosts are etcd members, and of which release.
func (o *Options) completeEtcd() error {
	n := o.Masters + o.Nodes + o.Etcds + o.Spares
	if min(o.Masters, o.Nodes, o.Etcds, o.Spares) < 0 || n < 1 || n > 100 {
		return fmt.Errorf("%d masters, %d nodes, %d etcd hosts and %d spares: a lab has 1 to 100 hosts", o.Masters, o.Nodes, o.Etcds, o.Spares)
	}
	if o.Members < 0 || o.Members > o.Masters {
		return fmt.Errorf("%d members of %d masters", o.Members, o.Masters)
	}
	if o.Members == 0 && o.Etcds == 0 {
		o.Members = o.Masters
	}
	if o.Etcd == "" {
		o.Etcd = debianEtcd
	}
	if o.SpareEtcd == "" {
		o.SpareEtcd = o.Etcd
	}
	for _, line := range []string{o.Etcd, o.SpareEtcd} {
		if _, ok := etcdReleases()[line]; !ok {
			return fmt.Errorf("no etcd %q: there are %s", line, strings.Join(slices.Sorted(maps.Keys(etcdReleases())), ", "))
		}
	}
	return nil
}

func build(ctx context.Context, o Options) (*Lab, error) {
	s, err := plan(o)
	if err != nil {
		return nil, err
	}
	if err := s.chooseImages(ctx, o); err != nil {
		return nil, err
	}
	if err := register(s, o.Dir); err != nil {
		return nil, err
	}
	if s, err = makeBridge(ctx, o.Dir, s); err != nil {
		return nil, err
	}
	l := newLab(o.Dir, s)
	c, err := l.dressing(time.Now())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "booting %d hosts on %s (%s.0/24)\n", len(l.hosts), s.Bridge, s.Subnet)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, h := range l.hosts {
		g.Go(func() error {
			if err := h.make(gctx, c); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := l.writeInventory(); err != nil {
		return nil, err
	}
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	l.state.Ready = true
	return l, writeState(l.dir, l.state)
}

// wait returns when every sshd greets and every etcd member is healthy.
func (l *Lab) wait(ctx context.Context) error {
	for _, h := range l.hosts {
		if err := h.WaitSSH(ctx, bootLimit); err != nil {
			return err
		}
	}
	for _, h := range l.Members() {
		if err := h.WaitEtcd(ctx, etcdLimit); err != nil {
			return err
		}
	}
	return nil
}

// Down takes the lab in dir away: processes, mounts, bridge, files. It may be
// called at any time and any number of times.
func Down(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(lockPath(dir)); err != nil {
		_ = os.Remove(dir) // an empty folder is all that a boot killed at once may have made
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	unlock, err := lockFile(ctx, lockPath(dir), lockLimit)
	if errors.Is(err, os.ErrNotExist) {
		return nil // somebody else took it away meanwhile
	}
	if err != nil {
		return err
	}
	defer unlock()
	if err := teardown(ctx, dir); err != nil {
		return err
	}
	_ = os.Remove(lockPath(dir))
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the lab is down, but its folder holds something else: %w", err)
	}
	return nil
}
