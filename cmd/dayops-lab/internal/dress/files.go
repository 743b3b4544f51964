package dress

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path"
	"strings"
)

// label is what SELinux would have put on the file; kept as an attribute where the kernel lets us.
func label(typ string) map[string]string {
	return map[string]string{"security.selinux": "system_u:object_r:" + typ + ":s0\x00"}
}

func (c *Cluster) entries(h Host) ([]entry, error) {
	var out []entry
	parts := []struct {
		role string
		make func(Host) ([]entry, error)
	}{{"node", c.node}, {"master", c.master}, {"etcd", c.etcdMember}, {"lb", c.lb}}
	for _, p := range parts {
		if !h.Is(p.role) && (p.role != "node" || !h.Is("master")) {
			continue
		}
		es, err := p.make(h)
		if err != nil {
			return nil, err
		}
		out = append(out, es...)
	}
	return append(out, c.everywhere(h)...), nil
}

// everywhere is what each host has: the site's own authorities and, where the installer has been, firewall rules.
func (c *Cluster) everywhere(h Host) []entry {
	var out []entry
	if !h.Is("new_etcd") {
		out = append(out, entry{path: "/etc/sysconfig/iptables", mode: 0o600, data: iptables(h), xattrs: label("system_conf_t")})
	}
	return append(out, []entry{
		{path: "/etc/pki/ca-trust/source/anchors/corp-root-ca.crt", data: string(c.ca.Cert), xattrs: label("cert_t")},
		{path: "/etc/pki/ca-trust/source/anchors/openshift-ca.crt", kind: symlink, data: "/etc/origin/node/client-ca.crt"},
		{path: "/etc/pki/ca-trust/source/anchors/old proxy ca 2016.crt", mode: 0o444, data: string(c.ca.Cert)},
	}...)
}

func (c *Cluster) node(h Host) ([]entry, error) {
	client, err := c.ca.Issue("system:node:"+h.Name, []string{h.Name})
	if err != nil {
		return nil, err
	}
	server, err := c.ca.Issue(h.Name, []string{h.Name, h.Name + "." + c.Domain}, net.ParseIP(h.IP))
	if err != nil {
		return nil, err
	}
	n := "/etc/origin/node/"
	user := "system:node:" + h.Name
	out := []entry{
		{path: "/etc/origin", kind: folder, mode: 0o755},
		{path: "/etc/origin/node", kind: folder, mode: 0o700},
		{path: n + "node-config.yaml", mode: 0o600, data: c.nodeConfig(h), xattrs: label("etc_t")},
		{path: n + "bootstrap-node-config.yaml", mode: 0o600, data: c.nodeConfig(h)},
		{path: n + "bootstrap.kubeconfig", mode: 0o600, data: c.kubeconfig("system:serviceaccount:openshift-infra:node-bootstrapper", string(client.Cert), string(client.Key))},
		{path: n + "node.kubeconfig", mode: 0o600, data: c.kubeconfig(user, string(client.Cert), string(client.Key))},
		{path: n + user + ".crt", mode: 0o600, data: string(client.Cert), xattrs: label("cert_t")},
		{path: n + user + ".key", mode: 0o600, data: string(client.Key), xattrs: label("cert_t")},
		{path: n + user + ".kubeconfig", mode: 0o600, data: c.kubeconfig(user, string(client.Cert), string(client.Key))},
		{path: n + "server.crt", mode: 0o600, data: string(server.Cert)},
		{path: n + "server.key", mode: 0o600, data: string(server.Key)},
		{path: n + "client-ca.crt", data: string(c.ca.Cert)},
		{path: n + "ca.crt", kind: symlink, data: "client-ca.crt"},
		{path: n + "certificates", kind: folder, mode: 0o700},
		{path: n + "certificates/kubelet-client-2018-09-14-09-12-31.pem", mode: 0o600, data: string(client.Cert) + string(client.Key)},
		{path: n + "certificates/kubelet-client-current.pem", kind: symlink, data: n + "certificates/kubelet-client-2018-09-14-09-12-31.pem"},
		{path: n + "resolv.conf", data: "nameserver " + h.IP + "\nsearch cluster.local " + c.Domain + "\n"},
		{path: n + "node-dnsmasq.conf", data: "server=/in-addr.arpa/127.0.0.1\nserver=/cluster.local/127.0.0.1\n"},
		{path: n + "tmp", kind: folder, mode: 0o700},
		{path: n + "tmp/node-config.yaml", mode: 0o600, data: "# rewritten every few minutes by the sync pod\n" + c.nodeConfig(h)},
		{path: n + "tmp/.old", mode: 0o600, data: "scratch\n"},
		{path: n + "pods", kind: folder, mode: 0o700},
		{path: n + "volumes", kind: folder, mode: 0o700},
		{path: "/etc/origin/cloudprovider", kind: folder, mode: 0o750},
		{path: "/etc/origin/cloudprovider/openstack.conf", mode: 0o640, owner: "root:etcd", data: "[Global]\nauth-url = https://keystone." + c.Domain + ":5000/v3\nusername = openshift\npassword = not-a-real-one\n"},
		{path: "/etc/sysconfig/atomic-openshift-node", mode: 0o640, data: "OPTIONS=\nDEBUG_LOGLEVEL=2\nIMAGE_VERSION=v3.10.45\nCONFIG_FILE=/etc/origin/node/node-config.yaml\n"},
	}
	out = append(out, c.docker(h)...)
	return append(out, c.site(h)...), nil
}

