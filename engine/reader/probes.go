package reader

import "slices"

// Pattern is one row of the table: words that must match exactly, with places
// that are checked by kind. "..." after the last word allows one or more of it.
//
//	<unit> a unit's name    <package> a package's name   <account> a user or group
//	<path> absolute path    <leaf> one file name         <n> digits
//	<words> letters, digits and , _ . + % - joined, not starting with a dash
//	<name> as <words> and :, for database keys and hosts
//	<hostport> a name or an address, [in brackets] where it has colons, and a port
//	<urls> http and https URLs of host and port, joined by commas
//	<rev> digits, as many as an etcd revision has        <empty> the empty word
type Pattern struct {
	Argv string
	Why  string // why it cannot change the host
}

// Probes is the reviewed table of what Probe may run. A row is added only with
// the reason why no argument that fits it can write, signal, or block.
func Probes() []Pattern {
	return slices.Concat(timeProbes(), entropyProbes(), machineProbes(), fileProbes(), systemdProbes(), packageProbes(), storageProbes(), networkProbes(), etcdProbes(), memberProbes())
}

func timeProbes() []Pattern {
	return []Pattern{
		{"timedatectl", "status is the default verb; it reads properties"},
		{"timedatectl status", "reads properties"},
		{"timedatectl show", "reads properties"},
		{"timedatectl show --all", "reads properties"},
		{"timedatectl timesync-status", "reads systemd-timesyncd's state"},
		{"timedatectl show-timesync", "reads systemd-timesyncd's state"},
		{"timedatectl show-timesync --all", "reads systemd-timesyncd's state"},
		{"busctl get-property org.freedesktop.timedate1 /org/freedesktop/timedate1 org.freedesktop.timedate1 <words>...", "get-property only reads; timedated may be started and exits by itself"},
		{"busctl --system get-property org.freedesktop.timedate1 /org/freedesktop/timedate1 org.freedesktop.timedate1 <words>...", "as above"},
		{"chronyc -n tracking", "a monitoring command of chronyc"},
		{"chronyc -n sources", "a monitoring command of chronyc"},
		{"chronyc -c tracking", "a monitoring command of chronyc, as CSV"},
		{"chronyc -c sources", "a monitoring command of chronyc, as CSV"},
		{"chronyc -n -c tracking", "a monitoring command of chronyc, as CSV"},
		{"chronyc -n -c sources", "a monitoring command of chronyc, as CSV"},
		{"chronyc -n -c sourcestats", "a monitoring command of chronyc, as CSV"},
		{"ntpq -pn", "prints the peers"},
		{"ntpq -p -n", "prints the peers"},
		{"ntpq -n -c peers", "prints the peers"},
		{"ntpq -n -c rv", "prints system variables"},
		{"ntpstat", "prints the state of synchronisation"},
		{"date +%s", "prints the clock"},
		{"date +%s.%N", "prints the clock"},
	}
}

func entropyProbes() []Pattern {
	return []Pattern{
		{"cat /proc/sys/kernel/random/<leaf>", "reading these draws nothing from the pool"},
		{"cat /sys/class/misc/hw_random/<leaf>", "attributes of the driver; the device itself is in /dev"},
		{"ls /sys/class/misc/hw_random", "lists a folder"},
		{"rngd --version", "prints its version; -v starts the daemon in some versions"},
	}
}

func machineProbes() []Pattern {
	return []Pattern{
		{"uname -a", "prints"}, {"uname -r", "prints"}, {"uname -m", "prints"}, {"uname -n", "prints"},
		{"hostname", "without an argument it prints"},
		{"hostname -f", "prints"}, {"hostname -s", "prints"}, {"hostname -I", "prints"},
		{"nproc", "prints"},
		{"cat /proc/cmdline", "prints; kmsg and kcore are left out on purpose"}, {"cat /proc/cpuinfo", "prints"}, {"cat /proc/loadavg", "prints"},
		{"cat /proc/mdstat", "prints"}, {"cat /proc/meminfo", "prints"}, {"cat /proc/modules", "prints"}, {"cat /proc/mounts", "prints"},
		{"cat /proc/stat", "prints"}, {"cat /proc/swaps", "prints"}, {"cat /proc/uptime", "prints"}, {"cat /proc/version", "prints"},
		{"cat /proc/sys/<leaf>/<leaf>", "printing a kernel setting"},
		{"cat /proc/sys/<leaf>/<leaf>/<leaf>", "printing a kernel setting"},
		{"sysctl -n <words>", "prints; without -w and = nothing is set"},
		{"getenforce", "prints"},
		{"sestatus", "prints"},
		{"systemd-detect-virt", "prints"},
		{"lscpu", "prints"},
		{"free", "prints"}, {"free -m", "prints"}, {"free -b", "prints"},
		{"uptime", "prints"},
		{"id", "prints"}, {"id -u", "prints"}, {"id -un", "prints"}, {"id <account>", "prints"},
		{"getent <words> <name>", "reads a name database"},
		{"getent passwd", "reads a name database"}, {"getent group", "reads a name database"},
	}
}

