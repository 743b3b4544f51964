package ssh

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// soon is far more than anything here may wait, on a machine that is busy with
// other tests too.
const soon = 20 * time.Second

// hasty is a dialer whose limits a test can wait for, and a real sshd can keep.
func hasty(t *testing.T) *Dialer {
	t.Helper()
	d := testDialer(t, Options{ConfigFile: "none"})
	d.limits = limits{dial: 3 * time.Second, handshake: 2 * time.Second, keepalive: 400 * time.Millisecond}
	return d
}

func dial(t *testing.T, d *Dialer, target conn.Target) conn.Conn {
	t.Helper()
	c, err := d.Dial(t.Context(), target)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServersThatDoNotTalk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accept func(net.Conn) bool
		stage  string
		limit  time.Duration
		says   string
		dials  int32
	}{
		"silent":       {func(net.Conn) bool { return false }, "handshake", 2 * time.Second, "no answer in 2s (handshake)", 1},
		"slow banner":  {func(c net.Conn) bool { drip(c, "SSH-2.0-OpenSSH_9.2\r\n"); return false }, "handshake", 2 * time.Second, "no answer", 1},
		"slow kex":     {func(c net.Conn) bool { io.WriteString(c, "SSH-2.0-x\r\n"); return false }, "handshake", 2 * time.Second, "no answer", 1},
		"closes":       {func(c net.Conn) bool { c.Close(); return false }, "handshake", 0, "closed the connection before it said a word", 4},
		"MaxStartups":  {func(c net.Conn) bool { io.WriteString(c, "Exceeded MaxStartups\r\n"); c.Close(); return false }, "handshake", 0, "Exceeded MaxStartups", 4},
		"penalty":      {func(c net.Conn) bool { io.WriteString(c, "Not allowed at this time\r\n"); c.Close(); return false }, "handshake", 0, "Not allowed at this time", 1},
		"web server":   {func(c net.Conn) bool { io.WriteString(c, "HTTP/1.1 400 \x1b[2JBad\r\n\r\n"); c.Close(); return false }, "handshake", 0, "HTTP/1.1 400 [2JBad", 1},
		"endless text": {func(c net.Conn) bool { go flood(c); return false }, "handshake", 0, "", 1},
		"dies in kex":  {func(c net.Conn) bool { io.WriteString(c, "SSH-2.0-x\r\n"); c.Close(); return false }, "handshake", 0, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sshtest.StartInProcess(t, sshtest.Behaviour{Accept: c.accept})
			start := time.Now()
			err := dialOnce(t, hasty(t), s.Target("web"))
			require.Less(t, time.Since(start), soon)
			var e *conn.UnreachableError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "web", e.Host)
			require.Equal(t, c.stage, e.Stage, "%v", err)
			require.Equal(t, c.limit, e.Limit)
			require.ErrorContains(t, err, c.says)
			require.LessOrEqual(t, s.Connections.Load(), c.dials)
			require.GreaterOrEqual(t, s.Connections.Load(), min(c.dials, 2))
		})
	}
}

func drip(c net.Conn, text string) {
	go func() {
		for i := range text {
			io.WriteString(c, text[i:i+1])
			time.Sleep(200 * time.Millisecond)
		}
	}()
}

func flood(c net.Conn) {
	for {
		if _, err := c.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
			return
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	d := hasty(t)
	var e *conn.UnreachableError
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	require.ErrorAs(t, dialOnce(t, d, conn.Target{Name: "w", Address: "127.0.0.1", Port: port}), &e)
	require.Equal(t, "connect", e.Stage)
	require.ErrorContains(t, e, "connection refused")
	require.ErrorAs(t, dialOnce(t, d, conn.Target{Name: "no-such-host.invalid"}), &e)
	require.Equal(t, "resolve", e.Stage)
	require.ErrorAs(t, dialOnce(t, d, conn.Target{Name: "a;b"}), &e)
	require.Equal(t, "config", e.Stage)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Dial(ctx, conn.Target{Name: "127.0.0.1", Port: port})
	require.ErrorIs(t, err, context.Canceled)
}

func TestCancelDuringHandshake(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Accept: func(net.Conn) bool { return false }})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := testDialer(t, Options{ConfigFile: "none"}).Dial(ctx, s.Target("web"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), soon/2)
}

