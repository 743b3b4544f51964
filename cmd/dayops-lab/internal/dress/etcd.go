package dress

import (
	"fmt"
	"strings"
)

// etcdMember is /etc/etcd as openshift-ansible leaves it; on the first member with the authority.
func (c *Cluster) etcdMember(h Host) ([]entry, error) {
	certs := c.etcd[h.Name]
	own := "etcd:etcd"
	out := []entry{
		{path: "/etc/etcd", kind: folder, mode: 0o700, owner: own},
		{path: "/etc/etcd/etcd.conf", mode: 0o640, owner: "root:etcd", data: c.etcdConf(h), xattrs: label("etc_t")},
		{path: "/etc/etcd/ca.crt", mode: 0o600, owner: own, data: string(c.etcdCA.Cert), xattrs: label("cert_t")},
		{path: "/etc/etcd/server.crt", mode: 0o600, owner: own, data: string(certs.server.Cert)},
		{path: "/etc/etcd/server.key", mode: 0o600, owner: own, data: string(certs.server.Key)},
		{path: "/etc/etcd/peer.crt", mode: 0o600, owner: own, data: string(certs.peer.Cert)},
		{path: "/etc/etcd/peer.key", mode: 0o600, owner: own, data: string(certs.peer.Key)},
		{path: "/var/lib/etcd", kind: folder, mode: 0o700, owner: own},
	}
	if c.Pods && h.Is("master") {
		out = append(out, entry{path: "/etc/origin/node/pods/etcd.yaml", mode: 0o600, data: etcdPod})
	}
	if !c.first("etcd", h) {
		return out, nil
	}
	return append(out, c.etcdAuthority()...), nil
}

const etcdPod = `apiVersion: v1
kind: Pod
metadata:
  name: master-etcd
  namespace: kube-system
  labels:
    openshift.io/component: etcd
    openshift.io/control-plane: "true"
spec:
  restartPolicy: Always
  hostNetwork: true
  containers:
  - name: etcd
    image: registry.access.redhat.com/rhel7/etcd:3.2.22
    workingDir: /var/lib/etcd
    command: ["/bin/sh", "-c"]
    args:
    - |
      #!/bin/sh
      set -o allexport
      source /etc/etcd/etcd.conf
      exec etcd
    securityContext:
      privileged: true
    volumeMounts:
    - mountPath: /etc/etcd/
      name: master-config
      readOnly: true
    - mountPath: /var/lib/etcd/
      name: master-data
  volumes:
  - name: master-config
    hostPath:
      path: /etc/etcd/
  - name: master-data
    hostPath:
      path: /var/lib/etcd
`

// etcdAuthority is the layout that `openssl ca -name etcd_ca` works on.
func (c *Cluster) etcdAuthority() []entry {
	ca, gen := "/etc/etcd/ca", "/etc/etcd/generated_certs"
	issued := c.etcdCA.Issued()
	var index strings.Builder
	for _, p := range issued {
		fmt.Fprintf(&index, "V\t%s\t\t%02X\tunknown\t%s\n", p.NotAfter.Format("060102150405Z"), p.Serial, p.Subject)
	}
	out := []entry{
		{path: ca, kind: folder, mode: 0o700},
		{path: ca + "/ca.crt", data: string(c.etcdCA.Cert)},
		{path: ca + "/ca.key", mode: 0o600, data: string(c.etcdCA.Key)},
		{path: ca + "/openssl.cnf", data: opensslCnf},
		{path: ca + "/serial", data: fmt.Sprintf("%02X\n", len(issued)+1)},
		{path: ca + "/index.txt", data: index.String()},
		{path: ca + "/index.txt.attr", data: "unique_subject = no\n"},
		{path: ca + "/certs", kind: folder, mode: 0o700},
		{path: ca + "/crl", kind: folder, mode: 0o700},
		{path: ca + "/crlnumber", data: "01\n"},
		{path: gen, kind: folder, mode: 0o700},
	}
	for _, p := range issued {
		out = append(out, entry{path: fmt.Sprintf("%s/certs/%02X.pem", ca, p.Serial), data: string(p.Cert)})
	}
	for _, h := range c.with("etcd") {
		d, e := gen+"/etcd-"+h.Name, c.etcd[h.Name]
		out = append(out, entry{path: d, kind: folder, mode: 0o700},
			entry{path: d + "/ca.crt", kind: hardlink, data: ca + "/ca.crt"},
			entry{path: d + "/server.crt", data: string(e.server.Cert)},
			entry{path: d + "/server.key", mode: 0o600, data: string(e.server.Key)},
			entry{path: d + "/peer.crt", data: string(e.peer.Cert)},
			entry{path: d + "/peer.key", mode: 0o600, data: string(e.peer.Key)})
	}
	return out
}

