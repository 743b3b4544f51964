// Package tasks is the closed list of tasks.
package tasks

import (
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/hostbackup"
	"github.com/dayops/dayops/tasks/ping"
)

// All is every task that playbooks can name.
func All() *task.Registry {
	return task.NewRegistry(
		hostbackup.Define(),
		ping.Definition(),
	)
}
