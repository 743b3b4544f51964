package playbook

import "github.com/dayops/dayops/engine/strictyaml"

// VarsFile is one file of a play's vars_files.
type VarsFile struct {
	Path string
	Vars *strictyaml.Node // a Map
}
