# Runs in the fresh base image, while it still has the network.
# $1: packages to offer offline. What it makes is shared by all hosts.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
repo=/opt/repo
mkdir -p $repo/partial
for p in $1; do # one by one: some of them exclude each other
	apt-get -o APT::Sandbox::User=root -o Dir::Cache::archives=$repo -y --no-install-recommends --download-only install $p >/dev/null
done
for p in etcd-server etcd-client; do # installed here already, but hosts without them install them
	apt-get -o APT::Sandbox::User=root -o Dir::Cache::archives=$repo -y --no-install-recommends --reinstall --download-only install $p >/dev/null
done
rm -rf $repo/partial $repo/lock

# Harmless packages of our own: two versions of one, and one whose install fails.
mk() { # name version maintainer-script
	d=$(mktemp -d)
	mkdir -p $d/DEBIAN $d/usr/share/$1
	echo "$2" >$d/usr/share/$1/version
	printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: dayops lab <lab@example.com>\nDescription: sample of the lab\n' $1 $2 >$d/DEBIAN/control
	if [ -n "$3" ]; then printf '#!/bin/sh\n%s\n' "$3" >$d/DEBIAN/postinst; chmod 755 $d/DEBIAN/postinst; fi
	chmod 755 $d
	dpkg-deb --root-owner-group -b $d $repo/$1_$2_all.deb >/dev/null
	rm -rf $d
}
mk lab-sample 1.0 ''
mk lab-sample 1.1 ''
mk lab-broken 1.0 'echo "lab-broken: failing on purpose" >&2; exit 1'

cat >$repo/.index <<'END'
# Writes the list of the packages that are offered.
cd /opt/repo
for f in *.deb; do
	dpkg-deb -f "$f"
	echo "Filename: ./$f"
	echo "Size: $(stat -c %s "$f")"
	echo "SHA256: $(sha256sum "$f" | cut -d' ' -f1)"
	echo
done >Packages
END
sh $repo/.index
echo 'deb [trusted=yes] file:/opt/repo ./' >/etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*

useradd -m -u 1000 -g operator -s /bin/bash operator
useradd -m -u 1001 -s /bin/bash opspass
printf 'operator ALL=(ALL:ALL) NOPASSWD: ALL\nopspass ALL=(ALL:ALL) ALL\n' >/etc/sudoers.d/lab
chmod 440 /etc/sudoers.d/lab

# A lab host does nothing by the clock that a listing would notice.
for u in systemd-networkd-wait-online.service systemd-firstboot.service chrony-wait.service \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer; do
	ln -sf /dev/null /etc/systemd/system/$u
done
rm -f /etc/systemd/system/multi-user.target.wants/etcd.service /etc/systemd/system/etcd2.service
ln -sf /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/systemd-networkd.service

# The clock is the control machine's: chrony measures it and leaves it alone (-x).
mkdir -p /etc/systemd/system/chrony.service.d
printf '[Unit]\nConditionCapability=\n' >/etc/systemd/system/chrony.service.d/lab.conf
echo 'DAEMON_OPTS="-x"' >/etc/default/chrony
sed -i -E '/^(pool|driftfile|rtcsync|makestep|leapsectz|sourcedir|ntsdumpdir)/d' /etc/chrony/chrony.conf

rm -f /etc/ssh/ssh_host_* /etc/machine-id /etc/resolv.conf
