package change

import (
	"context"
	"testing"

	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

// A package that a dry run would install makes only what packages bring unknown.
func TestPackagesBringFilesToTheirPlacesOnly(t *testing.T) {
	o := &Overlay{Step: "install"}
	Foresee(o, &Package{Manager: "apt", Install: []string{"chrony"}})
	r := Over(nil, o)
	require.ErrorContains(t, r.unknownPath("/etc/chrony/chrony.conf"), `install`)
	require.ErrorContains(t, r.unknownPath("/lib64/x"), `install`)
	require.NoError(t, r.unknownPath("/srv/app/conf"))
	require.NoError(t, r.unknownPath("/home/x"))
	require.ErrorContains(t, r.unknown("chrony.service"), `install`)
	Foresee(o, &Exec{Argv: []string{"make"}})
	require.ErrorContains(t, r.unknownPath("/srv/app/conf"), `install`)
}

// without is a host that has none of the packages.
type without struct{ Looker }

func (without) Packages(context.Context, ...string) ([]reader.Package, error) { return nil, nil }

// A package that was installed and removed in one run is taken back by putting
// it there and away again: the second is foreseen on what the first leaves.
func TestPackagePutBackIsForeseenWithItsVersion(t *testing.T) {
	for manager, name := range map[string]string{"apt": "lab-sample=1:1.0-2", "dnf": "lab-sample-1:1.0-2.noarch"} {
		o := &Overlay{}
		h := Host{Reader: Over(without{}, o)}
		again := &Package{Manager: manager, Back: true, Install: []string{name}}
		where, err := Observe(t.Context(), h, again)
		require.NoError(t, err)
		require.Equal(t, Before, where, manager)
		Foresee(o, again)
		where, err = Observe(t.Context(), h, &Package{Manager: manager, Back: true, Remove: []string{"lab-sample"}, Before: []reader.Package{{Name: "lab-sample", Version: "1:1.0-2", Arch: "noarch"}}})
		require.NoError(t, err)
		require.Equal(t, Before, where, manager)
		where, err = Observe(t.Context(), h, &Package{Manager: manager, Remove: []string{"lab-sample"}, Before: []reader.Package{{Name: "lab-sample", Version: "1:1.1-1", Arch: "noarch"}}})
		require.NoError(t, err)
		require.Equal(t, Neither, where, "another version is not ours")
	}
}
