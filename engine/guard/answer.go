package guard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/dayops/dayops/engine/conn"
)

var errNotOurs = errors.New("the lock is another's")

// FlockError: the host has no flock(1), without which no lock can be taken.
type FlockError struct{}

func (e *FlockError) Error() string {
	return "flock is missing on the host: it is needed to lock it (package util-linux)"
}

// answer is what a script printed: a word and a value a line.
type answer struct {
	word map[string]string
	live []Process
	rest []byte // what follows an empty line
}

// bounded keeps what a host says, up to what it can have to say.
type bounded []byte

func (b *bounded) Write(p []byte) (int, error) {
	if room := 2*conn.GuardOutput + 64<<10 - len(*b); room > 0 {
		*b = append(*b, p[:min(len(p), room)]...)
	}
	return len(p), nil
}

// operate runs one of the scripts and reads its answer.
func operate(ctx context.Context, c conn.Conn, as, script string, args ...string) (int, answer, error) {
	var said bounded
	res, err := c.Run(ctx, conn.Cmd{As: as, Stdout: &said, Argv: append([]string{"/bin/sh", "-c", script, "dayops-guard"}, args...), Limit: OpLimit})
	if err != nil {
		return 0, answer{}, err
	}
	switch res.Code {
	case 0, 10, 11:
		return res.Code, parseAnswer(said), nil
	case 12:
		return 0, answer{}, errNotOurs
	case 67:
		return 0, answer{}, &FlockError{}
	}
	why := strings.TrimSpace(clean(res.Stderr.String()))
	for _, known := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if strings.Contains(strings.ToLower(why), known.Error()) {
			return 0, answer{}, &fs.PathError{Op: "lock", Path: cmp.Or(args[0], "the host, in dayops' folder"), Err: known}
		}
	}
	return 0, answer{}, fmt.Errorf("the lock on the host: %s (exit code %d)", why[:min(len(why), 300)], res.Code)
}

func parseAnswer(b []byte) answer {
	head, rest, _ := bytes.Cut(b, []byte("\n\n"))
	a := answer{word: map[string]string{}, rest: rest}
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if key != "live" {
			a.word[key] = clean(value)
			continue
		}
		if f := strings.Fields(value); len(f) == 2 && len(a.live) < 100 {
			pid, _ := strconv.Atoi(f[1])
			a.live = append(a.live, Process{ID: clean(f[0]), PID: pid})
		}
	}
	return a
}

// clean takes control characters out of what a host says.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}

func (a answer) number(key string) int64 {
	n, _ := strconv.ParseInt(a.word[key], 10, 64)
	return n
}

func (a answer) holder() Holder {
	start, _ := time.Parse(time.RFC3339, a.word["start"])
	return Holder{
		Owner:   Owner{Run: a.word["run"], User: a.word["user"], Host: a.word["host"], PID: int(a.number("pid")), Start: start},
		Dir:     a.word["dir"],
		Token:   a.word["token"],
		PerUser: a.word["uid"] != "0",
		Expires: time.Duration(a.number("left")) * 10 * time.Millisecond,
		Live:    a.live,
	}
}
