# Boots one host, again after each reboot (exit code 133 of systemd-nspawn with --keep-unit).
# $1: log; control groups of the host up to "--"; then systemd-nspawn's arguments.
log=$1 groups=
shift
while [ "$1" != -- ]; do groups="$groups $1"; shift; done
shift
exec </dev/null >>"$log" 2>&1
enter() { # a group below each of the host's: no group ever has both processes and groups in it
	for g in $groups; do mkdir -p "$g/$1" && echo 0 >"$g/$1/cgroup.procs" || exit 1; done
}
enter keeper
n=0 rc=133
while [ $rc = 133 ]; do
	n=$((n + 1))
	(enter boot-$n && SYSTEMD_NSPAWN_LOCK=0 exec systemd-nspawn "$@")
	rc=$?
done
