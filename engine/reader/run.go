package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// Limits of every look at a host. They are printed by --help; change them there too.
const (
	ProbeLimit = 60 * time.Second // one look
	HashLimit  = 30 * time.Minute // one look that reads whole files
	MaxEntries = 100_000          // of one listing
	maxAnswer  = 64 << 20         // bytes of one answer
	maxNames   = 2000             // units or packages asked for at once
)

// Reader reads one host as one account. Every method costs one round trip and
// needs POSIX sh, coreutils and findutils on the host.
type Reader struct {
	conn   conn.Conn
	as     string
	logins Logins // nil: there are none
}

// New reads through c as the account as; "" is the login account.
func New(c conn.Conn, as string) *Reader { return &Reader{conn: c, as: as} }

// setPath lets accounts without root find the programs of /usr/sbin.
const setPath = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH LC_ALL=C\n"

// Exit codes by which our scripts tell what a program's own code could not.
const (
	codeAbsent  = 101
	codeDenied  = 102
	codeType    = 103
	codeMissing = 104 // the host lacks what the script needs
)

// question is one script for a host.
type question struct {
	script string
	args   []string
	stdin  io.Reader
	limit  time.Duration
	max    int64                   // bytes of the answer; 0: maxAnswer
	more   func(part []byte) error // sees the answer as it comes
}

// ask runs the script and returns its whole output.
func (r *Reader) ask(ctx context.Context, q question) ([]byte, conn.Result, error) {
	if q.limit == 0 {
		q.limit = ProbeLimit
	}
	if q.max == 0 {
		q.max = maxAnswer
	}
	out := &bounded{max: q.max, more: q.more}
	argv := append([]string{"/bin/sh", "-c", setPath + q.script, "dayops"}, q.args...)
	res, err := r.conn.Run(ctx, conn.Cmd{
		Argv: argv, As: r.as, Stdin: q.stdin, Stdout: out, Limit: q.limit,
		Env: map[string]string{"LC_ALL": "C"},
	})
	if out.err != nil {
		return nil, res, out.err
	}
	if err != nil {
		return nil, res, err
	}
	return out.buf.Bytes(), res, nil
}

// bounded keeps what a host answers and fails when it does not stop.
type bounded struct {
	buf  bytes.Buffer
	max  int64
	more func([]byte) error
	err  error
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(b.buf.Len()+len(p)) > b.max {
		b.err = &TooMuchError{Limit: b.max, Unit: "bytes"}
		return 0, b.err
	}
	if b.more != nil {
		if b.err = b.more(p); b.err != nil {
			return 0, b.err
		}
	}
	return b.buf.Write(p)
}

// TooMuchError: a host gave more than a reader takes.
type TooMuchError struct {
	Path  string // of a file that is larger than asked for; "" for an answer without end
	Limit int64
	Unit  string // "bytes", "entries"
}

func (e *TooMuchError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("%s is larger than %d %s", Printable(e.Path), e.Limit, e.Unit)
	}
	return fmt.Sprintf("the host's answer is larger than %d %s", e.Limit, e.Unit)
}

// CommandError: a program that only reads failed on the host.
type CommandError struct {
	What   string // "systemctl show"
	Code   int
	Stderr string // its last lines, printable
}

func (e *CommandError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("%s failed with exit code %d", e.What, e.Code)
	}
	return fmt.Sprintf("%s failed with exit code %d: %s", e.What, e.Code, e.Stderr)
}

func failed(what string, res conn.Result) error {
	return &CommandError{What: what, Code: res.Code, Stderr: lastLines(res.Stderr.String(), 5)}
}

// AnswerError: what the host answered is not what the program in question can say.
type AnswerError struct {
	What string // "find", "systemctl show"
	Got  string // printable, cut
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("the host's answer to %s makes no sense: %q", e.What, e.Got)
}

func senseless(what, got string) error {
	const most = 200
	if len(got) > most {
		got = got[:most] + "..."
	}
	return &AnswerError{What: what, Got: Printable(got)}
}

// lastLines is the end of an output in one printable line.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i := range lines {
		lines[i] = Printable(strings.TrimSpace(lines[i]))
	}
	return strings.Join(lines, "; ")
}

var errRelative = errors.New("the path is not absolute")
var errNUL = errors.New("the path has a NUL byte")
