package inventory_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/inventories"
)

// A case of testdata/edit: NAME.yml or NAME.ini is the inventory, NAME.want
// beside it what it is when etcd-4 was moved from new_etcd to etcd, or what a
// person is told to do.
func TestMoveHost(t *testing.T) {
	paths, err := filepath.Glob("testdata/edit/*")
	require.NoError(t, err)
	for _, path := range paths {
		name := filepath.Base(path)
		if filepath.Ext(name) == ".want" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			got := move(t, name, string(data))
			golden(t, path+".want", got)
			crlf := strings.ReplaceAll(string(data), "\n", "\r\n")
			require.Equal(t, got, strings.ReplaceAll(move(t, name, crlf), "\r\n", "\n"), "the same with other line ends")
			open := move(t, name, strings.TrimSuffix(string(data), "\n"))
			require.Equal(t, strings.TrimSuffix(got, "\n"), strings.TrimSuffix(open, "\n"), "the same without a final line end")
		})
	}
}

func move(t *testing.T, name, text string) string {
	t.Helper()
	edits, err := inventory.MoveHost([]inventory.File{{Path: name, Text: text, Editable: true}}, "etcd-4", "new_etcd", "etcd")
	var hand *source.ByHand
	if errors.As(err, &hand) {
		require.NotEmpty(t, hand.Do)
		return "BY HAND: " + err.Error() + "\n"
	}
	require.NoError(t, err)
	require.Len(t, edits, 1)
	require.Equal(t, name, edits[0].Path)
	require.Equal(t, text, edits[0].Before)
	if strings.Contains(text, "\r\n") {
		require.NotRegexp(t, "[^\r]\n", edits[0].After)
	}
	again, err := inventory.MoveHost([]inventory.File{{Path: name, Text: edits[0].After, Editable: true}}, "etcd-4", "new_etcd", "etcd")
	require.NoError(t, err)
	require.Empty(t, again, "a move that is made is no edit")
	return edits[0].After
}

// The sample inventories, a new member in them.
func TestMoveInSamples(t *testing.T) {
	for _, c := range []struct{ name, old, entry string }{
		{"ocp3.yml", "afterwards\n", "    hosts:\n        etcd-4:   # rack 4\n          ansible_host: 192.0.2.4\n"},
		{"ocp3.ini", "[new_etcd]\n", "etcd-4 ansible_host=192.0.2.4 # rack 4\n"},
	} {
		data, err := inventories.FS.ReadFile(c.name)
		require.NoError(t, err)
		text := strings.ReplaceAll(string(data), "    new_etcd:      ", "    new_etcd:  ")
		i := strings.Index(text, "new_etcd]")
		if i < 0 {
			i = strings.Index(text, "    new_etcd:")
		}
		at := i + strings.Index(text[i:], "\n") + 1
		entry := strings.ReplaceAll(c.entry, "    hosts:", "      hosts:")
		after := move(t, c.name, text[:at]+entry+text[at:])
		require.NotContains(t, after, "BY HAND")
		golden(t, "testdata/edit/"+c.name+".sample.want", after)
	}
}

func TestEditSeveralFiles(t *testing.T) {
	file := func(path, text string) inventory.File {
		return inventory.File{Path: path, Text: text, Editable: true}
	}
	a := file("a.ini", "[etcd]\ne1\n")
	b := file("b.ini", "[new_etcd]\ne2 x=1\ne3\n[etcd:vars]\ny=1\n")
	edits, err := inventory.MoveHost([]inventory.File{a, b}, "e2", "new_etcd", "etcd")
	require.NoError(t, err)
	require.Equal(t, []inventory.Edit{{Path: "a.ini", Before: a.Text, After: "[etcd]\ne1\ne2 x=1\n"},
		{Path: "b.ini", Before: b.Text, After: "[new_etcd]\ne3\n[etcd:vars]\ny=1\n"}}, edits)

	a.Editable = false
	_, err = inventory.MoveHost([]inventory.File{a, b}, "e2", "new_etcd", "etcd")
	require.NoError(t, err, "a new section in the file that can be edited")
	b.Editable = false
	_, err = inventory.MoveHost([]inventory.File{a, b}, "e2", "new_etcd", "etcd")
	require.EqualError(t, err, "b.ini: this file cannot be edited; by hand: take e2 with its variables out of group new_etcd, and add it to group etcd")

	program := inventory.File{Path: "hosts.sh", Text: "#!/bin/sh\necho\n"}
	_, err = inventory.MoveHost([]inventory.File{file("a.ini", "[etcd]\ne1\n"), program}, "e2", "new_etcd", "etcd")
	require.EqualError(t, err, "no file of the inventory has e2 in group new_etcd; by hand: take e2 with its variables out of group new_etcd, and add it to group etcd")

	yml := file("c.yml", "all:\n  children:\n    new_etcd:\n      hosts:\n        e2:\n")
	_, err = inventory.MoveHost([]inventory.File{file("a.ini", "[etcd]\ne1\n"), yml}, "e2", "new_etcd", "etcd")
	require.ErrorContains(t, err, "no place was found for e2 in group etcd")
	_, err = inventory.MoveHost([]inventory.File{yml, yml}, "e2", "new_etcd", "etcd")
	require.ErrorContains(t, err, "the file is named twice")
}

