package vars

import (
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

// Layer is a set of variables of one level. It is immutable and may be shared
// by the scopes of many hosts.
type Layer struct {
	level Level
	user  map[string]*strictyaml.Node // text of the user: templates in it are evaluated
	data  map[string]any              // data: never evaluated, cannot say how we connect
	steps map[string]string           // unknown until the step that sets it
}

// UserVars is a layer of what the user wrote. vars is a Map (or Null or nil).
// Names that dayops itself defines (see Reserved) are left out.
func UserVars(level Level, vars *strictyaml.Node) Layer {
	l := Layer{level: level, user: map[string]*strictyaml.Node{}}
	if vars == nil {
		return l
	}
	for _, p := range vars.Pairs {
		if !Reserved(p.Key) {
			l.user[p.Key] = p.Value
		}
	}
	return l
}

// HostData is a layer of what came from a host, or was made from it: facts,
// registered results, set_fact. It is copied, taken as it is, never as a
// template, and names that say how to connect (see ConnectionVariable) or that
// dayops itself defines are left out.
func HostData(level Level, data map[string]any) Layer {
	l := Layer{level: level, data: make(map[string]any, len(data))}
	for k, v := range data {
		if !Reserved(k) && !ConnectionVariable(k) {
			l.data[k] = fromPlain(v)
		}
	}
	return l
}

// Facts is the layer of a host's facts: ansible_facts, and each fact again as
// ansible_NAME. facts has the names without that prefix.
func Facts(facts map[string]any) Layer {
	flat := make(map[string]any, len(facts))
	for k, v := range facts {
		flat["ansible_"+k] = v
	}
	l := HostData(LevelFacts, flat)
	l.data[factsName] = fromPlain(facts)
	return l
}

const factsName = "ansible_facts"

// LoopVars is the layer of a loop's item. Items come from the user's files or
// from a host; they are values already, so they are data.
func LoopVars(data map[string]any) Layer { return HostData(LevelLoop, data) }

// Unknown is a layer of names that a step, which has not run yet, will set:
// name to step. Reading one gives an UnknownError.
func Unknown(steps map[string]string) Layer {
	return Layer{level: LevelSetFact, steps: steps}
}

// Reserved tells whether dayops itself defines the name, so that nobody else can.
func Reserved(name string) bool { return isMagic(name) }

// magicNames are the reserved names.
func magicNames() []string {
	return []string{
		"hostvars", "groups", "omit", "vars", factsName, "inventory_hostname", "inventory_hostname_short", "group_names",
		"inventory_dir", "inventory_file", "playbook_dir", "play_hosts", "ansible_play_hosts", "ansible_play_hosts_all",
		"ansible_play_batch", "ansible_play_name", "ansible_check_mode", "ansible_diff_mode",
	}
}

func isMagic(name string) bool { return slices.Contains(magicNames(), name) }

// ConnectionVariable tells whether the name says how to reach a host or as
// whom to work there. Only the user's own files and -e may set one.
func ConnectionVariable(name string) bool {
	switch name {
	case "ansible_connection", "ansible_host", "ansible_port", "ansible_user", "ansible_password", "ansible_pass", "ansible_timeout",
		"ansible_remote_user", "ansible_private_key_file", "ansible_host_key_checking", "ansible_pipelining", "ansible_remote_tmp", "ansible_executable":
		return true
	}
	for _, prefix := range []string{"ansible_ssh_", "ansible_become", "ansible_sudo", "ansible_su_", "ansible_shell_", "ansible_paramiko_", "ansible_sftp_", "ansible_scp_", "ansible_winrm_", "ansible_psrp_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasPrefix(name, "ansible_") && strings.HasSuffix(name, "_interpreter")
}
