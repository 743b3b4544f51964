# Runs in a copy of the base image, without the network.
# $1: release of etcd whose programs are in /opt/etcd-new; "" keeps Debian's
# $2: "bare" takes etcd out again; the package source still offers it
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
repo=/opt/repo
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d # nothing starts in here
chmod 755 /usr/sbin/policy-rc.d

# Debian's own packages, with their maintainer scripts and unit, around other programs.
repack() { # package program...
	d=$(mktemp -d)
	dpkg-deb -R $repo/$1_3.4.*.deb $d/tree
	p=$1
	shift
	for x; do install -m 755 /opt/etcd-new/$x $d/tree/usr/bin/$x; done
	sed -i -e "s/^Version:.*/Version: $release-1/" -e '/^Source:/d' -e '/^Installed-Size:/d' $d/tree/DEBIAN/control
	rm -f $d/tree/DEBIAN/md5sums
	dpkg-deb -Znone -b $d/tree $repo/${p}_$release-1_amd64.deb >/dev/null
	rm -rf $d
}
release=$1
if [ -n "$release" ]; then
	repack etcd-server etcd
	case $release in
	3.2.* | 3.3.*) repack etcd-client etcdctl ;;
	*) repack etcd-client etcdctl etcdutl ;;
	esac
	rm -rf /opt/etcd-new
	sh $repo/.index
	apt-get -qq -o APT::Sandbox::User=root update
	apt-get -qq -y --allow-downgrades install etcd-server=$release-1 etcd-client=$release-1 >/dev/null
fi
if [ "${2:-}" = bare ]; then
	apt-get -qq -y purge etcd-server etcd-client >/dev/null
	rm -rf /var/lib/etcd /etc/default/etcd
fi
rm -f /usr/sbin/policy-rc.d /etc/systemd/system/multi-user.target.wants/etcd.service /etc/systemd/system/etcd2.service
