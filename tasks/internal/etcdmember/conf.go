package etcdmember

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Newcomer is a member that is to be.
type Newcomer struct {
	Name      string // of the member and of its host
	Address   string
	PeerURL   string
	ClientURL string
	DataDir   string
	WALDir    string
}

// newcomer gives a host the URLs that are like those of donor, a member of the cluster.
func newcomer(name, address string, donor Host) Newcomer {
	in := donor.State.Instance
	n := Newcomer{Name: name, Address: address}
	peer, client := donor.peer(), donor.client()
	n.PeerURL = withHost(peer, n.spelled(peer, in.PeerURLs))
	n.ClientURL = withHost(client, n.spelled(client, in.ClientURLs))
	return n
}

// spelled is the name where the cluster's URLs have names, else the address.
func (n Newcomer) spelled(u string, known []string) string {
	if len(known) > 0 && !etcd.Local(u) && net.ParseIP(hostname(u)) == nil {
		return n.Name
	}
	return n.Address
}

// peer is the URL where the host's member answers its peers.
func (h Host) peer() string {
	for _, u := range h.State.Instance.PeerURLs {
		if !etcd.Local(u) {
			return u
		}
	}
	how := "http"
	if h.State.Instance.PeerCert != "" {
		how = "https"
	}
	return how + "://localhost:" + peerPort
}

func (h Host) client() string {
	for _, u := range h.State.Instance.ClientURLs {
		if !etcd.Local(u) {
			return u
		}
	}
	how := "http"
	if h.State.Instance.Cert != "" {
		how = "https"
	}
	return how + "://localhost:" + clientPort
}

func withHost(u, host string) string {
	p, err := url.Parse(u)
	if err != nil {
		return u
	}
	return p.Scheme + "://" + net.JoinHostPort(host, p.Port())
}

// InitialCluster is what a new member must be told: all members with all their
// peer URLs, itself last. It is known before it is added: etcd gives no more.
func InitialCluster(members []etcd.Member, n Newcomer) string {
	var parts []string
	for _, m := range members {
		for _, u := range m.PeerURLs {
			if u != n.PeerURL {
				parts = append(parts, m.Name+"="+u)
			}
		}
	}
	return strings.Join(append(parts, n.Name+"="+n.PeerURL), ",")
}

// own are the settings that each member has for itself.
func own() []string {
	return []string{
		"ETCD_NAME", "ETCD_DATA_DIR", "ETCD_WAL_DIR", "ETCD_LISTEN_PEER_URLS", "ETCD_LISTEN_CLIENT_URLS", "ETCD_ADVERTISE_CLIENT_URLS",
		"ETCD_INITIAL_ADVERTISE_PEER_URLS", "ETCD_INITIAL_CLUSTER", "ETCD_INITIAL_CLUSTER_STATE", "ETCD_INITIAL_CLUSTER_TOKEN",
		"ETCD_TRUSTED_CA_FILE", "ETCD_CA_FILE", "ETCD_CERT_FILE", "ETCD_KEY_FILE",
		"ETCD_PEER_TRUSTED_CA_FILE", "ETCD_PEER_CA_FILE", "ETCD_PEER_CERT_FILE", "ETCD_PEER_KEY_FILE",
		// How a cluster or a member begins: never for one that joins.
		"ETCD_FORCE_NEW_CLUSTER", "ETCD_DISCOVERY", "ETCD_DISCOVERY_SRV", "ETCD_DISCOVERY_FALLBACK", "ETCD_DISCOVERY_PROXY", "ETCD_DISCOVERY_SRV_NAME",
		"ETCD_CONFIG_FILE", "ETCD_PROXY",
	}
}

