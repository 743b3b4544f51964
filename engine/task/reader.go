package task

import "github.com/dayops/dayops/engine/change"

// Reader is all that a Check may do to a host: look.
type Reader = change.Looker
