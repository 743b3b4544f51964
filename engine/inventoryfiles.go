package engine

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// inventoryFiles are the sources of the inventory as they are now: a step may
// have changed them since they were loaded. One that is gone is left out.
func (r *run) inventoryFiles() []task.InventoryFile {
	var out []task.InventoryFile
	for _, s := range r.opt.Inventory.Sources() {
		f, err := inventoryFile(s.Path)
		if err != nil {
			continue
		}
		f.Editable = !s.Shared
		out = append(out, f)
	}
	return out
}

func inventoryFile(name string) (f task.InventoryFile, err error) {
	if name, err = filepath.Abs(name); err != nil {
		return f, err
	}
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return f, err
	}
	text, err := source.ReadFile(name, strictyaml.MaxBytes)
	if err != nil {
		return f, err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return f, err
	}
	f = task.InventoryFile{Path: name, Text: string(text), File: reader.File{
		Path: name, Exists: true, Type: reader.Regular, Mode: info.Mode() & reader.ModeOf(0o7777), UID: -1, GID: -1,
		Size: int64(len(text)), Mtime: info.ModTime().UTC(), SHA256: sumOf(text), Links: 1,
	}}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.File.UID, f.File.GID, f.File.Links = int(st.Uid), int(st.Gid), int(st.Nlink)
	}
	return f, nil
}
