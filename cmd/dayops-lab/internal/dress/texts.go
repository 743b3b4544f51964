package dress

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// site is what years of hands leave on a host: every kind of name, owner and file.
func (c *Cluster) site(h Host) []entry {
	s := "/etc/origin/node/site/"
	return []entry{
		{path: s, kind: folder, mode: 0o1777},
		{path: s + "empty"},
		{path: s + "with space.conf", data: "a = b\n"},
		{path: s + "10:30 note", mode: 0o600, data: "a colon, a space, no extension\n"},
		{path: s + "line\nbreak.txt", data: "a newline in the name\n"},
		{path: s + "証明書-é.pem", data: string(c.ca.Cert)},
		{path: s + "caf\xe9.conf", data: "the name is Latin-1, not UTF-8\n"},
		{path: s + "-rf", data: "a name that looks like an option\n"},
		{path: s + "$(touch pwned) `id` 'q' \"q\" \\ *", data: "a name that is no shell text\n"},
		{path: s + ".hidden", mode: 0o400, data: "0400\n"},
		{path: s + "no-access", mode: 0o001, data: "mode 0001\n"},
		{path: s + "etcd-owned", mode: 0o640, owner: "root:etcd", data: c.noise(h, "owned", 200) + "\n"},
		{path: s + "nobody-owned", mode: 0o4755, owner: "65534:65534", data: "#!/bin/sh\nexit 0\n"},
		{path: s + "unknown-owner", mode: 0o664, owner: "54321:12345", data: "an account that is long gone\n"},
		{path: s + "setgid", kind: folder, mode: 0o2775, owner: "root:etcd"},
		{path: s + "setgid/inside", data: "x\n"},
		{path: s + "empty-folder", kind: folder, mode: 0o500},
		{path: s + "link-relative", kind: symlink, data: "setgid/inside"},
		{path: s + "link-up", kind: symlink, data: "../node-config.yaml"},
		{path: s + "link-absolute", kind: symlink, data: "/etc/origin/node/node-config.yaml"},
		{path: s + "link-dangling", kind: symlink, data: "/nonexistent/target"},
		{path: s + "link-folder", kind: symlink, data: "setgid"},
		{path: s + "link-loop", kind: symlink, data: "link-loop"},
		{path: s + "hard-1", mode: 0o644, data: c.noise(h, "hard", 4096)},
		{path: s + "hard-2", kind: hardlink, data: s + "hard-1"},
		{path: s + "setgid/hard-3", kind: hardlink, data: s + "hard-1"},
		{path: s + "sparse.img", kind: sparse, size: 64 << 20, data: "end of a sparse file\n"},
		{path: s + "binary", data: "\x00\x01\x02\xff\xfe\r\n" + c.noise(h, "bin", 70000)},
		{path: s + "fifo", kind: fifo, mode: 0o600},
		{path: s + "socket", kind: socket, mode: 0o600},
		{path: s + "xattr", data: "has an attribute\n", xattrs: map[string]string{"user.dayops.note": "kept by backup\x00binary"}},
		{path: s + "acl", mode: 0o640, data: "an access list\n", xattrs: map[string]string{"system.posix_acl_access": acl(
			aclEntry{1, 6, -1}, aclEntry{2, 4, 1000}, aclEntry{4, 4, -1}, aclEntry{8, 6, 103}, aclEntry{16, 6, -1}, aclEntry{32, 0, -1})}},
		{path: s + "acl-folder", kind: folder, mode: 0o750, xattrs: map[string]string{"system.posix_acl_default": acl(
			aclEntry{1, 7, -1}, aclEntry{2, 5, 1000}, aclEntry{4, 5, -1}, aclEntry{16, 5, -1}, aclEntry{32, 0, -1})}},
		{path: s + "labelled", data: "an SELinux label\n", xattrs: label("container_file_t")},
	}
}

// aclEntry is one line of an access list: tag (1 owner, 2 user, 4 owning group, 8 group, 16 mask, 32 other), rights, number.
type aclEntry struct {
	tag, perm uint16
	id        int32
}

// acl is the kernel's form of an access list (version 2).
func acl(es ...aclEntry) string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range es {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, uint32(e.id))
	}
	return string(b)
}

