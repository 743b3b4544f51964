package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// varsDir holds what the group_vars and host_vars of one folder say.
type varsDir struct {
	groups map[string][]varsFile
	hosts  map[string][]varsFile
}

// varsFile is one file of variables; vars is never empty.
type varsFile struct {
	path string
	vars *strictyaml.Node
}

// varsDir reads the files for the groups and hosts of the inventory. Those
// for other names are left alone: a folder may serve several inventories.
func (b *builder) varsDir(dir string) varsDir {
	groups, hosts := make([]string, 0, len(b.inv.groups)), make([]string, 0, len(b.inv.hosts))
	for _, g := range b.inv.groupOrder {
		groups = append(groups, g.Name)
	}
	hosts = append(hosts, b.inv.members["all"]...)
	if b.inv.hosts["localhost"] == nil {
		hosts = append(hosts, "localhost")
	}
	return varsDir{
		groups: b.varsFiles(filepath.Join(dir, "group_vars"), groups, "group"),
		hosts:  b.varsFiles(filepath.Join(dir, "host_vars"), hosts, "host"),
	}
}

func varsExtensions() []string { return []string{"", ".yml", ".yaml", ".json"} }

func (b *builder) varsFiles(dir string, names []string, what string) map[string][]varsFile {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: dir}, Text: "cannot read this folder: " + source.Reason(err)})
		return nil
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Name()] = true
	}
	found := map[string][]varsFile{}
	for _, name := range names {
		var used string
		for _, ext := range varsExtensions() {
			if !there[name+ext] {
				continue
			}
			delete(there, name+ext)
			path := filepath.Join(dir, name+ext)
			if used != "" {
				b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: path},
					Text: fmt.Sprintf("this file would not be read, because %s exists", used), Hint: "put both into one"})
				continue
			}
			used = path
			found[name] = append(found[name], b.varsPath(path, name, what)...)
		}
	}
	b.strayVars(dir, there, names, what)
	return found
}

// strayVars warns of a file whose name is nearly that of a group or host.
func (b *builder) strayVars(dir string, there map[string]bool, names []string, what string) {
	if len(there) > 100 || len(names) > 2000 {
		return // comparing every name with every other would take too long
	}
	for file := range there {
		base := strings.TrimSuffix(file, filepath.Ext(file))
		if strings.HasPrefix(file, ".") || !slices.Contains(varsExtensions(), filepath.Ext(file)) || slices.Contains(names, base) {
			continue
		}
		if hint := source.DidYouMean(base, names); hint != "" {
			n := &strictyaml.Node{Pos: source.Pos{File: filepath.Join(dir, file)}}
			b.warn(n, fmt.Sprintf("%s is for no %s of this inventory", filepath.Join(dir, file), what), hint)
		}
	}
}

// varsPath reads one file, or every file of a folder in the order of names.
func (b *builder) varsPath(path, name, what string) []varsFile {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return b.varsFolder(path, name, what, 0)
	}
	data, _, ok := b.readFile(path)
	if !ok {
		return nil
	}
	if strings.HasPrefix(string(data), "$ANSIBLE_VAULT;") {
		b.mistakes.Add(vaultFile(source.Pos{File: path, Line: 1, Col: 1}))
		return nil
	}
	root, err := strictyaml.Parse(path, data)
	if err != nil {
		b.mistakes.AddErr(err)
		return nil
	}
	switch {
	case root.Kind == strictyaml.Null || root.Kind == strictyaml.Map && len(root.Pairs) == 0:
		return nil
	case root.Kind != strictyaml.Map:
		b.mistakes.Add(root.Mistake("a file of variables is a map", "write NAME: VALUE in each line"))
		return nil
	}
	for _, p := range root.Pairs {
		if p.Key == "ansible_group_priority" {
			b.mistakes.Add(p.KeyAt.Mistake("ansible_group_priority has no effect here", "set it in the inventory file, under the group's vars"))
		}
		b.checkVar(p, what+" "+name)
	}
	return []varsFile{{path: path, vars: root}}
}

func (b *builder) varsFolder(dir, name, what string, depth int) []varsFile {
	entries, err := os.ReadDir(dir)
	if err != nil || depth > 10 {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: dir}, Text: "cannot read this folder"})
		return nil
	}
	var out []varsFile
	for _, e := range entries {
		file, path, ext := e.Name(), filepath.Join(dir, e.Name()), filepath.Ext(e.Name())
		if strings.HasPrefix(file, ".") || strings.HasSuffix(file, "~") {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir() && ext == "":
			out = append(out, b.varsFolder(path, name, what, depth+1)...)
		case err == nil && !info.IsDir() && slices.Contains(varsExtensions(), ext):
			out = append(out, b.varsPath(path, name, what)...)
		}
	}
	return out
}
