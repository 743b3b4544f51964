package e2e

import "strings"

// honestRow is a step and five states in which it finds a host, of which each
// lab host has one. D stands for the row's folder on the host, GOT for that on
// this machine, V for the host's own of the inputs.
type honestRow struct {
	id, task string
	params   string // YAML
	more     string // further keys of the step
	inputs   string // YAML list of five, for a task that looks at no state
	start    [5]string
	here     [5]string // like start, on this machine in the host's folder below GOT
	// says is the forecast in each state: o ok, c changed, u unknown, f failed.
	says string
	// wanted is a shell text that holds when nothing is left to do: so before the
	// run exactly where the forecast is ok, and after it everywhere.
	wanted string
	again  string   // the second forecast, where it is not all ok; f stays f
	paths  []string // what it may touch besides its folder
}

const honestUnit = `printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' > /etc/systemd/system/$U.service; `

func honestTable() []honestRow {
	var all []honestRow
	// A package may bring any file: after one there is no second, and no probe.
	for _, rows := range [][]honestRow{honestFiles(), honestContents(), honestServices(), honestLooks(), honestPrograms(), honestPackages()[:1], honestOpaque()} {
		all = append(all, rows...)
	}
	return all
}

func honestFiles() []honestRow {
	return []honestRow{
		{id: "dir", task: "file", params: `{path: D/x/y, state: directory, mode: "0750", owner: operator}`, says: "coccf",
			start:  [5]string{"", "mkdir -p x/y; chmod 750 x/y; chown operator x/y", "mkdir -p x/y; chmod 2755 x/y", "mkdir real; ln -s real x", "echo f > x"},
			wanted: `test "$(stat -c '%F %a %U' x/y)" = "directory 750 operator"`},
		{id: "recurse", task: "file", params: `{path: D/x, state: directory, recurse: yes, mode: "u=rwX,go=rX", group: operator}`, says: "coccc",
			start: [5]string{"", "mkdir -p x/d; touch x/d/f; chmod 644 x/d/f; chgrp -R operator x", "mkdir -p x/d; touch x/d/f; chmod 600 x/d/f", "mkdir -p x/d; touch x/f; chmod 644 x/f; ln -s /etc/hostname x/l; chgrp -hR operator x; chgrp root x/d",
				"mkdir -p x/d; touch 'x/a b' x/d/c; chmod 755 x/d/c; chmod 600 'x/a b'; chgrp -R operator x"},
			wanted: `test -d x && test -z "$(find x ! -type l \( ! -group operator -o -type d ! -perm 755 -o -type f ! -perm 644 ! -perm 755 \) )"`},
		{id: "link", task: "file", params: `{path: D/l, state: link, src: to, force: yes}`, says: "coccc",
			start:  [5]string{"echo t > to", "echo t > to; ln -s to l", "echo t > to; ln -s other l", "ln -s gone l", "echo in the way > l"},
			wanted: `test "$(readlink l)" = to`},
		{id: "hard", task: "file", params: `{path: D/l, state: hard, src: D/to, force: yes}`, says: "coccf",
			start:  [5]string{"echo t > to", "echo t > to; ln to l", "echo t > to; echo other > l", "echo t > to; ln -s to l", ""},
			wanted: `test to -ef l && test ! -L l`},
		{id: "attrs", task: "file", params: `{path: D/f, state: file, mode: "0640", owner: operator, group: nogroup}`, says: "cocof",
			start: [5]string{"echo f > f", "echo f > f; chmod 640 f; chown operator:nogroup f", "echo f > f; chown operator:nogroup f; chmod 4640 f",
				"echo f > g; chmod 640 g; chown operator:nogroup g; ln -s g f", ""},
			wanted: `test "$(stat -L -c '%a %U:%G' f)" = "640 operator:nogroup"`},
		{id: "touch", task: "file", params: `{path: D/f, state: touch, mode: "0600"}`, says: "ccccc", again: "ccccc",
			start: [5]string{"", "echo f > f; chmod 600 f", "echo f > f", "mkdir f", "echo f > g; ln -s g f"}},
		{id: "keep", task: "file", params: `{path: D/f, state: touch, mode: "0600", modification_time: preserve, access_time: preserve}`, says: "coocc",
			start:  [5]string{"", "echo f > f; chmod 600 f", "echo f > g; chmod 600 g; ln -s g f", "mkdir f", "echo f > f; chmod 400 f"},
			wanted: `test "$(stat -L -c %a f)" = 600`},
		{id: "gone", task: "file", params: `{path: D/x, state: absent}`, says: "coccc",
			start:  [5]string{"echo x > x; chmod 0 x", "", "mkdir -p x/y; echo f > x/y/f", "ln -s /nowhere x", "mkfifo x"},
			wanted: `test ! -e x && test ! -L x`},
	}
}

