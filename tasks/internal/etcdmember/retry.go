package etcdmember

import (
	"strconv"
	"time"
)

// retryScript gives a command again until it succeeds, as often as it may. What
// it is fed, a password or nothing, it feeds to each attempt; sh's printf is no
// program, so nobody sees that.
const retryScript = `n=$1 every=$2 password=; shift 2
IFS= read -r password
while :; do
  said=$(printf '%s\n' "$password" | "$@" 2>&1) && exit 0
  n=$((n-1))
  [ "$n" -gt 0 ] || { printf '%s\n' "$said" | tail -n 5 >&2; exit 1; }
  sleep "$every"
done`

// retry is a command that is given again until it succeeds.
func retry(limit time.Duration, argv []string) ([]string, time.Duration) {
	n := max(1, int(limit/retryEvery))
	head := []string{"/bin/sh", "-c", retryScript, "dayops", strconv.Itoa(n), strconv.Itoa(int(retryEvery / time.Second))}
	return append(head, argv...), 2*limit + commandLimit
}
