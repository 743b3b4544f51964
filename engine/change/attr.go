package change

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Modes of what is made new where the change names none.
const (
	newFileMode = fs.FileMode(0o644)
	newDirMode  = fs.FileMode(0o755)
)

// holds tells whether f has the mode and the ownership of a.
func (a Attr) holds(f reader.File) bool {
	return (a.Mode == nil || *a.Mode == f.Mode) && sameAccount(a.Owner, f.Owner, f.UID) && sameAccount(a.Group, f.Group, f.GID)
}

// Holds tells whether f, which exists, already has the mode and the ownership
// that a asks for.
func (a Attr) Holds(f reader.File) bool { return f.Exists && a.holds(f) }

func sameAccount(want, name string, id int) bool {
	return want == "" || want == name || want == strconv.Itoa(id)
}

// octal is the mode for chmod: five digits, since with four GNU chmod keeps
// the setgid bit of a folder. "" leaves it.
func (a Attr) octal() string {
	if a.Mode == nil {
		return ""
	}
	return "0" + reader.Octal(*a.Mode)
}

// check refuses names that a program would read as something else, and modes
// that are not Go's (0o4755 is reader.ModeOf(0o4755)).
func (a Attr) check() error {
	if a.Mode != nil && *a.Mode&^(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
		return fmt.Errorf("%o is no mode", uint32(*a.Mode))
	}
	for _, n := range [...]string{a.Owner, a.Group} {
		if strings.HasPrefix(n, "-") || strings.ContainsFunc(n, func(r rune) bool { return r <= ' ' || r == ':' || r == 0x7f }) {
			return fmt.Errorf("%q is no name of an account", reader.Printable(n))
		}
	}
	return nil
}

// halfway is before with those attributes that now has as wanted already: an
// apply that was cut short may have set some of them. chown clears setuid and setgid.
func (a Attr) halfway(before, now reader.File) reader.File {
	if !before.Exists || !now.Exists {
		return before
	}
	chowned := false
	if a.Owner != "" && sameAccount(a.Owner, now.Owner, now.UID) {
		before.UID, before.Owner, chowned = now.UID, now.Owner, true
	}
	if a.Group != "" && sameAccount(a.Group, now.Group, now.GID) {
		before.GID, before.Group, chowned = now.GID, now.Group, true
	}
	cleared := before.Mode &^ (fs.ModeSetuid | fs.ModeSetgid)
	if a.Mode != nil && now.Mode == *a.Mode || chowned && now.Mode&^fs.ModeSetgid == cleared {
		before.Mode = now.Mode
	}
	return before
}

// foreseen is f with a's mode and ownership.
func (a Attr) foreseen(f reader.File) reader.File {
	if a.Mode != nil {
		f.Mode = *a.Mode
	}
	if a.Owner != "" {
		f.Owner, f.UID = foreseenAccount(a.Owner)
	}
	if a.Group != "" {
		f.Group, f.GID = foreseenAccount(a.Group)
	}
	return f
}

// foreseenAccount is the name and the number of an account; -1 where only the host knows it.
func foreseenAccount(want string) (string, int) {
	if want == "root" {
		return want, 0
	}
	if id, err := strconv.Atoi(want); err == nil {
		return want, id
	}
	return want, -1
}

// words says what a changes of before: "mode 0644 -> 0600, owner root -> etcd".
func (a Attr) words(before reader.File) string {
	var w []string
	add := func(what, was, is string) {
		switch {
		case was == is:
		case !before.Exists:
			w = append(w, what+" "+reader.Printable(is))
		default:
			w = append(w, fmt.Sprintf("%s %s -> %s", what, reader.Printable(was), reader.Printable(is)))
		}
	}
	if a.Mode != nil {
		was := ""
		if before.Exists {
			was = reader.Octal(before.Mode)
		}
		add("mode", was, reader.Octal(*a.Mode))
	}
	if a.Owner != "" && (!before.Exists || !sameAccount(a.Owner, before.Owner, before.UID)) {
		add("owner", before.Owner, a.Owner)
	}
	if a.Group != "" && (!before.Exists || !sameAccount(a.Group, before.Group, before.GID)) {
		add("group", before.Group, a.Group)
	}
	return strings.Join(w, ", ")
}

// attrText is a file's attributes as lines, for a diff.
func attrText(f reader.File) string {
	if !f.Exists {
		return ""
	}
	s := fmt.Sprintf("mode: %s\n", reader.Octal(f.Mode))
	if f.Owner != "" { // what is made takes them from the account
		s += "owner: " + reader.Printable(f.Owner) + "\n"
	}
	if f.Group != "" {
		s += "group: " + reader.Printable(f.Group) + "\n"
	}
	return s
}

// moved names the first thing in which now is not what was planned from.
func moved(path string, before, now reader.File) error {
	differs := func(what, planned, found string) error {
		return &MovedError{Path: path, What: what, Planned: planned, Found: found}
	}
	switch {
	case before.Exists != now.Exists:
		return differs("existence", presence(before), presence(now))
	case !before.Exists:
		return nil
	case before.Type != now.Type:
		return differs("type", presence(before), presence(now))
	case before.SHA256 != "" && now.SHA256 != "" && before.SHA256 != now.SHA256:
		return differs("content", "sha256 "+before.SHA256, "sha256 "+now.SHA256)
	case before.Type == reader.Regular && before.SHA256 == "" && (before.Size != now.Size || !before.Mtime.Equal(now.Mtime)):
		return differs("size or time", sizeTime(before), sizeTime(now))
	case before.Target != now.Target:
		return differs("target", before.Target, now.Target)
	case before.Mode != now.Mode:
		return differs("mode", reader.Octal(before.Mode), reader.Octal(now.Mode))
	case before.UID >= 0 && before.UID != now.UID, before.UID < 0 && !sameAccount(before.Owner, now.Owner, now.UID):
		return differs("owner", before.Owner, now.Owner)
	case before.GID >= 0 && before.GID != now.GID, before.GID < 0 && !sameAccount(before.Group, now.Group, now.GID):
		return differs("group", before.Group, now.Group)
	}
	return nil
}

func sizeTime(f reader.File) string {
	return fmt.Sprintf("%d bytes of %s", f.Size, f.Mtime.UTC().Format("2006-01-02T15:04:05.999999999Z"))
}

func presence(f reader.File) string {
	if !f.Exists {
		return "absent"
	}
	switch f.Type {
	case reader.Regular:
		return "a file"
	case reader.Directory:
		return "a folder"
	case reader.Symlink:
		return "a symlink"
	case reader.Fifo:
		return "a fifo"
	case reader.Socket:
		return "a socket"
	}
	return "a device"
}
