package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeInventory writes the files by which dayops, ssh and Ansible reach the hosts.
func (l *Lab) writeInventory() error {
	var known strings.Builder
	for _, h := range l.hosts {
		for _, t := range keyTypes() {
			b, err := os.ReadFile(filepath.Join(h.Root(), sshDir, t+".pub"))
			if err != nil {
				return err
			}
			f := strings.Fields(string(b))
			if len(f) < 2 {
				return fmt.Errorf("%s: %s.pub: not a public key", h.Name, t)
			}
			fmt.Fprintf(&known, "%s %s %s\n", h.IP, f[0], f[1])
		}
	}
	for _, f := range []struct {
		path, text string
		mode       os.FileMode
	}{
		{l.KnownHosts(), known.String(), 0o644},
		{l.Inventory(), l.yaml(), 0o644},
		{filepath.Join(l.dir, "inventory.ini"), l.ini(), 0o644},
		{l.PasswordVars(), "# log in as the account whose sudo asks for a password: -e @FILE\nansible_user: opspass\nansible_password: \"" +
			l.state.Password + "\"\nansible_become_password: \"" + l.state.Password + "\"\n", 0o600},
	} {
		if err := writeFile(f.path, []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) vars() [][2]string {
	return [][2]string{
		{"ansible_user", "operator"},
		{"ansible_become", "true"},
		{"ansible_ssh_private_key_file", l.Key()},
		{"ansible_ssh_common_args", "-o UserKnownHostsFile=" + l.KnownHosts()},
		{"openshift_release", "v3.10"},
		{"openshift_deployment_type", "openshift-enterprise"},
	}
}

// groups are openshift-ansible's, in its order; lb is empty here.
func (l *Lab) groups() []struct {
	name  string
	hosts []*Host
} {
	return []struct {
		name  string
		hosts []*Host
	}{
		{"masters", l.with("master")}, {"nodes", l.with("node")}, {"etcd", l.Members()}, {"new_etcd", l.Spares()}, {"lb", nil},
	}
}

// yaml writes the addresses once, at all; the groups name the hosts.
func (l *Lab) yaml() string {
	var b strings.Builder
	b.WriteString("# Written by dayops-lab up; gone with dayops-lab down.\nall:\n  hosts:\n")
	for _, h := range l.hosts {
		fmt.Fprintf(&b, "    %s:\n      ansible_host: %s\n", h.Name, h.IP)
	}
	b.WriteString("  children:\n    OSEv3:\n      vars:\n")
	for _, v := range l.vars() {
		fmt.Fprintf(&b, "        %s: %s\n", v[0], v[1])
	}
	b.WriteString("      children:\n")
	for _, g := range l.groups() {
		if len(g.hosts) == 0 {
			fmt.Fprintf(&b, "        %s: {}\n", g.name)
			continue
		}
		fmt.Fprintf(&b, "        %s:\n          hosts:\n", g.name)
		for _, h := range g.hosts {
			fmt.Fprintf(&b, "            %s: {}\n", h.Name)
		}
	}
	return b.String()
}

func (l *Lab) ini() string {
	var b strings.Builder
	b.WriteString("# Written by dayops-lab up; gone with dayops-lab down.\n[OSEv3:children]\n")
	for _, g := range l.groups() {
		b.WriteString(g.name + "\n")
	}
	b.WriteString("\n[OSEv3:vars]\n")
	for _, v := range l.vars() {
		val := v[1]
		if strings.ContainsAny(val, " #") {
			val = "'" + val + "'"
		}
		fmt.Fprintf(&b, "%s=%s\n", v[0], val)
	}
	seen := map[string]bool{} // the address stands where a host is named first
	for _, g := range l.groups() {
		fmt.Fprintf(&b, "\n[%s]\n", g.name)
		for _, h := range g.hosts {
			if seen[h.Name] {
				b.WriteString(h.Name + "\n")
				continue
			}
			seen[h.Name] = true
			fmt.Fprintf(&b, "%s ansible_host=%s\n", h.Name, h.IP)
		}
	}
	return b.String()
}
