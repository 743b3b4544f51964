package engine

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/store"
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
	// A hint that names the host begins with a command: views put all hosts of a group there.
	cause, hint = explain("n1", &conn.UnreachableError{Stage: "handshake", Limit: 30 * time.Second})
	require.Equal(t, "no answer in 30s (handshake)", cause)
	require.Regexp(t, "^dayops ping n1 ", hint)
	_, hint = explain("n1", &conn.LostError{})
	require.Regexp(t, "^dayops ping n1 .*in doubt", hint)
	_, hint = explain("n1", &conn.AuthError{})
	require.Regexp(t, "^dayops ping n1 -v ", hint)
	_, hint = explain("n1", fmt.Errorf("step: %w", &fs.PathError{Op: "put", Path: "/x", Err: syscall.ENOSPC}))
	require.Regexp(t, "^dayops exec n1 --read-only -- df -h ", hint)
	_, hint = explain("n1", &journal.WriteError{What: "the journal", Err: &fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}})
	require.Contains(t, hint, "on this machine") // the host has room enough
	_, hint = explain("n1", &fs.PathError{Op: "put", Path: "/x", Err: syscall.EISDIR})
	require.Empty(t, hint)
	_, hint = explain("n1", &store.FullError{Location: "/srv/backups", Err: &fs.PathError{Op: "write", Path: "/srv/backups/x", Err: syscall.ENOSPC}})
	require.Regexp(t, "^df -h /srv/backups ", hint)
	_, hint = explain("n1", fmt.Errorf("plan: %w", &change.WaitError{What: "n2:2380 to answer n1", Last: change.NothingAccepts}))
	require.Contains(t, hint, "which firewall on the way")
}
