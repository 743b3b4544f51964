package task

import "io/fs"

// MissingError says that the host lacks something that the step needs: a
// folder, a unit, an account. Check and Plan return it. In a dry run a step
// before this one that nobody can foresee may bring it, so the engine may
// answer "unknown" instead of "failed". It matches fs.ErrNotExist.
type MissingError struct {
	What string // "folder", "unit", "file"
	Name string
	Hint string // what to do about it; may be empty
}

func (e *MissingError) Error() string {
	s := "there is no " + e.What + " " + e.Name
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *MissingError) Unwrap() error { return fs.ErrNotExist }
