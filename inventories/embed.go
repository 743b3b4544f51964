// Package inventories holds the sample inventories that the binary carries:
// ocp3.yml and ocp3.ini, one and the same OpenShift 3 cluster in both formats,
// and small.yml, the least that works.
package inventories

import "embed"

// FS has the samples at its top level.
//
//go:embed *.yml *.ini
var FS embed.FS
