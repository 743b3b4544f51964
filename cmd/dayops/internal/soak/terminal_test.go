package soak

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: what a person sees of it and types.
type terminal struct {
	t            testing.TB
	person, prog *os.File
}

func newTerminal(t testing.TB) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	person := os.NewFile(uintptr(fd), "ptmx") // non-blocking: reads may have a deadline
	t.Cleanup(func() { person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	prog, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { prog.Close() })
	return &terminal{t, person, prog}
}

// give makes the terminal the program's own, for its input and its errors.
func (c *terminal) give(cmd *exec.Cmd) {
	cmd.Stdin, cmd.Stderr = c.prog, c.prog
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
}

// answer waits for a prompt and types a line; it returns what was on the screen.
func (c *terminal) answer(prompt, line string) string {
	c.t.Helper()
	var seen strings.Builder
	buf := make([]byte, 1<<10)
	require.NoError(c.t, c.person.SetReadDeadline(time.Now().Add(10*time.Second)))
	for !strings.HasSuffix(seen.String(), prompt) {
		n, err := c.person.Read(buf)
		require.NoError(c.t, err, "waiting for %q, seen %q", prompt, seen.String())
		seen.Write(buf[:n])
	}
	_, err := c.person.WriteString(line + "\n")
	require.NoError(c.t, err)
	return seen.String()
}
