package conntest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

// guards gives guards of one run whose lock is held, as engine/guard makes it.
type guards struct {
	dir string
}

func newGuards(t *testing.T) guards {
	g := guards{filepath.Join(t.TempDir(), "state")}
	require.NoError(t, os.MkdirAll(filepath.Join(g.dir, "runs", "r1"), 0o700))
	g.take(t, "token1")
	return g
}

func (g guards) take(t *testing.T, token string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(g.dir, "lock"), []byte(token+"\nr1\n"), 0o600))
}

func (g guards) guard(id string) *conn.Guard {
	return &conn.Guard{Dir: g.dir, Run: "r1", ID: id, Token: "token1"}
}

func (g guards) file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, "runs", "r1", name))
	require.NoError(t, err)
	return string(b)
}

// guarded checks that a guarded command is as any other to its caller, and
// leaves a record.
func guarded(t *testing.T, c conn.Conn) {
	g := newGuards(t)
	r := run(t, c, conn.Cmd{Argv: sh("echo out; echo err >&2; exit 7"), Guard: g.guard("a"), Text: true})
	require.Equal(t, conn.Result{Code: 7, Stdout: conn.Capture{Head: []byte("out\n")}, Stderr: conn.Capture{Head: []byte("err\n")}}, r)
	require.Equal(t, "7\n", g.file(t, "a.end"))
	require.Equal(t, "out\n", g.file(t, "a.out"))
	require.Equal(t, "err\n", g.file(t, "a.err"))
	require.Len(t, strings.Fields(g.file(t, "a.begin")), 2)

	r = run(t, c, conn.Cmd{Argv: sh("kill -TERM $$"), Guard: g.guard("b")})
	require.Equal(t, 143, r.Code)
	require.Empty(t, r.Signal)
	require.Contains(t, []string{"", "Terminated\n"}, r.Stderr.String())
	r = run(t, c, conn.Cmd{Argv: []string{"no-such-program-here"}, Guard: g.guard("c")})
	require.Equal(t, 127, r.Code)
	require.Contains(t, r.Stderr.String(), "no-such-program-here")
	require.Equal(t, "127\n", g.file(t, "c.end"))
	dir := t.TempDir()
	require.Equal(t, dir+"\n", run(t, c, conn.Cmd{Argv: []string{"pwd"}, Dir: dir, Guard: g.guard("d")}).Stdout.String())
	require.Equal(t, 126, run(t, c, conn.Cmd{Argv: []string{"pwd"}, Dir: dir + "/none", Guard: g.guard("e")}).Code)
	r = run(t, c, conn.Cmd{Argv: sh(`printf '%s|' "$A" "$LC_ALL" "$TERM"`), Env: map[string]string{"A": "it's $HOME"}, Guard: g.guard("f")})
	require.Equal(t, "it's $HOME|C|dumb|", r.Stdout.String(), "without a line's end")
	r = run(t, c, conn.Cmd{Argv: sh(`ls /proc/self/fd; trap; ulimit -f; umask`), Guard: g.guard("g")})
	plain := run(t, c, conn.Cmd{Argv: sh(`ls /proc/self/fd; trap; ulimit -f; umask`)})
	require.Equal(t, plain.Stdout.String(), r.Stdout.String(), "files, traps, limits and mask are a command's own")
	r = run(t, c, conn.Cmd{Argv: sh(`printf '\n\n a\\b \nc'; printf '\n\n' >&2`), Guard: g.guard("h")})
	require.Equal(t, "\n\n a\\b \nc", r.Stdout.String())
	require.Equal(t, "\n\n", r.Stderr.String())
	r = run(t, c, conn.Cmd{Argv: sh(`printf '\n\n a\\b \nc'; printf '\n\n' >&2`), Guard: g.guard("k"), Text: true})
	require.Equal(t, "\n\n a\\b \nc", r.Stdout.String())
	require.Equal(t, "\n\n", r.Stderr.String())
	require.Equal(t, "a\x00b\n\x00", run(t, c, conn.Cmd{Argv: sh(`printf 'a\0b\n\0'`), Guard: g.guard("l")}).Stdout.String())
	require.Equal(t, "x", run(t, c, conn.Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader("x"), Guard: g.guard("i")}).Stdout.String())
	require.Equal(t, "", run(t, c, conn.Cmd{Argv: []string{"cat"}, Guard: g.guard("j")}).Stdout.String())

	for _, bad := range []conn.Guard{{}, {Dir: "x", Run: "r", ID: "i", Token: "t"}, {Dir: "/", Run: "r", ID: "i", Token: "t"}, {Dir: "/a/../b", Run: "r", ID: "i", Token: "t"},
		{Dir: "/x", Run: "../r", ID: "i", Token: "t"}, {Dir: "/x", Run: "r", ID: "a/b", Token: "t"}, {Dir: "/x", Run: "r", ID: "i", Token: "a\nb"}, {Dir: "/x", Run: ".", ID: "i", Token: "t"}} {
		_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}, Guard: &bad})
		require.Error(t, err)
	}
}

