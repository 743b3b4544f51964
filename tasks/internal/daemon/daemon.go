// Package daemon chooses among units of which a host should run one, and
// makes the change that enables it.
package daemon

import (
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// AtBoot tells whether the unit starts at boot, also when that is not its own
// [Install] section's doing.
func AtBoot(u reader.Unit) bool {
	switch u.UnitFileState {
	case "enabled", "static", "indirect", "generated", "transient", "alias":
		return true
	}
	return false
}

// Choose is the unit that runs, else the first that starts at boot, else the
// first that can be started; Exists is false when there is none. units are in
// order of preference.
func Choose(units []reader.Unit) reader.Unit {
	for _, good := range []func(reader.Unit) bool{
		reader.Unit.Active,
		func(u reader.Unit) bool { return AtBoot(u) && !u.Masked() },
		func(u reader.Unit) bool { return !u.Masked() },
	} {
		for _, u := range units {
			if u.Exists() && good(u) {
				return u
			}
		}
	}
	return reader.Unit{}
}

// Enable runs the unit now and at boot; nil when it does already.
func Enable(u reader.Unit) *change.Unit {
	if u.Active() && AtBoot(u) {
		return nil
	}
	yes := true
	return &change.Unit{Name: u.Name, Before: u, Active: &yes, Enabled: &yes}
}

// Container tells whether systemd-detect-virt's word means that the kernel,
// its clock and its entropy are another machine's.
func Container(virt string) bool {
	switch virt {
	case "systemd-nspawn", "lxc", "lxc-libvirt", "docker", "podman", "openvz", "rkt", "wsl", "proot", "pouch", "container-other":
		return true
	}
	return false
}
