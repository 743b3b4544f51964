package tasks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks"
	"github.com/dayops/dayops/tasks/tasktest"
)

func TestEveryTaskIsDocumented(t *testing.T) {
	reg := tasks.All()
	for _, name := range reg.Names() {
		t.Run(name, func(t *testing.T) { tasktest.Documented(t, reg, reg.Get(name)) })
	}
}

// The list: a task that goes missing is noticed.
func TestList(t *testing.T) {
	reg := tasks.All()
	for _, name := range []string{
		"assert", "command", "copy", "debug", "fetch", "file", "lineinfile", "package",
		"ping", "service", "set_fact", "shell", "stat", "template", "wait_for",
	} {
		require.NotNil(t, reg.Get(name), name)
	}
}
