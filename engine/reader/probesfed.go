package reader

// FedProbes is the table of what Probe may run besides: programs that read, and
// take a password on their input. etcdctl takes one from a pipe as from a terminal;
// docker keeps the input of what it enters open with -i, the other ways into a
// container pass none on.
func FedProbes() []Pattern {
	verbs := []struct{ limit, verb string }{
		{"5s", "member list"}, {"5s", "endpoint status"}, {"5s", "endpoint health"}, {"5s", "alarm list"}, {"5s", "user list"},
		{"5s", "get <empty> --prefix --keys-only --limit 1"}, {"50s", "endpoint hashkv --rev <rev>"},
	}
	var out []Pattern
	for _, wrap := range []string{"", "docker exec -i <leaf> "} {
		for _, tls := range []string{"", " --cacert <path>", " --cacert <path> --cert <path> --key <path>"} {
			for _, v := range verbs {
				out = append(out, Pattern{wrap + "env ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout " + v.limit + " --endpoints <urls>" + tls +
					" --user <account> --write-out json " + v.verb, "as without a password"})
			}
		}
	}
	return out
}
