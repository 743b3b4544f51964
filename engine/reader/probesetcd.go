package reader

// etcdProbes are etcdctl's verbs that read, in the ways to reach an etcdctl and
// with the options that say whom it asks: all products of the three lists. The
// options are literal, so that no other verb and no file to write to fits.
// --command-timeout ends each question to an endpoint.
func etcdProbes() []Pattern {
	wraps := []string{"", "master-exec etcd etcd ", "docker exec <leaf> "} // the last two enter the running container
	tls := []string{"", " --cacert <path>", " --cacert <path> --cert <path> --key <path>"}
	verbs := []Pattern{
		{"member list", "asks"},
		{"endpoint status", "asks"},
		{"endpoint health", "a read of one key that a quorum confirms"},
		{"alarm list", "asks; alarm disarm is another verb"},
		{"user list", "asks for the names of users"},
		{"get <empty> --prefix --keys-only --limit 1", "counts the keys; the answer has the name of one and no value"},
	}
	out := []Pattern{{"crictl ps --quiet --state running --name ^etcd$", "lists containers"}}
	ctl := func(wrap, env string) {
		out = append(out, Pattern{wrap + env + "etcdctl version", "prints"})
		for _, t := range tls {
			to := wrap + env + "etcdctl --dial-timeout 3s --command-timeout "
			for _, v := range verbs {
				out = append(out, Pattern{to + "5s --endpoints <urls>" + t + " --write-out json " + v.Argv, v.Why})
			}
			out = append(out, Pattern{to + "50s --endpoints <urls>" + t + " --write-out json endpoint hashkv --rev <rev>", "reads every key to hash it, changes none"})
		}
	}
	for _, w := range wraps {
		ctl(w, "env ETCDCTL_API=3 ")
		out = append(out, etcdFileProbes(w, "env ETCDCTL_API=3 ")...)
	}
	ctl("crictl exec <leaf> ", "") // no env in the image; its etcdctl speaks API 3
	out = append(out, etcdFileProbes("crictl exec <leaf> ", "")...)
	return append(out, etcdV2Probes(wraps)...)
}

// etcdFileProbes look at a database that no member uses. Before 3.2.27 etcdctl
// writes to it: nobody asks it there.
func etcdFileProbes(wrap, env string) []Pattern {
	return []Pattern{
		{wrap + "etcdutl version", "prints"},
		{wrap + env + "etcdctl snapshot status <path> --write-out json", "opens the file for reading and hashes it"},
		{wrap + "etcdutl snapshot status <path> --write-out json", "opens the file for reading and hashes it"},
	}
}

func etcdV2Probes(wraps []string) []Pattern {
	var out []Pattern
	for _, w := range wraps {
		for _, t := range []string{"", " --ca-file <path>", " --ca-file <path> --cert-file <path> --key-file <path>"} {
			to := w + "env ETCDCTL_API=2 etcdctl" + t + " --endpoints <urls> "
			out = append(out, Pattern{to + "cluster-health", "asks the members; without --forever it ends"},
				Pattern{to + "ls /", "lists a folder of the v2 store"})
		}
	}
	return out
}