func fileProbes() []Pattern {
	return []Pattern{
		{"command -v <leaf>", "looks along PATH"},
		{"test -e <path>", "looks"}, {"test -f <path>", "looks"}, {"test -d <path>", "looks"}, {"test -L <path>", "looks"},
		{"test -s <path>", "looks"}, {"test -x <path>", "looks"}, {"test -r <path>", "looks"},
		{"test -d <path> -a ! -e <path>", "looks"},
		{"readlink <path>", "prints a link's target"},
		{"readlink -f <path>", "resolves a path"}, {"readlink -e <path>", "resolves a path"},
		{"stat -f -c <words> <path>", "prints what statfs says"},
		{"getfacl -p <path>", "prints"}, {"getfattr -d -m - <path>", "prints"},
	}
}

func systemdProbes() []Pattern {
	return []Pattern{
		{"systemctl is-active <unit>", "asks"}, {"systemctl is-enabled <unit>", "asks"}, {"systemctl is-failed <unit>", "asks"},
		{"systemctl is-system-running", "asks; without --wait it does not block"},
		{"systemctl show <unit>...", "prints properties"},
		{"systemctl show -p <words> <unit>...", "prints properties"},
		{"systemctl show --property <words> <unit>...", "prints properties"},
		{"systemctl cat <unit>", "prints unit files"},
		{"systemctl list-unit-files", "lists"}, {"systemctl list-unit-files --no-legend --no-pager", "lists"},
		{"systemctl list-unit-files --no-legend --no-pager <unit>...", "lists"},
		{"systemctl list-units --no-legend --no-pager --failed", "lists"},
		{"systemctl list-units --no-legend --no-pager --all", "lists"},
		{"systemctl list-timers --no-legend --no-pager", "lists"},
		{"systemctl --version", "prints"},
		{"systemctl --failed --no-legend --no-pager", "lists"},
		{"journalctl -u <unit> -n <n> --no-pager", "reads the journal; -n bounds it, and nothing rotates or vacuums"},
	}
}

func packageProbes() []Pattern {
	return []Pattern{
		{"rpm -q <package>...", "a query"}, {"rpm -qa", "a query"},
		{"rpm -q --whatprovides <path>", "a query"}, {"rpm -qf <path>", "a query"},
		{"dpkg-query -W", "a query"}, {"dpkg-query -W <package>...", "a query"}, {"dpkg-query -S <path>", "a query"},
		{"dpkg --print-architecture", "prints"},
		{"dnf -q -C check-update <package>...", "compares with the lists at hand (-C); fetches and installs nothing, writes only its log"},
		{"yum -q -C check-update <package>...", "as above"},
		{"apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy <package>...", "reads the lists at hand, fetches nothing; the options keep it from writing its cache"},
	}
}

func storageProbes() []Pattern {
	return []Pattern{
		{"df -P", "prints"}, {"df -Pk", "prints"}, {"df -PT", "prints"}, {"df -hT", "prints"}, {"df -Pi", "prints"},
		{"df -P <path>...", "prints"}, {"df -Pk <path>...", "prints"}, {"df -PT <path>...", "prints"}, {"df -Pi <path>...", "prints"},
		{"vgs --noheadings", "reports; no verb of lvm that writes"}, {"lvs --noheadings", "reports"}, {"pvs --noheadings", "reports"},
		{"vgs --noheadings --units b -o <words>", "reports"}, {"lvs --noheadings --units b -o <words>", "reports"}, {"pvs --noheadings --units b -o <words>", "reports"},
		{"vgs --reportformat json --units b", "reports"}, {"lvs --reportformat json --units b", "reports"}, {"pvs --reportformat json --units b", "reports"},
		{"lsblk -b -P -o <words>", "prints"}, {"lsblk -J -b -o <words>", "prints"},
		{"findmnt -n -o <words> <path>", "prints"}, {"findmnt -n -o <words> -T <path>", "prints"},
	}
}

func networkProbes() []Pattern {
	return []Pattern{
		{"ss -ltn", "lists sockets"}, {"ss -lun", "lists sockets"}, {"ss -ltnp", "lists sockets"}, {"ss -H -ltn", "lists sockets"},
		{"ip -o addr show", "prints"}, {"ip -o link show", "prints"}, {"ip -o route show", "prints"}, {"ip -j addr show", "prints"}, {"ip route get <name>", "asks the routing table"},
	}
}