func honestContents() []honestRow {
	const ours = `printf 'one\ntwo\n' > f; `
	return []honestRow{
		{id: "copy", task: "copy", params: `{src: f, dest: D/f, mode: "0604", owner: nobody}`, says: "coccc",
			start:  [5]string{"", ours + "chmod 604 f; chown nobody f", "printf 'one\ntwo' > f; setfattr -n user.mine -v 1 f; chmod 604 f; chown nobody f", ours + "chmod 4600 f", "ln -s /etc/hostname f"},
			wanted: `test ! -L f && test "$(cat f; echo .)" = "$(printf 'one\ntwo\n.')" && test "$(stat -c '%a %U' f)" = "604 nobody"`},
		{id: "backup", task: "copy", params: `{content: "new\n", dest: D/f, backup: yes}`, says: "cocfc",
			start:  [5]string{"", "echo new > f", "echo old > f; chmod 640 f", "mkdir f", "echo old > g; ln -s g f"},
			wanted: `test ! -L f && test "$(cat f)" = new`},
		{id: "once", task: "copy", params: `{content: "new\n", dest: D/f, force: no}`, says: "coooc",
			start:  [5]string{"", "echo new > f", "echo theirs > f", ": > f; chmod 0 f", "echo g > g"},
			wanted: `test -f f`},
		{id: "follow", task: "copy", params: `{content: "new\n", dest: D/f, follow: yes, mode: "0644"}`, says: "cocco",
			start:  [5]string{"", "echo new > f", "echo old > g; ln -s g f", "echo new > g; chmod 600 g; ln -s g f", "echo new > g; ln -s g f"},
			wanted: `test "$(cat f)" = new && test "$(stat -L -c %a f)" = 644`},
		{id: "tree", task: "copy", params: `{src: tree/, dest: D/t/, mode: "0640"}`, says: "coccf",
			start: [5]string{"", "mkdir -p t/sub; echo a > t/a; echo b > t/sub/b; chmod 640 t/a t/sub/b", "mkdir -p t/sub; echo theirs > t/a; echo b > t/sub/b; echo more > t/more",
				"mkdir -p t/sub; echo a > t/a; echo b > t/sub/b; chmod 600 t/a t/sub/b", "echo in the way > t"},
			wanted: `test "$(cat t/a t/sub/b)" = "$(printf 'a\nb')" && test "$(stat -c %a t/a t/sub/b | sort -u)" = 640`},
		{id: "template", task: "template", params: `{src: t.j2, dest: D/t, mode: "0644", backup: yes}`, says: "coccc",
			start:  [5]string{"", "echo state $K of $H > t", "echo state x > t", "echo state $K of $H > t; chmod 600 t; setfattr -n user.mine -v 1 t", "echo state $K of $H > u; ln -s u t"},
			wanted: `test ! -L t && test "$(cat t)" = "state $K of $H" && test "$(stat -c %a t)" = 644`},
		{id: "line", task: "lineinfile", params: `{path: D/f, regexp: "^a=", line: "a=2", create: yes, mode: "0644", backup: yes}`, says: "coccc",
			start:  [5]string{"", "echo a=2 > f", "printf 'x\na=1\ny' > f", "printf 'a=1\r\na=2\r\n' > f; chmod 600 f", "printf 'x\n' > g; ln -s g f"},
			wanted: `test "$(tr -d '\r' < f | grep ^a= | tail -1)" = a=2 && test "$(stat -L -c %a f)" = 644 && ! grep -q "$(printf '\r')" f || { test $K = 3 && grep -q a=2 f && test "$(stat -c %a f)" = 644; }`},
		{id: "noline", task: "lineinfile", params: `{path: D/f, regexp: "^a", state: absent}`, says: "ooccc",
			start:  [5]string{"", "echo b > f", "printf 'a\nb\na\n' > f", "printf 'b\na' > f; chmod 400 f", "printf 'a\n' > g; ln -s g f"},
			wanted: `! grep -q ^a f`},
		{id: "insert", task: "lineinfile", params: `{path: D/f, line: new, insertafter: "^a"}`, says: "coccf",
			start:  [5]string{"echo a > f", "printf 'new\na\n' > f", "printf 'a\nb' > f; chown operator f; chmod 4600 f", ": > f", ""},
			wanted: `grep -qx new f`},
	}
}

