// Package membertest makes clusters for the tests of plans, and shows plans.
package membertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
	"github.com/dayops/dayops/tasks/internal/etcdsave"
)

// Now is when plans are made.
func Now() time.Time { return time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC) }

// Host is a host of a test.
type Host = etcdmember.Host

// Cluster are healthy members master-0, master-1, ... that are masters too; the
// first has the authority, and the second leads (the first, of one).
func Cluster(n int, version string) []Host {
	var hosts []Host
	var members []etcd.Member
	for i := range n {
		members = append(members, etcd.Member{ID: uint64(i + 10), Name: fmt.Sprintf("master-%d", i),
			PeerURLs: []string{fmt.Sprintf("https://192.168.55.1%d:2380", i)}, ClientURLs: []string{fmt.Sprintf("https://192.168.55.1%d:2379", i)}})
	}
	for i, m := range members {
		in := etcd.Instance{Runtime: etcd.UnitRuntime, Unit: "etcd.service", Active: true, Name: m.Name, DataDir: "/var/lib/etcd", Token: "etcd-cluster-1",
			Service:    reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "active", SubState: "running", UnitFileState: "enabled"},
			ClientURLs: m.ClientURLs, ListenURLs: m.ClientURLs, PeerURLs: m.PeerURLs, Endpoint: m.ClientURLs[0],
			CA: "/etc/etcd/ca.crt", Cert: "/etc/etcd/server.crt", Key: "/etc/etcd/server.key", PeerCA: "/etc/etcd/ca.crt", PeerCert: "/etc/etcd/peer.crt", PeerKey: "/etc/etcd/peer.key",
			Ctl: etcd.Ctl{CA: "/etc/etcd/ca.crt", Cert: "/etc/etcd/peer.crt", Key: "/etc/etcd/peer.key"},
			Settings: map[string]string{"ETCD_NAME": m.Name, "ETCD_HEARTBEAT_INTERVAL": "500", "ETCD_ELECTION_TIMEOUT": "2500", "ETCD_CLIENT_CERT_AUTH": "true",
				"ETCD_LISTEN_PEER_URLS": m.PeerURLs[0], "ETCD_LISTEN_METRICS_URLS": strings.Replace(m.PeerURLs[0], "2380", "2381", 1)}}
		status := &etcd.Status{ClusterID: 0x26841ebcf610583c, MemberID: m.ID, Version: version, DBSize: 61 << 20, Leader: members[min(1, n-1)].ID, Index: 900, Term: 2, Revision: 1041269}
		s := etcdmember.State{Found: true, Instance: in, Live: etcd.Live{Status: status, Members: members, Health: etcd.Health{OK: true}},
			Trusted:      file("/etc/etcd/ca.crt"),
			Certificates: []etcdca.File{{Path: "/etc/etcd/peer.crt", Certs: []etcdca.Certificate{{NotAfter: Now().AddDate(1, 0, 0)}}}},
			Data:         []reader.File{{Path: "/var/lib/etcd/member", Exists: true, Type: reader.Directory, Mode: 0o700}},
			Conf:         conf(members),
			Store:        etcdsave.Store{Places: []etcdsave.Place{{Dir: "/var/lib/dayops", Room: etcd.Room{Mount: "/", Type: "ext4", Free: 38 << 30}}}},
			Rest:         rest(members)}
		if i == 0 {
			s.Authority = etcdca.Authority{Found: true, Dir: etcdca.Dir, Cert: file("/etc/etcd/ca/ca.crt"), Days: 1825, OpenSSL: true}
		}
		hosts = append(hosts, Host{Name: m.Name, Groups: []string{"etcd", "masters", "nodes"}, State: s, Facts: known(m.Name, fmt.Sprintf("192.168.55.1%d", i))})
	}
	return hosts
}

func known(name, address string) facts.Host {
	return facts.Host{Hostname: name, FQDN: name + ".example.com", Clock: Now(), Skew: 2 * time.Millisecond, SkewError: time.Millisecond, Packager: "yum", DefaultIPv4: address, Addresses: []string{address}}
}

func file(path string) etcdca.File {
	return etcdca.File{Path: path, Certs: []etcdca.Certificate{{CN: "etcd-signer", CA: true, SHA256: "ca", NotBefore: Now().AddDate(-1, 0, 0), NotAfter: Now().AddDate(4, 0, 0)}}}
}

func conf(members []etcd.Member) etcdmember.File {
	var all []string
	for _, m := range members {
		all = append(all, m.Name+"="+m.PeerURLs[0])
	}
	return text("/etc/etcd/etcd.conf", "ETCD_INITIAL_CLUSTER="+strings.Join(all, ",")+"\nETCD_INITIAL_CLUSTER_STATE=new\n")
}

