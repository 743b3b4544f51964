package playbook_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/source"
)

var update = flag.Bool("update", false, "write the .golden files of testdata/bad anew")

// TestBadInput goes through testdata/bad. A case is a playbook CASE.yml, an
// inventory CASE.ini, or a folder CASE with play.yml, hosts.ini or hosts.yml,
// and what they name. CASE.golden holds what a person is told: place, line,
// caret, hint.
func TestBadInput(t *testing.T) {
	entries, err := os.ReadDir("testdata/bad")
	require.NoError(t, err)
	t.Chdir("testdata/bad")
	n := 0
	for _, e := range entries {
		name := e.Name()
		if filepath.Ext(name) == ".golden" {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			got := tell(t, name)
			golden := strings.TrimSuffix(name, filepath.Ext(name)) + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
			require.Regexp(t, regexp.MustCompile(`(?m)^[^ :]+:\d+:\d+: `), got, "no file:line:col")
		})
	}
	require.GreaterOrEqual(t, n, 40)
}

// tell gives all mistakes of a case, as dayops does before it connects.
func tell(t *testing.T, name string) string {
	play, hosts := "../ok/play.yml", "../ok/hosts.ini"
	info, err := os.Stat(name)
	require.NoError(t, err)
	switch {
	case info.IsDir():
		play, hosts = filepath.Join(name, "play.yml"), firstOf(filepath.Join(name, "hosts.ini"), filepath.Join(name, "hosts.yml"), hosts)
	case filepath.Ext(name) == ".ini" || strings.HasPrefix(name, "inventory-"):
		hosts = name
	default:
		play = name
	}
	var ms source.Mistakes
	inv, err := inventory.Load([]string{hosts})
	ms.AddErr(err)
	broken := err != nil
	src, err := playbook.Find(play, nil)
	require.NoError(t, err)
	pb, err := src.Load()
	ms.AddErr(err)
	if pb != nil {
		inv, err = inv.WithPlaybook(pb.Dir)
		ms.AddErr(err)
		_, err = playbook.Bind(pb, playbook.Env{Inventory: inv, Incomplete: broken || err != nil, Tasks: registry()})
		ms.AddErr(err)
	}
	l, ok := ms.Err().(source.List)
	require.True(t, ok, "no mistake was found")
	return l.Excerpts()
}

func firstOf(paths ...string) string {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return paths[len(paths)-1]
}
