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
		o := d.run("plan", b)
		// A finding of ntp or entropy is what a plan is for; this machine's clock is not the test's.
		require.Contains(t, []int{0, 2}, o.code, "%s: %s", b, o)
		for _, h := range l.Hosts() {
			require.Contains(t, o.recap(h.Name), "unreachable=0", "%s: %s", b, o)
		}
	}
	same(t, before, listings(t, l.Hosts()))
	left, err := filepath.Glob(filepath.Join(d.dir, "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{mend, d.home}, left)
}
