package change

import (
	"testing"

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
