// Package conntest is what every conn.Conn must do. The host under test must
// share its file system and process table with the test.
package conntest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

// Caps says what the host under test can do.
type Caps struct {
	// As is an account that Run, Get and Put may become; "" tests none.
	As string
	// Home is the folder that commands start in; "" does not look.
	Home string
	// Local marks a connection that cannot break.
	Local bool
	// Guarded marks one whose every Run and Put is guarded.
	Guarded bool
}

// soon is more than an end may take on a busy machine; what is to end would
// last for months.
const soon = 20 * time.Second

// Run runs the whole suite. dial gives a fresh connection; Run closes it.
func Run(t *testing.T, dial func(t *testing.T) conn.Conn, caps Caps) {
	open := func(t *testing.T) conn.Conn {
		t.Helper()
		c := dial(t)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	t.Run("commands", func(t *testing.T) { commands(t, open(t), caps) })
	t.Run("argv", func(t *testing.T) { argv(t, open(t)) })
	t.Run("streams", func(t *testing.T) { streams(t, open(t)) })
	t.Run("ends", func(t *testing.T) { ends(t, open(t)) })
	t.Run("many", func(t *testing.T) { many(t, open(t)) })
	t.Run("get", func(t *testing.T) { get(t, open(t)) })
	t.Run("put", func(t *testing.T) { put(t, open(t)) })
	t.Run("put refused", func(t *testing.T) { putRefused(t, open(t)) })
	t.Run("guard", func(t *testing.T) { guarded(t, open(t)) })
	t.Run("guard output", func(t *testing.T) { guardedOutput(t, open(t)) })
	t.Run("guard refused", func(t *testing.T) { guardRefused(t, open(t)) })
	if caps.As != "" {
		t.Run("as", func(t *testing.T) { As(t, open(t), caps.As) })
	}
	if !caps.Local {
		t.Run("closed", func(t *testing.T) { closed(t, dial(t)) })
	}
}

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

func run(t *testing.T, c conn.Conn, cmd conn.Cmd) conn.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := c.Run(ctx, cmd)
	require.NoError(t, err)
	return r
}

func commands(t *testing.T, c conn.Conn, caps Caps) {
	r := run(t, c, conn.Cmd{Argv: sh("echo out; echo err >&2; exit 7")})
	require.Equal(t, conn.Result{Code: 7, Stdout: conn.Capture{Head: []byte("out\n")}, Stderr: conn.Capture{Head: []byte("err\n")}}, r)

	r = run(t, c, conn.Cmd{Argv: sh("kill -TERM $$")})
	require.Equal(t, 143, r.Code)
	if !caps.Guarded {
		require.Equal(t, "TERM", r.Signal)
	}
	require.Equal(t, 137, run(t, c, conn.Cmd{Argv: sh("sh -c 'kill -9 $$'; exit $?")}).Code)

	r = run(t, c, conn.Cmd{Argv: []string{"no-such-program-here"}})
	require.Equal(t, 127, r.Code)
	require.Contains(t, r.Stderr.String(), "no-such-program-here")

	if caps.Home != "" {
		require.Equal(t, caps.Home+"\n", run(t, c, conn.Cmd{Argv: []string{"pwd"}}).Stdout.String())
	}
	dir := t.TempDir()
	require.Equal(t, dir+"\n", run(t, c, conn.Cmd{Argv: []string{"pwd"}, Dir: dir}).Stdout.String())
	require.Equal(t, 126, run(t, c, conn.Cmd{Argv: []string{"pwd"}, Dir: dir + "/none"}).Code)

	env := map[string]string{"A": "it's $HOME \"q\" \\", "B_2": "", "LINES_": "a\nb"}
	r = run(t, c, conn.Cmd{Argv: sh(`printf '%s|' "$A" "${B_2-unset}" "$LINES_" "$LC_ALL" "$TERM"; tty >&2`), Env: env})
	require.Equal(t, "it's $HOME \"q\" \\||a\nb|C|dumb|", r.Stdout.String())
	require.Equal(t, "not a tty\n", run(t, c, conn.Cmd{Argv: []string{"tty"}}).Stdout.String())

	for _, bad := range []conn.Cmd{
		{}, {Argv: []string{""}}, {Argv: []string{"a\x00b"}}, {Argv: []string{"true"}, Env: map[string]string{"A B": "x"}},
		{Argv: []string{"true"}, Env: map[string]string{"A": "\x00"}}, {Argv: []string{"true"}, As: "-u root"}, {Argv: []string{"true"}, Dir: "\x00"},
		{Argv: []string{"echo", strings.Repeat("x", 200<<10)}},
	} {
		_, err := c.Run(t.Context(), bad)
		require.Error(t, err)
	}
}

