package shell

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "a": "a", "/usr/bin/x-1.2_3,4:5@6%7+8": "/usr/bin/x-1.2_3,4:5@6%7+8", "a b": "'a b'", "it's": `'it'\''s'`,
		"~": "'~'", "A=b": "'A=b'", "é": "'é'", "*": "'*'", "-n": "-n", "\n": "'\n'", `\`: `'\'`,
	} {
		require.Equal(t, want, Quote(in))
	}
	require.Equal(t, "a 'b c' ''", Join([]string{"a", "b c", ""}))
	require.Equal(t, `exec /bin/sh -c 'a'\''b'\\'c'\!''`, LoginLine(`a'b\c!`))
}

// A word must come out of every shell as it went in: quoted once for /bin/sh,
// and again, with the script around it, for the login shell.
func roundTrip(t *testing.T, loginShell []string, word string) {
	t.Helper()
	script, err := commandText(conn.Cmd{Argv: []string{"/usr/bin/printf", `%s\0`, word}}, "0123456789abcdef", false)
	require.NoError(t, err)
	if len(loginShell) == 0 {
		loginShell = []string{"/bin/sh", "-c"}
	}
	var said bytes.Buffer
	cmd := exec.Command(loginShell[0], append(loginShell[1:], LoginLine(script))...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, said.String())
	require.Equal(t, "0123456789abcdef\n"+word+"\x00", string(out))
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "'", `\`, "!", "$x", "`", "\n", "\xff", "a'b\"c\\d!e$f`g\n", "-n", "--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) || len(word) > 4<<10 {
			t.Skip() // refused before
		}
		roundTrip(t, nil, word)
	})
}

func TestLoginShells(t *testing.T) {
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}, {"zsh"}, {"ksh"}, {"mksh"}, {"fish"}, {"csh"}, {"tcsh"}} {
		t.Run(shell[0], func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				switch shell[0] {
				case "busybox", "fish", "tcsh": // the families; the others are like one of them
					t.Skip("needs " + shell[0])
				}
				return
			}
			all := make([]byte, 0, 127)
			for b := byte(1); b < 0x80; b++ {
				if b != '\n' || !strings.HasSuffix(shell[0], "csh") { // the one thing that csh cannot be given
					all = append(all, b)
				}
			}
			for _, word := range []string{"it's", `\`, `\\'`, "!!", "a!b", string(all), "é日本"} {
				roundTrip(t, append(shell, "-c"), word)
			}
		})
	}
}

func TestGate(t *testing.T) {
	const mark, prompt = "0123456789abcdef", "[dayops ffff] password:"
	text := "Last login\nWe trust you have received\n" + "[sudo: " + prompt + " ] Password: " + "\n" + prompt + " noise " + mark + "\nout\n" + mark + "\n" + prompt
	for size := 1; size < len(text); size++ {
		var out bytes.Buffer
		g := newGate(mark, prompt, &out)
		for rest := []byte(text); len(rest) > 0; {
			n, err := g.Write(rest[:min(size, len(rest))])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.Equal(t, "out\n"+mark+"\n"+prompt, out.String())
		require.Len(t, g.asked, 2)
		select {
		case <-g.opened:
		default:
			t.Fatal("not open")
		}
	}
	g := newGate(mark, prompt, io.Discard)
	for range 1000 {
		g.Write(bytes.Repeat([]byte("x"), 1000))
	}
	g.Write([]byte(prompt))
	require.Len(t, g.asked, 1)
	require.LessOrEqual(t, len(g.before()), 2*heldMost+1000)
}

func TestBecomeReason(t *testing.T) {
	for _, c := range []struct {
		said    string
		code    int
		prompts int
		want    conn.BecomeReason
	}{
		{"sudo: a password is required\n", 1, 0, conn.NeedsPassword},
		{"sudo: interactive authentication is required\n", 1, 0, conn.NeedsPassword}, // sudo-rs
		{"sudo: a terminal is required to read the password; either use the -S option ...\n", 1, 0, conn.NeedsPassword},
		{"\nSorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n", 1, 1, conn.WrongPassword},
		{"sudo: Authentication failed, try again.\n", 1, 1, conn.WrongPassword}, // sudo-rs
		{"alice is not in the sudoers file.  This incident will be reported.\n", 1, 1, conn.NotAllowed},
		{"Sorry, user alice is not allowed to execute '/bin/sh -c ...' as root on host.\n", 1, 0, conn.NotAllowed},
		{"Sorry, user alice may not run sudo on host.\n", 1, 1, conn.NotAllowed},
		{"sudo: I'm sorry alice. I'm afraid I can't do that\n", 1, 1, conn.NotAllowed}, // sudo-rs
		{"sudo: sorry, you must have a tty to run sudo\n", 1, 0, conn.RequiresTTY},
		{"sudo: unknown user: bob\nsudo: unable to initialize policy plugin\n", 1, 0, conn.NoSuchUser},
		{"sudo: unknown user bob\nsudo: error initializing audit plugin sudoers_audit\n", 1, 0, conn.NoSuchUser},
		{"sudo: user 'bob' not found\n", 1, 0, conn.NoSuchUser},
		{"/bin/sh: 1: exec: sudo: not found\n", 127, 0, conn.NoSudo},
		{"sudo: /etc/sudoers is world writable\n", 1, 0, conn.BecomeFailed},
		{"", 1, 0, conn.BecomeFailed},
	} {
		require.Equal(t, c.want, becomeReason(c.said, c.code, c.prompts), c.said)
	}
	require.Equal(t, "sudo: unknown user bob", lastLine("sudo: unknown user bob\nsudo: error initializing audit plugin sudoers_audit\n\n", ""))
	require.Equal(t, "[31mred", lastLine("\x1b[31mred\x07\n", ""))
	require.LessOrEqual(t, len(lastLine(strings.Repeat("é", 1000), "")), 310)
}

func TestSudoTextHasNoPassword(t *testing.T) {
	require.Equal(t, `export LC_ALL=C;exec sudo -H -n -u root -- /bin/sh -c 'echo '\''x y'\'''`, sudoText("echo 'x y'", "root", ""))
	require.Equal(t, `export LC_ALL=C;exec sudo -H -S -p '[dayops 1] password: ' -u root -- /bin/sh -c id`, sudoText("id", "root", "[dayops 1] password: "))
}

func TestOctal(t *testing.T) {
	require.Equal(t, "0644", octal(0o644))
	require.Equal(t, "7711", octal(0o711|os.ModeSetuid|os.ModeSetgid|os.ModeSticky))
}

// A commit that is started twice, or onto a temporary name that is there
// already, must not touch what it did not make.
func TestCommitKeepsForeignTemp(t *testing.T) {
	dir := t.TempDir()
	temp := filepath.Join(dir, ".dayops-x")
	require.NoError(t, os.WriteFile(temp, []byte("foreign"), 0o600))
	cmd := exec.Command("/bin/sh", "-c", commitScript, "dayops-put", dir+"/f", temp, dir, "0600", "", "", "1", "x", "along")
	cmd.Stdin = strings.NewReader("y")
	require.Error(t, cmd.Run())
	text, err := os.ReadFile(temp)
	require.NoError(t, err)
	require.Equal(t, "foreign", string(text))
	require.NoFileExists(t, dir+"/f")
}
