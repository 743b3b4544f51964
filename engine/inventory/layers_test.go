package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func TestLayersFromLowToHigh(t *testing.T) {
	dir := tree(t, map[string]string{
		"inv/hosts":                 "[parent:children]\nb\na\n[a]\nh x=1\n[b]\nh\n[z]\nh\n[all:vars]\nx=1\n[parent:vars]\nx=1\n[a:vars]\nx=1\n[b:vars]\nx=1\n[z:vars]\nx=1\nansible_group_priority=0\n",
		"inv/group_vars/all.yml":    "x: 1",
		"inv/group_vars/a/2.yml":    "x: 1",
		"inv/group_vars/a/1":        "x: 1",
		"inv/group_vars/parent":     "x: 1",
		"inv/host_vars/h.yml":       "x: 1",
		"play/group_vars/all":       "x: 1",
		"play/group_vars/b.json":    `{"x": 1}`,
		"play/host_vars/h/main.yml": "x: 1",
	})
	inv, err := inventory.Load([]string{filepath.Join(dir, "inv/hosts")})
	require.NoError(t, err)
	with, err := inv.WithPlaybook(filepath.Join(dir, "play"))
	require.NoError(t, err)
	var got []string
	for _, l := range with.Layers("h") {
		got = append(got, l.Level.String()+" | "+strings.TrimPrefix(l.Name, dir+"/"))
	}
	require.Equal(t, []string{
		"inventory, group all | group all",
		"inventory, group | group z", // depth 1, priority 0
		"inventory, group | group parent",
		"inventory, group | group a",
		"inventory, group | group b",
		"inventory group_vars/all | inv/group_vars/all.yml",
		"playbook group_vars/all | play/group_vars/all",
		"inventory group_vars | inv/group_vars/parent",
		"inventory group_vars | inv/group_vars/a/1",
		"inventory group_vars | inv/group_vars/a/2.yml",
		"playbook group_vars | play/group_vars/b.json",
		"inventory, host | host h",
		"inventory host_vars | inv/host_vars/h.yml",
		"playbook host_vars | play/host_vars/h/main.yml",
	}, got)
	require.Len(t, inv.Layers("h"), 11, "the first inventory is unchanged")
	layer, v, ok := with.Origin("h", "x")
	require.True(t, ok)
	require.Equal(t, inventory.LevelHostFilePlay, layer.Level)
	require.Equal(t, filepath.Join(dir, "play/host_vars/h/main.yml")+":1:4", v.Pos.String())
}

func TestMagic(t *testing.T) {
	path := write(t, "hosts", "[b]\nweb1.example.com\n192.0.2.7\n[a:children]\nb\n")
	inv, err := inventory.Load([]string{path, "extra.example.com,"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"inventory_hostname": "web1.example.com", "inventory_hostname_short": "web1",
		"group_names": []any{"a", "b"}, "inventory_file": path, "inventory_dir": filepath.Dir(path)}, inv.Magic("web1.example.com"))
	require.Equal(t, "192.0.2.7", inv.Magic("192.0.2.7")["inventory_hostname_short"])
	require.Equal(t, map[string]any{"inventory_hostname": "extra.example.com", "inventory_hostname_short": "extra",
		"group_names": []any{"ungrouped"}}, inv.Magic("extra.example.com"))
	require.Equal(t, []string{}, inv.GroupMap()["new_etcd"])
	require.Equal(t, []string{"web1.example.com", "192.0.2.7"}, inv.GroupMap()["a"])
	require.Equal(t, []string{"all", "ungrouped", "b", "a", "masters", "nodes", "etcd", "new_etcd", "lb"}, inv.Groups())
}

