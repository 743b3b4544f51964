package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// NothingAccepts is what a Wait for a port saw last, when nobody answered there.
const NothingAccepts = "nothing accepts connections"

var _ Change = (*Wait)(nil)

// Kind is "wait".
func (w *Wait) Kind() string { return "wait" }

// Summary is one line for people.
func (w *Wait) Summary() string {
	if w.what() == aMoment && w.Delay > 0 {
		return "wait " + w.Delay.String()
	}
	return "wait for " + w.what() + ", at most " + w.Limit.String()
}

const aMoment = "a moment"

func (w *Wait) what() string {
	var what string
	switch {
	case w.What != "":
		return reader.Printable(w.What)
	case w.Port != 0 && w.Address != "":
		what = fmt.Sprintf("port %d at %s", w.Port, reader.Printable(w.Address))
	case w.Port != 0:
		what = fmt.Sprintf("port %d", w.Port)
	case w.Path != "":
		what = reader.Printable(w.Path)
	case w.Unit != "":
		what = reader.Printable(w.Unit) + " to be active"
	case len(w.Argv) > 0:
		what = reader.Printable(strings.Join(w.Argv, " "))
	case w.Find != nil:
		what = w.Find.what()
		if w.Is != "" {
			what += " to be " + reader.Printable(w.Is)
		}
	default:
		return aMoment
	}
	if w.Match != "" {
		what += " to match " + reader.Printable(w.Match)
	}
	if w.Gone {
		what += " to be gone"
	}
	return what
}

// Diff is "".
func (w *Wait) Diff() string { return "" }

// Risk is Safe.
func (w *Wait) Risk() Risk { return Safe }

// Reversal is Exact: nothing is changed.
func (w *Wait) Reversal() Reversal { return Reversal{Exact, "nothing is changed"} }

// Opaque is false.
func (w *Wait) Opaque() bool { return false }

// WaitError: the limit passed before the host answered as hoped.
type WaitError struct {
	What  string
	Limit time.Duration
	Last  string // what was last seen
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("waited %s for %s; last seen: %s", e.Limit, e.What, e.Last)
}

var errNoLimit = errors.New("a wait without a limit")

func (w *Wait) observe(ctx context.Context, h Host) (Where, error) {
	ok, _, err := w.ask(ctx, h)
	return side(ok, true), err
}