func TestConnectionDiesInMidCommand(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	c := dial(t, hasty(t), s.Target("web"))
	for _, what := range []func() error{
		func() error { _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"sleep", "2"}}); return err },
		func() error { _, err := c.Get(t.Context(), "", "/dev/null/x", io.Discard); return err },
		func() error {
			return c.Put(t.Context(), conn.Put{Path: t.TempDir() + "/f", Mode: 0o600, Size: -1}, bytes.NewReader(make([]byte, 1<<20)))
		},
	} {
		time.AfterFunc(200*time.Millisecond, s.Drop)
		err := what()
		for err == nil || !isLost(err) { // what ran before the drop
			err = what()
		}
	}
}

func isLost(err error) bool {
	var lost *conn.LostError
	return errors.As(err, &lost)
}

// A server that answers nothing more, as one that is stopped or whose network is gone.
func TestFrozenHost(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	c := dial(t, hasty(t), s.Target("web"))
	r, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"/bin/sh", "-c", "echo $PPID; cut -d' ' -f4 /proc/$PPID/stat"}})
	require.NoError(t, err)
	var pids [2]int // the session's sshd, and its monitor
	fmt.Sscan(r.Stdout.String(), &pids[0], &pids[1])
	for _, pid := range append(pids[:], s.Pid()) {
		syscall.Kill(pid, syscall.SIGSTOP)
		defer syscall.Kill(pid, syscall.SIGCONT)
	}
	start := time.Now()
	var all sync.WaitGroup
	for range 12 { // more than there are sessions
		all.Go(func() {
			if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !isLost(err) {
				t.Errorf("%v", err)
			} else if !strings.Contains(err.Error(), "no sign of life for") {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	require.Less(t, time.Since(start), soon)
	// The listener's backlog still takes connections.
	var e *conn.UnreachableError
	require.ErrorAs(t, dialOnce(t, hasty(t), s.Target("web")), &e)
	require.Equal(t, "handshake", e.Stage)
}

func exitStatus(ch ssh.Channel, n uint32) {
	ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, n))
}

// mark is what our start text would print.
func mark(line string) string {
	_, rest, _ := strings.Cut(line, "echo ")
	return rest[:32]
}

func TestHostileCommands(t *testing.T) {
	t.Parallel()
	var act func(line string, ch ssh.Channel)
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Exec: func(line string, ch ssh.Channel) bool { act(line, ch); return true }})
	run := func(a func(line string, ch ssh.Channel)) (conn.Result, error) {
		act = a
		c, err := testDialer(t, Options{ConfigFile: "none"}).Dial(t.Context(), s.Target("web"))
		require.NoError(t, err)
		defer c.Close()
		return c.Run(t.Context(), conn.Cmd{Argv: []string{"x"}, Limit: 3 * time.Second})
	}
	_, err := run(func(line string, ch ssh.Channel) {}) // no status at all
	require.True(t, isLost(err), "%v", err)
	_, err = run(func(line string, ch ssh.Channel) { // an account that cannot log in
		io.WriteString(ch, "This account is currently not available.\n")
		io.WriteString(ch.Stderr(), "nologin\x1b[2J\n")
		exitStatus(ch, 1)
	})
	require.ErrorContains(t, err, "ended with exit code 1 before the command began: nologin [2J")
	_, err = run(func(line string, ch ssh.Channel) { // says nothing, does not end
		if strings.Contains(line, "dayops-end") {
			return
		}
		time.Sleep(10 * time.Second)
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	r, err := run(func(line string, ch ssh.Channel) { // an unheard-of signal
		io.WriteString(ch.Stderr(), mark(line)+"\n")
		ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal     string
			Core       bool
			Text, Lang string
		}{"BO\x1bGUS", false, "", ""}))
	})
	require.NoError(t, err)
	require.Equal(t, conn.Result{Code: 128, Signal: "BOGUS"}, r)
	_, err = run(func(line string, ch ssh.Channel) {
		ch.SendRequest("exit-status", false, []byte{1})
	})
	require.True(t, isLost(err), "%v", err)
}

