package change

import (
	"archive/tar"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change/internal/tarstream"
	"github.com/dayops/dayops/engine/reader"
)

// verdict is what became of one unit.
type verdict struct {
	good bool
	left unit     // what of it is still there, as it is now
	gone []string // paths
	why  string   // it is not good
}

// judge compares three accounts of a unit: the listing before, the archived
// members, and what the host says afterwards. All must agree, in the content's
// hash above all; the time of change tells what touched a file in between.
func judge(u unit, root string, members map[string]tarstream.Member, after map[string]reader.File) verdict {
	v := verdict{good: true}
	for _, f := range u {
		a := after[f.Path]
		if !a.Exists {
			v.good = false
			v.gone = append(v.gone, f.Path)
			continue
		}
		v.left = append(v.left, a)
		m, ok := members[f.Path[len(root)+1:]]
		switch {
		case !ok:
			v.good, v.why = false, "tar left it out"
		case !same(f, m, a) || m.Type == tar.TypeLink && !linked(m, u, root, members, after):
			v.good, v.why = false, "changed while read"
		}
	}
	return v
}

func same(before reader.File, m tarstream.Member, after reader.File) bool {
	if before.Type != after.Type || before.Dev != after.Dev || before.Inode != after.Inode ||
		m.UID != after.UID || m.GID != after.GID {
		return false
	}
	octal, _ := strconv.ParseInt(reader.Octal(after.Mode), 8, 64)
	switch m.Type {
	case tar.TypeSymlink:
		return after.Type == reader.Symlink && m.Link == after.Target
	case tar.TypeDir:
		// Entries come and go in a folder; they are judged by themselves.
		return after.Type == reader.Directory && m.Mode == octal
	case tar.TypeReg:
		return after.Type == reader.Regular && m.Mode == octal && still(before, after) &&
			m.Size == after.Size && m.ModTime.Equal(after.Mtime) && m.SHA256 != "" && m.SHA256 == after.SHA256
	case tar.TypeLink:
		return after.Type == reader.Regular && still(before, after)
	}
	return false
}

func still(before, after reader.File) bool {
	return before.Size == after.Size && before.Mtime.Equal(after.Mtime) && before.Ctime.Equal(after.Ctime)
}

// linked: a hard link's bytes are those of an earlier member of its unit.
func linked(m tarstream.Member, u unit, root string, members map[string]tarstream.Member, after map[string]reader.File) bool {
	name := path.Clean(m.Link)
	if !slices.ContainsFunc(u, func(f reader.File) bool { return f.Path == root+"/"+name }) {
		return false
	}
	first, ok := members[name]
	me := after[root+"/"+m.Name]
	return ok && first.Type == tar.TypeReg && first.Start < m.Start && first.SHA256 == me.SHA256
}

func sortByStart(u unit, root string, members map[string]tarstream.Member) {
	slices.SortFunc(u, func(a, b reader.File) int {
		return int(members[a.Path[len(root)+1:]].Start - members[b.Path[len(root)+1:]].Start)
	})
}

// unreadable says why no further try will help; "" where one may.
func unreadable(left unit, root string, members map[string]tarstream.Member, complaints, refused map[string]string) string {
	for _, f := range left {
		if why := refused[f.Path]; why != "" {
			return why
		}
		name := f.Path[len(root)+1:]
		if _, ok := members[name]; !ok && complaints[name] != "" {
			return complaints[name]
		}
	}
	return ""
}

// parseComplaints reads tar's "tar: NAME: Warning: Cannot open: Permission denied".
func parseComplaints(stderr string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(stderr) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "tar: ")
		at := strings.LastIndex(line, ": Cannot ")
		if !ok || at < 0 {
			continue
		}
		name := strings.TrimSuffix(line[:at], ": Warning")
		why := line[strings.LastIndex(line, ": ")+2:]
		out[unescape(name)] = strings.ToLower(why[:min(1, len(why))]) + why[min(1, len(why)):]
	}
	return out
}

// unescape takes tar's way of printing a name back: \n, \t, \\, \303.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		if at := strings.IndexByte(`abfnrtv\?`, s[i]); at >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\\x7f"[at])
		} else {
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
