package etcdrestore

import "regexp"

// listWords lists all v2 keys, folders with a slash at their end, in the order of
// raft: after all that was written before.
const listWords = "--timeout 30s --total-timeout 60s ls --recursive -p --quorum /"

var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// unpackScript makes $1/data of v2.tar.gz and db. The names in the archive were
// looked at on the control machine.
const unpackScript = dressWords + `mkdir -- "$s/part"
tar -xzf "$s/v2.tar.gz" -C "$s/part" --no-same-owner
[ -d "$s/part/member/wal" ]
mkdir -p -- "$s/part/member/snap"
cp -- "$s/db" "$s/part/member/snap/db"
` + dressScript

// emptyScript makes $1/data of a member that is to join.
const emptyScript = dressWords + `mkdir -p -- "$s/part/member"
[ -z "$wal" ] || mkdir -- "$s/part/member/wal"
` + dressScript

// countWords are a function that lists the v2 keys with the command that it is
// given. $n is how many, keys with a time to live among them; nothing where v2's
// own authentication hides them.
const countWords = `count() {
  n=
  for try in 1 2 3 4 5 6; do
    if listed=$("$@"); then n=$(printf '%s\n' "$listed" | grep -c '[^/]$' || :); return 0; fi
    why=$("$@" 2>&1 >/dev/null) || :
    case $why in *[Cc]redentials*|*"user authentication"*) echo "the v2 keys are not counted: $why" >&2; return 0;; esac
    sleep 1
  done
  return 1
}
`

// countScript has the member's v2 keys counted by the command behind $1, how many
// there must be at least, and $2, the file that it makes then.
const countScript = `set -e
keys=$1 mark=$2; shift 2
` + countWords + `count "$@" || { echo "the v2 keys cannot be listed: $why" >&2; exit 1; }
if [ -n "$n" ] && [ "$n" -lt "$keys" ]; then
  echo "etcd has $n v2 keys, the backup has $keys at least" >&2; exit 1
fi
: >"$mark" && { sync -f "$mark" 2>/dev/null || sync; }`

// rehearseScript starts etcd on a copy of $1/data as a cluster of one. It is reached
// by a socket in this folder alone, which is root's, without a name or a port that others
// could use. $2 etcd, $3 seconds, $4 the revision that it must have: a higher one is
// that of leases that have ended since it runs, as nobody else writes; $5 how many
// v2 keys at least, or nothing; then further options.
const rehearseScript = `set -e
s=$1 etcd=$2 limit=$3 want=$4 keys=$5; shift 5
umask 077
` + countWords + `
cd -- "$s"
rm -rf -- rehearsal
mkdir rehearsal
cp -R -- data/member rehearsal/member
[ ! -d data/wal ] || cp -R -- data/wal rehearsal/member/wal
cd rehearsal
u=unix://rehearsal
env -i "PATH=$PATH" timeout -k 5 "$limit" "$etcd" --name rehearsal --data-dir . --force-new-cluster \
  --listen-client-urls "$u:1" --advertise-client-urls "$u:1" --listen-peer-urls "$u:2" --initial-advertise-peer-urls "$u:2" \
  --initial-cluster "rehearsal=$u:2" "$@" >../log 2>&1 </dev/null &
pid=$!
trap 'kill "$pid" 2>/dev/null || :' EXIT
while :; do
  sleep 1
  kill -0 "$pid" 2>/dev/null || { echo "etcd does not start on the restored data:" >&2; tail -n 20 ../log >&2; exit 1; }
  said=$(ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout 5s --endpoints "$u:1" --write-out json endpoint status 2>/dev/null) || continue
  case $said in *'"leader":'[1-9]*) break;; esac
done
revision=${said#*'"revision":'}
revision=${revision%%[!0-9]*}
if [ -z "$revision" ] || [ "$revision" -lt "$want" ]; then
  echo "the restored data have a lower revision than $want: $said" >&2; exit 1
fi
if [ -n "$keys" ]; then
  count env ETCDCTL_API=2 etcdctl --no-sync --endpoints "$u:1" ` + listWords + ` || { echo "the restored v2 keys cannot be listed: $why" >&2; exit 1; }
  if [ -n "$n" ] && [ "$n" -lt "$keys" ]; then
    echo "the restored data have $n v2 keys, the backup has $keys at least" >&2; exit 1
  fi
fi
kill "$pid"
wait "$pid" || :
trap - EXIT
cd ..
rm -rf -- rehearsal log
: >rehearsed`

// begunScript waits until the folder $1 has a snapshot of raft's entry $2
// (hexadecimal) or a later one, $3 seconds at most, and makes the file $4.
const begunScript = `dir=$1 least=$2 n=$3
while :; do
  for f in "$dir"/*-*.snap; do
    index=${f##*-}; index=${index%.snap}
    last=$(printf '%s\n%s\n' "$least" "$index" | sort | tail -n 1)
    [ -f "$f" ] && [ "$last" = "$index" ] && [ "$index" != "$least" ] && break 2
  done
  n=$((n-1))
  [ "$n" -gt 0 ] || { echo "etcd made no snapshot of its log" >&2; exit 1; }
  sleep 1
done
: >"$4" && { sync -f "$4" 2>/dev/null || sync; }`
