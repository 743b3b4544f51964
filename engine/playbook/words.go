package playbook

import "slices"

// Words of Ansible that dayops knows and does not have, with what to do
// instead.

func playWords() map[string]string {
	return map[string]string{
		"roles":              "write the role's tasks under tasks:",
		"pre_tasks":          "put them first under tasks:",
		"post_tasks":         "put them last under tasks:",
		"import_playbook":    "run one after the other: dayops run a.yml && dayops run b.yml",
		"include":            "write the tasks here",
		"vars_prompt":        "pass the value with -e NAME=VALUE, or -e @FILE for a secret",
		"strategy":           "every step is done on all hosts before the next begins; serial: makes batches",
		"become_flags":       "remove it; only become and become_user are known",
		"become_exe":         "remove it; only become and become_user are known",
		"connection":         "set ansible_connection for the host in the inventory",
		"remote_user":        "set ansible_user in the inventory, or use -u",
		"user":               "set ansible_user in the inventory, or use -u",
		"port":               "set ansible_port for the host in the inventory",
		"sudo":               "use become: yes",
		"sudo_user":          "use become_user:",
		"collections":        "remove it; tasks have one short name",
		"module_defaults":    "write the parameters at each task",
		"gather_subset":      "remove it; facts are few and read once",
		"gather_timeout":     "remove it; facts have a limit of 30 s",
		"fact_path":          "remove it; local facts are not read",
		"force_handlers":     "remove it; handlers always run on a host, also after a later failure there",
		"ignore_errors":      "write it at the tasks that may fail",
		"ignore_unreachable": "remove it; a host that cannot be reached never holds up the others",
		"no_log":             "write it at the tasks that handle secrets",
		"run_once":           "write it at the tasks",
		"order":              "remove it; hosts are taken in the order of the inventory",
		"debugger":           "remove it",
		"check_mode":         "use dayops plan, or run --check",
		"diff":               "use --diff on the command line",
		"timeout":            "write it at the tasks",
		"when":               "write it at the tasks",
		"block":              "write the tasks under tasks:",
	}
}

func stepWords() map[string]string {
	return map[string]string{
		"block":                "write the tasks one after the other, each with its own when:",
		"rescue":               "use ignore_errors: and register: with when: X is failed",
		"always":               "use a handler, which also runs after a failure",
		"include":              "write the tasks here",
		"include_tasks":        "write the tasks here",
		"import_tasks":         "write the tasks here",
		"include_role":         "write the role's tasks here",
		"import_role":          "write the role's tasks here",
		"include_vars":         "use vars_files: at the play",
		"import_playbook":      "run one after the other: dayops run a.yml && dayops run b.yml",
		"local_action":         "use delegate_to: localhost with the task itself",
		"action":               "write the task itself as the key: copy: {src: a, dest: /b}",
		"args":                 "write the parameters below the task: command: {cmd: ls, chdir: /tmp}",
		"async":                "remove it; timeout: sets how long a task may take",
		"poll":                 "remove it; timeout: sets how long a task may take",
		"check_mode":           "use dayops plan, or run --check",
		"diff":                 "use --diff on the command line",
		"debugger":             "remove it",
		"ignore_unreachable":   "remove it; a host that cannot be reached never holds up the others",
		"any_errors_fatal":     "write it at the play",
		"max_fail_percentage":  "write it at the play",
		"serial":               "write it at the play",
		"hosts":                "a play has hosts; a task runs on those of its play, or where delegate_to: says",
		"remote_user":          "set ansible_user in the inventory",
		"connection":           "set ansible_connection in the inventory, or use delegate_to: localhost",
		"become_flags":         "remove it; only become and become_user are known",
		"become_exe":           "remove it; only become and become_user are known",
		"sudo":                 "use become: yes",
		"sudo_user":            "use become_user:",
		"delegate_facts":       "remove it; facts belong to the host they came from",
		"module_defaults":      "write the parameters at each task",
		"collections":          "remove it; tasks have one short name",
		"first_available_file": "name the one file",
		"meta":                 "remove it; handlers run at the end of the play",
	}
}

// renamedTasks are Ansible's modules that another task stands for, or that
// something else does.
func renamedTasks() map[string]string {
	return map[string]string{
		"yum": "use package:", "apt": "use package:", "dnf": "use package:", "dnf5": "use package:", "zypper": "use package:", "pip": "not supported; package: knows apt, dnf and yum",
		"systemd": "use service:", "systemd_service": "use service:", "sysvinit": "use service:",
		"setup": "remove it; facts are gathered at the start of a play", "gather_facts": "set gather_facts: at the play",
		"fail":     `use assert: {that: [...], fail_msg: "..."}`,
		"raw":      "use command: or shell:",
		"script":   "use copy: and then command:",
		"win_copy": "Windows hosts are not supported", "win_shell": "Windows hosts are not supported",
		"synchronize": "use copy: or fetch:", "slurp": "use fetch:", "get_url": "use command: with curl, or fetch it here and copy:",
		"unarchive": "use copy: and command: tar", "archive": "use host_backup:, or command: tar",
		"blockinfile": "use lineinfile: or template:", "replace": "use lineinfile: or template:", "ini_file": "use lineinfile: or template:",
		"find": "use stat: or command: find", "pause": "use wait_for: {timeout: 30}", "ping": "use dayops ping",
		"add_host": "write the host into the inventory", "group_by": "write the group into the inventory",
		"user": "use command: useradd", "group": "use command: groupadd", "cron": "use copy: into /etc/cron.d",
		"sysctl": "use copy: into /etc/sysctl.d and command: sysctl --system", "mount": "use lineinfile: on /etc/fstab and command: mount",
		"reboot": "not supported yet", "uri": "use command: with curl", "git": "use command: git", "hostname": "use command: hostnamectl",
		"wait_for_connection": "remove it", "set_stats": "use set_fact:", "known_hosts": "use dayops trust", "tempfile": "use command: mktemp -d",
		"assemble": "use template:", "service_facts": "use command: systemctl", "package_facts": "use command:", "iptables": "use command: iptables",
	}
}

// isExpressionWord tells the words that cannot be names of variables.
func isExpressionWord(name string) bool {
	switch name {
	case "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None":
		return true
	}
	return false
}

// taskInPlay gives a hint for a task that stands where a play's keys belong.
func taskInPlay(key string) string {
	common := []string{"command", "shell", "copy", "template", "file", "service", "package", "debug", "assert", "set_fact", "lineinfile", "fetch", "stat"}
	if slices.Contains(common, key) || slices.Contains(stepKeyNames(), key) {
		return "tasks go under tasks:, one level deeper"
	}
	return ""
}
