package change

import "github.com/dayops/dayops/engine/reader"

// Overlay is what one host would be like after the changes that a dry run
// planned for it and did not make. Read through it (see Over) a later step
// sees the file that an earlier one would write.
type Overlay struct {
	Files    map[string]OverlayFile
	Units    map[string]reader.Unit
	Packages map[string]*reader.Package // nil: would be removed. A version is not known beforehand
	// Opaque is set once a change was planned whose effects nobody knows
	// (an Exec without a probe, a package that may bring units and files):
	// what a later step does not find may be there by then.
	Opaque string // name of the step that made it so
}

// OverlayFile is a file as it would be.
type OverlayFile struct {
	File    reader.File
	Content []byte // of a small regular file; nil when not at hand
}
