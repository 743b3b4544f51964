package change

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Bracket)(nil)

// Kind is "bracket".
func (b *Bracket) Kind() string { return "bracket" }

// Summary is one line for people.
func (b *Bracket) Summary() string {
	return summaries(b.Do) + "; then always: " + summaries(b.Then)
}

func summaries(list []Change) string {
	var s []string
	for _, c := range list {
		s = append(s, c.Summary())
	}
	return strings.Join(s, "; ")
}

// Diff is "".
func (b *Bracket) Diff() string { return "" }

// Risk is the highest of its changes.
func (b *Bracket) Risk() Risk {
	risk := Safe
	for _, c := range slices.Concat(b.Do, b.Then) {
		risk = max(risk, c.Risk())
	}
	return risk
}

// Reversal is None.
func (b *Bracket) Reversal() Reversal {
	return Reversal{None, "what was stopped and started cannot be taken back"}
}

// Opaque is false unless one of its changes is.
func (b *Bracket) Opaque() bool {
	for _, c := range slices.Concat(b.Do, b.Then) {
		if c.Opaque() {
			return true
		}
	}
	return false
}

// bracketable refuses what cannot be part of a script on the host.
func bracketable(c Change) error {
	switch c.(type) {
	case *Unit, *Exec:
		return nil
	}
	return fmt.Errorf("a bracket holds units and commands, not %q", c.Kind())
}

// observe: at After when every command of Do has been done and every unit of
// Then is as wanted. Without a command that can tell, it is an action: Before.
func (b *Bracket) observe(ctx context.Context, h Host) (Where, error) {
	told := false
	for _, c := range b.Do {
		e, ok := c.(*Exec)
		if !ok {
			continue
		}
		if e.Done == nil {
			return Before, nil
		}
		if done, err := e.Done.ask(ctx, h.read()); err != nil || !done {
			return Before, err
		}
		told = true
	}
	for _, c := range b.Then {
		u, ok := c.(*Unit)
		if !ok || !told {
			return Before, nil
		}
		now, err := h.unit(ctx, u.Name)
		if err != nil || !u.wants(now) {
			return Before, err
		}
	}
	return side(told, true), nil
}

// every is what systemctl is asked to do in a bracket, whatever the unit is
// doing: nobody knows that beforehand.
func (u *Unit) every() []string {
	all := *u
	flip := func(want *bool) bool { return want != nil && !*want }
	all.Before = reader.Unit{LoadState: "loaded", ActiveState: "inactive", UnitFileState: "disabled"}
	if flip(u.Active) {
		all.Before.ActiveState = "active"
	}
	if flip(u.Masked) {
		all.Before.LoadState = "masked"
	}
	if flip(u.Enabled) {
		all.Before.UnitFileState = "enabled"
	}
	return all.verbs()
}

// words is one step for the script: how many words follow, its kind, the rest.
func words(c Change) ([]string, error) {
	var w []string
	switch c := c.(type) {
	case *Unit:
		name := ""
		if c.Name != "" {
			var err error
			if name, err = reader.UnitName(c.Name); err != nil {
				return nil, err
			}
		}
		w = append([]string{"unit", name}, c.every()...)
	case *Exec:
		if len(c.Argv) == 0 || strings.HasPrefix(c.Argv[0], "-") || strings.Contains(c.Argv[0], "=") || len(c.Stdin) > 0 || c.Login != "" || len(c.Words) > 0 {
			return nil, errors.New("a command in a bracket has a plain program name, no input, and no word that is found later")
		}
		w = []string{"exec", c.Dir, "env"}
		for _, k := range slices.Sorted(maps.Keys(c.Env)) {
			w = append(w, k+"="+c.Env[k])
		}
		if c.Limit > 0 {
			w = append(w, "timeout", "-k", "10", strconv.Itoa(int(c.Limit/time.Second)+1))
		}
		w = append(w, c.Argv...)
	default:
		return nil, bracketable(c)
	}
	return append([]string{strconv.Itoa(len(w))}, w...), nil
}

