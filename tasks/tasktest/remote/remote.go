// Package remote gives tasktest's cases hosts that are reached over SSH: a
// real sshd on this machine, and a host of the lab.
package remote

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
)

// Run runs the cases through the local connection, and those marked Wire also
// through a real sshd.
func Run(t *testing.T, def *task.Definition, cases ...tasktest.Case) {
	t.Run("local", func(t *testing.T) { tasktest.Run(t, def, tasktest.Local, cases...) })
	wire := slices.DeleteFunc(slices.Clone(cases), func(c tasktest.Case) bool { return !c.Wire })
	t.Run("sshd", func(t *testing.T) { tasktest.Run(t, def, SSHD(t), wire...) })
}

// SSHD connects to this machine through OpenSSH's sshd, once for all cases.
func SSHD(t *testing.T) func(*testing.T) *tasktest.Host {
	t.Helper()
	s := sshtest.Start(t, sshtest.Options{Stdio: true})
	c := dial(t, s.Target("here"))
	return func(t *testing.T) *tasktest.Host {
		h := tasktest.Local(t)
		h.Conn = c
		return h
	}
}

// Lab connects to the last host of the shared lab as root. It skips without one.
func Lab(t *testing.T) func(*testing.T) *tasktest.Host {
	t.Helper()
	l := labtest.Need(t)
	host := l.Hosts()[len(l.Hosts())-1]
	c := dial(t, conn.Target{Name: host.Name, Address: host.IP, User: "operator", KeyFile: l.Key(),
		CommonArgs: []string{"-o", "UserKnownHostsFile=" + l.KnownHosts()}})
	return func(t *testing.T) *tasktest.Host {
		h := tasktest.Local(t)
		h.Name, h.Conn, h.As, h.Files = host.Name, c, "root", false
		h.Dir = "/var/tmp/tasktest-" + rand.Text()
		Shell(t, h, "mkdir -m 0700 "+h.Dir)
		t.Cleanup(func() { Shell(t, h, "rm -rf "+h.Dir) })
		return h
	}
}

func dial(t *testing.T, target conn.Target) conn.Conn {
	t.Helper()
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none", ConfigFile: "none", SSHProgram: "none"})
	t.Cleanup(func() { d.Close() })
	c, err := d.Dial(context.Background(), target)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// Shell runs a script on the host, for a case's Prepare and its cleanup.
func Shell(t *testing.T, h *tasktest.Host, script string) string {
	t.Helper()
	res, err := h.Conn.Run(context.Background(), conn.Cmd{Argv: []string{"/bin/sh", "-c", script}, As: h.As, Limit: time.Minute})
	require.NoError(t, err)
	require.Zero(t, res.Code, res.Stderr.String())
	return res.Stdout.String()
}