func honestServices() []honestRow {
	paths := []string{"/etc/systemd/system", "/var/lib/dayops"}
	up, on, dead := honestUnit+"systemctl start -q $U; ", "ln -s /etc/systemd/system/$U.service /etc/systemd/system/multi-user.target.wants/; ", honestUnit+"systemctl start -q $U; systemctl kill -s KILL $U; for i in $(seq 50); do systemctl is-failed -q $U && break; sleep 0.1; done; "
	const is = `systemctl is-active -q $U && `
	return []honestRow{
		{id: "reload", task: "service", params: `{name: UNIT, state: started, daemon_reload: yes}`, says: "coccc", paths: paths,
			start: [5]string{honestUnit, up, up + "echo '# more' >> /etc/systemd/system/$U.service", dead, on + honestUnit},
			// Asked of systemd itself, which knows what it has read.
			wanted: is + `test "$(systemctl show -p NeedDaemonReload --value $U)" = no`},
		{id: "up", task: "service", params: `{name: UNIT, state: started, enabled: yes}`, says: "coccf", paths: paths,
			start:  [5]string{honestUnit, on + up, up, on + dead, ""},
			wanted: is + `test "$(systemctl is-enabled $U)" = enabled`},
		{id: "down", task: "service", params: `{name: UNIT, state: stopped, enabled: no}`, says: "coccc", paths: paths,
			start:  [5]string{on + up, honestUnit, up, honestUnit + on, on + dead},
			wanted: `! ` + is + `true && ! systemctl is-enabled -q $U`},
		{id: "mask", task: "service", params: `{name: UNIT, state: stopped, masked: yes}`, says: "cocfc", paths: paths,
			start: [5]string{strings.ReplaceAll(honestUnit, "/etc/", "/usr/lib/"), "ln -s /dev/null /etc/systemd/system/$U.service", strings.ReplaceAll(up, "/etc/", "/usr/lib/"), honestUnit,
				strings.ReplaceAll(up, "/etc/", "/usr/lib/") + "systemctl mask -q $U"},
			wanted: `! ` + is + `true && test "$(systemctl is-enabled $U)" = masked`},
		{id: "restart", task: "service", params: `{name: UNIT, state: restarted}`, says: "ccccf", again: "ccccf", paths: paths,
			start: [5]string{up, honestUnit, dead, on + up + "sleep 0.02; echo '# more' >> /etc/systemd/system/$U.service", ""}},
	}
}

func honestPackages() []honestRow {
	paths := []string{"/var/lib/dpkg", "/var/lib/apt", "/usr", "/etc/alternatives"}
	const sample, hello = "dpkg -i /opt/repo/lab-sample_1.%_all.deb; ", "dpkg -i /opt/repo/hello_*.deb; "
	v := func(n string) string { return strings.ReplaceAll(sample, "%", n) }
	older := `mkdir -p o/DEBIAN; printf 'Package: tree\nVersion: 0.1\nArchitecture: amd64\nMaintainer: x <x@example.com>\nDescription: old\n' > o/DEBIAN/control; dpkg-deb -b o o.deb; dpkg -i o.deb; rm -r o o.deb; `
	return []honestRow{
		{id: "version", task: "package", params: `{name: [lab-sample=1.1], state: present}`, says: "coccc", paths: paths,
			start:  [5]string{"", v("1"), v("0"), v("1") + "dpkg -r lab-sample", v("0") + "rm -r /usr/share/lab-sample"},
			wanted: `test "$(dpkg-query -W -f '${Version} ${db:Status-Status}' lab-sample)" = "1.1 installed"`},
		{id: "away", task: "package", params: `{name: hello, state: absent}`, says: "cocoo", paths: paths,
			start:  [5]string{hello, "", hello + "apt-mark auto hello", hello + "dpkg -r hello", hello + "dpkg -P hello"},
			wanted: `! dpkg-query -W -f '${db:Status-Status}' hello | grep -q ^installed`},
		{id: "latest", task: "package", params: `{name: tree, state: latest}`, says: "coccc", paths: paths,
			start:  [5]string{"", "dpkg -i /opt/repo/tree_*.deb", older, older + "dpkg -r tree", older + "apt-mark auto tree"},
			wanted: `dpkg-query -W -f '${Version} ${db:Status-Status}' tree | grep -q '^2.* installed'`},
	}
}