// guardedOutput checks that the disk takes a bounded part of what the caller gets.
func guardedOutput(t *testing.T, c conn.Conn) {
	g := newGuards(t)
	big := pattern(4 << 20)
	var out bytes.Buffer
	run(t, c, conn.Cmd{Argv: []string{"cat"}, Stdin: bytes.NewReader(big), Stdout: &out, Guard: g.guard("a")})
	require.True(t, bytes.Equal(big, out.Bytes()), "to the byte")
	kept := g.file(t, "a.out")
	require.LessOrEqual(t, len(kept), 2*conn.GuardOutput) // some shells count their limits in other blocks
	require.GreaterOrEqual(t, len(kept), conn.GuardOutput)
	require.Equal(t, string(big[:conn.GuardOutput]), kept[:conn.GuardOutput])

	text := []byte(strings.Repeat("0123456789abcde\n", 1<<18))
	r := run(t, c, conn.Cmd{Argv: sh("cat; echo err >&2"), Stdin: bytes.NewReader(text), Guard: g.guard("b"), Text: true})
	require.Equal(t, int64(len(text)-conn.CaptureHead-conn.CaptureTail), r.Stdout.Dropped)
	require.Equal(t, text[len(text)-conn.CaptureTail:], r.Stdout.Tail)
	require.Equal(t, "err\n", r.Stderr.String())
	require.Less(t, len(g.file(t, "b.out")), 2*conn.GuardOutput+1)

	require.Equal(t, 3, run(t, c, conn.Cmd{Argv: sh("exit 3"), Stdin: bytes.NewReader(big), Guard: g.guard("c")}).Code)
}

// guardRefused checks that nothing is done for who does not hold the lock.
func guardRefused(t *testing.T, c conn.Conn) {
	g := newGuards(t)
	marker := filepath.Join(t.TempDir(), "marker")
	touch := conn.Cmd{Argv: []string{"touch", marker}, Guard: g.guard("a")}
	run(t, c, touch)
	require.FileExists(t, marker)
	require.NoError(t, os.Remove(marker))

	var failed *conn.GuardError
	_, err := c.Run(t.Context(), touch)
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Used)
	require.NoFileExists(t, marker, "the same command a second time")

	large := pattern(300 << 10)
	sum := sha256.Sum256(large)
	put := func(id string) error {
		return c.Put(t.Context(), conn.Put{Path: marker, Mode: 0o600, Size: -1, SHA256: hex.EncodeToString(sum[:]), Guard: g.guard(id)}, bytes.NewReader(large))
	}
	var lost *conn.LockLostError
	for name, lose := range map[string]func(){
		"another's": func() { g.take(t, "token2") },
		"none":      func() { require.NoError(t, os.Remove(filepath.Join(g.dir, "lock"))) },
		"no run":    func() { require.NoError(t, os.RemoveAll(filepath.Join(g.dir, "runs"))) },
	} {
		g.take(t, "token1")
		lose()
		if name == "no run" {
			require.NoError(t, os.Remove(filepath.Join(g.dir, "lock")))
		}
		touch.Guard = g.guard("b")
		_, err = c.Run(t.Context(), touch)
		require.ErrorAs(t, err, &lost, name)
		require.ErrorAs(t, put("p"), &lost, name)
		require.ErrorAs(t, c.Put(t.Context(), conn.Put{Path: marker, Mode: 0o600, Size: -1, Guard: g.guard("q")}, strings.NewReader("x")), &lost, name)
		left, err := os.ReadDir(filepath.Dir(marker))
		require.NoError(t, err)
		require.Empty(t, left, name)
		require.NoFileExists(t, filepath.Join(g.dir, "runs", "r1", "b.begin"), name)
		require.NoError(t, os.MkdirAll(filepath.Join(g.dir, "runs", "r1"), 0o700))
	}
	g.take(t, "token1")
	require.NoError(t, put("p"))
	got, err := os.ReadFile(marker)
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, got))
	require.Equal(t, "0\n", g.file(t, "p.end"))
	require.Equal(t, "0\n", g.file(t, "p.up.end"))

	require.NoError(t, os.RemoveAll(filepath.Join(g.dir, "runs")))
	_, err = c.Run(t.Context(), touch)
	require.ErrorAs(t, err, &failed, "the lock is there, the place for records is not")
	require.False(t, failed.Used)
	require.NotEmpty(t, failed.Detail)
}
