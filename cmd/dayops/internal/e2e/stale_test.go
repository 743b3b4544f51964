package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

const stalePlaybook = `- hosts: all
  vars_files: [more.yml]
  tasks:
    - {name: template, template: {src: t.j2, dest: "ROOT/a"}}
    - {name: copy, copy: {src: f, dest: "ROOT/b", mode: "0644"}}
    - {name: mode, file: {path: "ROOT/c", state: file, mode: "0640"}}
    - {name: line, lineinfile: {path: "ROOT/d", line: "{{ from_file }}"}}
    - {name: link, file: {path: "ROOT/l", src: "ROOT/a", state: link, force: yes}}
    - {name: folder, file: {path: "ROOT/dir", state: directory}}
    - {name: gone, file: {path: "ROOT/old", state: absent}}
    - {name: tree, copy: {src: tree/, dest: "ROOT/tree/"}}
    - {name: look, stat: {path: "ROOT/seen"}}
    - {name: probe, command: {cmd: touch ROOT/flag, creates: "ROOT/flag"}}
    - {name: judge, assert: {that: [from_group == 'g', from_extra == 'x']}}
`

const staleLabSteps = `    - {name: unit, service: {name: lab-stale, state: started, enabled: yes}}
    - {name: other unit, service: {name: lab-other, masked: no}}
    - {name: package, package: {name: lab-sample, state: present}}
    - {name: no package, package: {name: lvm2, state: absent}}
`

// way is one way to move the world: a shell text on the host or on this machine
// (there the working folder is the desk), what brings it back, and what the
// refusal says about it.
type way struct{ name, where, move, back, want string }

func staleWays() []way {
	return []way{
		{"file edited", "host", "cp -p a .a; echo moved > a", "cp -p .a a", "ROOT/a: SHA256 was"},
		{"file grows by nothing but a newline", "host", "echo >> b", "printf old > b", "ROOT/b: SHA256 was"},
		{"mode", "host", "chmod 600 b", "chmod 644 b", "ROOT/b: Mode was 0644, is 0600"},
		{"owner", "host", "chown 1 b", "chown 0 b", "ROOT/b: Owner was root, is "},
		{"group", "host", "chgrp 1 b", "chgrp 0 b", "ROOT/b: Group was root, is "},
		{"file removed", "host", "mv a .a", "mv .a a", "ROOT/a: Exists was true, is false"},
		{"file is a folder", "host", "mv a .a; mkdir a", "rmdir a; mv .a a", "ROOT/a"},
		{"file is a link", "host", "mv a .a; ln -s .a a", "rm a; mv .a a", "ROOT/a"},
		{"already done", "host", "chmod 640 c", "chmod 600 c", "ROOT/c: Mode was 0600, is 0640"},
		{"line added", "host", "cp -p d .d; echo more >> d", "cp -p .d d", "ROOT/d: SHA256 was"},
		{"line is there", "host", "cp -p d .d; echo line >> d", "cp -p .d d", "ROOT/d"},
		{"link made", "host", "ln -s b l", "rm l", "ROOT/l"},
		{"folder made", "host", "mkdir dir", "rmdir dir", "ROOT/dir"},
		{"what goes is gone", "host", "mv old .old", "mv .old old", "ROOT/old"},
		{"what goes has changed", "host", "cp -p old .old; echo x >> old", "cp -p .old old", "ROOT/old"},
		{"file of a tree", "host", "mkdir -p tree; echo theirs > tree/one", "rm -r tree", "ROOT/tree"},
		{"what is looked at", "host", "touch seen", "rm seen", "ROOT/seen"},
		{"what a probe looks for", "host", "touch flag", "rm flag", "step \"probe\""},

		{"comment in the inventory", "here", "cp hosts .hosts; echo '# note' >> hosts", "cp .hosts hosts", "inventory "},
		{"variable of the inventory", "local", "sed -i s/y=1/y=2/ hosts", "sed -i s/y=2/y=1/ hosts", "inventory "},
		{"host of the inventory", "local", "cp hosts .hosts; printf '\\n[more]\\nthere ansible_connection=local\\n' >> hosts", "cp .hosts hosts", "inventory "},
		{"group_vars", "here", "sed -i 's/: g/: \"g\"/' group_vars/all.yml", "echo 'from_group: g' > group_vars/all.yml", "group_vars/all.yml was sha256"},
		{"group_vars with a secret", "local", "echo 'db_password: two' > group_vars/web.yml", "echo 'db_password: one' > group_vars/web.yml", "group_vars/web.yml was hmac"},
		{"group_vars of another group", "local", "echo 'a: 1' > group_vars/ungrouped.yml", "rm group_vars/ungrouped.yml", "group_vars/ungrouped.yml was not there"},
		{"host_vars", "local", "mkdir host_vars; echo 'a: 1' > host_vars/here.yml", "rm -r host_vars", "host_vars/here.yml was not there"},
		{"playbook", "here", "cp site.yml .site; sed -i 's/0644/0600/' site.yml", "cp .site site.yml", "playbook site.yml was sha256"},
		{"comment in the playbook", "here", "cp site.yml .site; echo '# note' >> site.yml", "cp .site site.yml", "playbook site.yml was sha256"},
		{"playbook with a mistake", "here", "cp site.yml .site; echo '- nonsense' >> site.yml", "cp .site site.yml", "the plan is stale"},
		{"playbook removed", "here", "mv site.yml .site", "mv .site site.yml", "the plan is stale"},
		{"vars_files", "here", "echo 'from_file: other' > more.yml", "echo 'from_file: line' > more.yml", "variables "},
		{"extra variables", "here", "echo 'from_extra: y' > extra.yml", "echo 'from_extra: x' > extra.yml", "variables extra.yml was sha256"},
		{"template", "here", "echo 'other {{ from_file }}' > t.j2", "echo 'new {{ from_file }}' > t.j2", "t.j2"},
		{"copied file", "here", "echo other > f", "echo new > f", "file "},
		{"copied file is gone", "here", "mv f .f", "mv .f f", "cannot read the file f"},
		{"copied tree has more", "here", "echo x > tree/two", "rm tree/two", "tree/two was not there"},
		{"copied tree has less", "here", "mv tree/one .one", "mv .one tree/one", "tree/one"},
		{"key of the seals", "local", "mv home/state/dayops/key .key", "mv .key home/state/dayops/key", "web.yml was hmac"},

		{"unit stopped", "lab", "systemctl stop lab-stale", "systemctl start lab-stale", "lab-stale.service: ActiveState was active"},
		{"unit disabled", "lab", "systemctl disable -q lab-stale", "systemctl enable -q lab-stale", "lab-stale.service: UnitFileState was enabled"},
		{"unit masked", "lab", "systemctl mask -q lab-other", "systemctl unmask -q lab-other", "lab-other.service"},
		{"package added", "lab", "apt-get install -qq lab-sample >/dev/null", "apt-get remove -qq lab-sample >/dev/null", "step \"package\""},
		{"host replaced", "lab", "cp /etc/machine-id /root/.id; head -c16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > /etc/machine-id", "cp /root/.id /etc/machine-id", "machine id was"},
		{"system upgraded", "lab", "cp -L /etc/os-release /root/.os; sed -i s/12/13/ /etc/os-release", "cp /root/.os /etc/os-release", "operating system was"},
	}
}