func TestRemoveHost(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a.ini", "[etcd]\ne1\n# e2 is the oldest\ne2 x=1 # c\ne3\n", "[etcd]\ne1\ne3\n"},
		{"a.ini", "[etcd]\ne2\n\n[masters]\ne2 x=1\n", "[etcd]\n\n[masters]\ne2 x=1\n"},
		{"a.ini", "[masters]\ne2\n\n[etcd]\ne2 x=1 # c\n", "[masters]\ne2 x=1 # c\n\n[etcd]\n"},
		{"a.ini", "[masters]\ne2 x=1\n[etcd]\ne2 x=1\n", "[masters]\ne2 x=1\n[etcd]\n"},
		{"a.ini", "[masters]\ne2 y=1\n[etcd]\ne2 x=1\n", "BY HAND"},
		{"a.ini", "[masters]\ne[1:3]\n[etcd]\ne2 x=1\n", "BY HAND"},
		{"a.ini", "[etcd]\ne[1:3]\n", "BY HAND"},
		{"a.ini", "[etcd:children]\nmasters\n[masters]\ne2\n", "BY HAND"},
		{"a.ini", "[etcd]\ne2\n", "BY HAND"}, // nobody would be left
		{"a.yml", "etcd:\n  hosts:\n    e1:\n    e2:\n      x: 1\n      # y: 2\n    # e3:\nm:\n  hosts:\n    e2:\n    e1:\n",
			"etcd:\n  hosts:\n    e1:\n    # e3:\nm:\n  hosts:\n    e2:\n      x: 1\n      # y: 2\n    e1:\n"},
		{"a.yml", "etcd:\n  hosts:\n    e1:\n\n    e2: {x: 1}\n\n    e3:\n", "etcd:\n  hosts:\n    e1:\n\n    e3:\n"},
		{"a.yml", "etcd: {hosts: {e1: , e2: }}\n", "BY HAND"},
		{"a.yml", "etcd:\n  hosts: e2\nm:\n  hosts:\n    e1:\n", "BY HAND"},
	} {
		edits, err := inventory.RemoveHost([]inventory.File{{Path: c.name, Text: c.text, Editable: true}}, "e2", "etcd")
		if c.want == "BY HAND" {
			var hand *source.ByHand
			require.True(t, errors.As(err, &hand), "%s: %v %v", c.text, err, edits)
			continue
		}
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, edits[0].After)
	}
	edits, err := inventory.RemoveHost([]inventory.File{{Path: "a", Text: "[etcd]\ne1\n", Editable: true}}, "e2", "etcd")
	require.NoError(t, err)
	require.Empty(t, edits)
}

// Whatever the inventory, a move is whole or is not made, and one back is taken.
func FuzzMoveHost(f *testing.F) {
	paths, err := filepath.Glob("testdata/edit/*")
	require.NoError(f, err)
	for _, p := range paths {
		if data, err := os.ReadFile(p); err == nil && filepath.Ext(p) != ".want" {
			f.Add(string(data), filepath.Ext(p) == ".yml")
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, isYAML bool) {
		name := filepath.Join(dir, "h.ini")
		if isYAML {
			name = filepath.Join(dir, "h.yml")
		}
		edits, err := inventory.MoveHost([]inventory.File{{Path: name, Text: text, Editable: true}}, "etcd-4", "new_etcd", "etcd")
		if err != nil || len(edits) == 0 {
			require.Empty(t, edits)
		} else {
			require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
			before, err := inventory.Load([]string{name})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(name, []byte(edits[0].After), 0o600))
			after, err := inventory.Load([]string{name})
			require.NoError(t, err)
			require.ElementsMatch(t, before.Hosts(), after.Hosts())
			require.Contains(t, after.Members("etcd"), "etcd-4")
			require.Equal(t, before.Members("masters"), after.Members("masters"))
			for _, h := range before.Hosts()[:min(20, len(before.Hosts()))] {
				if h != "etcd-4" { // its group's variables are others now
					require.Equal(t, before.Vars(h).Any(), after.Vars(h).Any())
				}
			}
		}
		_, err = inventory.RemoveHost([]inventory.File{{Path: name, Text: text, Editable: true}}, "etcd-4", "new_etcd")
		if err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