// apply asks again and again with short looks, so that the connection stays
// free for others, and never changes anything.
func (w *Wait) apply(ctx context.Context, h Host) (Outcome, error) {
	if w.Limit <= 0 {
		return Outcome{}, errNoLimit
	}
	every := w.Every
	if every <= 0 {
		every = time.Second
	}
	limited, cancel := context.WithTimeout(ctx, w.Limit)
	defer cancel()
	last := "nothing yet"
	pause := w.Delay
	for {
		if err := sleep(limited, pause); err != nil {
			break
		}
		ok, seen, err := w.ask(limited, h)
		if limited.Err() != nil {
			break
		}
		if err != nil {
			return Outcome{}, err
		}
		if ok {
			return w.found(limited, h)
		}
		last, pause = seen, every
	}
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	return Outcome{}, &WaitError{What: w.what(), Limit: w.Limit, Last: last}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// ask looks once, and says what it saw.
func (w *Wait) ask(ctx context.Context, h Host) (ok bool, seen string, err error) {
	var match *regexp.Regexp
	if w.Match != "" {
		if match, err = regexp.Compile("(?m)" + w.Match); err != nil {
			return false, "", fmt.Errorf("match: %w", err)
		}
	}
	switch {
	case w.Port != 0:
		ok, seen, err = w.askPort(ctx, h, match)
	case w.Path != "":
		ok, seen, err = w.askPath(ctx, h, match)
	case w.Unit != "":
		var u reader.Unit
		if u, err = h.unit(ctx, w.Unit); err == nil {
			ok, seen = u.Active(), u.Name+" is "+u.ActiveState+" ("+u.SubState+")"
		}
	case len(w.Argv) > 0:
		res, perr := h.read().Probe(ctx, w.Argv...)
		if err = perr; err == nil {
			out := append(res.Stdout.Bytes(), res.Stderr.Bytes()...)
			ok = res.Code == 0 && (match == nil || match.Match(out))
			seen = fmt.Sprintf("exit code %d: %s", res.Code, reader.Printable(tail(string(out), 1)))
		}
	case w.Find != nil:
		return w.askFind(ctx, h)
	default:
		return true, "", nil
	}
	return ok != w.Gone && err == nil, seen, err
}

// found is what a Find saw, for the task's result.
func (w *Wait) found(ctx context.Context, h Host) (Outcome, error) {
	if w.Find == nil || w.Find.Field == "" || w.Gone {
		return Outcome{}, nil
	}
	word, ok, err := w.Find.Look(ctx, h.read())
	if err != nil || !ok {
		return Outcome{}, nil // it was so a moment ago
	}
	return Outcome{Outputs: map[string]string{w.Find.Field: word}}, nil
}

// askFind: a probe that fails says neither that it is there nor that it is gone.
func (w *Wait) askFind(ctx context.Context, h Host) (bool, string, error) {
	ok, seen, err := w.Find.holds(ctx, h.read(), w.Is)
	var vague *AnswerError
	if errors.As(err, &vague) {
		return false, vague.Why, nil
	}
	return ok != w.Gone && err == nil, seen, err
}

func (w *Wait) askPath(ctx context.Context, h Host, match *regexp.Regexp) (bool, string, error) {
	const most = 16 << 20
	if match == nil {
		f, err := h.lstat(ctx, w.Path)
		return f.Exists, presence(f), err
	}
	text, err := h.read().ReadFile(ctx, w.Path, most)
	if errors.Is(err, fs.ErrNotExist) {
		return false, "absent", nil
	}
	return match.Match(text), "no line that matches", err
}

// portScript connects from the host itself. sh has no sockets: bash has, and
// every Red Hat and nearly every Debian has bash. Without it a port of the host
// itself is looked up among the listening ones.
const portScript = `addr=$1 port=$2 hex=$3 banner=$4
if command -v bash >/dev/null && command -v timeout >/dev/null; then
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
    [ -z "$3" ] || timeout 3 dd bs=65536 count=1 <&3; exit 0' dayops "${addr:-127.0.0.1}" "$port" "$banner" 2>/dev/null && exit 0
  [ -z "$addr" ] || exit 1
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
    [ -z "$3" ] || timeout 3 dd bs=65536 count=1 <&3; exit 0' dayops ::1 "$port" "$banner" 2>/dev/null && exit 0
  exit 1
fi
[ -z "$addr$banner" ] || exit 113
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -Eq "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A "`

func (w *Wait) askPort(ctx context.Context, h Host, match *regexp.Regexp) (bool, string, error) {
	if w.Port < 1 || w.Port > 65535 || strings.HasPrefix(w.Address, "-") || strings.ContainsAny(w.Address, "/ \t\n\x00") {
		return false, "", fmt.Errorf("%s:%d is no address of a TCP port", reader.Printable(w.Address), w.Port)
	}
	banner := flag(match != nil)
	res, err := h.script(ctx, portScript, nil, w.Address, strconv.Itoa(w.Port), fmt.Sprintf("%04X", w.Port), banner)
	switch {
	case err != nil:
		return false, "", err
	case res.Code == codeMissing:
		return false, "", &StepError{Doing: w.Summary(), Output: "the host needs bash and timeout to connect to a port"}
	case res.Code != 0:
		return false, NothingAccepts, nil
	case match == nil:
		return true, "it accepts connections", nil
	}
	out := bytes.TrimSpace(res.Stdout.Bytes())
	return match.Match(out), "it says " + strconv.Quote(tail(string(out), 1)), nil
}

func (w *Wait) effect(*Overlay) {}

// Quiet tells a change after which nothing is different: a wait, a backup, which
// only adds a set of its own on the control machine, and what is done in a
// staging folder that goes in the end.
func Quiet(c Change) bool {
	switch c := c.(type) {
	case *Wait:
		return true
	case *Transfer:
		return c.ToSet != nil
	case *Dir:
		return c.Staging
	case *Remove:
		return c.Staging
	case *Exec:
		return c.Staging
	}
	return false
}