// TestStale makes a plan, moves one thing at a time and applies: each time the
// plan is refused, what moved is named, and nothing is done. When all is as it
// was the plan is applied.
func TestStale(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: changes owners")
	}
	root := t.TempDir()
	d := newDesk(t, "hosts")
	d.file("hosts", "[web]\nhere ansible_connection=local\n\n[web:vars]\ny=1\n")
	stale(t, d, root, stalePlaybook, "here", func(script string) { shell(t, root, script) })
}

// TestStaleOnALabHost moves units, packages and the host itself too.
func TestStaleOnALabHost(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 1})
	h := l.Hosts()[0]
	d := newDesk(t, "hosts")
	text, err := os.ReadFile(l.Inventory())
	require.NoError(t, err)
	d.file("hosts", string(text))
	on(t, h, `mkdir -p /srv/stale
for u in lab-stale lab-other; do printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' > /usr/lib/systemd/system/$u.service; done
systemctl daemon-reload; systemctl enable --now -q lab-stale`)
	stale(t, d, "/srv/stale", stalePlaybook+staleLabSteps, h.Name, func(script string) { on(t, h, "cd /srv/stale; "+script) })
}

func shell(t testing.TB, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", script, out)
}

func stale(t *testing.T, d *desk, root, playbook, name string, host func(string)) {
	t.Helper()
	host("echo old > a; printf old > b; chmod 644 a b; echo c > c; chmod 600 c; echo first > d; echo old > old")
	shell(t, d.dir, "mkdir group_vars tree; echo 'from_group: g' > group_vars/all.yml; echo 'db_password: one' > group_vars/web.yml; "+
		"echo 'from_file: line' > more.yml; echo 'from_extra: x' > extra.yml; echo 'new {{ from_file }}' > t.j2; echo new > f; echo one > tree/one")
	d.file("site.yml", strings.ReplaceAll(playbook, "ROOT", root))
	d.must(0, "plan", "site.yml", "-e", "@extra.yml", "-o", "site.plan")
	done := 0
	for _, w := range staleWays() {
		lab := name != "here"
		if w.where == "lab" && !lab || w.where == "local" && lab {
			continue
		}
		on := host
		if w.where != "host" && w.where != "lab" {
			on = func(script string) { shell(t, d.dir, script) }
		}
		on(w.move)
		o := d.run("apply", "site.plan")
		on(w.back)
		require.Equal(t, 8, o.code, "%s\n%s", w.name, o)
		require.Contains(t, o.out+o.err, strings.ReplaceAll(w.want, "ROOT", root), w.name)
		require.Contains(t, o.out+o.err, "the plan is stale", w.name)
		done++
	}
	host("test ! -e l && test ! -e dir && test -e old && test $(cat a) = old")
	d.must(0, "apply", "site.plan")
	host("test -L l && test -d dir && test ! -e old && test -e flag && test \"$(cat a)\" = 'new line'")
	o := d.must(8, "apply", "site.plan")
	require.Contains(t, o.out, filepath.Join(root, "a"))
	require.GreaterOrEqual(t, done, 30)
	t.Logf("%d ways to move the world: each refused and named", done)
}
