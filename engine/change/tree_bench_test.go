package change

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/reader"
)

const benchBytes = 64 << 20

// benchTree has 2000 small files that compress and 48 large ones that do not.
func benchTree(b *testing.B) string {
	root := b.TempDir()
	cmd := exec.Command("sh", "-ec", `mkdir -p etc/s etc/l; i=0
while [ $i -lt 2000 ]; do seq $i $((i+2000)) > etc/s/$i; i=$((i+1)); done
i=0; while [ $i -lt 48 ]; do head -c 1000000 /dev/urandom > etc/l/$i; i=$((i+1)); done`)
	cmd.Dir = root
	require.NoError(b, cmd.Run())
	return root
}

// BenchmarkTree is a verified backup over sshd; compare with BenchmarkPlainTar.
func BenchmarkTree(b *testing.B) {
	s := sshtest.Start(b, sshtest.Options{})
	root := benchTree(b)
	d := ssh.New(ssh.Options{Home: b.TempDir(), ConfigFile: s.ConfigFile, Agent: "none"})
	defer d.Close()
	c, err := d.Dial(b.Context(), s.Target("here"))
	require.NoError(b, err)
	defer c.Close()
	h := Host{Name: "here", Conn: c, Reader: reader.New(c, ""), Run: "r", Now: time.Now}
	b.SetBytes(benchBytes)
	for b.Loop() {
		_, err := transfer(Tree{Root: root, Items: []TreeItem{{Path: "/etc"}}}, b.TempDir()).applyTree(b.Context(), h)
		require.NoError(b, err)
	}
}

// BenchmarkPlainTar is `ssh HOST tar czf - > FILE`, which verifies nothing.
func BenchmarkPlainTar(b *testing.B) {
	s := sshtest.Start(b, sshtest.Options{})
	root := benchTree(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "x.tar.gz"))
		require.NoError(b, err)
		cmd := exec.Command("ssh", "-F", s.ConfigFile, "-i", s.KeyFile, "-p", strconv.Itoa(s.Port), s.User+"@"+s.Host, "tar -C "+root+" -czf - etc")
		cmd.Stdout = f
		require.NoError(b, cmd.Run())
		require.NoError(b, f.Close())
	}
}
