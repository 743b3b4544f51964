package hostbackup

import (
	"slices"

	"github.com/dayops/dayops/engine/change"
)

// Roles that a host can have. In a playbook they may be named as the groups are.
const (
	master = "master"
	node   = "node"
	etcd   = "etcd"
	lb     = "lb"
)

func role(word string) string {
	switch word {
	case "masters", "new_masters":
		return master
	case "nodes", "new_nodes":
		return node
	case "new_etcd":
		return etcd
	}
	return word
}

// item is one row of what is backed up: who has it, and who says so. Nothing is
// required: hosts of different versions and makes have different ones.
type item struct {
	path  string
	roles []string
	why   string
	// other marks the place that another distribution or kind of cluster uses
	// for something that has a row of its own: that it is not there is not told.
	other bool
}

// items is the list, from the OCP 3.10 Day 2 Operations Guide by section, and ours.
func items() []item {
	cluster, every := []string{master, node}, []string{master, node, etcd, lb}
	return []item{
		{"/etc/origin", cluster, "guide 4.1, 4.2: configuration, keys, certificates", false},
		{"/etc/kubernetes", cluster, "ours: the same of a kubeadm-like cluster", true},
		{"/etc/sysconfig/atomic-*", []string{master}, "guide 4.1: options of the services", false},
		{"/etc/sysconfig/origin-*", []string{master}, "guide 4.1: the same of OKD", true},
		{"/etc/sysconfig/*-node", []string{node}, "guide 4.2: options of the node service", false},
		{"/etc/sysconfig/iptables", every, "guide 4.1, 4.2; ours for etcd and lb: the firewall", false},
		{"/etc/iptables/*", every, "ours: the firewall on Debian", true},
		{"/etc/sysconfig/docker*", cluster, "guide 4.1, 4.2: docker, docker-network, docker-storage, docker-storage-setup, what updates left beside them", false},
		{"/etc/sysconfig/container-storage-setup", cluster, "guide 7.1.2: newer name of docker-storage-setup", true},
		{"/etc/default/docker*", cluster, "ours: docker's options on Debian", true},
		{"/etc/sysconfig/flanneld", []string{master, node, etcd}, "guide 4.1, 4.2; ours for etcd: the overlay network", false},
		{"/etc/dnsmasq.conf", cluster, "guide 4.1, 4.2: name service", false},
		{"/etc/dnsmasq.d/*", cluster, "guide 4.1, 4.2: name service", false},
		{"/etc/cni/*", cluster, "guide 4.1, 4.2: network plug-ins", false},
		{"/etc/pki/ca-trust/source/anchors/*", every, "guide 4.1, 4.2, 7.2.2: certificate authorities that were added", false},
		{"/usr/local/share/ca-certificates/*", every, "ours: the same on Debian", true},
		{"/etc/docker/certs.d", cluster, "guide 4.3, 7.2.2: certificates of registries", false},
		{"/etc/etcd", []string{etcd}, "guide 4.6.1.1: configuration, certificates, ca and generated_certs", false},
		{"/etc/default/etcd", []string{etcd}, "ours: etcd's options on Debian", true},
		{"/etc/haproxy/haproxy.cfg", []string{lb}, "ours: the balancer", false},
		{"/etc/docker/daemon.json", cluster, "ours: docker's options", false},
		{"/etc/containers", every, "ours: registries, policies, storage", false},
		{"/etc/systemd/system/*.d", every, "ours: drop-ins", false},
		{"/etc/NetworkManager/system-connections", every, "ours: the network", false},
		{"/etc/sysconfig/network-scripts/ifcfg-*", every, "ours: the network before RHEL 9", true},
		{"/etc/network/interfaces", every, "ours: the network on Debian", true},
		{"/etc/yum.repos.d", every, "guide 4.4: repositories", false},
		{"/etc/apt/sources.list", every, "ours: repositories on Debian", true},
		{"/etc/apt/sources.list.d", every, "ours: repositories on Debian", true},
		{"/etc/fstab", every, "ours: file systems", false},
		{"/etc/hosts", every, "ours: names", false},
		{"/etc/resolv.conf", every, "ours: name service", false},
	}
}

// excluded is rewritten every few minutes and of no use.
const excluded = "/etc/origin/node/tmp"

// declared are the rows for roles.
func declared(roles []string) []change.TreeItem {
	var out []change.TreeItem
	for _, i := range items() {
		if slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(i.roles, role(r)) }) {
			out = append(out, change.TreeItem{Path: i.path, Optional: true, Quiet: i.other, Why: i.why})
		}
	}
	return out
}
