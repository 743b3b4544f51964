package ssh_test

import (
	"os"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/conntest"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/stretchr/testify/require"
)

func newDialer(t *testing.T, o ssh.Options) *ssh.Dialer {
	t.Helper()
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	if o.Agent == "" {
		o.Agent = "none"
	}
	d := ssh.New(o)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func caps() conntest.Caps {
	home, _ := os.UserHomeDir()
	c := conntest.Caps{Home: home}
	if os.Getuid() == 0 {
		c.As = "nobody"
	}
	return c
}

func conformance(t *testing.T, target conn.Target) {
	d := newDialer(t, ssh.Options{})
	conntest.Run(t, func(t *testing.T) conn.Conn {
		c, err := d.Dial(t.Context(), target)
		require.NoError(t, err)
		return c
	}, caps())
}

func TestConformanceDaemon(t *testing.T) {
	t.Parallel()
	conformance(t, sshtest.Start(t, sshtest.Options{}).Target("daemon"))
}

func TestConformanceProxyCommand(t *testing.T) {
	t.Parallel()
	conformance(t, sshtest.Start(t, sshtest.Options{Stdio: true}).Target("stdio"))
}

func TestConformanceInProcess(t *testing.T) {
	t.Parallel()
	conformance(t, sshtest.StartInProcess(t, sshtest.Behaviour{}).Target("inprocess"))
}

func TestConformanceFewSessions(t *testing.T) {
	t.Parallel()
	conformance(t, sshtest.Start(t, sshtest.Options{Config: "MaxSessions 2"}).Target("few"))
}
