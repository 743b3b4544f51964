package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// TestPlansChangeNothing plans every shipped playbook, and the mends that the
// shipped ones do not ask for: every host stays as it is, and so does this folder.
func TestPlansChangeNothing(t *testing.T) {
	t.Parallel()
	l := labtest.NeedAlone(t)
	d := newDesk(t, l.Inventory())
	mend := d.file("mend.yml", "- hosts: all\n  tasks:\n    - ntp: {fix: yes}\n    - entropy: {fix: yes}\n")
	books := []string{mend}
	for line := range strings.Lines(d.must(0, "playbooks").out) {
		books = append(books, "builtin:"+strings.Fields(line)[0])
	}
	require.GreaterOrEqual(t, len(books), 6)
	before := listings(t, l.Hosts())
	for _, b := range books {
		// For the playbooks that ask for one; without a host in new_etcd or a backup
		// they say so.
		o := d.run("plan", b, "-e", "member=master-2")
		// A finding of ntp or entropy is what a plan is for; this machine's clock is not the test's.
		require.Contains(t, []int{0, 2}, o.code, "%s: %s", b, o)
		seen := 0
		for _, h := range l.Hosts() {
			if recap := o.recap(h.Name); recap != "" { // it is in the play
				require.Contains(t, recap, "unreachable=0", "%s: %s", b, o)
				seen++
			}
		}
		require.GreaterOrEqual(t, seen, 3, "%s: %s", b, o)
	}
	same(t, before, listings(t, l.Hosts()))
	left, err := filepath.Glob(filepath.Join(d.dir, "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{mend, d.home}, left)
}
