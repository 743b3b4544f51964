package inventory_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/secret"
)

func connection(t *testing.T, inv *inventory.Inventory, host string) (inventory.Connection, error) {
	t.Helper()
	vars, _ := inv.Vars(host).Any().(map[string]any)
	return inv.Connection(host, vars)
}

func TestConnection(t *testing.T) {
	yes, no := true, false
	inv := loadText(t, "hosts.yml", `
all:
  hosts:
    plain:
    full:
      ansible_host: 192.0.2.1
      ansible_port: "2222"
      ansible_user: 'DOM\ops'
      ansible_password: pa55word
      ansible_private_key_file: ~/.ssh/a
      ansible_ssh_private_key_file: ~/.ssh/b
      ansible_connection: ansible.builtin.ssh
      ansible_become: "yes"
      ansible_become_user: admin
      ansible_become_method: sudo
      ansible_become_pass: 123456
      ansible_ssh_common_args: -o ProxyJump=bastion -o "ProxyCommand=ssh -W %h:%p 'gw'"
      ansible_ssh_extra_args: -v
      ansible_python_interpreter: /usr/bin/python3
    old: {ansible_ssh_host: a.example.com, ansible_ssh_port: 22, ansible_ssh_user: root, ansible_ssh_pass: secret, ansible_become: no}
    here: {ansible_connection: local}
    six: {ansible_host: "2001:db8::1", ansible_port: 8022}
    both: {ansible_host: one, ansible_ssh_host: two}
`)
	require.Empty(t, inv.Warnings())
	for host, want := range map[string]inventory.Connection{
		"plain": {Target: conn.Target{Name: "plain", Kind: "ssh"}},
		"full": {Target: conn.Target{Name: "full", Kind: "ssh", Address: "192.0.2.1", Port: 2222, User: `DOM\ops`,
			Password: secret.New("pa55word"), KeyFile: "~/.ssh/b", BecomeMethod: "sudo", BecomePassword: secret.New("123456"),
			CommonArgs: []string{"-o", "ProxyJump=bastion", "-o", "ProxyCommand=ssh -W %h:%p 'gw'", "-v"}},
			Become: &yes, BecomeUser: "admin"},
		"old":  {Target: conn.Target{Name: "old", Kind: "ssh", Address: "a.example.com", Port: 22, User: "root", Password: secret.New("secret")}, Become: &no},
		"here": {Target: conn.Target{Name: "here", Kind: "local"}},
		"six":  {Target: conn.Target{Name: "six", Kind: "ssh", Address: "2001:db8::1", Port: 8022}},
		"both": {Target: conn.Target{Name: "both", Kind: "ssh", Address: "two"}},
	} {
		got, err := connection(t, inv, host)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestConnectionMistakes(t *testing.T) {
	for line, want := range map[string]string{
		"ansible_connection=docker":       `:22: ansible_connection of host "h": connection "docker" is not supported (ssh and local are)`,
		"ansible_host=-oProxyCommand=x":   `:16: ansible_host of host "h": it begins with a dash`,
		"ansible_host='a b'":              `:17: ansible_host of host "h": ' ' cannot stand in it`,
		"ansible_host=a:22":               `:16: ansible_host of host "h": "a:22" is not a name or an address (the port goes into ansible_port, and an IPv6 address has no brackets)`,
		"ansible_host='$(id)'":            `:17: ansible_host of host "h": '$' cannot stand in it`,
		"ansible_host=":                   `16: ansible_host of host "h": it is empty (take it out, or give it a value)`,
		"ansible_port=0":                  `16: ansible_port of host "h": a port is a number from 1 to 65535`,
		"ansible_port=22.5":               `16: ansible_port of host "h": a port is a number from 1 to 65535`,
		"ansible_user='root;id'":          `: ansible_user of host "h": ';' cannot stand in it`,
		"ansible_become=maybe":            `18: ansible_become of host "h": it must be yes or no`,
		"ansible_become_method=su":        `25: ansible_become_method of host "h": become method "su" is not supported (sudo is)`,
		`ansible_ssh_common_args="-o 'x"`: `ansible_ssh_common_args of host "h": this quote is never closed`,
		`ansible_password="['x']"`:        `ansible_password of host "h": a password must be a text (put it in quotes)`,
	} {
		inv := loadText(t, "hosts", "h "+line+"\n")
		_, err := connection(t, inv, "h")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "hosts:1:")
	}
	// A value that the inventory does not set has no place in it.
	inv := loadText(t, "hosts", "h ansible_port=22\n")
	_, err := inv.Connection("h", map[string]any{"ansible_port": "x"})
	require.EqualError(t, err, `ansible_port of host "h": a port is a number from 1 to 65535`)
}

func TestLocalhost(t *testing.T) {
	inv, err := inventory.Load([]string{"localhost,"})
	require.NoError(t, err)
	require.Equal(t, []string{"localhost"}, inv.Hosts())
	c, err := connection(t, inv, "localhost")
	require.NoError(t, err)
	require.Equal(t, "local", c.Kind)

	for list, host := range map[string]string{"localhost:2222,": "localhost", "127.0.0.1,": "127.0.0.1"} {
		inv, err = inventory.Load([]string{list})
		require.NoError(t, err)
		c, err = connection(t, inv, host)
		require.NoError(t, err)
		require.Equal(t, "ssh", c.Kind, list)
	}

	// Not in any source: known, local, with the variables of all, but a member of nothing.
	inv = loadText(t, "hosts", "web\n[all:vars]\nx=1\nansible_connection=ssh\n")
	require.True(t, inv.Has("localhost"))
	require.False(t, inv.Has("other"))
	require.Nil(t, inv.Layers("other"))
	require.Equal(t, map[string]any{"x": int64(1), "ansible_connection": "local"}, inv.Vars("localhost").Any())
	require.Equal(t, []string{"web"}, inv.Hosts())
}

func TestPasswordsAreMasked(t *testing.T) {
	inv := loadText(t, "hosts", "h ansible_password=s3cret ansible_become_pass=s3cret ansible_ssh_pass=s3cret ansible_sudo_pass=s3cret\n[g]\nh\n[g:vars]\nansible_become_password=s3cret\n")
	for _, text := range []string{string(inv.ListJSON()), string(inv.HostJSON("h")), inv.HostOrigins("h"), inv.Graph("all", true)} {
		require.Contains(t, text, secret.Mask)
		require.NotContains(t, text, "s3cret")
	}
	c, err := connection(t, inv, "h")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), "s3cret")
}