func iptables(h Host) string {
	ports := []string{"22", "10250"}
	if h.Is("master") {
		ports = append(ports, "8443", "8053")
	}
	if h.Is("etcd") {
		ports = append(ports, "2379", "2380")
	}
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:OS_FIREWALL_ALLOW - [0:0]\n-A INPUT -j OS_FIREWALL_ALLOW\n")
	for _, p := range ports {
		fmt.Fprintf(&b, "-A OS_FIREWALL_ALLOW -p tcp -m state --state NEW -m tcp --dport %s -j ACCEPT\n", p)
	}
	return b.String() + "COMMIT\n"
}

func (c *Cluster) api() string { return "https://openshift." + c.Domain + ":8443" }

func (c *Cluster) kubeconfig(user, cert, key string) string {
	e := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: %s\n    server: %s\n  name: openshift\n"+
		"contexts:\n- context:\n    cluster: openshift\n    user: %q\n  name: default\ncurrent-context: default\nusers:\n- name: %q\n  user:\n    client-certificate-data: %s\n    client-key-data: %s\n",
		e(string(c.ca.Cert)), c.api(), user, user, e(cert), e(key))
}

func (c *Cluster) nodeConfig(h Host) string {
	return fmt.Sprintf("apiVersion: v1\nkind: NodeConfig\nnodeName: %s\ndnsIP: %s\ndnsDomain: cluster.local\nimageConfig:\n  format: registry.access.redhat.com/openshift3/ose-${component}:v3.10.45\n"+
		"kubeletArguments:\n  node-labels:\n  - node-role.kubernetes.io/compute=true\n  pod-manifest-path:\n  - /etc/origin/node/pods\nmasterKubeConfig: node.kubeconfig\nnetworkConfig:\n  mtu: 1450\n  networkPluginName: redhat/openshift-ovs-subnet\n"+
		"servingInfo:\n  bindAddress: 0.0.0.0:10250\n  certFile: server.crt\n  keyFile: server.key\nvolumeDirectory: /var/lib/origin/openshift.local.volumes\n", h.Name, h.IP)
}

func (c *Cluster) masterConfig(h Host) string {
	var urls strings.Builder
	for _, e := range c.with("etcd") {
		fmt.Fprintf(&urls, "  - https://%s:2379\n", e.Name)
	}
	return fmt.Sprintf("admissionConfig:\n  pluginConfig: {}\napiVersion: v1\nkind: MasterConfig\ncontrollerConfig:\n  election:\n    lockName: openshift-master-controllers\n"+
		"etcdClientInfo:\n  ca: master.etcd-ca.crt\n  certFile: master.etcd-client.crt\n  keyFile: master.etcd-client.key\n  urls:\n%s"+
		"imagePolicyConfig:\n  internalRegistryHostname: docker-registry.default.svc:5000\nmasterClients:\n  openshiftLoopbackKubeConfig: openshift-master.kubeconfig\n"+
		"masterPublicURL: %s\nnetworkConfig:\n  clusterNetworks:\n  - cidr: 10.128.0.0/14\n    hostSubnetLength: 9\n  serviceNetworkCIDR: 172.30.0.0/16\n"+
		"oauthConfig:\n  identityProviders:\n  - name: htpasswd_auth\n    provider:\n      apiVersion: v1\n      file: /etc/origin/master/htpasswd\n      kind: HTPasswdPasswordIdentityProvider\n"+
		"servingInfo:\n  bindAddress: 0.0.0.0:8443\n  certFile: master.server.crt\n  keyFile: master.server.key\n# this master: %s\n", urls.String(), c.api(), h.Name)
}

func (c *Cluster) pod(name, component, args string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: kube-system\n  labels:\n    openshift.io/component: %s\n    openshift.io/control-plane: \"true\"\n"+
		"spec:\n  hostNetwork: true\n  restartPolicy: Always\n  containers:\n  - name: %s\n    image: registry.access.redhat.com/openshift3/ose-control-plane:v3.10\n    command: [\"/bin/bash\", \"-c\"]\n    args: [\"exec openshift %s --config=/etc/origin/master/master-config.yaml\"]\n"+
		"    volumeMounts:\n    - mountPath: /etc/origin/master/\n      name: master-config\n  volumes:\n  - hostPath:\n      path: /etc/origin/master/\n    name: master-config\n", name, component, component, args)
}
