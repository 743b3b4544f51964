package ssh

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/conntest"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/secret"
	"github.com/stretchr/testify/require"
)

// account makes a test account with a line of sudoers (%u is its name). Both
// end with the test.
func account(t *testing.T, password string, sudoers string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root (makes accounts)")
	}
	for _, p := range []string{"sudo", "useradd", "userdel", "chpasswd", "visudo"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("needs " + p)
		}
	}
	name := "dayopst-" + strings.ToLower(rand.Text()[:8])
	sh := func(stdin string, argv ...string) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	sh("", "useradd", "-M", "-d", "/", "-s", "/bin/bash", name)
	t.Cleanup(func() {
		os.Remove("/etc/sudoers.d/" + name)
		exec.Command("userdel", name).Run()
	})
	sh(name+":"+password+"\n", "chpasswd")
	if sudoers != "" {
		file := "/etc/sudoers.d/" + name
		temp := t.TempDir() + "/sudoers"
		require.NoError(t, os.WriteFile(temp, []byte(strings.ReplaceAll(sudoers, "%u", name)+"\n"), 0o440))
		sh("", "visudo", "-cf", temp)
		text, err := os.ReadFile(temp)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file+".new", text, 0o440)) // sudo reads no name with a dot
		require.NoError(t, os.Rename(file+".new", file))
	}
	return name
}

const testPassword = `pä ss'"$w\rt!`

func sudoConn(t *testing.T, s *sshtest.Server, login string, password string) conn.Conn {
	t.Helper()
	target := s.Target("web")
	target.User = login
	if password != "" {
		target.BecomePassword = secret.New(password)
	}
	return dial(t, testDialer(t, Options{ConfigFile: "none"}), target)
}

func TestSudo(t *testing.T) {
	t.Parallel()
	log := t.TempDir() + "/sudo.log"
	free := account(t, testPassword, "%u ALL=(ALL) NOPASSWD: ALL")
	asks := account(t, testPassword, "Defaults:%u timestamp_timeout=0, logfile="+log+"\n%u ALL=(ALL) ALL")
	none := account(t, testPassword, "")
	few := account(t, testPassword, "%u ALL=(nobody) NOPASSWD: ALL\n%u ALL=(root) NOPASSWD: /bin/true")
	tty := account(t, testPassword, "Defaults:%u requiretty\n%u ALL=(ALL) NOPASSWD: ALL")
	s := sshtest.Start(t, sshtest.Options{Config: "MaxSessions 20"})

	t.Run("NOPASSWD", func(t *testing.T) {
		t.Parallel()
		for _, password := range []string{"", "unneeded"} { // which must not become the input
			c := sudoConn(t, s, free, password)
			conntest.As(t, c, "root")
			conntest.As(t, c, "nobody")
			r, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"id", "-un"}, As: free})
			require.NoError(t, err)
			require.Equal(t, free+"\n", r.Stdout.String(), "the login account needs no sudo")
		}
	})
	t.Run("password", func(t *testing.T) {
		t.Parallel()
		c := sudoConn(t, s, asks, testPassword)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				r, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"cat"}, As: "root", Stdin: strings.NewReader("in")})
				if err != nil || r.Stdout.String() != "in" || r.Stderr.String() != "" {
					t.Errorf("%+v %v", r, err)
				}
			})
		}
		all.Wait()
		conntest.As(t, c, "root")
	})
	t.Run("wrong password once", func(t *testing.T) {
		t.Parallel()
		c := sudoConn(t, s, asks, "wrong")
		before := strings.Count(readFile(log), "incorrect password")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { requireRefused(t, c, "root", conn.WrongPassword) })
		}
		all.Wait()
		_, err := c.Get(t.Context(), "root", "/etc/shadow", io.Discard)
		require.ErrorContains(t, err, "the password was refused")
		time.Sleep(100 * time.Millisecond)
		tries := readFile(log)
		require.Equal(t, before+1, strings.Count(tries, "incorrect password"), tries)
		require.NotContains(t, tries, "2 incorrect")
	})
	t.Run("refusals", func(t *testing.T) {
		t.Parallel()
		sudoRefusals(t, s, asks, none, few, tty, free)
	})
}

func sudoRefusals(t *testing.T, s *sshtest.Server, asks, none, few, tty, free string) {
	requireRefused(t, sudoConn(t, s, asks, ""), "root", conn.NeedsPassword)
	requireRefused(t, sudoConn(t, s, none, testPassword), "root", conn.NotAllowed)
	requireRefused(t, sudoConn(t, s, none, ""), "root", conn.NeedsPassword)
	requireRefused(t, sudoConn(t, s, few, ""), "root", conn.NeedsPassword)
	requireRefused(t, sudoConn(t, s, few, testPassword), "root", conn.NotAllowed)
	requireRefused(t, sudoConn(t, s, tty, testPassword), "root", conn.RequiresTTY)
	requireRefused(t, sudoConn(t, s, free, ""), "dayopst-nobody", conn.NoSuchUser)
	target := s.Target("web")
	target.User, target.BecomeMethod = free, "doas"
	requireRefused(t, dial(t, testDialer(t, Options{ConfigFile: "none"}), target), "root", conn.BecomeFailed)
}

func readFile(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

func requireRefused(t *testing.T, c conn.Conn, as string, reason conn.BecomeReason) {
	t.Helper()
	_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"id"}, As: as})
	var e *conn.BecomeError
	if !assertAs(err, &e) || e.Reason != reason || e.User != as || e.Host != "web" {
		t.Errorf("want %q, got %v", reason, err)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), testPassword) {
		t.Error("the password is in the error")
	}
}

func assertAs(err error, e **conn.BecomeError) bool {
	b, ok := err.(*conn.BecomeError)
	*e = b
	return ok
}

// A password of the account, by real sshd and PAM: tried once, in any way.
func TestPasswordLoginOnce(t *testing.T) {
	t.Parallel()
	name := account(t, testPassword, "")
	for _, config := range []string{"PasswordAuthentication yes\nKbdInteractiveAuthentication no", "PasswordAuthentication no\nKbdInteractiveAuthentication yes", "PasswordAuthentication yes\nKbdInteractiveAuthentication yes"} {
		t.Run("", func(t *testing.T) { // PAM takes its time to say no
			t.Parallel()
			s := sshtest.Start(t, sshtest.Options{PAM: true, Config: config})
			target := s.Target("web")
			target.User, target.KeyFile, target.Password = name, "", secret.New(testPassword)
			d := testDialer(t, Options{ConfigFile: "none"})
			require.NoError(t, dialOnce(t, d, target), s.Log())
			target.Password = secret.New("wrong")
			requireAuthError(t, dialOnce(t, d, target), "refused user "+name)
			require.Eventually(t, func() bool { return strings.Contains(s.Log(), "Failed ") }, soon, 20*time.Millisecond)
			require.Equal(t, 1, strings.Count(s.Log(), "Failed "), s.Log())
		})
	}
}