func (c *Cluster) docker(h Host) []entry {
	sys := "/etc/sysconfig/"
	reg := "docker-registry.default.svc:5000"
	var peers strings.Builder
	for _, e := range c.with("etcd") {
		fmt.Fprintf(&peers, "https://%s:2379,", e.IP)
	}
	return []entry{
		{path: sys + "docker", data: "OPTIONS=' --selinux-enabled --signature-verification=False --insecure-registry=172.30.0.0/16'\nDOCKER_CERT_PATH=/etc/docker\nADD_REGISTRY='--add-registry registry.access.redhat.com'\n"},
		{path: sys + "docker.rpmnew", data: "OPTIONS='--selinux-enabled --log-driver=journald'\n"},
		{path: sys + "docker-network", data: "DOCKER_NETWORK_OPTIONS=' --mtu=1450'\n"},
		{path: sys + "docker-storage", data: "DOCKER_STORAGE_OPTIONS=\"--storage-driver overlay2 \"\n"},
		{path: sys + "docker-storage-setup", data: "DEVS=/dev/xvdb\nVG=docker_vol\nDATA_SIZE=95%VG\nSTORAGE_DRIVER=overlay2\nCONTAINER_ROOT_LV_NAME=dockerlv\nCONTAINER_ROOT_LV_MOUNT_PATH=/var/lib/docker\nCONTAINER_ROOT_LV_SIZE=100%FREE\n"},
		{path: sys + "docker-storage-setup.rpmnew"},
		{path: sys + "flanneld", data: "FLANNEL_ETCD_ENDPOINTS=\"" + strings.TrimSuffix(peers.String(), ",") + "\"\nFLANNEL_ETCD_PREFIX=\"/openshift.com/network\"\n"},
		{path: "/etc/dnsmasq.conf", data: "conf-dir=/etc/dnsmasq.d\n"},
		{path: "/etc/dnsmasq.d/origin-dns.conf", data: "no-resolv\ndomain-needed\nno-negcache\nmax-cache-ttl=1\nenable-dbus\nlisten-address=" + h.IP + "\n"},
		{path: "/etc/dnsmasq.d/origin-upstream-dns.conf", data: "server=192.0.2.53\n"},
		{path: "/etc/dnsmasq.d/node-dnsmasq.conf", kind: symlink, data: "../origin/node/node-dnsmasq.conf"},
		{path: "/etc/cni/net.d/80-openshift-network.conf", data: "{\n  \"cniVersion\": \"0.2.0\",\n  \"name\": \"openshift-sdn\",\n  \"type\": \"openshift-sdn\"\n}\n"},
		{path: "/etc/docker/certs.d/" + reg, kind: folder},
		{path: "/etc/docker/certs.d/" + reg + "/node-client-ca.crt", kind: symlink, data: "/etc/origin/node/client-ca.crt"},
		{path: "/etc/docker/certs.d/registry." + c.Domain + ":5000/ca.crt", data: string(c.ca.Cert)},
		{path: "/etc/docker/certs.d/registry.access.redhat.com/redhat-ca.crt", kind: symlink, data: "/etc/rhsm/ca/redhat-uep.pem"}, // dangling, as on many hosts
		{path: "/etc/docker/daemon.json", data: "{\n  \"log-driver\": \"journald\"\n}\n"},
		{path: "/etc/containers/registries.conf", data: "[registries.search]\nregistries = ['registry.access.redhat.com']\n\n[registries.insecure]\nregistries = []\n"},
	}
}

