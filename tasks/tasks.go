// Package tasks is the closed list of tasks.
package tasks

import (
	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/assert"
	"github.com/dayops/dayops/tasks/command"
	"github.com/dayops/dayops/tasks/copy"
	"github.com/dayops/dayops/tasks/debug"
	"github.com/dayops/dayops/tasks/entropy"
	"github.com/dayops/dayops/tasks/etcdbackup"
	"github.com/dayops/dayops/tasks/etcdcerts"
	"github.com/dayops/dayops/tasks/etcddefrag"
	"github.com/dayops/dayops/tasks/etcdhealth"
	"github.com/dayops/dayops/tasks/etcdremove"
	"github.com/dayops/dayops/tasks/etcdreplace"
	"github.com/dayops/dayops/tasks/etcdrestart"
	"github.com/dayops/dayops/tasks/etcdrestore"
	"github.com/dayops/dayops/tasks/etcdscaleup"
	"github.com/dayops/dayops/tasks/fetch"
	"github.com/dayops/dayops/tasks/file"
	"github.com/dayops/dayops/tasks/hostbackup"
	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
	"github.com/dayops/dayops/tasks/internal/etcd/v2copy"
	"github.com/dayops/dayops/tasks/internal/etcdgate"
	"github.com/dayops/dayops/tasks/lineinfile"
	"github.com/dayops/dayops/tasks/ntp"
	"github.com/dayops/dayops/tasks/pause"
	"github.com/dayops/dayops/tasks/ping"
	"github.com/dayops/dayops/tasks/pkg"
	"github.com/dayops/dayops/tasks/reboot"
	"github.com/dayops/dayops/tasks/service"
	"github.com/dayops/dayops/tasks/setfact"
	"github.com/dayops/dayops/tasks/shell"
	"github.com/dayops/dayops/tasks/stat"
	"github.com/dayops/dayops/tasks/template"
	"github.com/dayops/dayops/tasks/waitfor"
)

// All is every task that playbooks can name, one per line.
func All() *task.Registry {
	return task.NewRegistry(
		assert.Define(),
		command.Define(),
		copy.Define(),
		debug.Define(),
		entropy.Define(),
		etcdbackup.Define(),
		etcdcerts.Define(),
		etcddefrag.Define(),
		etcdhealth.Define(),
		etcdremove.Define(),
		etcdreplace.Define(),
		etcdrestart.Define(),
		etcdscaleup.Define(),
		etcdrestore.Define(),
		fetch.Define(),
		file.Define(),
		hostbackup.Define(),
		lineinfile.Define(),
		ntp.Define(),
		pause.Define(),
		ping.Define(),
		pkg.Define(),
		reboot.Define(),
		service.Define(),
		setfact.Define(),
		shell.Define(),
		stat.Define(),
		template.Define(),
		waitfor.Define(),
	)
}

// Gates are asked before each change of a run that can disturb or lose
// something. loseQuorum are the hosts on which the command line says that a loss
// of the etcd quorum is meant.
func Gates(loseQuorum []string) []engine.Gate {
	return []engine.Gate{etcdgate.New(etcdgate.Options{LoseQuorum: loseQuorum})}
}

// Proofs judge what tasks bring home, by the names that their plans use.
func Proofs() map[string]change.Proof {
	return map[string]change.Proof{snapshot.ProofSaved: snapshot.Prove, snapshot.ProofCopied: snapshot.ProveCopied, v2copy.ProofCopy: v2copy.Prove}
}
