package tasktest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/task"
)

// Hinted tells that every finding that fails says what to do about it.
func Hinted(t *testing.T, p task.Plan) {
	t.Helper()
	for _, f := range p.Findings {
		if f.Status == task.Fail {
			require.NotEmpty(t, f.Hint, f.Text)
		}
	}
}
