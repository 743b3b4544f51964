package etcdmember

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdsave"
)

// SaveParams are the parameters of the backup that comes before a membership
// changes.
type SaveParams struct {
	Backup    bool   `yaml:"backup" default:"true" doc:"back the cluster up first, as etcd_backup does: the data of one member, the configuration of each, verified; if that fails nothing is changed. no: the membership changes without one"`
	BackupDir string `yaml:"backup_dir" default:"./backups" doc:"folder of the control machine for it, relative to the working folder; each member's set lies in HOST/TIME below it"`
}

// save are the parameters of etcd_backup for it.
func (p SaveParams) save() etcdsave.Params {
	const limit, lag = 15 * time.Minute, 1000
	return etcdsave.Params{BackupDir: p.BackupDir, Mode: etcdsave.Live, Timeout: strictyaml.Duration(limit), MaxLag: lag, Steady: true}
}

// Validate checks what the tags cannot say.
func (p *SaveParams) Validate() error {
	s := p.save()
	return s.Validate()
}

// Backup adds the stage that everything after it stands on: the cluster's data
// and its members' configuration, verified at home. It is one of the plan, and not
// a look for a set that is young enough: what the plan shows is what there will
// be, of the cluster as it is right before, and a failure ends the plan there.
func (k *Making) Backup(f *Findings, p SaveParams) {
	if !p.Backup {
		f.Warn("", "the membership changes without a backup (backup: no)", "")
		return
	}
	v := k.View
	in := task.ClusterInput[etcdsave.Params, etcdsave.State]{Now: v.Now}
	for i := range v.Hosts {
		h := &v.Hosts[i]
		if _, member := v.MemberOf(h); !member || h.Err != nil || h.State.Live.Status.ClusterID != v.Cluster {
			continue
		}
		x := task.HostInput[etcdsave.Params, etcdsave.State]{Groups: h.Groups, Made: h.Made}
		x.Host, x.Target, x.Params, x.Facts, x.Now = h.Name, h.Name, p.save(), h.Facts, v.Now
		x.State = etcdsave.State{Found: true, Instance: h.State.Instance, Live: h.State.Live, Store: h.State.Store}
		in.Hosts = append(in.Hosts, x)
	}
	plan := etcdsave.Plan(in)
	*f = append(*f, plan.Findings...)
	for _, s := range plan.Stages {
		s.Name = "backup"
		s.Does = "the configuration"
		if len(plan.Finally) > 0 { // where its data is staged
			s.Does = "the data of " + plan.Finally[0].Host + " and the configuration"
		}
		s.Does += fmt.Sprintf(" of %d, verified, to %s", len(in.Hosts), filepath.Clean(p.BackupDir))
		k.Stages = append(k.Stages, s)
	}
	k.Finally = append(k.Finally, plan.Finally...)
}

// SavedIn is what a result says of a backup set.
func SavedIn(path string) string {
	if path == "" {
		return ""
	}
	return ", backed up in " + path
}

// Saved is the folder of the backup set that was made of a host; "" where none was.
func Saved(out task.Outcome) string {
	for _, s := range out.Steps {
		if d, ok := s.Data.(change.SetResult); ok {
			return d.Path
		}
	}
	return ""
}
