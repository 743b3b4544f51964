package facts

import (
	"maps"
	"slices"
	"time"
)

// Names lists every name that Ansible can give, sorted: what a playbook may
// read as ansible_facts.NAME or ansible_NAME.
func Names() []string {
	at := time.Unix(1, 0)
	full := Host{
		Hostname: "h", FQDN: "h.d", Packager: "apt", CPUs: 1, MemoryMiB: 1, Boot: at, Clock: at, Virt: "none",
		OS:  OS{ID: "debian", VersionID: "12", Codename: "c"},
		Env: map[string]string{"HOME": "/", "SHELL": "/bin/sh"},
	}
	return slices.Sorted(maps.Keys(full.Ansible()))
}
