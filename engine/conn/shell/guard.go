package shell

import (
	"fmt"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/conn"
)

// guardHead records the command, THEN looks whose lock it is: who takes a lock
// writes it first and then looks for records, so that one of the two sees the
// other. The record says by which process the command can be found; its mark is
// in that process's arguments, which tells it from one that got the same number
// later. What fails before the mark takes the record back: nothing was started.
const guardHead = `trap : PIPE HUP INT TERM
set -C;echo "$m $$" >"$g.begin";w=$?;set +C
[ $w != 0 ]||trap 'rm -f "$g.begin"' EXIT
t=;read -r t <"$d/lock"
[ "$t" = "$k" ]||{ echo "$m lost" >&2;exit 125;}
[ $w = 0 ]||{ [ -s "$g.begin" ]&&echo "$m used" >&2||{ rm -f "$g.begin";echo "$m fault" >&2;};exit 125;}
`

// guardPipes opens two pipes, 4 to 3 and 6 to 5. A short here-document is a
// pipe in dash, busybox and bash since 5.1; it needs no process to make it. An
// empty one is not, in bash.
const guardPipes = `exec 3<<X 5<<X

X

X
if [ -p /proc/self/fd/3 ]&&[ -p /proc/self/fd/5 ];then exec 4>/proc/self/fd/3 6>/proc/self/fd/5;read -r x <&3;read -r x <&5
else { [ -p "$g.q" ]||mkfifo "$g.p" "$g.q";}&&exec 7<>"$g.p" 8<>"$g.q"&&exec 3<"$g.p" 4>"$g.p" 5<"$g.q" 6>"$g.q" 7>&- 8>&-||{ echo "$m fault" >&2;exit 125;};fi
`

// guardRelay passes an output on for as long as somebody listens, keeps its
// start on disk, and reads on until its end, so that the command never meets a
// broken or a full pipe. Most commands say nothing, so a program is started
// only with the first line, unless the output must be passed on to the byte:
// the shell that reads that line loses NUL bytes.
const guardRelay = `relay(){ exec 4>&- 6>&- 2>/dev/null
if [ "$2" ];then trap '' PIPE XFSZ HUP INT TERM;ulimit -f %[1]d
else x=;e=0;IFS= read -r x||e=1
[ $e = 0 ]||[ "$x" ]||exit
trap '' PIPE XFSZ HUP INT TERM;ulimit -f %[1]d
[ $e = 0 ]||{ printf %%s "$x" >>"$1";printf %%s "$x";exit;}
printf '%%s\n' "$x" >>"$1";printf '%%s\n' "$x";fi
exec tee -a "$1" /dev/null;}
`

// guardTail runs the command between its two lines. The marks come when the
// command is sure to be started, and not otherwise.
const guardTail = `{ echo $m&&echo $m >&2;}||exit 125
trap - EXIT
relay "$g.out" %s <&3 3<&- 5<&- &
relay "$g.err" '' <&5 >&2 3<&- 5<&- &
exec 3<&- 5<&- 2>/dev/null
%s
c=$?;echo $c >"$g.end";exec 4>&- 6>&-;wait;exit $c`

// guardFiles gives a command the pipes for its outputs.
const guardFiles = ` >&4 2>&6 4>&- 6>&-`

// guardText is commandText for a command under guard.
func guardText(g conn.Guard, id, body string, exact bool) string {
	wide := "''"
	if exact {
		wide = "1"
	}
	return fmt.Sprintf("m=%s;d=%s;k=%s;g=$d/runs/%s/%s\n", id, Quote(g.Dir), Quote(g.Token), Quote(g.Run), Quote(g.ID)) +
		guardHead + guardPipes + fmt.Sprintf(guardRelay, conn.GuardOutput/512) + fmt.Sprintf(guardTail, wide, body)
}

// checkGuard refuses what would not be a name in a folder of dayops.
func checkGuard(g *conn.Guard) error {
	if g == nil {
		return nil
	}
	if !path.IsAbs(g.Dir) || path.Clean(g.Dir) != g.Dir || g.Dir == "/" || strings.ContainsAny(g.Dir, "\x00\n") {
		return fmt.Errorf("%q is no folder for a guard", g.Dir)
	}
	for what, word := range map[string]string{"run": g.Run, "command": g.ID, "lock": g.Token} {
		if !isRecordName(word) {
			return fmt.Errorf("%q names no %s of a guard", word, what)
		}
	}
	return nil
}

func isRecordName(s string) bool {
	for _, r := range s {
		plain := r == '.' || r == '-' || r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !plain {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[0] != '-' && len(s) <= 200
}

// guardRefused reads what guardHead said instead of the mark; nil when it is not that.
func guardRefused(host string, g *conn.Guard, id, said string) error {
	if g == nil {
		return nil
	}
	before, verdict, ok := strings.Cut("\n"+said, "\n"+id+" ")
	if !ok {
		return nil
	}
	switch strings.TrimSpace(verdict) {
	case "lost":
		return &conn.LockLostError{Host: host, Run: g.Run, Dir: g.Dir}
	case "used":
		return &conn.GuardError{Host: host, Run: g.Run, ID: g.ID, Used: true}
	}
	return &conn.GuardError{Host: host, Run: g.Run, ID: g.ID, Detail: lastLine(before, "(it said nothing)")}
}
