package shell

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

// The text of a guarded command works in every shell that is a host's /bin/sh,
// also where a here-document is no pipe (bash before 5.1).
func TestGuardShells(t *testing.T) {
	for name, shell := range map[string][]string{
		"dash": {"dash"}, "bash": {"bash"}, "bash --posix": {"bash", "--posix"}, "busybox": {"busybox", "sh"}, "fifo": {"sh"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				if name == "busybox" {
					t.Skip("needs busybox")
				}
				return
			}
			dir := filepath.Join(t.TempDir(), "it's $d")
			records := filepath.Join(dir, "runs", "r")
			require.NoError(t, os.MkdirAll(records, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), []byte("token\nr\n"), 0o600))
			command := func(id, stdin string, exact bool, argv ...string) (string, string, int) {
				c := conn.Cmd{Argv: argv, Guard: &conn.Guard{Dir: dir, Run: "r", ID: id, Token: "token"}}
				c.Text = !exact
				text, err := commandText(c, "0123456789abcdef", false)
				require.NoError(t, err)
				if name == "fifo" {
					require.Contains(t, text, "[ -p /proc/self/fd/3 ]")
					text = strings.Replace(text, "[ -p /proc/self/fd/3 ]", "false", 1)
				}
				var out, errs bytes.Buffer
				cmd := exec.Command(shell[0], append(shell[1:], "-c", text)...)
				cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
				_ = cmd.Run()
				return out.String(), errs.String(), cmd.ProcessState.ExitCode()
			}
			run := func(id, script, stdin string, exact bool) (string, string, int) {
				return command(id, stdin, exact, "/bin/sh", "-c", script)
			}
			const mark = "0123456789abcdef\n"
			for id, exact := range map[string]bool{"a": false, "b": true} {
				out, errs, code := run(id, "cat; echo err >&2; exit 7", "one\ntwo", exact)
				require.Equal(t, mark+"one\ntwo", out)
				require.Equal(t, mark+"err\n", errs)
				require.Equal(t, 7, code)
				for file, want := range map[string]string{".out": "one\ntwo", ".err": "err\n", ".end": "7\n"} {
					got, err := os.ReadFile(filepath.Join(records, id+file))
					require.NoError(t, err)
					require.Equal(t, want, string(got), file)
				}
			}
			out, errs, code := run("c", "kill -9 $$", "", false)
			require.Equal(t, []any{mark, mark, 137}, []any{out, strings.TrimSuffix(errs, "Killed\n"), code})
			for id, argv := range map[string][]string{"own": {"printf", "-n"}, "other": {"expr", "-n"}} {
				out, _, code = command(id, "", true, argv...)
				require.Equal(t, []any{"-n", 0}, []any{strings.TrimSpace(strings.TrimPrefix(out, mark)), code}, "%q", argv)
			}
			for id, argv := range map[string][]string{"exit": {"exit", "3"}, "relay": {"relay"}, "none": {"no-such-program"}, "if": {"if"}, "set": {"a=b"}} {
				_, errs, code = command(id, "", true, argv...)
				require.Equal(t, 127, code, "%q is a program's name, whatever it is to a shell", argv)
				require.Contains(t, errs, argv[0])
			}
			out, _, code = run("d", "head -c 3000000 /dev/zero", "", true)
			require.Equal(t, []any{3000000 + len(mark), 0}, []any{len(out), code})
			info, err := os.Stat(filepath.Join(records, "d.out"))
			require.NoError(t, err)
			require.LessOrEqual(t, info.Size(), int64(2*conn.GuardOutput))
			_, errs, code = run("a", "echo no", "", false)
			require.Equal(t, 125, code)
			require.Contains(t, errs, "0123456789abcdef used\n")
			require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), []byte("another\nr\n"), 0o600))
			_, errs, code = run("e", "echo no", "", false)
			require.Equal(t, 125, code)
			require.Contains(t, errs, "0123456789abcdef lost\n")
			require.NoFileExists(t, filepath.Join(records, "e.begin"))
		})
	}
}
