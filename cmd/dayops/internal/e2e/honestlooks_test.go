package e2e

func honestPrograms() []honestRow {
	return []honestRow{
		{id: "creates", task: "command", params: `{cmd: touch D/made, creates: D/made}`, says: "coooc",
			start:  [5]string{"", "echo x > made", "mkdir made", "ln -s nowhere made", "echo x > other"},
			wanted: `test -e made || test -L made`},
		{id: "removes", task: "shell", params: `{cmd: rm -r made, chdir: D, removes: made}`, says: "oc" + "cco",
			start:  [5]string{"", "echo x > made", "mkdir -p made/x", "echo x > to; ln -s to made", "echo x > other"},
			wanted: `test ! -e made`},
		{id: "check", task: "command", params: `{cmd: touch D/made, check: [test, -e, D/made]}`, says: "coocc",
			start:  [5]string{"", "echo x > made", "mkdir made", "ln -s nowhere made", "echo x > other"},
			wanted: `test -e made`},
	}
}

// honestLooks are the tasks that change nothing on a host, each with five inputs.
func honestLooks() []honestRow {
	return []honestRow{
		{id: "stat", task: "stat", params: `{path: D/f}`, says: "ooooo", start: [5]string{"", "echo f > f", "mkdir f", "ln -s gone f", "mkfifo f"}},
		{id: "debug", task: "debug", params: `{msg: "V"}`, inputs: `[text, 1, yes, "", "ä\tb"]`, says: "ooooo"},
		{id: "var", task: "debug", params: `{var: inputs}`, inputs: `[text, [1], {a: b}, null, 1.5]`, says: "ooooo"},
		{id: "setfact", task: "set_fact", params: `{honest: "V"}`, inputs: `[text, 1, yes, "", [a, b]]`, says: "ooooo"},
		{id: "assert", task: "assert", params: `{that: ["inputs[k | int]"], fail_msg: "no"}`, inputs: `[yes, no, 1 == 1, 0, yes]`, says: "ofofo"},
		{id: "ping", task: "ping", params: `{}`, says: "ooooo", start: [5]string{"", "mkdir d", "echo f > f", "ln -s x l", "mkfifo p"}},
		{id: "pause", task: "pause", params: `{seconds: "V"}`, inputs: `[1, 1, 1, 1, 1]`, says: "ooooo"},
		{id: "wait", task: "wait_for", params: `{path: D/f, timeout: 5, sleep: 0.1}`, says: "ooooo",
			start: [5]string{"echo f > f", "mkdir f", "ln -s /etc/hostname f", "mkfifo f", "echo f > f; chmod 0 f"}},
		{id: "port", task: "wait_for", params: `{port: "V", timeout: 5, state: started}`, inputs: `[22, 22, 22, 22, 22]`, says: "ooooo"},
		{id: "ntp", task: "ntp", params: `{fix: yes, unsynchronised: warn, warn_spread: 0, max_spread: 0}`, says: "ooooo", // which a container may only look at
			start: [5]string{"", "systemctl stop chrony", "systemctl disable -q --now chrony", "rm /etc/systemd/system/multi-user.target.wants/chrony.service /etc/systemd/system/chronyd.service", "systemctl stop chrony; rm /etc/systemd/system/multi-user.target.wants/chrony.service /etc/systemd/system/chronyd.service"},
		},
		{id: "clock", task: "ntp", params: `{unsynchronised: warn, warn_spread: "V", max_spread: 0}`, inputs: `[0, 1s, 0, 2s, 0]`, says: "ooooo"},
		{id: "entropy", task: "entropy", params: `{fix: yes, ideal: "V"}`, inputs: `[1000, 900, 800, 2000, 850]`, says: "ooooo"},
		{id: "pool", task: "entropy", params: `{fail_below: "V"}`, inputs: `[0, 1, 10, 100, 200]`, says: "ooooo"},
		{id: "fetch", task: "fetch", params: `{src: D/f, dest: GOT/, fail_on_missing: no}`, says: "cocoo",
			start: [5]string{"echo f > f", "echo f > f", "echo f > f", "echo f > f", ""},
			here:  [5]string{"", "mkdir -p .D; echo f > .D/f; chmod 600 .D/f", "mkdir -p .D; echo other > .D/f", "mkdir -p .D; echo f > .D/f; chmod 644 .D/f", "echo theirs > f"},
		},
		{id: "save", task: "host_backup", params: `{backup_dir: GOT, paths: [D], packages: "V"}`, inputs: `[no, yes, no, yes, no]`, says: "ooooo",
			start: [5]string{"echo f > f", "mkdir -p a/b; echo f > a/b/f", "ln -s nowhere l", "mkfifo p", "echo f > f; ln f g; setfattr -n user.mine -v 1 f"}},
	}
}

// honestOpaque are the programs of which nothing is known. They come last: what
// is read after one is unknown too.
func honestOpaque() []honestRow {
	return []honestRow{
		{id: "opaque", task: "command", params: `{cmd: touch D/made}`, says: "uuuuu", again: "uuuuu",
			start: [5]string{"", "echo x > made", "mkdir made", "ln -s nowhere made", "echo x > other"}},
		{id: "script", task: "shell", params: `{cmd: "echo V >> D/made"}`, inputs: `[a, b, c, d, e]`, says: "uuuuu", again: "uuuuu",
			start: [5]string{"", "echo x > made", "echo x > to; ln -s to made", "echo x > made; chmod 0 made", "echo x > other"}},
		{id: "reads", task: "command", params: `{cmd: cat D/made}`, more: "changed_when: no", says: "uuuuu", again: "uuuuu",
			start: [5]string{"echo 1 > made", "echo x > made", "echo x > to; ln -s to made", "echo x > made; chmod 0 made", ": > made"}},
	}
}
