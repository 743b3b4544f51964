package soak

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// TestResume takes runs up again that ended in other ways than by a kill of
// the controller alone.
func TestResume(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 3})
	tests := map[string]func(*testing.T, *desk, []*labtest.Host){
		"a killed command can be known by nobody":  unknowable,
		"the session is killed":                    session,
		"interrupted":                              interrupted,
		"only what failed":                         retry,
		"playbook or inventory changed":            stale,
		"one inventory, two runs":                  sameInventory,
		"commands on this machine":                 here,
		"races for a host":                         races,
		"undone on some hosts, but for some paths": undoneInPart,
		"a plan that was being applied":            applied,
	}
	if long() {
		tests["the host is cut off"] = cut // a minute of waiting
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			everywhere(t, l.Hosts(), "rm -rf /srv/soak /var/lib/dayops /tmp/inside && mkdir /srv/soak")
			test(t, newDesk(t, l.Inventory()), l.Hosts())
		})
	}
}

func counter(t testing.TB, h *labtest.Host) string {
	return strings.Join(strings.Fields(on(t, h, "cat /srv/soak/counter 2>/dev/null || :")), " ")
}

// wrong is what a run said of what went wrong.
func wrong(said string) string {
	_, text, _ := strings.Cut(said, "WHAT WENT WRONG")
	return text
}

// killCommand kills what runs under guard on the host: the shell, and what it started.
const killCommand = `kill -9 $(cut -d' ' -f2 /var/lib/dayops/runs/*/*.begin) $(grep -ls DAYOPS_ID= /proc/[0-9]*/environ | cut -d/ -f3) 2>/dev/null; :`

const opaque = `
- hosts: node-0
  gather_facts: false
  tasks:
    - shell: echo before >>/srv/soak/counter
    - name: In doubt
      shell: if [ -e /srv/soak/half ]; then echo again >>/srv/soak/counter; else touch /srv/soak/half; sleep 60; echo whole >>/srv/soak/counter; fi
      register: doubt
    - copy: {content: "{{ doubt.changed }}\n", dest: /srv/soak/registered}
    - shell: echo after >>/srv/soak/counter
`

// unknowable: nobody can know what a command without a probe did before it was killed.
func unknowable(t *testing.T, d *desk, hosts []*labtest.Host) {
	h := hosts[0]
	d.file("opaque.yml", opaque)
	for answer, want := range map[string]string{"--done": "before after", "--again": "before again after"} {
		on(t, h, "rm -rf /srv/soak; mkdir /srv/soak")
		before := d.runs()
		j := d.begin(nil, "run", "opaque.yml")
		programtest.Eventually(t, time.Minute, "the command is under way", func() bool { return on(t, h, "ls /srv/soak") == "counter\nhalf\n" })
		j.signal(syscall.SIGSTOP)
		on(t, h, killCommand)
		j.signal(syscall.SIGKILL)
		j.wait()
		run := d.newRun(before)
		var id string
		for range 2 { // asked twice, it is not repeated blindly either
			said := d.must(2, "resume", run)
			m := regexp.MustCompile(`next: look at node-0; then dayops resume `+run+` --done (\d+) .*--again (\d+) `).FindAllStringSubmatch(wrong(said), -1)
			require.Len(t, m, 1, said)
			require.Equal(t, m[0][1], m[0][2])
			require.Contains(t, said, "change "+m[0][1]+", run ", said)
			id = m[0][1]
			require.Equal(t, "before", counter(t, h))
		}
		d.must(0, "resume", run, answer, id)
		require.Equal(t, want, counter(t, h), answer)
		require.Equal(t, "True\n", on(t, h, "cat /srv/soak/registered"))
		d.free(hosts, answer)
	}
}

const slow = `
- hosts: all
  gather_facts: false
  tasks:
    - shell: echo one >>/srv/soak/counter
    - name: Slow
      shell: echo begin >>/srv/soak/counter; sleep %d; echo end >>/srv/soak/counter; echo said
      register: slow
    - copy: {content: "{{ slow.stdout }}\n", dest: /srv/soak/registered}
      notify: handled
    - shell: echo last >>/srv/soak/counter
  handlers:
    - name: handled
      shell: echo handled >>/srv/soak/counter
`

const slowWhole = "one begin end last handled"

// lost breaks the connection to node-1 under a command, and takes the run up.
func lost(t *testing.T, d *desk, hosts []*labtest.Host, seconds int, how, mend func()) {
	d.file("slow.yml", fmt.Sprintf(slow, seconds))
	j := d.begin(nil, "run", "slow.yml")
	for _, h := range hosts {
		programtest.Eventually(t, time.Minute, "under way", func() bool { return counter(t, h) == "one begin" })
	}
	how()
	code, said := j.wait()
	require.Equal(t, 4, code, said)
	run := d.runs()[0]
	require.Regexp(t, `(?s)connection lost +in Slow.*1 host: node-1.*next: dayops resume `+run+` `, said)
	require.Equal(t, slowWhole, counter(t, hosts[0]))
	mend()
	said = d.must(0, "resume", run)
	for _, h := range hosts {
		require.Equal(t, slowWhole, counter(t, h), "%s\n%s", h.Name, said)
		require.Equal(t, "said\n", on(t, h, "cat /srv/soak/registered"), said)
	}
	d.free(hosts, said)
}

// session: the command outlives its connection, and is found while it runs.
func session(t *testing.T, d *desk, hosts []*labtest.Host) {
	lost(t, d, hosts, 8, func() { on(t, hosts[1], `pkill -9 -f '^sshd: operator'`) }, func() {})
}

