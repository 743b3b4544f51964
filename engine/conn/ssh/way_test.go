package ssh

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/stretchr/testify/require"
)

// through gives a target behind jump, with both servers in one configuration file.
func through(t *testing.T, jump, s *sshtest.Server) (Options, conn.Target) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("Host gate\n  HostName %s\n  Port %d\n  IdentityFile %s\n  UserKnownHostsFile %s\nHost *\n  GlobalKnownHostsFile none\n",
		jump.Host, jump.Port, jump.KeyFile, jump.KnownHosts)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	target := s.Target("web")
	target.CommonArgs = append(target.CommonArgs, "-o", "ProxyJump=gate")
	return Options{ConfigFile: file}, target
}

func TestProxyJump(t *testing.T) {
	t.Parallel()
	gate, s := sshtest.StartInProcess(t, sshtest.Behaviour{}), sshtest.Start(t, sshtest.Options{Config: "MaxStartups 100"})
	for _, program := range []string{"", "none"} {
		o, target := through(t, gate.Server, s)
		o.SSHProgram = program
		d := testDialer(t, o)
		gate.Connections.Store(0)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				target := target
				target.Name = fmt.Sprint("web", i)
				c, err := d.Dial(t.Context(), target)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if r, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"echo", "x"}}); err != nil || r.Stdout.String() != "x\n" {
					t.Error(r, err)
				}
			})
		}
		all.Wait()
		require.Equal(t, int32(1), gate.Connections.Load(), "one connection to the jump host for all")
		gate.Drop()
		require.Eventually(t, func() bool { return dialOnce(t, d, target) == nil }, soon, 50*time.Millisecond, "a broken jump host is connected again")
		require.NoError(t, d.Close())
		require.Error(t, dialOnce(t, d, target))
	}
}

func TestProxyJumpErrors(t *testing.T) {
	t.Parallel()
	gate, s := sshtest.StartInProcess(t, sshtest.Behaviour{}), sshtest.Start(t, sshtest.Options{})
	o, target := through(t, gate.Server, s)
	var key *conn.HostKeyError
	known, err := os.ReadFile(gate.KnownHosts)
	require.NoError(t, err)

	// The jump host's key counts as well as the host's.
	require.NoError(t, os.Remove(gate.KnownHosts))
	d := testDialer(t, o)
	require.ErrorAs(t, dialOnce(t, d, target), &key)
	require.Equal(t, "web", key.Host)
	require.True(t, key.Jump)
	require.Equal(t, gate.Port, portOf(key.Addr))
	n := gate.Connections.Load()
	require.ErrorAs(t, dialOnce(t, d, target), &key)
	require.Equal(t, n, gate.Connections.Load(), "what was refused is not tried again")
	require.NoError(t, os.WriteFile(gate.KnownHosts, known, 0o600))
	known, err = os.ReadFile(s.KnownHosts)
	require.NoError(t, err)
	require.NoError(t, os.Remove(s.KnownHosts))
	require.ErrorAs(t, dialOnce(t, testDialer(t, o), target), &key)
	require.False(t, key.Jump)
	require.Equal(t, s.Port, portOf(key.Addr))
	require.NoError(t, os.WriteFile(s.KnownHosts, known, 0o600))
	require.NoError(t, dialOnce(t, testDialer(t, o), target))

	// What the jump host does not reach.
	away := target
	away.Port = 1
	var e *conn.UnreachableError
	require.ErrorAs(t, dialOnce(t, testDialer(t, o), away), &e)
	require.Equal(t, "proxy", e.Stage)
	require.ErrorContains(t, e, "via gate")

	// Jump hosts in a circle, and names that are none.
	require.NoError(t, os.WriteFile(o.ConfigFile, []byte("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\nHost *\n  GlobalKnownHostsFile none\n"), 0o600))
	require.ErrorAs(t, dialOnce(t, testDialer(t, o), conn.Target{Name: "a"}), &e)
	require.ErrorContains(t, e, "circle")
	for _, bad := range []string{"a;b", "-oProxyCommand=x", "u ser@h", "h:99999", ""} {
		err := dialOnce(t, testDialer(t, Options{ConfigFile: "none"}), conn.Target{Name: "x", CommonArgs: []string{"-J", bad}})
		require.ErrorAs(t, err, &e, bad)
		require.Equal(t, "config", e.Stage)
	}
}