func (c *Cluster) master(h Host) ([]entry, error) {
	m := "/etc/origin/master/"
	out := []entry{
		{path: m, kind: folder, mode: 0o700},
		{path: m + "master-config.yaml", mode: 0o600, data: c.masterConfig(h), xattrs: label("etc_t")},
		{path: m + "master.env", mode: 0o600, data: "DEBUG_LOGLEVEL=2\n"},
		{path: m + "ca.crt", data: string(c.ca.Cert), xattrs: label("cert_t")},
		{path: m + "ca.key", mode: 0o600, data: string(c.ca.Key), xattrs: label("cert_t")},
		{path: m + "ca-bundle.crt", kind: hardlink, data: m + "ca.crt"},
		{path: m + "client-ca-bundle.crt", data: string(c.ca.Cert) + string(c.etcdCA.Cert)},
		{path: m + "master.etcd-ca.crt", mode: 0o600, data: string(c.etcdCA.Cert)},
		{path: m + "htpasswd", mode: 0o600},
		{path: m + "session-secrets.yaml", mode: 0o600, data: "apiVersion: v1\nkind: SessionSecrets\nsecrets:\n- authentication: " + c.noise(h, "auth", 24) + "\n  encryption: " + c.noise(h, "enc", 24) + "\n"},
		{path: m + "scheduler.json", data: "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Policy\",\n  \"predicates\": [{\"name\": \"NoDiskConflict\"}],\n  \"priorities\": [{\"name\": \"LeastRequestedPriority\", \"weight\": 1}]\n}\n"},
		{path: m + "policy.json", data: "{}\n"},
		{path: m + "named_certificates", kind: folder, mode: 0o2750, owner: "root:etcd"},
		{path: m + "serviceaccounts.public.key", data: "not-a-real-key " + c.noise(h, "sa", 32) + "\n"},
		{path: m + "serviceaccounts.private.key", mode: 0o600, data: "not-a-real-key " + c.noise(h, "sap", 64) + "\n"},
		{path: "/etc/origin/generated-configs", kind: folder, mode: 0o700},
		{path: "/etc/origin/examples/image-streams-rhel7.json", data: "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": []}\n"},
		{path: "/etc/sysconfig/atomic-openshift-master-api", mode: 0o640, data: "OPTIONS=--loglevel=2\n"},
		{path: "/etc/sysconfig/atomic-openshift-master-controllers", mode: 0o640, data: "OPTIONS=--loglevel=2\n"},
		{path: "/etc/origin/node/pods/apiserver.yaml", mode: 0o600, data: c.pod("master-api", "api", "start master api")},
		{path: "/etc/origin/node/pods/controller.yaml", mode: 0o600, data: c.pod("master-controllers", "controllers", "start master controllers")},
	}
	if c.first("master", h) {
		out = append(out, entry{path: m + "ca.serial.txt", mode: 0o644, data: "14\n"})
	}
	for _, name := range []string{"admin", "master.proxy-client", "master.kubelet-client", "openshift-master", "openshift-registry", "openshift-router", "master.etcd-client", "etcd.server", "master.server"} {
		ca := c.ca
		if strings.Contains(name, "etcd") {
			ca = c.etcdCA
		}
		p, err := ca.Issue("system:"+name, []string{h.Name, h.Name + "." + c.Domain}, net.ParseIP(h.IP))
		if err != nil {
			return nil, err
		}
		out = append(out, entry{path: m + name + ".crt", mode: 0o644, data: string(p.Cert)},
			entry{path: m + name + ".key", mode: 0o600, data: string(p.Key)})
		if name == "admin" || name == "openshift-master" {
			out = append(out, entry{path: m + name + ".kubeconfig", mode: 0o600, data: c.kubeconfig("system:"+name, string(p.Cert), string(p.Key))})
		}
	}
	for _, n := range c.Hosts {
		gen := path.Join("/etc/origin/generated-configs", "node-"+n.Name)
		out = append(out, entry{path: gen, kind: folder, mode: 0o700},
			entry{path: gen + "/system:node:" + n.Name + ".crt", mode: 0o600, data: string(c.ca.Cert)})
	}
	return out, nil
}

func (c *Cluster) lb(h Host) ([]entry, error) {
	var backends strings.Builder
	for i, m := range c.with("master") {
		fmt.Fprintf(&backends, "    server      master%d %s:8443 check\n", i, m.IP)
	}
	return []entry{
		{path: "/etc/haproxy", kind: folder},
		{path: "/etc/haproxy/haproxy.cfg", mode: 0o644, data: "# Global settings\nglobal\n    maxconn     20000\n    log         /dev/log local0 info\n    user        haproxy\n    group       haproxy\n    daemon\n\n" +
			"defaults\n    mode                    http\n    timeout connect         10s\n    timeout client          300s\n    timeout server          300s\n\n" +
			"frontend  atomic-openshift-api\n    bind *:8443\n    default_backend atomic-openshift-api\n    mode tcp\n    option tcplog\n\n" +
			"backend atomic-openshift-api\n    balance source\n    mode tcp\n" + backends.String(), xattrs: label("etc_t")},
		{path: "/etc/haproxy/haproxy.cfg.2018-08-01@10:15:02~", data: "# kept by the installer\n"},
	}, nil
}

// noise is made-up text that depends on the seed, the host and the purpose alone.
func (c *Cluster) noise(h Host, purpose string, n int) string {
	var s uint64 = 14695981039346656037
	for _, b := range []byte(h.Name + "/" + purpose) {
		s = (s ^ uint64(b)) * 1099511628211
	}
	r := rand.New(rand.NewPCG(c.seed, s))
	const abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = abc[r.IntN(len(abc))]
	}
	return string(b)
}
