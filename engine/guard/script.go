package guard

// All scripts begin with this. $1 is the folder, or "" for the usual one.
// Times are hundredths of a second of the host's uptime.
const prelude = `umask 077
export LC_ALL=C
no() { echo "$2" >&2; exit "$1"; }
uid=$(id -u)
d=$1
if [ -z "$d" ]; then
  if [ "$uid" = 0 ]; then d=/var/lib/dayops
  else home=$(getent passwd "$uid" 2>/dev/null | cut -d: -f6); d=${home:-$HOME}/.local/state/dayops; fi
fi
read -r up _ </proc/uptime && read -r boot </proc/sys/kernel/random/boot_id || exit 1
now=${up%.*}${up#*.}
load() {
  tok= run= user= host= pid= start= lboot= expiry=0 beat=0 bboot= taken=0
  [ -s "$d/lock" ] || return 0
  { read -r tok; read -r run; read -r user; read -r host; read -r pid; read -r start; read -r lboot; read -r expiry; read -r beat; read -r bboot; read -r taken; } <"$d/lock"
  case $expiry$beat$taken in ''|*[!0-9]*) no 65 "$d/lock is damaged";; esac
  [ "$bboot" = "$boot" ] || beat=0
  left=$((beat + expiry - now))
}
show() {
  printf '%s\n' "dir $d" "uid $uid" "now $now" "token $tok" "run $run" "user $user" "host $host" "pid $pid" "start $start" "left $left" "age $((now - taken))"
}
# alive PID MARK: that process, and none that got its number later.
alive() { [ -n "$1" ] && [ -n "$2" ] && grep -qs -- "$2" "/proc/$1/cmdline"; }
# state BEGIN: Absent, Running, Ended or Died. A command lives on when its shell
# was killed; it is known by its environment then.
state() {
  st=Absent mark= p= code=
  [ -e "$1" ] || return 0
  e=${1%.begin}.end
  { read -r mark p <"$1"; } 2>/dev/null
  st=Ended
  { read -r code <"$e"; } 2>/dev/null && return 0
  st=Running
  alive "$p" "$mark" && return 0
  [ -n "$p" ] && others "$mark" && return 0
  st=Ended
  { read -r code <"$e"; } 2>/dev/null && return 0
  st=Died
}
others() { n=$(grep -ls -- "DAYOPS_ID=$1" /proc/[0-9]*/environ 2>/dev/null) || :; [ -n "$n" ]; }
# live RUN: the running commands of a run, a line each.
live() {
  found=
  [ -n "$1" ] || return 0
  for f in "$d/runs/$1"/*.begin; do
    state "$f"
    [ "$st" = Running ] || continue
    f=${f##*/}; found="${found}live ${f%.begin} $p
"
  done
}
locked() {
  command -v flock >/dev/null 2>&1 || no 67 "flock is missing on the host (package util-linux)"
  [ -O "$d" ] && [ ! -L "$d" ] || no 66 "$d is not a folder of this account"
  exec 9>>"$d/.flock" || exit 1
  flock 9 || no 1 "flock failed"
}
# put TOKEN RUN USER HOST PID START BOOT EXPIRY TAKEN: the lock, in one step.
put() {
  printf '%s\n' "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$now" "$boot" "$9" >"$d/.lock.new" && mv -f -- "$d/.lock.new" "$d/lock"
}
`

// sweepScript removes uploads that came to the host and never to their place,
// because nobody was left to say so. Only who has the lock may call sweep.
const sweepScript = `
sweep() {
  for f in "$d"/runs/*/*.temp; do
    [ -f "$f" ] || continue
    t=$(cat "$f")
    case ${t##*/} in .dayops-*) rm -f -- "$t";; esac
    rm -f -- "$f"
  done
}
`