// bracketScript runs steps: $1 is how many words Do has, Do's words, then
// Then's. Then is run by a keeper in a session of its own, which is there before
// Do begins and reads a pipe that only Do's shell holds: whatever ends that shell,
// a signal nobody can catch included, ends the pipe. The keeper does not carry the
// mark by which a command is found and ended; Do's shell does.
const bracketScript = `self=$0
trap '' HUP PIPE
step() { take=$1; shift
  left=$#
  while [ "$left" -gt 0 ]; do
    a=$1; shift; left=$((left-1))
    if [ "$take" -gt 0 ]; then set -- "$@" "$a"; take=$((take-1)); fi
  done
  kind=$1 at=$2; shift 2
  if [ "$kind" = exec ]; then
    ( cd -- "${at:-/}" && exec "$@" ) </dev/null 9>&- && return 0
    code=$?; echo "$*: exit code $code" >&2; return 1
  fi
  for verb do
    case $verb in
      daemon-reload) systemctl daemon-reload </dev/null 9>&- && continue;;
      reload) systemctl is-active --quiet -- "$at" 9>&- || verb=start;;
    esac
    systemctl "$verb" -- "$at" </dev/null 9>&- && continue
    code=$?; echo "$verb $at: systemctl said $code" >&2
    journalctl -u "$at" -n 20 --no-pager -o short >&2 2>/dev/null 9>&-
    return 1
  done
}
steps() { all=0 on=$1; shift
  while [ $# -gt 0 ]; do
    many=$1; shift
    step "$many" "$@" || { all=1; [ "$on" = on ] || return 1; }
    shift "$many"
  done
  return $all
}
first() { # of the words: first N, or the rest
  how=$1 count=$2; shift 2
  if [ "$how" = rest ]; then shift "$count"; steps on "$@"; return; fi
  rest=$#
  while [ "$rest" -gt 0 ]; do
    a=$1; shift; rest=$((rest-1))
    if [ "$count" -gt 0 ]; then set -- "$@" "$a"; count=$((count-1)); fi
  done
  steps stop "$@"
}
case $1 in
  do) shift; first do "$@"; echo $? >&9; exit;;
  keep) id=$2; shift 2
    exec 3>&1
    { exec 9>&1 1>&3 3>&-; export DAYOPS_ID="$id"; exec /bin/sh -c "$self" "$self" do "$@"; } | {
      exec 1>&3 3>&-
      IFS= read -r said
      first rest "$@"; then=$?
      case $said in 0) [ $then = 0 ] || exit 121; exit 0;; 1) [ $then = 0 ] || exit 122; exit 120;; esac
      exit 123
    }
    exit $?;;
esac
( id=$DAYOPS_ID; unset DAYOPS_ID; exec setsid /bin/sh -c "$self" "$self" keep "$id" "$@" ) </dev/null
exit $?`

func (b *Bracket) apply(ctx context.Context, h Host) (Outcome, error) {
	if where, err := b.observe(ctx, h); err != nil || where == After {
		return Outcome{}, err
	}
	var do, then []string
	for _, part := range []struct {
		from []Change
		to   *[]string
		do   bool
	}{{b.Do, &do, true}, {b.Then, &then, false}} {
		for _, c := range part.from {
			if skip, err := b.skip(ctx, h, c, part.do); err != nil || skip {
				if err != nil {
					return Outcome{}, err
				}
				continue
			}
			w, err := words(c)
			if err != nil {
				return Outcome{}, err
			}
			*part.to = append(*part.to, w...)
		}
	}
	args := slices.Concat([]string{strconv.Itoa(len(do))}, do, then)
	res, err := h.Conn.Run(ctx, conn.Cmd{
		Argv: append([]string{"/bin/sh", "-c", scriptHead + bracketScript, scriptHead + bracketScript}, args...),
		As:   h.As, Limit: ChangeLimit, Env: map[string]string{"LC_ALL": "C"},
	})
	if err != nil {
		return Outcome{Changed: true}, err
	}
	out := Outcome{Changed: true}
	what := map[int]string{120: summaries(b.Do), 121: summaries(b.Then), 122: b.Summary(), 123: summaries(b.Do) + " was ended"}[res.Code]
	if res.Code != 0 {
		if what == "" {
			what = b.Summary()
		}
		return out, &StepError{Doing: what, Code: res.Code, Output: tail(res.Stdout.String()+res.Stderr.String(), 30)}
	}
	return out, nil
}

// skip tells a command of Do that has been done, and refuses units that are
// not as planned.
func (b *Bracket) skip(ctx context.Context, h Host, c Change, do bool) (bool, error) {
	switch c := c.(type) {
	case *Exec:
		if c.Done == nil || !do {
			return false, nil
		}
		return c.Done.ask(ctx, h.read())
	case *Unit:
		if c.Name == "" || !do {
			return false, nil
		}
		now, err := h.unit(ctx, c.Name)
		if err != nil {
			return false, err
		}
		return false, c.moved(now)
	}
	return false, bracketable(c)
}

func (b *Bracket) effect(o *Overlay) {
	for _, c := range slices.Concat(b.Do, b.Then) {
		c.effect(o)
	}
}
