package change

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// ChangeLimit ends a change that does not come to an end by itself. It is
// printed by --help; change it there too.
const ChangeLimit = 30 * time.Minute

// Exit codes by which our scripts tell what a program's own code could not.
const (
	codeNoOwner  = 111
	codeNoGroup  = 112
	codeMissing  = 113 // the host lacks a program
	codeInTheWay = 114 // something is where nothing, or something else, should be
	codeMoved    = 115 // not as planned
)

// scriptHead lets accounts without root find the programs of /usr/sbin.
const scriptHead = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH LC_ALL=C\n"

// accountsExist checks the names $own and $grp; numbers need not exist.
const accountsExist = `case $own in ''|*[!0-9]*) [ -z "$own" ] || id -u -- "$own" >/dev/null 2>&1 || exit 111;; esac
case $grp in ''|*[!0-9]*) [ -z "$grp" ] || getent group -- "$grp" >/dev/null 2>&1 || exit 112;; esac
`

func (h Host) now() time.Time {
	if h.Now == nil {
		return time.Time{}
	}
	return h.Now()
}

func (h Host) read() Looker {
	if h.Reader != nil {
		return h.Reader
	}
	return reader.New(h.Conn, h.As).With(h.Logins)
}

// look is one path with its checksum.
func (h Host) look(ctx context.Context, path string) (reader.File, error) {
	files, err := h.read().Hash(ctx, path)
	if err != nil {
		return reader.File{}, err
	}
	return files[0], nil
}

// lstat is one path without a checksum.
func (h Host) lstat(ctx context.Context, path string) (reader.File, error) {
	files, err := h.read().Stat(ctx, path)
	if err != nil {
		return reader.File{}, err
	}
	return files[0], nil
}

// script runs a script of ours on the host. Exit codes of ours are turned into
// errors by the caller; doing is for people.
func (h Host) script(ctx context.Context, text string, stdin io.Reader, args ...string) (conn.Result, error) {
	return h.Conn.Run(ctx, conn.Cmd{
		Argv: append([]string{"/bin/sh", "-c", scriptHead + text, "dayops"}, args...),
		As:   h.As, Stdin: stdin, Limit: ChangeLimit, Env: map[string]string{"LC_ALL": "C"},
		Text: !strings.Contains(text, `\0`),
	})
}

// scripted is script for those whose every failure is an error.
func (h Host) scripted(ctx context.Context, doing, text string, attr Attr, args ...string) (conn.Result, error) {
	if err := attr.check(); err != nil {
		return conn.Result{}, err
	}
	res, err := h.script(ctx, text, nil, args...)
	if err != nil {
		return res, err
	}
	switch res.Code {
	case 0:
		return res, nil
	case codeNoOwner:
		return res, &NoAccountError{Kind: "user", Name: attr.Owner}
	case codeNoGroup:
		return res, &NoAccountError{Kind: "group", Name: attr.Group}
	}
	return res, stepFailed(doing, res)
}

// MovedError: the host is no longer as the change was planned from.
type MovedError struct {
	Path    string // or the name of a unit, a package
	What    string // "content", "mode", "owner", ...
	Planned string
	Found   string
}

func (e *MovedError) Error() string {
	return fmt.Sprintf("%s is not as planned: %s was %s, is %s", reader.Printable(e.Path), e.What, reader.Printable(e.Planned), reader.Printable(e.Found))
}

// NoAccountError: the host does not know a user or a group.
type NoAccountError struct{ Kind, Name string }

func (e *NoAccountError) Error() string {
	return fmt.Sprintf("the host has no %s %q", e.Kind, e.Name)
}

// StepError: a program that should change the host failed.
type StepError struct {
	Doing  string // "make the folder /x"
	Code   int
	Output string // its last lines; may span lines, control characters are escaped
}

func (e *StepError) Error() string {
	if e.Output == "" {
		return fmt.Sprintf("%s: exit code %d", e.Doing, e.Code)
	}
	return fmt.Sprintf("%s: %s", e.Doing, e.Output)
}

func stepFailed(doing string, res conn.Result) error {
	out := res.Stderr.String()
	if strings.TrimSpace(out) == "" {
		out = res.Stdout.String()
	}
	return &StepError{Doing: doing, Code: res.Code, Output: tail(out, 20)}
}

// tail is the last n lines of s, each printable.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i := range lines {
		lines[i] = reader.Printable(strings.TrimRight(lines[i], "\r"))
	}
	return strings.Join(lines, "\n")
}

// tempName is a file name that nobody can guess.
func tempName() string {
	var b [8]byte
	rand.Read(b[:])
	return ".dayops-" + hex.EncodeToString(b[:])
}

var errNotAbsolute = errors.New("the path is not absolute")

// cleanPath refuses what is no absolute path of something below /.
func cleanPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("%s: %w", reader.Printable(p), errNotAbsolute)
	case strings.ContainsRune(p, 0):
		return fmt.Errorf("%s: the path has a NUL byte", reader.Printable(p))
	case strings.Trim(p, "/") == "":
		return errors.New("/ itself cannot be changed")
	}
	return nil
}