// argv checks that no character of an argument means anything on the way.
func argv(t *testing.T, c conn.Conn) {
	words := []string{"", " ", "a b", "'", `"`, `\`, `\\`, "$HOME", "`id`", "!", "!!", "a!b", "*", "~", "#x", "a;b", "&", "|", "\n", "a\nb\n", "\t",
		"-n", "--", "%s", "=", "a=b", "{a,b}", "[x]", "^", "\xff\xfe", "é", "日本", "\x01\x7f", `'\''`, `\'`, `'"'"'`, "\r", "(", ")", "<", ">", "?"}
	var all strings.Builder
	for i := 1; i < 128; i++ {
		all.WriteByte(byte(i))
	}
	words = append(words, all.String())
	r := run(t, c, conn.Cmd{Argv: append([]string{"/usr/bin/printf", `%s\0`}, words...)})
	require.Equal(t, words, strings.Split(strings.TrimSuffix(r.Stdout.String(), "\x00"), "\x00"))
}

func streams(t *testing.T, c conn.Conn) {
	require.Empty(t, run(t, c, conn.Cmd{Argv: []string{"cat"}}).Stdout.String(), "no stdin is an empty one")

	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	var out bytes.Buffer
	r := run(t, c, conn.Cmd{Argv: []string{"cat"}, Stdin: bytes.NewReader(big), Stdout: &out})
	require.True(t, bytes.Equal(big, out.Bytes()))
	require.Empty(t, r.Stdout.Bytes())

	r = run(t, c, conn.Cmd{Argv: sh("cat >&2"), Stdin: bytes.NewReader(big)})
	require.Equal(t, int64(len(big)-conn.CaptureHead-conn.CaptureTail), r.Stderr.Dropped)
	require.Equal(t, big[:conn.CaptureHead], r.Stderr.Head)
	require.Equal(t, big[len(big)-conn.CaptureTail:], r.Stderr.Tail)

	// A command that does not read its input.
	require.Equal(t, 3, run(t, c, conn.Cmd{Argv: sh("exit 3"), Stdin: bytes.NewReader(big)}).Code)

	// A reader that fails: the command must not take the rest for the end of its input.
	broken := errors.New("the disk is gone")
	_, err := c.Run(t.Context(), conn.Cmd{Argv: sh("cat; echo END"), Stdin: io.MultiReader(strings.NewReader("x"), failing{broken})})
	require.ErrorIs(t, err, broken)
	// A writer that fails ends the command.
	_, err = c.Run(t.Context(), conn.Cmd{Argv: []string{"yes"}, Stdout: failing{broken}})
	require.ErrorIs(t, err, broken)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// ends checks that a command that is cut short is gone from the host, with all it started.
func ends(t *testing.T, c conn.Conn) {
	script := "trap '' HUP; sleep %s & setsid sleep %s & wait"
	for name, cut := range map[string]func(conn.Cmd) error{
		"limit": func(cmd conn.Cmd) error {
			cmd.Limit = 300 * time.Millisecond
			_, err := c.Run(t.Context(), cmd)
			return err
		},
		"cancel": func(cmd conn.Cmd) error {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			_, err := c.Run(ctx, cmd)
			return err
		},
	} {
		number := fmt.Sprintf("3%07d", time.Now().UnixNano()%1e7)
		start := time.Now()
		err := cut(conn.Cmd{Argv: sh(fmt.Sprintf(script, number, number))})
		require.Less(t, time.Since(start), soon)
		if name == "limit" {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
		requireGone(t, c, number, start)
	}
	// One that does not care about TERM.
	start := time.Now()
	number := fmt.Sprintf("4%07d", start.UnixNano()%1e7)
	_, err := c.Run(t.Context(), conn.Cmd{Argv: sh("trap '' TERM; while :; do sleep " + number + "; done"), Limit: 200 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireGone(t, c, number, start)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Run(done, conn.Cmd{Argv: []string{"true"}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 0, run(t, c, conn.Cmd{Argv: []string{"true"}}).Code, "the connection is still good")
}

func requireGone(t *testing.T, c conn.Conn, word string, since time.Time) {
	t.Helper()
	for {
		r := run(t, c, conn.Cmd{Argv: []string{"/bin/sh", "-c", `for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <"$f" 2>/dev/null; echo; done | grep "^sleep $0" `, word}})
		if r.Code != 0 {
			return
		}
		require.Less(t, time.Since(since), soon, "still there: %s", r.Stdout.String())
		time.Sleep(100 * time.Millisecond)
	}
}

// many runs more commands at once than one connection has sessions.
func many(t *testing.T, c conn.Conn) {
	var all sync.WaitGroup
	for i := range 3 * conn.MaxSessions {
		all.Go(func() {
			r, err := c.Run(t.Context(), conn.Cmd{Argv: sh(fmt.Sprintf("sleep 0.05; echo %d; cat", i)), Stdin: strings.NewReader("x")})
			if err != nil || r.Stdout.String() != fmt.Sprintf("%d\nx", i) {
				t.Errorf("command %d: %q %v", i, r.Stdout.String(), err)
			}
		})
	}
	all.Wait()
}

func closed(t *testing.T, c conn.Conn) {
	result := make(chan error, 1)
	go func() {
		_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"sleep", "3"}})
		result <- err
	}()
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	require.NoError(t, c.Close())
	require.Less(t, time.Since(start), soon)
	var lost *conn.LostError
	require.ErrorAs(t, <-result, &lost)
	_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}})
	require.ErrorAs(t, err, &lost)
	require.Error(t, c.Put(t.Context(), conn.Put{Path: "/tmp/x", Mode: 0o600, Size: -1}, strings.NewReader("")))
	_, err = c.Get(t.Context(), "", "/etc/hostname", io.Discard)
	require.ErrorAs(t, err, &lost)
}
