// Package file is the task about what is at a path of a host: a file's owner
// and permissions, a folder, a link, or nothing.
package file

import (
	"errors"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of file.
type Params struct {
	Path             string `yaml:"path" required:"true" alias:"dest,name" doc:"absolute path on the host"`
	State            string `yaml:"state" enum:"file,directory,link,hard,touch,absent" doc:"file: only sets owner and permissions of what exists; directory: makes it and its parents; link, hard: a link to src; touch: makes an empty file, or sets its times to now; absent: moves it aside. Not given: what is there, or directory with recurse, else file"`
	Src              string `yaml:"src" doc:"what the link points to; a relative one starts at the link's folder (link only)"`
	hostfile.Attrs   `yaml:",inline"`
	Recurse          bool   `yaml:"recurse" default:"false" doc:"set owner and permissions of everything below the folder too; symlinks inside are left alone"`
	Force            bool   `yaml:"force" default:"false" doc:"make a link although src does not exist, or in the place of a file or an empty folder, which is moved aside"`
	Follow           bool   `yaml:"follow" default:"true" doc:"look at what a symlink at path points to; with state: link, owner and permissions are those of the target"`
	ModificationTime string `yaml:"modification_time" enum:"preserve,now" doc:"with state: touch; now when not given"`
	AccessTime       string `yaml:"access_time" enum:"preserve,now" doc:"with state: touch; must be as modification_time"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if err := hostfile.Absolute("path", p.Path); err != nil {
		return err
	}
	link := p.State == "link" || p.State == "hard"
	switch {
	case hostfile.Clean(p.Path) == "/" && (p.State == "absent" || p.Recurse):
		return errors.New("refusing to do this to the root folder")
	case p.Recurse && p.State != "" && p.State != "directory":
		return errors.New(`"recurse" needs "state: directory"`)
	case p.Recurse && !p.Set():
		return errors.New(`"recurse" needs "mode", "owner" or "group"`)
	case p.Src != "" && !link:
		return errors.New(`"src" needs "state: link" or "state: hard"`)
	case p.Src == "" && link:
		return errors.New(`"state: ` + p.State + `" needs "src"`)
	case p.State == "link" && !p.Follow && p.Set():
		return errors.New(`"owner", "group" and "mode" of a symlink itself are not managed; leave "follow" at true to set those of its target`)
	case p.times() && p.State != "touch":
		return errors.New(`"modification_time" and "access_time" need "state: touch"`)
	case p.times() && p.ModificationTime != p.AccessTime:
		return errors.New(`"modification_time" and "access_time" must be the same`)
	case p.State == "hard":
		return hostfile.Absolute("src", p.Src)
	}
	return nil
}

func (p *Params) times() bool { return p.ModificationTime != "" || p.AccessTime != "" }

// touches tells whether the times of an existing file are set.
func (p *Params) touches() bool { return p.State == "touch" && p.ModificationTime != "preserve" }

// Result is what register sees.
type Result struct {
	Path  string `yaml:"path" doc:"the path after symlinks were followed"`
	Dest  string `yaml:"dest" doc:"the same; Ansible gives it for links"`
	State string `yaml:"state" doc:"file, directory, link, hard or absent: what is there now"`
	Src   string `yaml:"src,omitempty" doc:"what a link points to"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "file",
		Doc:  "Sets owner and permissions, makes folders and links, moves things away.",
		Long: "Nothing is deleted: absent moves what is there aside on the host, and the run says where it lies. " +
			"Folders and files that are made new get 0755 and 0644 unless a mode is given; parents that are made on the way get the same. " +
			"A folder that exists keeps its owner and permissions unless others are asked for. " +
			"Without state, a path that does not exist is an error, as in Ansible.",
		Example: `- name: A private folder
  file:
    path: /var/lib/backup
    state: directory
    owner: root
    mode: "0700"

- file:
    path: /etc/localtime
    state: link
    src: ../usr/share/zoneinfo/UTC
    force: true

- file:
    path: /etc/cron.d/old-job
    state: absent
`,
		Kind: func(p Params) task.Kind {
			if p.touches() {
				return task.Action
			}
			return task.State
		},
		MaxRisk: maxRisk,
		Result:  Result{},
	}, filer{})
}

func maxRisk(p Params) change.Risk {
	if p.State == "absent" || p.Force {
		return (&change.Remove{Path: p.Path}).Risk()
	}
	return max((&change.Attrs{Path: p.Path, Recursive: p.Recurse}).Risk(), (&change.Dir{}).Risk(), (&change.Link{Path: p.Path}).Risk(), (&change.Write{Path: p.Path}).Risk())
}
