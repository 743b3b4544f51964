package etcdmember

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
)

// rule lets new connections to a port in, as openshift-ansible writes it.
func rule(port string) []string {
	return []string{chain, "-p", "tcp", "-m", "state", "--state", "NEW", "-m", "tcp", "--dport", port, "-j", "ACCEPT"}
}

func jump() []string { return []string{"INPUT", "-j", chain} }

// openPorts lets clients and peers in: through firewalld where it runs, through
// the chain of openshift-ansible where the iptables service is used. note says
// what is done for people; blocked says why nothing could be, where something may be needed.
func openPorts(m Room, how, address string) (changes []change.Change, note, blocked string) {
	switch {
	case how == "none":
		return nil, "the packet filter is left alone", ""
	case m.unit("firewalld.service").Active():
		return firewalld(m.Rules), "firewalld", ""
	case strings.Contains(address, ":") && m.Rules.Tool && (m.unit("iptables.service").Exists() || closed(m.Rules.Input)):
		return nil, "", "its address is one of IPv6, and without firewalld dayops opens ports of IPv4 alone"
	case m.unit("iptables.service").Exists() && m.Rules.Tool:
		return iptables(m.Rules), "iptables, chain " + chain, ""
	case m.Rules.Tool && closed(m.Rules.Input):
		return nil, "", "its packet filter refuses connections, and neither firewalld nor the iptables service runs it"
	}
	return nil, "no packet filter is in use", ""
}

func firewalld(r Rules) (out []change.Change) {
	for _, port := range []string{clientPort, peerPort} {
		for _, s := range []struct {
			open bool
			mode []string
			what string
		}{{r.Ports[port], nil, "now"}, {r.Forever[port], []string{"--permanent"}, "after a boot"}} {
			if s.open {
				continue
			}
			cmd := func(verb string) []string {
				return append(append([]string{"firewall-cmd"}, s.mode...), fmt.Sprintf("--%s-port=%s/tcp", verb, port))
			}
			out = append(out, &change.Exec{
				Argv: cmd("add"), Done: &change.Probe{Argv: cmd("query")}, Purpose: fmt.Sprintf("open port %s in firewalld, %s", port, s.what),
				Undo: []*change.Exec{{Argv: cmd("remove"), Done: &change.Probe{Argv: cmd("query"), Code: 1}, Purpose: fmt.Sprintf("close port %s in firewalld again", port)}},
			})
		}
	}
	return out
}

func iptables(r Rules) (out []change.Change) {
	cmd := func(verb string, words ...string) []string { return append([]string{"iptables", "-w", verb}, words...) }
	has := func(list []string, words []string) bool {
		return slices.Contains(list, "-A "+strings.Join(words, " "))
	}
	add := func(verb, undo, purpose string, words ...string) {
		there := &change.Probe{Argv: cmd("-C", words...)}
		gone := &change.Probe{Argv: cmd("-C", words...), Code: 1}
		out = append(out, &change.Exec{Argv: cmd(verb, words...), Done: there, Purpose: purpose,
			Undo: []*change.Exec{{Argv: cmd(undo, words...), Done: gone, Purpose: "not any more: " + purpose}}})
	}
	if r.Chain == nil {
		out = append(out, &change.Exec{Argv: cmd("-N", chain), Done: &change.Probe{Argv: cmd("-S", chain)}, Purpose: "make the chain " + chain,
			Undo: []*change.Exec{{Argv: cmd("-X", chain), Done: &change.Probe{Argv: cmd("-S", chain), Code: 1}, Purpose: "remove the chain " + chain}}})
	}
	if !has(r.Input, jump()) {
		add("-I", "-D", "send what comes in through "+chain, jump()...)
	}
	for _, port := range []string{clientPort, peerPort} {
		if !has(r.Chain, rule(port)) {
			add("-A", "-D", "let port "+port+" in", rule(port)...)
		}
	}
	if after := saveRules(string(r.Saved.Text)); after != string(r.Saved.Text) {
		out = append(out, write(r.Saved, after, change.Attr{Mode: mode(0o600), Owner: "root", Group: "root"}))
	}
	return out
}

// saveRules puts the chain, the jump and the rules into the file that the
// iptables service reads. The guide's iptables-save would also fix what docker
// and kube-proxy made for this boot.
func saveRules(saved string) string {
	if strings.TrimSpace(saved) == "" {
		saved = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
	}
	all := strings.SplitAfter(saved, "\n")
	begin := slices.IndexFunc(all, func(l string) bool { return strings.TrimSpace(l) == "*filter" })
	if begin < 0 {
		return saved + saveRules("")
	}
	end := begin + slices.IndexFunc(all[begin:], func(l string) bool { return strings.TrimSpace(l) == "COMMIT" })
	if end < begin {
		return saved
	}
	table := slices.Clone(all[begin:end])
	has := func(line string) bool {
		return slices.ContainsFunc(table, func(l string) bool { return strings.TrimSpace(l) == line })
	}
	if !slices.ContainsFunc(table, func(l string) bool { return strings.HasPrefix(l, ":"+chain+" ") }) {
		last := 0
		for i, l := range table {
			if strings.HasPrefix(l, ":") {
				last = i
			}
		}
		table = slices.Insert(table, last+1, ":"+chain+" - [0:0]\n")
	}
	if line := "-A " + strings.Join(jump(), " "); !has(line) {
		first := slices.IndexFunc(table, func(l string) bool { return strings.HasPrefix(l, "-") })
		if first < 0 {
			first = len(table)
		}
		table = slices.Insert(table, first, line+"\n")
	}
	for _, port := range []string{clientPort, peerPort} {
		if line := "-A " + strings.Join(rule(port), " "); !has(line) {
			table = append(table, line+"\n")
		}
	}
	return strings.Join(slices.Concat(all[:begin], table, all[end:]), "")
}

// closed tells of rules that may keep members and clients out.
func closed(input []string) bool {
	return slices.ContainsFunc(input, func(l string) bool {
		return l == "-P INPUT DROP" || strings.HasPrefix(l, "-A INPUT ") && (strings.Contains(l, " -j DROP") || strings.Contains(l, " -j REJECT"))
	})
}
