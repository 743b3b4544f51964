package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

const changing = `
- name: As root
  hosts: all
  become: yes
  tasks:
    - name: A private file
      copy: {content: "of {{ inventory_hostname }}\n", dest: /etc/acceptance, mode: "0600"}
    - name: What the host knows
      command: {argv: [cat, /root/notes]}
    - name: Long enough to look around
      command: {argv: [sleep, "4.75"]}
`

// TestPasswords works as an account whose sudo asks for a password. What sudo
// and PAM made of it is read in the host's own journal.
func TestPasswords(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 2})
	t.Run("right", func(t *testing.T) { rightPassword(t, l) })
	t.Run("wrong", func(t *testing.T) { wrongPassword(t, l) })
	t.Run("none", func(t *testing.T) { noPassword(t, l) })
	t.Run("asked", func(t *testing.T) { askedPasswords(t, l) })
}

// rightPassword also looks for the password wherever it must not be: on the
// host while commands run, in its journal, on the screen, in the history.
func rightPassword(t *testing.T, l *labtest.Lab) {
	from := map[string]string{}
	for _, h := range l.Hosts() {
		on(t, h, `umask 077; echo "password: $1" >/root/notes`, l.Password())
		from[h.Name] = cursor(t, h)
	}
	var desks []*desk // one account has at most one run that changes hosts of an inventory
	var jobs []*job
	for i, more := range [][]string{{"-vv", "-D"}, {"-o", "json"}} {
		d := newDesk(t, l.Inventory())
		desks = append(desks, d)
		args := []string{"run", d.file("play.yml", changing), "-e", "@" + l.PasswordVars(), "-l", l.Hosts()[i].Name}
		jobs = append(jobs, d.command(append(args, more...)...).begin())
	}
	for i, j := range jobs {
		h := l.Hosts()[i]
		programtest.Eventually(t, 20*time.Second, "sleeping", func() bool { return sleeping(t, h, "4.75") })
		seen := processes(t, h) + processOf(t, j)
		require.Contains(t, seen, "sleep 4.75")
		require.NotContains(t, seen, l.Password())
	}
	for _, j := range jobs {
		o := j.wait()
		require.Equal(t, 0, o.code, o.String())
		require.NotContains(t, o.String(), l.Password())
		require.Contains(t, o.out, "***", "what the host itself says of the password is masked")
	}
	for _, h := range l.Hosts() {
		require.Equal(t, "600 root of "+h.Name+"\n", on(t, h, "echo $(stat -c '%a %U' /etc/acceptance) $(cat /etc/acceptance)"))
		said := journal(t, h, from[h.Name])
		require.Contains(t, said, "opspass : PWD=")
		require.NotContains(t, said, "authentication failure")
		require.NotContains(t, said, l.Password())
	}
	for _, d := range desks {
		kept := tool(t, d.home, "grep", "-rc", "", filepath.Join(d.home, "state"))
		require.NotEmpty(t, kept)
		require.Empty(t, tool(t, d.home, "sh", "-c", `grep -rl "$1" . || :`, "sh", l.Password()))
		require.NotContains(t, d.must(0, "history").out, l.Password())
	}
}

// processes are the arguments and environments of all processes of the host.
func processes(t *testing.T, h *labtest.Host) string {
	return on(t, h, `for p in /proc/[0-9]*; do cat $p/cmdline $p/environ 2>/dev/null | tr '\0' ' '; echo; done`)
}

// processOf is the same of the program itself.
func processOf(t *testing.T, j *job) (out string) {
	t.Helper()
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", j.cmd.Process.Pid, name))
		require.NoError(t, err)
		out += string(text)
	}
	require.Contains(t, out, "opspass.yml")
	return out
}

