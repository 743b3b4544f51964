// Package reader reads a host and has no way to change it: files, listings,
// units, packages, and a fixed table of read-only probes.
package reader

import (
	"cmp"
	"io/fs"
	"time"
)

// File is one entry of a host's file system as lstat sees it. Exists false
// means that nothing is at Path; the other fields are then zero.
type File struct {
	Path   string
	Exists bool
	Type   FileType
	Mode   fs.FileMode // permission bits with setuid, setgid and sticky, no type bits
	UID    int
	GID    int
	Owner  string // name, or the number where there is none
	Group  string
	Size   int64 // bytes by stat; sparse files use fewer
	Blocks int64 // 512-byte blocks really used
	Mtime  time.Time
	Ctime  time.Time
	Dev    uint64
	Inode  uint64
	Links  int
	Target string // of a symlink, as stored
	SHA256 string // lower-case hex, where asked for and Type is Regular
	Label  string // SELinux label; "" where there is none
}

// FileType is find's %y: one letter.
type FileType string

const (
	Regular   FileType = "f"
	Directory FileType = "d"
	Symlink   FileType = "l"
	Fifo      FileType = "p"
	Socket    FileType = "s"
	BlockDev  FileType = "b"
	CharDev   FileType = "c"
)

// Unit is one systemd unit by `systemctl show`'s properties.
type Unit struct {
	Name          string // as asked for, with its suffix
	LoadState     string // loaded, not-found, masked, error
	ActiveState   string // active, inactive, failed, activating, ...
	SubState      string
	UnitFileState string // enabled, disabled, static, masked, indirect, "" when not found
	FragmentPath  string
	NeedReload    bool   // NeedDaemonReload
	ID            string `json:",omitempty"` // systemd's own name of it, where Name is an alias
}

// Key is the one name of a unit that has several.
func (u Unit) Key() string { return cmp.Or(u.ID, u.Name) }

// Exists tells whether systemd knows the unit.
func (u Unit) Exists() bool { return u.LoadState != "" && u.LoadState != "not-found" }

// Active tells whether the unit runs now.
func (u Unit) Active() bool { return u.ActiveState == "active" || u.ActiveState == "reloading" }

// Up tells whether anything of the unit may run: also one that has not come so
// far as to be active, for ever perhaps, and one that is restarted on failure.
func (u Unit) Up() bool {
	return u.ActiveState != "" && u.ActiveState != "inactive" && u.ActiveState != "failed"
}

// Enabled tells whether the unit starts at boot.
func (u Unit) Enabled() bool {
	return u.UnitFileState == "enabled" || u.UnitFileState == "enabled-runtime"
}

// Masked tells whether the unit cannot be started at all.
func (u Unit) Masked() bool {
	return u.LoadState == "masked" || u.UnitFileState == "masked" || u.UnitFileState == "masked-runtime"
}

// Package is one installed package.
type Package struct {
	Name    string
	Version string // epoch:version-release as the package manager prints it
	Arch    string
}
