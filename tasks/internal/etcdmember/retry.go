package etcdmember

import (
	"strconv"
	"strings"
	"time"
)

// Anywhere stands in a command that is tried again for one endpoint after the other.
const Anywhere = "@"

// retryScript gives a command again until it succeeds, or fails saying that there
// is nothing left to do ($4), as often as it may: each time to the next endpoint of $3.
// What it is fed, a password or nothing, it feeds to each attempt; sh's printf is
// no program, so nobody sees that.
const retryScript = `n=$1 every=$2 at=$3 over=$4 password=; shift 4
IFS= read -r password
try() {
  to=$1; shift
  for w do shift; [ "$w" != @ ] || w=$to; set -- "$@" "$w"; done
  printf '%s\n' "$password" | "$@" 2>&1
}
while :; do
  for to in ${at:-none}; do
    said=$(try "$to" "$@") && exit 0
    [ -z "$over" ] || case $said in *"$over") exit 0 ;; esac
  done
  n=$((n-1))
  [ "$n" -gt 0 ] || { printf '%s\n' "$said" | tail -n 5 >&2; exit 1; }
  sleep "$every"
done`

// Retry is a command that is given again until it succeeds.
func Retry(limit time.Duration, at []string, over string, argv []string) ([]string, time.Duration) {
	n := max(1, int(limit/retryEvery))
	head := []string{"/bin/sh", "-c", retryScript, "dayops", strconv.Itoa(n), strconv.Itoa(int(retryEvery / time.Second)), strings.Join(at, " "), over}
	return append(head, argv...), 2*limit + commandLimit
}

// Promoted is what etcd says to the promotion of who has a vote already; of who
// is not ready for one it says more.
const Promoted = "can only promote a learner member"