func wrongPassword(t *testing.T, l *labtest.Lab) {
	d := newDesk(t, l.Inventory())
	const wrong = "not-the-pässword"
	play := d.file("play.yml", changing)
	vars := d.file("wrong.yml", "ansible_user: opspass\nansible_become_password: "+wrong+"\n")
	from := map[string]string{}
	for _, h := range l.Hosts() {
		from[h.Name] = cursor(t, h)
	}
	o := d.must(2, "run", play, "-e", "@"+vars, "-vv")
	require.Contains(t, o.out, "exit 2 (failed)")
	require.NotContains(t, o.String(), wrong)
	require.Equal(t, 1, strings.Count(o.wrong(), "sudo: the password was refused"))
	require.Regexp(t, `2 hosts: node-[01], node-[01]\n +next: dayops ping node-[01],node-[01] -b -K( -i \S+)? +\(tried once only`, o.wrong())
	for _, h := range l.Hosts() {
		require.Regexp(t, `FAILED +`+h.Name+` +sudo from opspass to root: the password was refused`, o.out)
		said := journal(t, h, from[h.Name])
		require.Equal(t, 1, strings.Count(said, "pam_unix(sudo:auth): authentication failure"), said)
		require.Equal(t, []string{"1 incorrect password attempt"}, attempts(said), said)
		require.Equal(t, 1, strings.Count(said, "COMMAND="), "sudo was called once:\n%s", said)
		require.NotContains(t, said, wrong)
	}
}

func attempts(journal string) []string {
	return regexp.MustCompile(`\d+ incorrect password attempts?`).FindAllString(journal, -1)
}

func noPassword(t *testing.T, l *labtest.Lab) {
	d := newDesk(t, l.Inventory())
	h := l.Hosts()[0]
	from := cursor(t, h)
	o := d.must(2, "run", d.file("play.yml", changing), "-e", "ansible_user=opspass")
	require.Regexp(t, `FAILED +node-0 +sudo from opspass to root: needs a password`, o.out)
	require.Regexp(t, `sudo: needs a password.*\n +2 hosts: .*\n +next: dayops ping node-[01],node-[01] -b -K `, o.wrong())
	said := journal(t, h, from)
	require.NotContains(t, said, "authentication failure", "no empty password is tried")
	require.Empty(t, attempts(said))
}

// askedPasswords types both passwords at a terminal: the login's (-k) and sudo's (-K).
func askedPasswords(t *testing.T, l *labtest.Lab) {
	d := newDesk(t, "")
	d.plainHosts(l.Hosts(), "ansible_ssh_common_args: -o UserKnownHostsFile="+l.KnownHosts())
	j := d.command("ping", "-u", "opspass", "-b", "-k", "-K")
	tty := programtest.NewTerminal(t)
	tty.Give(j.cmd)
	j.begin()
	screen := tty.Password("SSH password: ", l.Password()) + tty.Password("sudo password: ", l.Password())
	o := j.wait()
	require.Equal(t, 0, o.code, o.String())
	require.Equal(t, 2, strings.Count(o.out, "pong as root"), o.String())
	require.NotContains(t, screen+tty.Rest()+o.out, l.Password(), "nothing typed is shown")

	// Without a terminal there is nobody to ask; a file that others can read is no place for a password.
	require.Contains(t, d.told(5, "x\n", "ping", "-K").err, "--become-pass-file")
	file := d.file("pass", l.Password()+"\n")
	d.must(0, "ping", "-u", "opspass", "-b", "--conn-pass-file", file, "--become-pass-file", file)
	require.NoError(t, os.Chmod(file, 0o644))
	require.Contains(t, d.must(5, "ping", "-b", "--become-pass-file", file).err, "chmod 600")

	// A wrong login password is tried once, and says what was tried.
	h := l.Hosts()[0]
	from := cursor(t, h)
	o = d.must(4, "ping", "-u", "opspass", "--conn-pass-file", d.file("wrong", "wrong\n"), "-l", h.Name)
	require.Regexp(t, `UNREACHABLE `+h.Name+` .*refused user opspass; tried .*password`, o.out)
	require.Equal(t, 1, strings.Count(journal(t, h, from), "Failed password for opspass"))
}
