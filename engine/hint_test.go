package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
)

func TestHintsCanBeTyped(t *testing.T) {
	changed := &conn.HostKeyError{Host: "n1", Addr: "10.0.0.1:22", Want: []conn.KnownKey{{File: "/home/x/.ssh/known_hosts"}}}
	cause, hint := explain("n1", changed)
	require.Equal(t, "host key changed", cause)
	require.Contains(t, hint, "ssh-keygen -R '10.0.0.1' -f '/home/x/.ssh/known_hosts' && dayops trust n1")
	changed.Addr = "[::1]:2222"
	_, hint = explain("n1", changed)
	require.Contains(t, hint, "ssh-keygen -R '[::1]:2222'")
	_, hint = explain("n1", &conn.HostKeyError{Addr: "n1:22"})
	require.Contains(t, hint, "dayops trust n1")
	_, hint = explain("n1", &conn.UnreachableError{Stage: "resolve"})
	require.Contains(t, hint, "ansible_host")
}
