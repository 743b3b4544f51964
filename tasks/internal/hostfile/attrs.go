// Package hostfile is what the tasks about files of a host share: the
// parameters mode, owner and group, symlinks, and how a wanted file is compared
// with the one that is there.
package hostfile

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
)

// NewMode is what a new file gets when no mode is asked for, and NewDirMode a
// new folder. Ansible takes the account's umask; a fixed mode can be foreseen.
const (
	NewMode    = 0o644
	NewDirMode = 0o755
)

// Owner are the parameters owner and group.
type Owner struct {
	Owner string `yaml:"owner" doc:"account that owns it, name or number; left alone when not given"`
	Group string `yaml:"group" doc:"group of it, name or number; left alone when not given"`
}

// Attrs are the parameters mode, owner and group.
type Attrs struct {
	Mode  strictyaml.Mode `yaml:"mode" doc:"permissions: \"0644\" or u=rw,go=r; left alone when not given"`
	Owner `yaml:",inline"`
}

// Set tells whether any of them was given.
func (a Attrs) Set() bool { return a.Mode.Set() || a.Owner != (Owner{}) }

// For is what a asks of f: the mode worked out from what f has, where given.
func (a Attrs) For(f reader.File) change.Attr {
	at := change.Attr{Owner: a.Owner.Owner, Group: a.Group}
	if a.Mode.Set() {
		m := FileMode(a.Mode.Apply(Bits(f.Mode), f.Type == reader.Directory))
		at.Mode = &m
	}
	return at
}

// ForNew is what a asks of something that is made new with the permissions def.
func (a Attrs) ForNew(def uint32, dir bool) change.Attr {
	m := FileMode(a.Mode.Apply(def, dir))
	return change.Attr{Mode: &m, Owner: a.Owner.Owner, Group: a.Group}
}

// Differs tells whether f has not what at asks.
func Differs(f reader.File, at change.Attr) bool {
	return at.Mode != nil && Bits(*at.Mode) != Bits(f.Mode) && f.Type != reader.Symlink ||
		!sameID(at.Owner, f.Owner, f.UID) || !sameID(at.Group, f.Group, f.GID)
}

func sameID(want, name string, id int) bool {
	return want == "" || want == name || want == strconv.Itoa(id)
}

// Bits are the twelve permission bits as chmod counts them.
func Bits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// FileMode is the reverse of Bits.
func FileMode(bits uint32) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	if bits&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if bits&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if bits&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// Octal is the text of a mode: "0644".
func Octal(m fs.FileMode) string { return fmt.Sprintf("%04o", Bits(m)) }

// Absolute refuses a path of the host that does not start at the root.
func Absolute(param, p string) error {
	switch {
	case p == "":
		return fmt.Errorf("%q is empty", param)
	case strings.ContainsRune(p, 0):
		return fmt.Errorf("%q holds a NUL character", param)
	case strings.HasPrefix(p, "~"):
		return fmt.Errorf("%q starts with ~, which only a shell knows: write the whole path", param)
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("%q must be an absolute path, got %q", param, p)
	}
	return nil
}

// Clean tidies a path without changing its meaning: ".." behind a symlink is
// left for the host to resolve.
func Clean(p string) string {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return p
		}
	}
	return path.Clean(p)
}
