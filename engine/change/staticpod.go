package change

import "path"

// PathRisk is the risk of putting something at a path, or of taking it away: a
// kubelet stops or starts the pods whose manifests lie in its folder of static
// pods, openshift-ansible's (3.10 and later) or kubeadm's.
func PathRisk(paths ...string) Risk {
	for _, p := range paths {
		p = path.Clean(p)
		for _, dir := range [...]string{"/etc/origin/node/pods", "/etc/kubernetes/manifests"} {
			if p == dir || below(p, dir) || p != "/" && below(dir, p) {
				return Disruptive
			}
		}
	}
	return Safe
}
