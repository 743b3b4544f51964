package change

// packageScript installs, upgrades and removes. $1 manager, $2 refresh, $3 keep
// daemons from starting, $4 how many of the rest to install, then their names;
// how many to upgrade, then their names; what is left is removed.
//
// apt keeps a configuration file that was edited, as Ansible does, and waits a
// minute for another apt. Keeping daemons from starting is Debian's policy-rc.d:
// the file that stands here for a moment names this shell, and allows
// everything once the shell has gone, so that one that a crash leaves behind
// does no harm. A policy-rc.d that is there already is respected: it must
// forbid starts itself.
const packageScript = `manager=$1 refresh=$2 nostart=$3
exec </dev/null
command -v "$manager" >/dev/null || command -v "$manager-get" >/dev/null || exit 113
shift 3
` + aptFunctions + `[ -z "$nostart" ] || hold
run() { verb=$1; shift
  [ $# -gt 0 ] || return 0
  case $manager/$verb in
    apt/upgrade) apt install --only-upgrade -- "$@";;
    apt/install)
      case $* in *=*) set -- --allow-downgrades -- "$@";; *) set -- -- "$@";; esac # a version that is named is meant
      apt install "$@";;
    apt/*) apt "$verb" -- "$@";;
    */upgrade) "$manager" -q -y upgrade -- "$@" 2>&1;;
    *) "$manager" -q -y "$verb" -- "$@" 2>&1;;
  esac
}
if [ -n "$refresh" ]; then
  if [ "$manager" = apt ]; then apt update; else "$manager" -q -y makecache 2>&1; fi || exit 1
fi
some() { verb=$1 take=$2; shift 2
  left=$#
  while [ "$left" -gt 0 ]; do
    a=$1; shift; left=$((left-1))
    if [ "$take" -gt 0 ]; then set -- "$@" "$a"; take=$((take-1)); fi
  done
  run "$verb" "$@"
}
n=$1; shift
some install "$n" "$@" || exit 1
shift "$n"
n=$1; shift
some upgrade "$n" "$@" || exit 1
shift "$n"
run remove "$@"`

// aptFunctions are hold and apt, see packageScript.
const aptFunctions = `policy=/usr/sbin/policy-rc.d
hold() {
  if [ -e "$policy" ] || [ -L "$policy" ]; then
    if grep -q '^# dayops$' "$policy" 2>/dev/null && sh "$policy"; then rm -f -- "$policy"
    else
      "$policy" dayops start >/dev/null 2>&1
      [ $? -eq 101 ] && return 0
      echo "$policy is there already and lets daemons start" >&2; exit 1
    fi
  fi
  trap 'rm -f -- "$policy"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  since=$(cut -d' ' -f22 /proc/$$/stat) || exit 1
  (set -C; umask 022; printf '%s\n' '#!/bin/sh' '# dayops' "[ \"\$(cut -d' ' -f22 /proc/$$/stat 2>/dev/null)\" = '$since' ] && exit 101" 'exit 0' >"$policy") && chmod 0755 "$policy" || exit 1
}
apt() {
  DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true apt-get -q -y -o DPkg::Lock::Timeout=60 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" 2>&1
}
`

// backScript takes an earlier change of packages back. $1 manager, $2 base, $3
// run and $4 time for what is moved aside, $5 packages whose configuration
// stays, $6 keep daemons from starting; then what is installed in the given
// versions, "/", and what is removed. apt does all of it at once.
//
// Of a package's own script for its purge, which may remove data, only what
// debhelper put there is run: it takes the links of services and the like away.
const backScript = asideFunctions + `manager=$1 base=$2 run=$3 time=$4 left=" $5 " nostart=$6
exec </dev/null
command -v "$manager" >/dev/null || command -v "$manager-get" >/dev/null || exit 113
shift 6
` + aptFunctions + `exec 3>&1 >&2
[ -z "$nostart" ] || hold
if [ "$manager" != apt ]; then
  install= remove= to=install
  for a do # names of packages have no blanks
    if [ "$a" = / ]; then to=remove; elif [ "$to" = install ]; then install="$install $a"; else remove="$remove $a"; fi
  done
  if [ -n "$install" ]; then
    "$manager" -q -y downgrade $install
    "$manager" -q -y install $install
  fi
  [ -z "$remove" ] || "$manager" -q -y remove $remove || exit 1
  exit 0
fi
removed= to=install
for a do
  shift
  if [ "$a" = / ]; then to=remove
  elif [ "$to" = install ]; then set -- "$@" "$a"
  else
    set -- "$@" "$a-"
    removed="$removed $a"
  fi
done
apt install --allow-downgrades -- "$@" || exit 1
for pkg in $removed; do
  case $left in *" $pkg "*) continue;; esac
  case $(dpkg-query -W -f '${db:Status-Abbrev}' "$pkg" 2>/dev/null) in rc*) ;; *) continue;; esac
  info=/var/lib/dpkg/info/$pkg
  [ -e "$info.list" ] || info=$(ls -d "$info":*.list | head -n 1) info=${info%.list}
  while IFS= read -r f; do
    [ -f "$f" ] || [ -L "$f" ] || continue
    aside "$f" "$base" "$run" "time: $time
path: $f" >&3 || exit 1
  done <"$info.list"
  if [ -e "$info.postrm" ]; then
    { echo '#!/bin/sh'; sed -n '/^# Automatically added by dh_/,/^# End automatically added section/p' "$info.postrm"; echo 'exit 0'; } >"$info.postrm.dayops" &&
      chmod 0755 "$info.postrm.dayops" && mv -f -- "$info.postrm.dayops" "$info.postrm" || exit 1
  fi
  dpkg --purge "$pkg" || exit 1
done
if [ -n "$removed" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
exit 0`
