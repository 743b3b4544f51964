package programtest

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

// Terminal is a pseudo terminal: what a person sees of it and types.
type Terminal struct {
	t            testing.TB
	person, prog *os.File
}

// NewTerminal opens one that ends with the test.
func NewTerminal(t testing.TB) *Terminal {
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
	return &Terminal{t, person, prog}
}

// Give makes the terminal the program's own, for its input and its errors.
func (c *Terminal) Give(cmd *exec.Cmd) {
	cmd.Stdin, cmd.Stderr = c.prog, c.prog
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
}

// Password is Answer, once the program has taken the echo off: what a person
// sees before typing one.
func (c *Terminal) Password(prompt, line string) string {
	c.t.Helper()
	seen := c.await(prompt)
	c.untilQuiet()
	c.enter(line)
	return seen
}

// Answer waits for a prompt and types a line; it returns what was on the screen.
func (c *Terminal) Answer(prompt, line string) string {
	c.t.Helper()
	seen := c.await(prompt)
	c.enter(line)
	return seen
}

func (c *Terminal) await(prompt string) string {
	c.t.Helper()
	var seen strings.Builder
	buf := make([]byte, 1<<10)
	require.NoError(c.t, c.person.SetReadDeadline(time.Now().Add(10*time.Second)))
	for !strings.HasSuffix(seen.String(), prompt) {
		n, err := c.person.Read(buf)
		require.NoError(c.t, err, "waiting for %q, seen %q", prompt, seen.String())
		seen.Write(buf[:n])
	}
	return seen.String()
}

func (c *Terminal) enter(line string) {
	c.t.Helper()
	_, err := c.person.WriteString(line + "\n")
	require.NoError(c.t, err)
}

// untilQuiet waits until the program has taken the echo off, as a person's reaction would.
func (c *Terminal) untilQuiet() {
	c.t.Helper()
	Eventually(c.t, 5*time.Second, "without echo", func() bool {
		state, err := unix.IoctlGetTermios(int(c.prog.Fd()), unix.TCGETS)
		return err == nil && state.Lflag&unix.ECHO == 0
	})
}

// Rest is what else came on the screen.
func (c *Terminal) Rest() string {
	c.t.Helper()
	buf := make([]byte, 64<<10)
	require.NoError(c.t, c.person.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	n, _ := c.person.Read(buf)
	return string(buf[:n])
}
