package change_test

import (
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
)

var _ task.Reader = (*change.OverlayReader)(nil)
