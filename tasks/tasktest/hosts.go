package tasktest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/reader"
)

// Host is what a case runs on.
type Host struct {
	Name   string
	Dir    string // sandbox, an absolute path on the host
	Local  string // folder of the control machine
	Conn   conn.Conn
	As     string // account that reads and changes; "" is the login account
	Files  bool   // Dir is a folder of this machine, so that it can be listed
	Reader *reader.Reader
}

// Local is this machine through the local connection.
func Local(t *testing.T) *Host {
	t.Helper()
	c, err := local.New(conn.Target{Name: "here", Kind: "local"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &Host{Name: "here", Dir: folder(t), Local: folder(t), Conn: c, Files: true}
}

// folder is a t.TempDir without the test's name in it: that may not stand in YAML.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tasktest")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func (h *Host) listing(t *testing.T) []string {
	if !h.Files {
		return nil
	}
	return append(List(t, h.Dir), List(t, h.Local)...)
}

// List is everything below dir: type, mode, owner, size, times, content,
// target. The times of folders count: making and removing a file shows.
func List(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line, err := entry(path, d)
		out = append(out, line)
		return err
	})
	require.NoError(t, err)
	return out
}

func entry(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	st := info.Sys().(*syscall.Stat_t)
	line := fmt.Sprintf("%s %s %d:%d %d %d.%d links=%d inode=%d", path, info.Mode(), st.Uid, st.Gid, info.Size(), st.Mtim.Sec, st.Mtim.Nsec, st.Nlink, st.Ino)
	switch {
	case info.Mode().IsRegular():
		b, err := os.ReadFile(path)
		return line + fmt.Sprintf(" %x", sha256.Sum256(b)), err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return line + " -> " + target, err
	}
	return line, nil
}

// Write makes a file of the sandbox or of the control machine, and its folder.
func Write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chmod(path, mode))
}

// Read is a file's text.
func Read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}