// Jump hosts come in the order in which they are connected, those before the
// first of them too, and each knows its way.
func TestJumps(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte("Host b\n  ProxyJump a\nHost d\n  ProxyJump b,me@c:2222\nHost x\n  ProxyJump y\nHost y\n  ProxyJump x\n"), 0o600))
	d := testDialer(t, Options{ConfigFile: file})
	ways := func(name string) (out []string) {
		jumps, err := d.Jumps(conn.Target{Name: name})
		require.NoError(t, err)
		for _, j := range jumps {
			r, err := d.route(j)
			require.NoError(t, err)
			out = append(out, fmt.Sprint(r.addr(), r.jumps))
		}
		return out
	}
	require.Empty(t, ways("a"))
	require.Equal(t, []string{"a:22[]"}, ways("b"))
	require.Equal(t, []string{"a:22[]", "b:22[a]", "c:2222[b]"}, ways("d"))
	_, err := d.Jumps(conn.Target{Name: "x"})
	require.ErrorContains(t, err, "circle")
}

func portOf(addr string) (port int) {
	fmt.Sscanf(addr, "127.0.0.1:%d", &port)
	return port
}

func TestProxyCommand(t *testing.T) {
	t.Parallel()
	s := sshtest.StartInProcess(t, sshtest.Behaviour{})
	dir := t.TempDir()
	target := s.Target("web")
	with := func(command string) conn.Target {
		tt := target
		tt.CommonArgs = append([]string{"-o", "ProxyCommand=" + command}, target.CommonArgs...)
		return tt
	}
	d := hasty(t)
	var e *conn.UnreachableError
	require.ErrorAs(t, dialOnce(t, d, with("sh -c 'echo no route to %n >&2; exit 1'")), &e)
	require.Equal(t, "proxy", e.Stage)
	require.ErrorContains(t, e, "no route to 127.0.0.1")
	require.ErrorAs(t, dialOnce(t, d, with("no-such-program")), &e)
	require.ErrorContains(t, e, "not found")
	require.ErrorAs(t, dialOnce(t, d, with("nc %x")), &e)
	require.ErrorContains(t, e, "%x")
	// A command that hangs ends with the attempt, with all that it started.
	require.ErrorAs(t, dialOnce(t, d, with("sh -c 'echo $$ >"+dir+"/pid; sleep 100 & wait'")), &e)
	require.Equal(t, 2*time.Second, e.Limit)
	require.Eventually(t, func() bool {
		return exec.Command("sh", "-c", "! kill -0 -$(cat "+dir+"/pid)").Run() == nil
	}, soon, 20*time.Millisecond)
	// Values for the shell are checked before they reach it.
	evil := with("touch " + dir + "/evil-%r")
	evil.User = "x;touch " + dir + "/owned"
	require.ErrorAs(t, dialOnce(t, d, evil), &e)
	require.Equal(t, "config", e.Stage)
	left, err := filepath.Glob(dir + "/*")
	require.NoError(t, err)
	require.Equal(t, []string{dir + "/pid"}, left)
}

// More dials at once than sshd takes: all must come through.
func TestMaxStartups(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{Config: "MaxStartups 10:30:100"})
	d := testDialer(t, Options{ConfigFile: "none"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := d.Dial(ctx, s.Target("web"))
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	all.Wait()
	// Slots of ours alone would do; a server with fewer needs the second try.
	few := sshtest.Start(t, sshtest.Options{Config: "MaxStartups 4:50:20"})
	failed := 0
	var mu sync.Mutex
	for range 12 {
		all.Go(func() {
			c, err := d.Dial(ctx, few.Target("web"))
			if err == nil {
				c.Close()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			failed++
		})
	}
	all.Wait()
	require.Zero(t, failed)
}

func TestNoiseOfStartUpFiles(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	require.NoError(t, os.WriteFile(s.Home+"/.bashrc", []byte("echo WELCOME; echo oops >&2; cat /etc/passwd; printf 'no newline'; printf 'x\\033]3008;start=1\\033\\\\' >&2\n"), 0o644))
	c := dial(t, testDialer(t, Options{ConfigFile: "none"}), s.Target("web"))
	r, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"/bin/sh", "-c", "echo out; echo err >&2"}})
	require.NoError(t, err)
	require.Equal(t, "out\n", r.Stdout.String())
	require.Equal(t, "err\n", r.Stderr.String())
	var b countTo
	n, err := c.Get(t.Context(), "", "/etc/hostname", &b)
	require.NoError(t, err)
	require.Equal(t, int64(b), n)
	require.NotZero(t, n)
}

type countTo int64

func (c *countTo) Write(p []byte) (int, error) { *c += countTo(len(p)); return len(p), nil }
