package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// makeBridge chooses a free bridge name and subnet, writes them down, and
// makes the bridge. All labs of this user choose one after the other.
func makeBridge(ctx context.Context, dir string, s state) (state, error) {
	cache, err := cacheDir()
	if err != nil {
		return s, err
	}
	unlock, err := lockFile(ctx, filepath.Join(cache, "net.lock"), 30*time.Second)
	if err != nil {
		return s, err
	}
	defer unlock()
	used, err := usedNets()
	if err != nil {
		return s, err
	}
	for try := range 64 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", dir, try))
		bridge, subnet := "dop"+hex.EncodeToString(sum[:3]), fmt.Sprintf("10.%d.%d", 64+sum[3]%128, sum[4])
		if _, err := net.InterfaceByName(bridge); err == nil || taken(used, subnet) {
			continue
		}
		s.Bridge, s.Subnet = bridge, subnet
		for i := range s.Hosts {
			s.Hosts[i].IP = fmt.Sprintf("%s.%d", subnet, 10+i)
		}
		if err := writeState(dir, s); err != nil {
			return s, err
		}
		return s, addBridge(ctx, bridge, subnet)
	}
	return s, errors.New("found no free bridge name and subnet in 10.64.0.0/9")
}

func addBridge(ctx context.Context, bridge, subnet string) error {
	if _, err := run(ctx, "ip", "link", "add", bridge, "type", "bridge"); err != nil {
		return err
	}
	if _, err := run(ctx, "ip", "addr", "add", subnet+".1/24", "dev", bridge); err != nil {
		return err
	}
	_, err := run(ctx, "ip", "link", "set", bridge, "up")
	return err
}

func removeBridge(ctx context.Context, bridge string) error {
	if bridge == "" {
		return nil
	}
	if _, err := net.InterfaceByName(bridge); err != nil {
		return nil
	}
	_, err := run(ctx, "ip", "link", "del", bridge)
	return err
}

// usedNets lists what the control machine can already reach other than by its default route.
func usedNets() ([]*net.IPNet, error) {
	var used []*net.IPNet
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			used = append(used, n)
		}
	}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(routes)) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] == "Iface" || f[7] == "00000000" {
			continue
		}
		used = append(used, &net.IPNet{IP: littleEndian(f[1]), Mask: net.IPMask(littleEndian(f[7]))})
	}
	return used, nil
}

func littleEndian(s string) net.IP {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return net.IPv4zero.To4()
	}
	return net.IP{b[3], b[2], b[1], b[0]}
}

func taken(used []*net.IPNet, subnet string) bool {
	_, want, err := net.ParseCIDR(subnet + ".0/24")
	if err != nil {
		return true
	}
	for _, n := range used {
		if n.Contains(want.IP) || want.Contains(n.IP) {
			return true
		}
	}
	return false
}

// port is the host's place on the bridge.
func (h *Host) port() string { return "vb-" + h.Machine }

// Cut takes the host off the network: its packets vanish, nothing is refused.
func (h *Host) Cut(ctx context.Context) error {
	_, err := run(ctx, "ip", "link", "set", h.port(), "down")
	return err
}

// Join undoes Cut.
func (h *Host) Join(ctx context.Context) error {
	_, err := run(ctx, "ip", "link", "set", h.port(), "up")
	return err
}

// WaitSSH returns when the host's sshd greets.
func (h *Host) WaitSSH(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := greets(ctx, h.Addr())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: no sshd on %s within %s (last: %w); its console ends:\n%s", h.Name, h.Addr(), limit, err, h.console())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func greets(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	b := make([]byte, 4)
	if _, err := c.Read(b); err != nil {
		return err
	}
	if string(b) != "SSH-" {
		return errors.New("something else than sshd answers")
	}
	return nil
}

func (h *Host) console() string {
	b, _ := os.ReadFile(filepath.Join(h.dir(), "console.log"))
	return tail(string(b), 2000)
}
