package etcd

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Runtime is how a member runs, which decides how it is stopped.
type Runtime string

const (
	UnitRuntime Runtime = "unit"       // a systemd unit
	PodRuntime  Runtime = "static pod" // a manifest that the kubelet watches
	Container   Runtime = "container"  // docker, by itself or in a unit
	Given       Runtime = "parameters" // the task's parameters alone
)

// Instance is one member as its host's settings describe it.
type Instance struct {
	Runtime   Runtime
	Unit      string      // etcd.service
	Manifest  string      // path of a static pod's
	Container string      // name
	Active    bool        // the unit runs; not known of others
	Service   reader.Unit // the unit as it was found
	Pod       reader.File // the manifest where it was found: at Manifest, or in the folder for stopped ones
	Shelf     reader.File // the folder for manifests of stopped pods
	Stale     reader.File // an older manifest on the shelf, while Pod is in its place
	Sources   []string

	Name, DataDir, WALDir                    string
	ClientURLs, ListenURLs, PeerURLs         []string // advertised to clients, listened on for clients, advertised to peers
	InitialCluster, Token                    string
	CA, Cert, Key, PeerCA, PeerCert, PeerKey string
	ClientCertAuth, V2Enabled                bool
	Quota                                    int64 // bytes; etcd's default of 2 GiB where nothing is set
	Endpoint                                 string
	Ctl                                      Ctl
	Settings                                 map[string]string // all that etcd reads, by their names in the environment

	Program string            // the unit's own etcd, where that is what it runs
	Options map[string]string // those of Settings that the command line gives: they beat the environment
	YAML    string            // etcd's own file of settings, beside which it reads no other
	Sourced string            // the file of settings that a shell in the static pod reads
}

const defaultQuota = 2 << 30

// fill takes over settings by their environment names.
func (in *Instance) fill(s map[string]string) {
	in.Name = cmp.Or(s["ETCD_NAME"], "default")
	in.DataDir = clean(cmp.Or(s["ETCD_DATA_DIR"], in.Name+".etcd"))
	in.WALDir = clean(s["ETCD_WAL_DIR"])
	in.ClientURLs = urls(strings.Split(s["ETCD_ADVERTISE_CLIENT_URLS"], ","))
	in.ListenURLs = urls(strings.Split(cmp.Or(s["ETCD_LISTEN_CLIENT_URLS"], "http://localhost:2379"), ","))
	in.PeerURLs = urls(strings.Split(s["ETCD_INITIAL_ADVERTISE_PEER_URLS"], ","))
	in.InitialCluster, in.Token = s["ETCD_INITIAL_CLUSTER"], s["ETCD_INITIAL_CLUSTER_TOKEN"]
	in.CA = cmp.Or(s["ETCD_TRUSTED_CA_FILE"], s["ETCD_CA_FILE"])
	in.Cert, in.Key = s["ETCD_CERT_FILE"], s["ETCD_KEY_FILE"]
	in.PeerCA = cmp.Or(s["ETCD_PEER_TRUSTED_CA_FILE"], s["ETCD_PEER_CA_FILE"])
	in.PeerCert, in.PeerKey = s["ETCD_PEER_CERT_FILE"], s["ETCD_PEER_KEY_FILE"]
	in.ClientCertAuth, in.V2Enabled = yes(s["ETCD_CLIENT_CERT_AUTH"]), yes(s["ETCD_ENABLE_V2"])
	in.Quota = defaultQuota
	if q, err := strconv.ParseInt(s["ETCD_QUOTA_BACKEND_BYTES"], 10, 64); err == nil && q != 0 {
		in.Quota = q
	}
	in.Endpoint = in.endpoint()
	in.Settings = map[string]string{}
	for k, v := range s {
		if strings.HasPrefix(k, "ETCD_") {
			in.Settings[k] = v
		}
	}
}

// endpoint is where this member itself answers: an advertised address may be a
// balancer's, so one that it also listens on comes first.
func (in *Instance) endpoint() string {
	for _, u := range in.ListenURLs {
		if slices.Contains(in.ClientURLs, u) {
			return u
		}
	}
	for _, u := range in.ListenURLs {
		if p, err := url.Parse(u); err == nil && !unspecified(p.Hostname()) {
			return u
		}
	}
	if len(in.ClientURLs) > 0 {
		return in.ClientURLs[0]
	}
	if len(in.ListenURLs) > 0 {
		p, _ := url.Parse(in.ListenURLs[0])
		return p.Scheme + "://127.0.0.1:" + p.Port()
	}
	return ""
}

func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

// client chooses the certificate that asks: the peer's may be a client too.
func (in *Instance) client() {
	if !strings.HasPrefix(in.Endpoint, "https:") {
		in.Ctl.CA, in.Ctl.Cert, in.Ctl.Key = "", "", ""
		return
	}
	in.Ctl.CA = cmp.Or(in.Ctl.CA, cmp.Or(in.CA, in.PeerCA))
	if in.Ctl.Cert == "" {
		in.Ctl.Cert, in.Ctl.Key = in.PeerCert, in.PeerKey
	}
	if in.Ctl.Cert == "" {
		in.Ctl.Cert, in.Ctl.Key = in.Cert, in.Key
	}
}

// Certificates lists the files whose expiry stops this member, each once.
func (in Instance) Certificates() []string {
	var out []string
	for _, p := range []string{in.Cert, in.PeerCert, in.Ctl.Cert, in.CA, in.PeerCA} {
		if strings.HasPrefix(p, "/") && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Local tells of a URL that other hosts cannot use: localhost, or no address at all.
func Local(u string) bool {
	p, err := url.Parse(u)
	if err != nil {
		return false
	}
	ip := net.ParseIP(p.Hostname())
	return p.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// URLs keeps what is a URL of a member of what a host, or a file, says.
func URLs(in []string) []string { return urls(in) }

// urls keeps what is a URL of a member; the rest could not be asked.
func urls(in []string) []string {
	const most = 20
	var out []string
	for _, u := range in {
		u = strings.TrimSuffix(strings.TrimSpace(u), "/")
		p, err := url.Parse(u)
		if err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Port() == "" || p.Host == "" || p.User != nil || p.Path != "" || len(u) > maxText {
			continue
		}
		if out = append(out, text(u)); len(out) == most {
			break
		}
	}
	return out
}

func yes(s string) bool {
	ok, _ := strconv.ParseBool(s)
	return ok
}

func clean(path string) string {
	if len(path) > 1 {
		path = strings.TrimRight(path, "/")
	}
	return path
}

// ServesV2 tells whether the member, of that version, answers the v2 API: also
// before 3.4 it can be told not to.
func (in Instance) ServesV2(v Version) bool {
	return v.ServesV2(in.V2Enabled) && (in.V2Enabled || in.Settings["ETCD_ENABLE_V2"] == "")
}

// TLS tells whether clients or peers come with certificates.
func (in Instance) TLS() bool { return in.Cert != "" || in.PeerCert != "" }
