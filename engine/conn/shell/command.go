package shell

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
)

// maxScript keeps the text of a command below what Linux takes as one
// argument (128 KiB), with room for the login shell's quotes.
const maxScript = 120 << 10

// marker is the environment variable that names a command. Its processes are
// found by it when the command must be ended.
const marker = "DAYOPS_ID"

// newID is a random word that no output contains by accident.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// commandText is the text for /bin/sh that runs c in the shell's own place.
// It first writes id on both outputs: what comes before is noise of start-up
// files, or the talk with sudo. home asks for the account's home as folder.
func commandText(c conn.Cmd, id string, home bool) (string, error) {
	if err := checkCmd(c); err != nil {
		return "", err
	}
	env := "LC_ALL=C TERM=dumb " + marker + "=" + id
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		env += " " + name + "=" + Quote(c.Env[name])
	}
	folder := ""
	switch {
	case c.Dir != "":
		folder = "cd -- " + Quote(c.Dir) + "||exit 126;"
	case home:
		folder = "cd 2>/dev/null||cd /;"
	}
	body := "export " + env + ";" + folder + "exec " + Join(c.Argv)
	switch {
	case c.Guard == nil:
		return fmt.Sprintf("echo %s;echo %s >&2;", id, id) + body, nil
	case c.Dir != "" || len(c.Env) != 0: // what may fail in the guard's shell, or mean something to it
		return guardText(*c.Guard, id, "("+body+")"+guardFiles, !c.Text), nil
	}
	return guardText(*c.Guard, id, inPlace(c.Argv, env, folder), !c.Text), nil
}

// inPlace is the text that runs a program without a subshell, which spares the
// host a process: dash, above all, starts such a program without a copy of
// itself. A name that the shell has a meaning of its own for goes by exec. Of a
// program that a signal ended, some shells say so in its stderr ("Killed").
func inPlace(argv []string, env, folder string) string {
	text := folder + "set -- " + Join(argv) + "\n"
	plain := env + ` "$@"` + guardFiles
	if strings.Contains(argv[0], "/") {
		return text + plain
	}
	return text + `if PATH=/dev/null command -v "$1" >/dev/null;then (export ` + env + `;exec "$@")` + guardFiles + ";else " + plain + ";fi"
}

// checkCmd refuses what no host can be given.
func checkCmd(c conn.Cmd) error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return errors.New("a command without a program")
	}
	if strings.HasPrefix(c.Argv[0], "-") {
		return fmt.Errorf("program name %q starts with a dash", c.Argv[0])
	}
	for _, a := range c.Argv {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("argument %q has a NUL byte", a)
		}
	}
	for name, value := range c.Env {
		if !isName(name) {
			return fmt.Errorf("%q is no name of an environment variable", name)
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("the value of %s has a NUL byte", name)
		}
	}
	if strings.ContainsRune(c.Dir, 0) {
		return fmt.Errorf("folder %q has a NUL byte", c.Dir)
	}
	if err := checkGuard(c.Guard); err != nil {
		return err
	}
	return checkAccount(c.As)
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// checkAccount refuses names that sudo would read as something else.
func checkAccount(name string) error {
	if strings.HasPrefix(name, "-") || strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(":/\\'\"`$;&|<>(){}*?[]!", r)
	}) >= 0 {
		return fmt.Errorf("%q is no account name", name)
	}
	return nil
}

// sudoText is the text for /bin/sh that runs text as another account. With a
// prompt, sudo asks for the password by it; without, sudo must not ask.
func sudoText(text, as, prompt string) string {
	ask := []string{"-n"}
	if prompt != "" {
		ask = []string{"-S", "-p", prompt}
	}
	argv := slices.Concat([]string{"sudo", "-H"}, ask, []string{"-u", as, "--", "/bin/sh", "-c", text})
	return "export LC_ALL=C;exec " + Join(argv)
}
