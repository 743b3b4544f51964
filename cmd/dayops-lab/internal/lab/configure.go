package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/dress"
)

// users of every host: root, operator (sudo without a password), opspass (sudo with one).
func users() []user {
	return []user{{"/root", 0, 0}, {"/home/operator", 1000, 37}, {"/home/opspass", 1001, 1001}}
}

type user struct {
	home     string
	uid, gid int
}

// dressing describes the whole cluster to package dress.
func (l *Lab) dressing(now time.Time) (*dress.Cluster, error) {
	key := filepath.Join(l.dir, "id_ed25519")
	if _, err := run(context.Background(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dayops-lab", "-f", key); err != nil {
		return nil, err
	}
	var hosts []dress.Host
	for _, h := range l.hosts {
		hosts = append(hosts, dress.Host{Name: h.Name, IP: h.IP, Roles: h.Roles})
	}
	c, err := dress.New("lab.example.com", l.state.Seed, now, hosts)
	if err == nil {
		c.NoV2, c.Pods = !l.ServesV2(), l.state.Pods
	}
	return c, err
}

// configure gives the host its name, address, keys, accounts and clock source.
func (h *Host) configure(ctx context.Context) error {
	root := h.Root()
	if err := h.newKeys(ctx); err != nil {
		return err
	}
	files := []struct {
		path, text string
		mode       os.FileMode
	}{
		{"/etc/hostname", h.Name + "\n", 0o644},
		{"/etc/machine-id", strings.ReplaceAll(h.UUID, "-", "") + "\n", 0o444},
		{"/etc/hosts", h.lab.etcHosts(), 0o644},
		{"/etc/resolv.conf", "search lab.example.com\nnameserver " + h.lab.state.Subnet + ".1\n", 0o644},
		{"/etc/chrony/conf.d/lab.conf", h.chrony(), 0o644},
		{"/etc/systemd/network/10-host0.network", fmt.Sprintf("[Match]\nName=host0\n\n[Network]\nAddress=%s/24\n"+
			"LinkLocalAddressing=no\nIPv6AcceptRA=no\n", h.IP), 0o644},
		// A service that hangs when it stops would hold a reboot for 90 s.
		{"/etc/systemd/system.conf.d/lab.conf", "[Manager]\nDefaultTimeoutStopSec=15s\n", 0o644},
	}
	for _, f := range files {
		if err := put(root, f.path, f.text, f.mode); err != nil {
			return err
		}
	}
	pub, err := os.ReadFile(h.lab.Key() + ".pub")
	if err != nil {
		return err
	}
	for _, u := range users() {
		ssh := filepath.Join(root, u.home, ".ssh")
		if err := put(root, u.home+"/.ssh/authorized_keys", string(pub), 0o600); err != nil {
			return err
		}
		for _, p := range []string{ssh, filepath.Join(ssh, "authorized_keys")} {
			if err := os.Chown(p, u.uid, u.gid); err != nil {
				return err
			}
		}
		if err := os.Chmod(ssh, 0o700); err != nil {
			return err
		}
	}
	if _, err := runIn(ctx, "opspass:"+h.lab.state.Password+"\n", "chroot", root, "chpasswd"); err != nil {
		return err
	}
	if h.lab.state.Pods {
		if err := h.standIn(); err != nil {
			return err
		}
	}
	switch {
	case h.inPod():
		return os.RemoveAll(filepath.Join(h.Root(), "/var/lib/etcd/default"))
	case h.Is("etcd"):
		return h.enableEtcd()
	case h.Is("new_etcd") && h.lab.state.Closed:
		return h.closeFirewall()
	}
	return nil
}

// closeFirewall gives the host the rules that a new RHEL host has, and a
// stand-in for the unit of its iptables-services that loads them.
func (h *Host) closeFirewall() error {
	const unit = "/etc/systemd/system/iptables.service"
	if err := put(h.Root(), "/etc/sysconfig/iptables", `# sample configuration for iptables service
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
`, 0o600); err != nil {
		return err
	}
	if err := put(h.Root(), unit, `[Unit]
Description=IPv4 firewall with iptables
Before=network.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore /etc/sysconfig/iptables
ExecReload=/usr/sbin/iptables-restore /etc/sysconfig/iptables
ExecStop=/usr/sbin/iptables -F

[Install]
WantedBy=multi-user.target
`, 0o644); err != nil {
		return err
	}
	return os.Symlink(unit, filepath.Join(h.Root(), "/etc/systemd/system/multi-user.target.wants/iptables.service"))
}

// enableEtcd makes Debian's unit read the settings where openshift-ansible puts them.
func (h *Host) enableEtcd() error {
	if err := put(h.Root(), "/etc/systemd/system/etcd.service.d/10-openshift.conf",
		"[Service]\nEnvironmentFile=/etc/etcd/etcd.conf\nRestart=always\nRestartSec=1s\n", 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(h.Root(), "/var/lib/etcd/default")); err != nil {
		return err
	}
	return os.Symlink("/lib/systemd/system/etcd.service",
		filepath.Join(h.Root(), "/etc/systemd/system/multi-user.target.wants/etcd.service"))
}

func (l *Lab) etcHosts() string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	for _, h := range l.hosts {
		fmt.Fprintf(&b, "%s %s.lab.example.com %s\n", h.IP, h.Name, h.Name)
	}
	return b.String()
}

// chrony makes the first host the stratum 8 source of the others.
func (h *Host) chrony() string {
	first := h.lab.hosts[0]
	if h.Name == first.Name {
		return "local stratum 8\nallow " + h.lab.state.Subnet + ".0/24\n"
	}
	return "server " + first.IP + " iburst minpoll 2 maxpoll 4\n"
}

// WaitEtcd returns when the host's etcd member is healthy.
func (h *Host) WaitEtcd(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		out, err := h.Etcdctl(ctx, "endpoint", "health")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: etcd is not healthy after %s: %s: %w", h.Name, limit, strings.TrimSpace(out), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Etcdctl runs etcdctl (API 3) on the host against its own member.
func (h *Host) Etcdctl(ctx context.Context, args ...string) (string, error) {
	argv := []string{"env", "ETCDCTL_API=3", "etcdctl", "--endpoints=https://" + h.IP + ":2379",
		"--cacert=/etc/etcd/ca.crt", "--cert=/etc/etcd/peer.crt", "--key=/etc/etcd/peer.key"}
	if h.inPod() {
		argv = append([]string{"master-exec", "etcd", "etcd"}, argv...)
	}
	return h.Exec(ctx, append(argv, args...)...)
}

// inPod tells whether the host's etcd is a static pod.
func (h *Host) inPod() bool { return h.lab.state.Pods && h.Is("master") && h.Is("etcd") }
