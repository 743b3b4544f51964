package inventory

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/source"
)

// Connection is how a host is reached and whose account its tasks use, as far
// as variables say. Command line and play may add to it.
type Connection struct {
	conn.Target
	Become     *bool  // nil: no variable says so
	BecomeUser string // "" : no variable says so
}

// connVar is one connection variable under Ansible's names. Where several are
// set the last name wins, as in Ansible.
type connVar struct {
	names []string
	set   func(c *Connection, value any) *connError
}

type connError struct{ text, hint string }

// connVars is the one table of connection variables.
func connVars() []connVar {
	return []connVar{
		{[]string{"ansible_connection"}, setKind},
		{[]string{"ansible_host", "ansible_ssh_host"}, setAddress},
		{[]string{"ansible_port", "ansible_ssh_port"}, setPort},
		{[]string{"ansible_user", "ansible_ssh_user"}, setUser},
		{[]string{"ansible_password", "ansible_ssh_pass", "ansible_ssh_password"}, setPassword},
		{[]string{"ansible_private_key_file", "ansible_ssh_private_key_file"}, setKeyFile},
		{[]string{"ansible_ssh_args"}, addArgs},
		{[]string{"ansible_ssh_common_args"}, addArgs},
		{[]string{"ansible_ssh_extra_args"}, addArgs},
		{[]string{"ansible_become", "ansible_sudo"}, setBecome},
		{[]string{"ansible_become_user", "ansible_sudo_user"}, setBecomeUser},
		{[]string{"ansible_become_method"}, setBecomeMethod},
		{[]string{"ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"}, setBecomePassword},
	}
}

// connectionNames lists every variable name that Connection reads.
func connectionNames() []string {
	var names []string
	for _, v := range connVars() {
		names = append(names, v.names...)
	}
	return append(names, "ansible_group_priority")
}

var ansibleOnly = regexp.MustCompile(`^ansible_(?:.*_interpreter|become_(?:exe|flags)|shell_(?:type|executable)|ssh_(?:pipelining|executable|transfer_method|retries|timeout|host_key_checking|control_path.*)|host_key_checking|pipelining|remote_tmp|async_dir|timeout|command_timeout|scp_extra_args|sftp_.*|scp_.*|winrm_.*|psrp_.*|facts|local|check_mode|no_log|paramiko_.*|docker_.*|network_.*|distribution.*|hostname|fqdn|default_ipv[46].*|os_family|kernel|architecture|domain|env|date_time)$`)

// knownAnsibleName tells whether the name is one that Connection reads, or one
// that only has a meaning to Ansible itself and is left alone.
func knownAnsibleName(name string) bool {
	return slices.Contains(connectionNames(), name) || ansibleOnly.MatchString(name)
}

// Misspelt gives a hint when a variable's name is nearly one that says how to
// connect, and has no meaning as it is; else "".
func Misspelt(name string) string {
	if !strings.HasPrefix(name, "ansible_") || knownAnsibleName(name) {
		return ""
	}
	return source.DidYouMean(name, connectionNames())
}

// Connection reads the connection variables of a host from its variables with
// templates rendered. Its error is a source.List with the place at which the
// inventory sets what is wrong; a value that does not come from the inventory
// (-e, a play) is named without a place.
func (inv *Inventory) Connection(host string, resolved map[string]any) (Connection, error) {
	c, ms := Connection{Target: conn.Target{Name: host, Kind: "ssh"}}, &source.Mistakes{}
	for _, v := range connVars() {
		for _, name := range slices.Backward(v.names) {
			value, ok := resolved[name]
			if !ok || value == nil {
				continue
			}
			if err := v.set(&c, value); err != nil {
				ms.Add(inv.wrong(host, name, value, err))
			}
			break
		}
	}
	return c, ms.Err()
}

// CheckArgs gives the mistakes that check finds in all ssh arguments of host,
// each at the place of the variable that holds it. The error is a source.List.
func (inv *Inventory) CheckArgs(host string, all []string, check func(words []string) error) error {
	err := check(all)
	if err == nil {
		return nil
	}
	var ms source.Mistakes
	for _, v := range connVars() {
		_, n, ok := inv.Origin(host, v.names[0])
		var own Connection
		if !ok || !strings.HasSuffix(v.names[0], "_args") || v.set(&own, n.Any()) != nil {
			continue
		}
		if e := check(own.CommonArgs); e != nil {
			ms.Add(n.Mistake(v.names[0]+": "+e.Error(), ""))
		}
	}
	if ms.Len() == 0 {
		ms.Add(&source.Mistake{Text: fmt.Sprintf("ssh arguments of host %q: %v", host, err)})
	}
	return ms.Err()
}

// wrong gives the mistake its place, if the inventory has one for this value.
func (inv *Inventory) wrong(host, name string, value any, e *connError) *source.Mistake {
	text := fmt.Sprintf("%s of host %q: %s", name, host, e.text)
	layer, n, ok := inv.Origin(host, name)
	if ok && layer.Level < LevelHost { // said once, not for each host of the group
		text = fmt.Sprintf("%s of %s: %s", name, layer.Name, e.text)
	}
	if !ok {
		return &source.Mistake{Text: text, Hint: e.hint}
	}
	if s, isText := n.Value.(string); !reflect.DeepEqual(n.Any(), value) && !(isText && strings.Contains(s, "{{")) {
		return &source.Mistake{Text: text, Hint: e.hint}
	}
	return n.Mistake(text, e.hint)
}

