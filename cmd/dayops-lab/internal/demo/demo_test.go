package demo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

func TestDemoHosts(t *testing.T) {
	t.Parallel()
	if _, err := findSSHD(); err != nil {
		t.Skip("needs sshd")
	}
	for _, name := range []string{"demo", "de mo"} {
		dir := filepath.Join(t.TempDir(), name)
		for range 2 { // the second over the first
			said, err := Make(t.Context(), Options{Dir: dir, Count: 3, Now: time.Now()})
			require.NoError(t, err)
			if os.Geteuid() != 0 && strings.Contains(said, "account is locked") {
				t.Skip("needs an account that sshd serves")
			}
			require.Contains(t, said, "Reached over SSH", said)
		}
		for name, c := range labtest.Connections(t, filepath.Join(dir, "inventory.yml")) {
			require.Equal(t, "ssh", c.Kind)
			require.DirExists(t, filepath.Join(dir, name, "root"))
			out, err := labtest.Dial(t, c).Run(t.Context(), conn.Cmd{Argv: []string{"/bin/sh", "-c", "echo $HOME"}})
			require.NoError(t, err)
			require.Equal(t, filepath.Join(dir, name, "home")+"\n", out.Stdout.String())
		}
	}
}

func TestFallsBackToLocal(t *testing.T) {
	t.Parallel()
	m, err := prepare(Options{Dir: filepath.Join(t.TempDir(), "d"), Count: 1})
	require.NoError(t, err)
	m.local = errors.New("sshd is not installed")
	require.NoError(t, m.writeInventory())
	require.Contains(t, m.report(), "Falling back to the local connection: sshd is not installed")
	require.Equal(t, "local", labtest.Connections(t, filepath.Join(m.dir, "inventory.yml"))["demo-0"].Kind)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600))
	_, err := Make(t.Context(), Options{Dir: dir, Count: 1})
	require.ErrorContains(t, err, "not a demo's folder")
	require.FileExists(t, filepath.Join(dir, "mine"))
	_, err = Make(t.Context(), Options{Dir: filepath.Join(dir, "a'b"), Count: 1})
	require.ErrorContains(t, err, "no quote")
	_, err = Make(t.Context(), Options{Dir: filepath.Join(dir, "x"), Count: 101})
	require.ErrorContains(t, err, "1 to 100")
}