func (c *Cluster) etcdConf(h Host) string {
	var all []string
	for _, e := range c.with("etcd") {
		all = append(all, fmt.Sprintf("%s=https://%s:2380", e.Name, e.IP))
	}
	v2 := "ETCD_ENABLE_V2=true\n"
	if c.NoV2 {
		v2 = ""
	}
	return strings.NewReplacer("@V2@", v2, "@NAME@", h.Name, "@ADDR@", h.IP, "@ALL@", strings.Join(all, ",")).Replace(`ETCD_NAME=@NAME@
ETCD_LISTEN_PEER_URLS=https://@ADDR@:2380
ETCD_DATA_DIR=/var/lib/etcd/
ETCD_HEARTBEAT_INTERVAL=500
ETCD_ELECTION_TIMEOUT=2500
ETCD_LISTEN_CLIENT_URLS=https://@ADDR@:2379

#[cluster]
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://@ADDR@:2380
ETCD_INITIAL_CLUSTER=@ALL@
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_INITIAL_CLUSTER_TOKEN=etcd-cluster-1
ETCD_ADVERTISE_CLIENT_URLS=https://@ADDR@:2379
ETCD_QUOTA_BACKEND_BYTES=4294967296
@V2@
#[security]
ETCD_TRUSTED_CA_FILE=/etc/etcd/ca.crt
ETCD_CLIENT_CERT_AUTH=true
ETCD_CERT_FILE=/etc/etcd/server.crt
ETCD_KEY_FILE=/etc/etcd/server.key
ETCD_PEER_TRUSTED_CA_FILE=/etc/etcd/ca.crt
ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_PEER_CERT_FILE=/etc/etcd/peer.crt
ETCD_PEER_KEY_FILE=/etc/etcd/peer.key
`)
}

const opensslCnf = `HOME = .
oid_section = new_oids

[ new_oids ]

[ req ]
default_bits = 2048
default_keyfile = privkey.pem
distinguished_name = req_distinguished_name
attributes = req_attributes
string_mask = utf8only

[ req_distinguished_name ]
commonName = Common Name
commonName_max = 64

[ req_attributes ]

[ policy_anything ]
countryName = optional
stateOrProvinceName = optional
localityName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
emailAddress = optional

[ etcd_v3_req ]
basicConstraints = critical,CA:FALSE
keyUsage = digitalSignature,keyEncipherment
subjectAltName = ${ENV::SAN}

[ etcd_ca ]
dir = /etc/etcd/ca
crl_dir = $dir/crl
database = $dir/index.txt
new_certs_dir = $dir/certs
certificate = $dir/ca.crt
serial = $dir/serial
private_key = $dir/ca.key
crl_number = $dir/crlnumber
x509_extensions = etcd_v3_ca_client
default_days = 1825
default_md = sha256
preserve = no
name_opt = ca_default
cert_opt = ca_default
policy = policy_anything
unique_subject = no
copy_extensions = copy

[ etcd_v3_ca_self ]
authorityKeyIdentifier = keyid,issuer
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,digitalSignature,keyEncipherment,keyCertSign
subjectKeyIdentifier = hash

[ etcd_v3_ca_peer ]
authorityKeyIdentifier = keyid,issuer:always
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth,serverAuth
keyUsage = digitalSignature,keyEncipherment
subjectKeyIdentifier = hash

[ etcd_v3_ca_server ]
authorityKeyIdentifier = keyid,issuer:always
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth,serverAuth
keyUsage = digitalSignature,keyEncipherment
subjectKeyIdentifier = hash

[ etcd_v3_ca_client ]
authorityKeyIdentifier = keyid,issuer:always
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
keyUsage = digitalSignature,keyEncipherment
subjectKeyIdentifier = hash
`