func setKind(c *Connection, value any) *connError {
	switch kind := strings.TrimPrefix(fmt.Sprint(value), "ansible.builtin."); kind {
	case "ssh", "smart", "paramiko", "paramiko_ssh", "ansible.netcommon.paramiko":
		c.Kind = "ssh"
	case "local":
		c.Kind = "local"
	default:
		return &connError{fmt.Sprintf("connection %q is not supported", kind), "ssh and local are"}
	}
	return nil
}

// onlyWord refuses what OpenSSH's command line, a ProxyCommand's shell or a
// known_hosts file would read as something else (CVE-2025-61984, CVE-2023-51385).
func onlyWord(s, others string) *connError {
	if strings.HasPrefix(s, "-") {
		return &connError{"it begins with a dash", ""}
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(others, r) {
			return &connError{fmt.Sprintf("%q cannot stand in it", r), ""}
		}
	}
	return nil
}

func textOf(value any) (string, *connError) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return "", &connError{"it is empty", "take it out, or give it a value"}
		}
		return v, nil
	case int, int64, float64:
		return fmt.Sprint(v), nil
	}
	return "", &connError{"it must be a text", ""}
}

func setAddress(c *Connection, value any) *connError {
	s, err := textOf(value)
	if err != nil {
		return err
	}
	if strings.ContainsRune(s, ':') && !isIP(s) {
		return &connError{fmt.Sprintf("%q is not a name or an address", s), "the port goes into ansible_port, and an IPv6 address has no brackets"}
	}
	if err := onlyWord(s, ".-_:%"); err != nil {
		return err
	}
	c.Address = s
	return nil
}

func setPort(c *Connection, value any) *connError {
	bad := &connError{"a port is a number from 1 to 65535", ""}
	n, ok := wholeNumber(value)
	if !ok || n < 1 || n > 65535 {
		return bad
	}
	c.Port = int(n)
	return nil
}

func wholeNumber(value any) (int64, bool) {
	switch v := value.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func userOf(value any) (string, *connError) {
	s, err := textOf(value)
	if err == nil {
		err = onlyWord(s, `.-_@+\`)
	}
	return s, err
}

func setUser(c *Connection, value any) (err *connError) {
	c.User, err = userOf(value)
	return err
}

func setBecomeUser(c *Connection, value any) (err *connError) {
	c.BecomeUser, err = userOf(value)
	return err
}

func setKeyFile(c *Connection, value any) (err *connError) {
	if c.KeyFile, err = textOf(value); err == nil && strings.ContainsFunc(c.KeyFile, func(r rune) bool { return r < ' ' }) {
		err = &connError{"control characters cannot stand in it", ""}
	}
	return err
}

func secretOf(value any) (secret.Value, *connError) {
	switch v := value.(type) {
	case secret.Value:
		return v, nil
	case string:
		if strings.ContainsAny(v, "\n\x00") {
			return secret.Value{}, &connError{"a password has one line", ""}
		}
		return secret.New(v), nil
	case int, int64:
		return secret.New(fmt.Sprint(v)), nil
	}
	return secret.Value{}, &connError{"a password must be a text", "put it in quotes"}
}

func setPassword(c *Connection, value any) (err *connError) {
	c.Password, err = secretOf(value)
	return err
}

func setBecomePassword(c *Connection, value any) (err *connError) {
	c.BecomePassword, err = secretOf(value)
	return err
}

func addArgs(c *Connection, value any) *connError {
	if list, ok := value.([]any); ok {
		for _, it := range list {
			c.CommonArgs = append(c.CommonArgs, fmt.Sprint(it))
		}
		return nil
	}
	s, ok := value.(string)
	if !ok {
		return &connError{"it must be a text", "for example: -o ProxyJump=bastion.example.com"}
	}
	words, err := SplitWords(s)
	if err != nil {
		return &connError{err.Error(), ""}
	}
	c.CommonArgs = append(c.CommonArgs, words...)
	return nil
}

func setBecome(c *Connection, value any) *connError {
	var yes bool
	switch v := value.(type) {
	case bool:
		yes = v
	case int64:
		if v != 0 && v != 1 {
			return &connError{"it must be yes or no", ""}
		}
		yes = v == 1
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "yes", "on", "1", "true", "t", "y":
			yes = true
		case "no", "off", "0", "false", "f", "n":
		default:
			return &connError{"it must be yes or no", ""}
		}
	default:
		return &connError{"it must be yes or no", ""}
	}
	c.Become = &yes
	return nil
}

func setBecomeMethod(c *Connection, value any) *connError {
	if m := strings.TrimPrefix(fmt.Sprint(value), "ansible.builtin."); m != "sudo" {
		return &connError{fmt.Sprintf("become method %q is not supported", m), "sudo is"}
	}
	c.BecomeMethod = "sudo"
	return nil
}