// Conf is etcd.conf of a new member: its own settings, and for the rest those
// of donor, with the donor's addresses in them replaced.
func Conf(n Newcomer, donor Host, members []etcd.Member) (string, error) {
	in := donor.State.Instance
	var b strings.Builder
	var bad []string
	set := func(key, value string) {
		if value == "" {
			return
		}
		line, ok := assignment(key, value)
		if !ok {
			bad = append(bad, key)
			return
		}
		b.WriteString(line)
	}
	fmt.Fprintf(&b, "# Written by dayops for a new member; the settings are those of %s.\n", donor.Name)
	set("ETCD_NAME", n.Name)
	set("ETCD_DATA_DIR", n.DataDir)
	set("ETCD_WAL_DIR", n.WALDir)
	listen := func(u string) string { return withHost(u, n.Address) }
	set("ETCD_LISTEN_PEER_URLS", listen(n.PeerURL))
	set("ETCD_LISTEN_CLIENT_URLS", listen(n.ClientURL))
	var rest []string
	for key := range in.Settings {
		if !slices.Contains(own(), key) && in.Settings[key] != "" {
			rest = append(rest, key)
		}
	}
	slices.Sort(rest)
	for _, key := range rest {
		set(key, n.instead(in.Settings[key], donor))
	}
	b.WriteString("\n#[cluster]\n")
	set("ETCD_INITIAL_ADVERTISE_PEER_URLS", n.PeerURL)
	set("ETCD_INITIAL_CLUSTER", InitialCluster(members, n))
	set("ETCD_INITIAL_CLUSTER_STATE", "existing")
	set("ETCD_INITIAL_CLUSTER_TOKEN", in.Token)
	set("ETCD_ADVERTISE_CLIENT_URLS", n.ClientURL)
	if in.TLS() {
		b.WriteString("\n#[security]\n")
		for _, s := range security(in) {
			set(s[0], s[1])
		}
	}
	if len(bad) > 0 {
		return "", fmt.Errorf("%s has settings that cannot be written for another member: %s", donor.Name, strings.Join(bad, ", "))
	}
	return b.String(), nil
}

// security are the files of a new member: where openshift-ansible has them.
func security(in etcd.Instance) [][2]string {
	var out [][2]string
	if in.Cert != "" {
		out = append(out, [2]string{"ETCD_TRUSTED_CA_FILE", ConfDir + "/ca.crt"}, [2]string{"ETCD_CERT_FILE", ConfDir + "/server.crt"}, [2]string{"ETCD_KEY_FILE", ConfDir + "/server.key"})
	}
	if in.PeerCert != "" {
		out = append(out, [2]string{"ETCD_PEER_TRUSTED_CA_FILE", ConfDir + "/ca.crt"}, [2]string{"ETCD_PEER_CERT_FILE", ConfDir + "/peer.crt"}, [2]string{"ETCD_PEER_KEY_FILE", ConfDir + "/peer.key"})
	}
	return out
}

// instead puts the newcomer's address where a setting has the donor's.
func (n Newcomer) instead(value string, donor Host) string {
	var hosts []string
	for _, u := range slices.Concat(donor.State.Instance.PeerURLs, donor.State.Instance.ClientURLs, donor.State.Instance.ListenURLs) {
		if h := hostname(u); h != "" && !etcd.Local(u) {
			hosts = append(hosts, h)
		}
	}
	parts := strings.Split(value, ",")
	for i, u := range parts {
		if strings.Contains(u, "://") && slices.Contains(hosts, hostname(u)) {
			parts[i] = withHost(u, n.Address)
		}
	}
	return strings.Join(parts, ",")
}

// assignment is one line of an EnvironmentFile; false for what cannot be one.
func assignment(key, value string) (string, bool) {
	plain := true
	for _, c := range value {
		if c < ' ' || c == 0x7f {
			return "", false
		}
		plain = plain && (c == '_' || c == '-' || c == '.' || c == ',' || c == '/' || c == ':' || c == '=' || c == '@' || c == '+' || c == '[' || c == ']' ||
			'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	if !plain {
		value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(value) + `"`
	}
	return key + "=" + value + "\n", true
}

// Address chooses where a new member is to be reached: what is asked for, the
// only one in a network of a member, or the default one. "" and why not.
func Address(asked string, h Host, members []etcd.Member) (address, problem string) {
	if ip := net.ParseIP(asked); ip != nil {
		return ip.String(), ""
	}
	var prefixes []netip.Prefix
	for _, a := range h.State.Room.Addresses {
		if p, err := netip.ParsePrefix(a); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	var near []string
	for _, p := range prefixes {
		for _, m := range members {
			for _, u := range m.PeerURLs {
				if ip, err := netip.ParseAddr(hostname(u)); err == nil && p.Masked().Contains(ip) && !slices.Contains(near, p.Addr().String()) {
					near = append(near, p.Addr().String())
				}
			}
		}
	}
	switch {
	case len(near) == 1:
		return near[0], ""
	case len(near) > 1 && slices.Contains(near, h.Facts.DefaultIPv4):
		return h.Facts.DefaultIPv4, ""
	case len(near) > 1:
		return "", "it has several addresses in the members' networks: " + strings.Join(near, ", ")
	case h.Facts.DefaultIPv4 != "":
		return h.Facts.DefaultIPv4, ""
	case len(prefixes) == 1:
		return prefixes[0].Addr().String(), ""
	}
	return "", fmt.Sprintf("its address is not known (%d were found)", len(prefixes))
}
