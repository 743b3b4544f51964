package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// describe says everything about a path but its name and contents.
func describe(t *testing.T, p string) string {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(p, &st))
	s := fmt.Sprintf("%04o %d:%d", st.Mode&0o7777, st.Uid, st.Gid)
	times := fmt.Sprintf(" %d %d.%09d", st.Size, st.Mtim.Sec, st.Mtim.Nsec)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR: // size and time of a folder are the file system's and its contents'
		return "folder " + s + attributes(t, p)
	case unix.S_IFLNK:
		target, err := os.Readlink(p)
		require.NoError(t, err)
		return "link " + s + times + " " + target
	case unix.S_IFREG:
		return "file " + s + times + attributes(t, p)
	}
	return "special " + s
}

// attributes are the extended ones, ACLs and labels among them, less overlayfs's own.
func attributes(t *testing.T, p string) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(p, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return ""
	}
	require.NoError(t, err)
	names := strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		n, err := unix.Lgetxattr(p, name, buf)
		require.NoError(t, err)
		fmt.Fprintf(&out, " %s=%q", name, buf[:n])
	}
	return out.String()
}
