// Package facts is what a host is, gathered by one probe and remembered for
// the run. Facts are data: never templates, never able to change how we connect.
package facts

import "time"

// Host are the facts of one host. Zero values mean "not known".
type Host struct {
	Hostname  string // kernel node name, first label
	Node      string // kernel node name, whole
	FQDN      string // hostname -f, or Node
	OS        OS
	Kernel    string // uname -r: "5.14.0-427.el9.x86_64"
	Arch      string // uname -m
	Login     string // account that dayops logs in as
	UID       int    // of Login
	Init      string // name of process 1
	Systemd   int    // version of systemd, 0 where it does not run
	Packager  string // apt, dnf, yum; "" when none is known
	SELinux   string // enforcing, permissive, disabled
	Virt      string // systemd-detect-virt: none, kvm, systemd-nspawn, ...
	CPUs      int
	MemoryMiB int64
	BootID    string
	Boot      time.Time
	Addresses []string // global scope, v4 first
	// DefaultIPv4 and DefaultIPv6 are the addresses that packets to elsewhere start from.
	DefaultIPv4 string
	DefaultIPv6 string
	Clock       time.Time         // the host's clock when probed
	Zone        string            // "JST"
	ZoneOffset  string            // "+0900"
	Skew        time.Duration     // host's clock minus ours, less half the round trip
	SkewError   time.Duration     // half of what the round trip took beside the probe: Skew is right within it
	Env         map[string]string // HOME, PATH, SHELL, LANG, USER of the account; nothing else, it could be a secret
}

// OS is /etc/os-release.
type OS struct {
	ID        string // debian, rhel, centos, fedora, ubuntu
	IDLike    []string
	VersionID string // "12", "9.4"
	Name      string // PRETTY_NAME
	Codename  string // VERSION_CODENAME: "bookworm"
	Debian    string // /etc/debian_version: "12.5"
}

// Family is "debian" or "redhat", from ID and ID_LIKE; "" for others.
func (o OS) Family() string {
	for _, id := range append([]string{o.ID}, o.IDLike...) {
		switch id {
		case "debian", "ubuntu":
			return "debian"
		case "rhel", "fedora", "centos":
			return "redhat"
		}
	}
	return ""
}