func rest(members []etcd.Member) etcdmember.Rest {
	master, flannel := "etcdClientInfo:\n  ca: master.etcd-ca.crt\n  urls:\n", ""
	for _, m := range members {
		master += "  - https://" + m.Name + ":2379\n"
		flannel += "," + m.ClientURLs[0]
	}
	return etcdmember.Rest{Master: text("/etc/origin/master/master-config.yaml", master), Pod: true, Restart: true, Port: 8443, Listens: true,
		Flannel: text("/etc/sysconfig/flanneld", "FLANNEL_ETCD_ENDPOINTS=\""+flannel[1:]+"\"\n")}
}

func text(path, s string) etcdmember.File {
	return etcdmember.File{File: reader.File{Path: path, Exists: true, Type: reader.Regular, Mode: 0o600, Owner: "root", Group: "root", Size: int64(len(s)), SHA256: "of " + path, Links: 1}, Text: []byte(s)}
}

// Spare is an empty host of the group new_etcd, with RHEL's packages and firewall.
func Spare(name, address, offer string) Host {
	return Host{Name: name, Groups: []string{"new_etcd"}, Facts: known(name, address), State: etcdmember.State{Room: etcdmember.Room{
		Manager: "yum", Offers: map[string][]string{"etcd": {offer}}, Free: 38 << 30, Addresses: []string{address + "/24"}, Names: []string{address},
		Units: []reader.Unit{{Name: "etcd.service", LoadState: "not-found"}, {Name: "iptables.service", LoadState: "loaded", ActiveState: "active"}, {Name: "firewalld.service", LoadState: "not-found"}},
		Files: []reader.File{{Path: "/etc/etcd/ca.crt"}, {Path: "/etc/etcd/server.crt"}, {Path: "/etc/etcd/server.key"}, {Path: "/etc/etcd/peer.crt"}, {Path: "/etc/etcd/peer.key"}},
		Dir:   reader.File{Path: "/etc/etcd"}, Conf: etcdmember.File{File: reader.File{Path: "/etc/etcd/etcd.conf"}},
		Rules: etcdmember.Rules{Tool: true, Input: []string{"-P INPUT ACCEPT", "-A INPUT -j REJECT"}, Saved: text("/etc/sysconfig/iptables", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j REJECT\nCOMMIT\n")},
	}}}
}

// Down makes a member's host answer, and its etcd not.
func Down(h *Host) {
	h.State.Live = etcd.Live{Problem: "connection refused"}
	h.State.Instance.Active = false
	h.State.Instance.Service.ActiveState, h.State.Instance.Service.SubState = "inactive", "dead"
}

// Lost makes a host unreachable.
func Lost(h *Host, err error) { *h = Host{Name: h.Name, Groups: h.Groups, Err: err} }

// Show is a plan as a person reviews it: what was found, then stage by stage.
func Show(p task.Plan) string {
	var b strings.Builder
	for _, f := range p.Findings {
		fmt.Fprintf(&b, "%-4s  %s", [...]string{"ok", "warn", "FAIL"}[f.Status], f.Text)
		if f.Hint != "" {
			fmt.Fprintf(&b, "  -> %s", f.Hint)
		}
		b.WriteString("\n")
	}
	for i, s := range p.Stages {
		name := fmt.Sprintf("%d %s", i+1, s.Name)
		if s.Window > 0 {
			name += fmt.Sprintf(" (%d at a time)", s.Window)
		}
		if s.Commit && (i == 0 || !p.Stages[i-1].Commit) {
			b.WriteString("-- from here on nothing is taken back\n")
		}
		b.WriteString(name + "\n")
		for _, st := range s.Steps {
			line(&b, st)
		}
	}
	if len(p.Excused) > 0 {
		fmt.Fprintf(&b, "need not be reached: %s\n", strings.Join(p.Excused, " "))
	}
	if len(p.Finally) > 0 {
		b.WriteString("finally\n")
	}
	for _, st := range p.Finally {
		line(&b, st)
	}
	return b.String()
}

func line(b *strings.Builder, st task.Step) {
	fmt.Fprintf(b, "  %-9s %s", st.Host, st.Change.Summary())
	if r := st.Change.Risk(); r > change.Safe {
		fmt.Fprintf(b, "  %s", strings.ToUpper(r.String()))
	}
	switch r := st.Change.Reversal(); {
	case r.Class == change.None:
		b.WriteString("  no undo")
	case r.Class == change.Partial:
		fmt.Fprintf(b, "  partial undo: %s", r.Why)
	case st.Change.Kind() == "exec":
		fmt.Fprintf(b, "  undo: %s", strings.TrimPrefix(r.Why, "then: "))
	}
	b.WriteString("\n")
	for l := range strings.Lines(st.Change.Diff()) {
		if (l[0] == '+' || l[0] == '-') && !strings.HasPrefix(l, "+++") && !strings.HasPrefix(l, "---") && st.Change.Kind() == "write" {
			b.WriteString("            " + l)
		}
	}
}
