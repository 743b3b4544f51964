package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
)

// The files *.list.json and *.graph.txt in testdata/ansible are what
// ansible-inventory (core 2.14) prints for the sources beside them.
func TestSameAsAnsible(t *testing.T) {
	const dir = "testdata/ansible"
	for _, c := range []struct {
		golden   string
		sources  []string
		playbook string
	}{
		{golden: "values.ini", sources: []string{"values.ini"}},
		{golden: "hosts.ini", sources: []string{"hosts.ini"}},
		{golden: "order.ini", sources: []string{"order.ini"}},
		{golden: "ose3", sources: []string{"ose3"}},
		{golden: "ocp311", sources: []string{"ocp311"}},
		{golden: "yaml-hosts.yml", sources: []string{"yaml/hosts.yml"}},
		{golden: "tree-hosts", sources: []string{"tree/hosts"}},
		{golden: "folder", sources: []string{"folder"}},
		{golden: "several", sources: []string{"tree/hosts", "folder", "m2,q1,q2:33,"}},
		{golden: "playbook", sources: []string{"tree/hosts"}, playbook: "pb"},
	} {
		t.Run(c.golden, func(t *testing.T) {
			var sources []string
			for _, s := range c.sources {
				if _, err := os.Stat(filepath.Join(dir, s)); err == nil {
					s = filepath.Join(dir, s)
				}
				sources = append(sources, s)
			}
			inv, err := inventory.Load(sources)
			require.NoError(t, err)
			if c.playbook != "" {
				inv, err = inv.WithPlaybook(filepath.Join(dir, c.playbook))
				require.NoError(t, err)
			}
			want, err := os.ReadFile(filepath.Join(dir, c.golden+".list.json"))
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(inv.ListJSON()))
			require.Equal(t, string(want), string(inv.ListJSON()), "same bytes as Ansible's own")
			if want, err := os.ReadFile(filepath.Join(dir, c.golden+".graph.txt")); err == nil {
				require.Equal(t, string(want), inv.Graph("all", false))
			}
		})
	}
}

// patterns.ose3.txt has a pattern and the hosts that `ansible --list-hosts`
// (core 2.14) gives for it, a tab between them.
func TestPatternsSameAsAnsible(t *testing.T) {
	inv, err := inventory.Load([]string{"testdata/ansible/ose3"})
	require.NoError(t, err)
	data, err := os.ReadFile("testdata/ansible/patterns.ose3.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		text, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		require.True(t, ok)
		t.Run(text, func(t *testing.T) {
			p, err := inventory.ParsePattern("PATTERN", text)
			require.NoError(t, err)
			hosts, unmatched := inv.Match(p)
			require.Empty(t, unmatched)
			require.Equal(t, strings.Fields(want), append([]string{}, hosts...))
		})
	}
}