// cut: the network is gone for longer than a connection lives.
func cut(t *testing.T, d *desk, hosts []*labtest.Host) {
	lost(t, d, hosts, 75, func() { require.NoError(t, hosts[1].Cut(t.Context())) }, func() { require.NoError(t, hosts[1].Join(t.Context())) })
}

// interrupted: after one Ctrl-C the step under way ends, and the resume needs no name.
func interrupted(t *testing.T, d *desk, hosts []*labtest.Host) {
	d.file("slow.yml", fmt.Sprintf(slow, 2))
	j := d.begin(nil, "run", "slow.yml")
	programtest.Eventually(t, time.Minute, "under way", func() bool { return counter(t, hosts[0]) == "one begin" })
	j.signal(syscall.SIGINT)
	code, said := j.wait()
	require.Equal(t, 130, code, said)
	require.Equal(t, "one begin end", counter(t, hosts[0]), said)
	d.free(hosts, said)
	said = d.must(0, "resume")
	for _, h := range hosts {
		require.Equal(t, slowWhole, counter(t, h), said)
	}
	d.free(hosts, said)
	require.Contains(t, d.must(5, "resume"), "there is no run to take up")
}

// here: changes on the control machine, which the inventory does not list.
func here(t *testing.T, d *desk, hosts []*labtest.Host) {
	d.file("here.yml", `
- hosts: node-0
  gather_facts: false
  tasks:
    - shell: {cmd: "echo {{ item }} >>counter", chdir: "`+d.dir+`"}
      delegate_to: localhost
      loop: [1, 2, 3]
`)
	env := []string{"DAYOPS_HOST_DIR=" + filepath.Join(d.dir, "host"), "DAYOPS_CRASH=before:4"}
	code, said := d.begin(env, "run", "here.yml").wait()
	for n := 0; code == -1; n++ {
		require.Less(t, n, 20, said)
		code, said = d.begin(env, "resume", d.runs()[0]).wait()
	}
	require.Zero(t, code, said)
	require.Equal(t, "1\n2\n3\n", readFile(t, filepath.Join(d.dir, "counter")), said)
	require.NoDirExists(t, filepath.Join(d.dir, "host", "runs"))
	require.NoFileExists(t, filepath.Join(d.dir, "host", "lock"))
}

const needs = `
- hosts: all
  gather_facts: false
  tasks:
    - shell: echo one >>/srv/soak/counter
      notify: handled
    - shell: test -e /srv/soak/needed && echo two >>/srv/soak/counter
    - copy: {content: "text\n", dest: /srv/soak/text}
    - shell: echo three >>/srv/soak/counter
  handlers:
    - name: handled
      shell: echo handled >>/srv/soak/counter
`

// retry takes up the failed host alone; killed meanwhile, the run stays a retry.
func retry(t *testing.T, d *desk, hosts []*labtest.Host) {
	d.file("needs.yml", needs)
	for _, h := range []*labtest.Host{hosts[0], hosts[2]} {
		on(t, h, "touch /srv/soak/needed")
	}
	said := d.must(2, "run", "needs.yml")
	run := d.runs()[0]
	require.Equal(t, "one handled", counter(t, hosts[1]), said)
	require.Contains(t, d.must(5, "resume", run), "dayops resume "+run+" --retry-failed")
	others := func() string {
		const list = `find /srv /var/lib/dayops ! -type d -printf '%p %m %T@ %C@\n'; find /srv /var/lib/dayops -type d`
		return on(t, hosts[0], list) + on(t, hosts[2], list)
	}
	was := others()
	d.must(2, "resume", run, "--retry-failed")
	on(t, hosts[1], "touch /srv/soak/needed")
	code, said := d.begin(at("before:6"), "resume", run, "--retry-failed").wait()
	require.Equal(t, -1, code, said)
	said = d.must(0, "resume", run)
	require.Equal(t, "one handled two three", counter(t, hosts[1]), said)
	require.Equal(t, "text\n", on(t, hosts[1], "cat /srv/soak/text"))
	require.Equal(t, was, others(), "hosts that did not fail")
	d.free(hosts, said)
}

// stale: a playbook or an inventory that was changed since is refused unless told.
func stale(t *testing.T, d *desk, hosts []*labtest.Host) {
	text := readFile(t, d.inv)
	d.file("inventory.yml", text)
	d.inv = "inventory.yml"
	d.file("slow.yml", fmt.Sprintf(slow, 0))
	code, said := d.begin(at("after:12"), "run", "slow.yml").wait()
	require.Equal(t, -1, code, said)
	run := d.runs()[0]
	d.file("slow.yml", fmt.Sprintf(slow, 0)+"    - name: Never notified\n      shell: echo never >>/srv/soak/counter\n")
	require.Contains(t, d.must(8, "resume", run), "the playbook of run "+run+" was changed since")
	d.file("slow.yml", strings.Replace(fmt.Sprintf(slow, 0), "  tasks:\n", "  tasks:\n    - shell: echo zero >>/srv/soak/counter\n", 1))
	require.Contains(t, d.must(8, "resume", run, "--accept-changes"), "step 1.1 of run "+run+" was begun, and another one is in its place now")
	d.file("slow.yml", fmt.Sprintf(slow, 0))
	d.file("inventory.yml", strings.Replace(text, "v3.10", "v3.11", 1))
	require.Contains(t, d.must(8, "resume", run), "the inventory of run "+run+" was changed since")
	said = d.must(0, "resume", run, "--accept-changes")
	for _, h := range hosts {
		require.Equal(t, slowWhole, counter(t, h), said)
	}
	d.free(hosts, said)
}