// Output floods are drained and bounded, before the mark and after.
func TestFloods(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Exec: func(line string, ch ssh.Channel) bool {
		chunk := bytes.Repeat([]byte("n"), 32<<10)
		for range 200 {
			ch.Write(chunk)
			ch.Stderr().Write(chunk)
		}
		for _, w := range []io.Writer{ch, ch.Stderr()} {
			io.WriteString(w, mark(line)+"\nout")
			for range 200 {
				w.Write(chunk)
			}
		}
		exitStatus(ch, 3)
		return true
	}})
	r, err := dial(t, testDialer(t, Options{ConfigFile: "none"}), s.Target("web")).Run(t.Context(), conn.Cmd{Argv: []string{"x"}})
	require.NoError(t, err)
	require.Equal(t, 3, r.Code)
	require.Len(t, r.Stdout.Head, conn.CaptureHead)
	require.Equal(t, int64(3+200*32<<10), int64(len(r.Stdout.Head)+len(r.Stdout.Tail))+r.Stdout.Dropped)
	require.True(t, bytes.HasPrefix(r.Stderr.Head, []byte("outnnn")))

}

// A host whose SFTP server talks nonsense gets its files by cat.
func TestBadSFTP(t *testing.T) {
	t.Parallel()
	var garble []byte
	s := sshtest.StartInProcess(t, sshtest.Behaviour{Exec: func(line string, ch ssh.Channel) bool {
		if !strings.Contains(line, "sftp-server") {
			return false
		}
		io.WriteString(ch.Stderr(), mark(line)+"\n")
		io.WriteString(ch, mark(line)+"\n")
		ch.Write(garble)
		exitStatus(ch, 0)
		return true
	}})
	for _, g := range [][]byte{nil, []byte("Welcome to web!\n"), {0, 0, 0, 5, 2, 0, 0, 0, 99}, {0xff, 0xff, 0xff, 0xff, 2}, {0, 0, 0, 0}, {0, 0, 0, 1, 2}} {
		garble = g
		c := dial(t, testDialer(t, Options{ConfigFile: "none"}), s.Target("web"))
		var b bytes.Buffer
		_, err := c.Get(t.Context(), "", "/etc/hostname", &b)
		require.NoError(t, err, "%q", g)
		require.NotEmpty(t, b.String())
		file := t.TempDir() + "/f"
		require.NoError(t, c.Put(t.Context(), conn.Put{Path: file, Mode: 0o600, Size: -1}, bytes.NewReader(make([]byte, 1<<20))))
	}
}

// The number of sessions follows what the server allows.
func TestSessionsAdapt(t *testing.T) {
	t.Parallel()
	for _, most := range []int32{1, 3, 20} {
		s := sshtest.StartInProcess(t, sshtest.Behaviour{MaxSessions: most})
		c := dial(t, testDialer(t, Options{ConfigFile: "none"}), s.Target("web"))
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"sleep", "0.02"}}); err != nil {
					t.Error(most, err)
				}
			})
		}
		all.Wait()
		require.LessOrEqual(t, s.Most.Load(), int32(conn.MaxSessions+1))
		_, err := c.Get(t.Context(), "", "/etc/hostname", io.Discard) // leaves a warm session
		require.NoError(t, err)
		_, err = c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}})
		require.NoError(t, err)
	}
}

// What a host does must not cost goroutines here.
func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	d := testDialer(t, Options{ConfigFile: "none"})
	for range 3 {
		c, err := d.Dial(t.Context(), s.Target("web"))
		require.NoError(t, err)
		c.Run(t.Context(), conn.Cmd{Argv: []string{"sleep", "9"}, Limit: 50 * time.Millisecond})
		c.Get(t.Context(), "", "/etc/hostname", io.Discard)
		require.NoError(t, c.Close())
	}
	s.Drop()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+3 }, soon, 50*time.Millisecond)
}