// acquireScript: $2 token, $3 run, $4 user, $5 host, $6 pid, $7 start, $8
// expiry, $9 the run whose lock is taken over at once or "", $10 days that records of other runs are kept. Exit 0 taken, 10 held, 11 its own run's commands
// still run. The token is written before the last look at the records: a
// command is recorded before it looks at the token.
const acquireScript = prelude + sweepScript + `
mkdir -p -- "$d" && chmod 0700 "$d" || exit 1
locked
load
if [ -n "$tok" ]; then
  own=; [ -n "$9" ] && [ "$run" = "$9" ] && own=1
  if [ -z "$own" ] && [ "$left" -ge 0 ]; then show; live "$run"; printf %s "$found"; exit 10; fi
  held=10; [ -z "$own" ] || held=11
  live "$run"
  if [ -n "$found" ]; then show; printf %s "$found"; exit $held; fi
  cp -p -- "$d/lock" "$d/.lock.old" || exit 1
fi
mkdir -p -- "$d/runs/$3" || exit 1
[ -s "$d/runs/$3/.boot" ] || echo "$boot" >"$d/runs/$3/.boot" || exit 1
was=$run
put "$2" "$3" "$4" "$5" "$6" "$7" "$boot" "$8" "$now" || exit 1
if [ -n "$tok" ]; then
  live "$was"
  if [ -n "$found" ]; then mv -f -- "$d/.lock.old" "$d/lock"; show; printf %s "$found"; exit $held; fi
  rm -f -- "$d/.lock.old"
fi
sweep
find "$d/runs" -mindepth 1 -maxdepth 1 -type d ! -name "$3" -mtime +"${10}" -exec rm -rf -- {} + 2>/dev/null
load
show
`

// refreshScript: $2 token, $3 KiB that the run's records may take: over that,
// outputs of commands that have ended go. Exit 12: it is another's, or nobody's.
const refreshScript = prelude + `
[ -d "$d" ] || exit 12
locked
load
[ -n "$tok" ] && [ "$tok" = "$2" ] || exit 12
put "$tok" "$run" "$user" "$host" "$pid" "$start" "$lboot" "$expiry" "$taken" || exit 1
size=$(du -sk -- "$d/runs/$run" 2>/dev/null) || exit 0
if [ "${size%%[!0-9]*}" -gt "$3" ]; then
  for f in "$d/runs/$run"/*.end; do rm -f -- "${f%.end}.out" "${f%.end}.err"; done
fi
exit 0
`

// releaseScript: $2 token, $3 run, $4 "keep" or "": the records stay. They go
// also when the lock is another's by now. Exit 11: commands of the run are still running.
const releaseScript = prelude + sweepScript + `
[ -d "$d" ] || exit 12
locked
load
live "$3"
if [ -n "$tok" ] && [ "$tok" = "$2" ]; then
  ours=0
  if [ -n "$found" ]; then show; printf %s "$found"; exit 11; fi
  sweep
  rm -f -- "$d/lock" || exit 1
else
  ours=12
  [ -z "$found" ] && [ "$run" != "$3" ] || exit 12
fi
[ "$4" != keep ] || exit $ours
rm -rf -- "$d/runs/$3"
rmdir -- "$d/runs" 2>/dev/null
exit $ours
`

// lookScript: $2 run, $3 command, $4 what is kept of an output. What ended just
// now gets a moment to keep the rest of its outputs.
const lookScript = prelude + `
f=$d/runs/$2/$3
state "$f.begin"
if [ "$st" = Ended ]; then for i in 1 2 3; do alive "$p" "$mark" || break; sleep 0.1 2>/dev/null || sleep 1; done; fi
age=; began=$(stat -c %Y "$f.begin" 2>/dev/null) && age=$(($(date +%s) - began))
o=0 e=0
if [ -f "$f.out" ]; then o=$(wc -c <"$f.out"); [ "$o" -le "$4" ] || o=$4; fi
if [ -f "$f.err" ]; then e=$(wc -c <"$f.err"); [ "$e" -le "$4" ] || e=$4; fi
rebooted= first=; { read -r first <"$d/runs/$2/.boot"; } 2>/dev/null
[ -z "$first" ] || [ "$first" = "$boot" ] || rebooted=1
printf '%s\n' "state $st" "code $code" "pid $p" "age $age" "rebooted $rebooted" "out $((o))" "err $((e))" ""
[ "$o" -le 0 ] || head -c "$o" "$f.out"
[ "$e" -le 0 ] || head -c "$e" "$f.err"
exit 0
`

// holdersScript tells who holds the lock, if somebody does.
const holdersScript = prelude + `
[ -d "$d" ] || exit 0
[ -O "$d" ] || no 66 "$d is not a folder of this account"
load
[ -n "$tok" ] || exit 0
show
live "$run"
printf %s "$found"
`

// removeScript: $2 token of the lock to be removed. Its records stay for a resume.
const removeScript = prelude + `
[ -d "$d" ] || exit 12
locked
load
[ -n "$tok" ] && [ "$tok" = "$2" ] || exit 12
rm -f -- "$d/lock"
`