func TestWarnings(t *testing.T) {
	dir := tree(t, map[string]string{
		"hosts":                   "[new-nodes]\nm1 ansible_hots=x db_pass=ab#cd a-b=1\n[m1]\nm1\n[m1:vars]\nv=root # the admin\n",
		"group_vars/new-node.yml": "x: 1", "group_vars/elsewhere.yml": "x: 1", "more.ini": "h\n",
	})
	inv, err := inventory.Load([]string{dir})
	require.NoError(t, err)
	var got []string
	for _, w := range inv.Warnings() {
		got = append(got, strings.ReplaceAll(w.Error(), dir+"/", ""))
	}
	require.Equal(t, []string{
		`hosts:1:2: group name "new-nodes" has characters that Ansible advises against (use letters, digits and _)`,
		`hosts:2:29: the # in "db_pass=ab#" begins a comment, as in Ansible (quote the value if # belongs to it)`,
		`hosts:2:4: variable "ansible_hots" of host m1 has no meaning to dayops (did you mean "ansible_host"?)`,
		`hosts:6:3: the text behind # belongs to the value of "v", as in Ansible (put the comment on a line of its own)`,
		`more.ini: more.ini is not read: Ansible skips .ini in a folder (name the file itself with -i, or take the extension away)`,
		`hosts:2:1: "m1" is the name of a host and of a group (a pattern with this name means the host)`,
		`group_vars/new-node.yml: group_vars/new-node.yml is for no group of this inventory (did you mean "new-nodes"?)`,
	}, got)
}

func TestSources(t *testing.T) {
	_, err := inventory.Load([]string{"web1"})
	require.EqualError(t, err, "web1: there is no such inventory (a list of hosts needs a comma: -i web1,)")
	_, err = inventory.Load([]string{"web1,we b,[1:2"})
	require.EqualError(t, err, "-i:1:8: a host name cannot have ' ' here\n-i:1:11: this [ is never closed (a range is written node[01:20])")
	_, err = inventory.Load([]string{","})
	require.EqualError(t, err, ",: the inventory has no hosts")
	_, err = inventory.Load([]string{write(t, "hosts", "[masters]\n")})
	require.ErrorContains(t, err, "the inventory has no hosts")
	_, err = inventory.Load([]string{"/dev/zero"})
	require.EqualError(t, err, "/dev/zero: this is not a regular file")
	inv, err := inventory.Load([]string{"n[1:2]:22,[::1]:23,fe80::2"})
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "n2", "::1", "fe80::2"}, inv.Hosts())
	_, v, _ := inv.Origin("n2", "ansible_port")
	require.Equal(t, int64(22), v.Value)

	// Windows line ends and a byte order mark are no part of a name.
	inv = loadText(t, "hosts", "\ufeff[g]\r\nh x=1\r\n\r\n[g:vars]\r\ny=2\r\n")
	require.Equal(t, map[string]any{"x": int64(1), "y": int64(2)}, inv.Vars("h").Any())
}

func TestLaterSourceWins(t *testing.T) {
	inv, err := inventory.Load([]string{write(t, "one", "h x=1 y=1\n"), write(t, "two", "h x=2\n")})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"x": int64(2), "y": int64(1)}, inv.Vars("h").Any())
}

func TestResolve(t *testing.T) {
	dir := tree(t, map[string]string{"inventory.yml": "", "a": ""})
	for _, c := range []struct {
		flag []string
		env  string
		cwd  string
		want []string
	}{
		{flag: []string{"x", "y"}, env: "z", cwd: dir, want: []string{"x", "y"}},
		{env: dir + "/a, other", cwd: dir, want: []string{dir + "/a", "other"}},
		{env: "web1,web2", cwd: dir, want: []string{"web1,web2"}},
		{env: "localhost,", cwd: dir, want: []string{"localhost,"}},
		{env: " ", cwd: dir, want: []string{dir + "/inventory.yml"}},
	} {
		got, err := inventory.Resolve(c.flag, c.env, c.cwd)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := inventory.Resolve(nil, "", "/nowhere")
	for _, choice := range []string{"-i FILE", "DAYOPS_INVENTORY", "inventory.yml", "localhost,"} {
		require.ErrorContains(t, err, choice)
	}
}
