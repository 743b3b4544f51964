package reader

// memberProbes are what a new etcd member's host is asked before and while it joins.
func memberProbes() []Pattern {
	out := []Pattern{
		{"etcd --version", "prints"},
		{"dnf -q -C list --showduplicates <package>", "lists from what is at hand (-C); fetches nothing, writes only its log"},
		{"yum -q -C list --showduplicates <package>", "as above"},
		{"openssl pkey -in <path> -pubout -passin pass:", "prints the public half of a key; one with a passphrase fails and asks nobody"},
		{"iptables -w -S INPUT", "prints the rules of a chain; may load the kernel's table"},
		{"iptables -w -S OS_FIREWALL_ALLOW", "as above"},
		{"iptables -w -C INPUT -j OS_FIREWALL_ALLOW", "-C compares and changes nothing"},
		{"iptables -w -C OS_FIREWALL_ALLOW -p tcp -m state --state NEW -m tcp --dport <n> -j ACCEPT", "as above"},
	}
	for _, mode := range []string{"", "--permanent "} {
		for _, port := range []string{"2379", "2380"} {
			out = append(out, Pattern{"firewall-cmd " + mode + "--query-port=" + port + "/tcp", "asks"})
		}
	}
	for _, name := range []string{"-verify_ip", "-verify_hostname"} {
		out = append(out, Pattern{"timeout 10 openssl s_client -connect <hostport> -cert <path> -key <path> -CAfile <path> -verify_return_error " + name + " <name>",
			"shakes hands over TLS and sends nothing else; it has no input, which ends it"})
	}
	return out
}
