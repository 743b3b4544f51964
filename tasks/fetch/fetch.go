// Package fetch is the task that brings a file of a host home.
package fetch

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of fetch.
type Params struct {
	Src           string         `yaml:"src" required:"true" doc:"absolute path of the file on the host; a symlink is followed"`
	Dest          task.LocalDest `yaml:"dest" required:"true" doc:"folder on the control machine; the file goes to dest/<inventory host>/<src>"`
	Flat          bool           `yaml:"flat" default:"false" doc:"dest is the file itself, or with a slash at its end the folder that it goes into"`
	FailOnMissing bool           `yaml:"fail_on_missing" default:"true" doc:"false: go on when the host does not have the file"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if strings.HasSuffix(p.Src, "/") {
		return fmt.Errorf(`"src" must be a file, got the folder %q; host_backup takes folders`, p.Src)
	}
	return hostfile.Absolute("src", p.Src)
}

// LocalName is where the file of one host goes. It is made of the request
// alone; ".." in src or in a host's name cannot lead out of dest.
func (p Params) LocalName(host string) string {
	src := path.Clean("/" + p.Src)
	switch {
	case p.Flat && strings.HasSuffix(p.Dest.Name, "/"):
		return p.Dest.Name + path.Base(src)
	case p.Flat:
		return p.Dest.Name
	}
	return strings.TrimRight(p.Dest.Name, "/") + "/" + safeName(host) + src
}

func safeName(host string) string {
	host = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, host)
	if strings.Trim(host, ".") == "" {
		return "_" + host
	}
	return host
}

// State is the file on the host, after symlinks.
type State struct{ File reader.File }

// Result is what register sees.
type Result struct {
	Dest     string `yaml:"dest" doc:"where the file lies on the control machine"`
	Src      string `yaml:"src" doc:"the path on the host"`
	Checksum string `yaml:"checksum,omitempty" doc:"sha256 of the file (Ansible gives a sha1)"`
	Size     int64  `yaml:"size" doc:"bytes"`
	Exists   bool   `yaml:"exists" doc:"whether the host has the file"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "fetch",
		Doc:  "Brings a file of a host to the control machine.",
		Long: "The local file is written in one step, readable by you alone (0600), after its sha256 was compared with the one on the host. " +
			"A file that is here already with the same sha256 is left alone. The local path comes from the playbook and the inventory, never from the host. " +
			"With flat and several hosts, the last one wins: use a name with {{ inventory_hostname }}.",
		Example: `- name: Keep the list of certificates of each host
  fetch:
    src: /etc/etcd/ca/index.txt
    dest: fetched
    fail_on_missing: false
`,
		MaxRisk: func(Params) change.Risk { return (&change.Transfer{ToLocal: "/"}).Risk() },
		Result:  Result{},
	}, fetcher{})
}

type fetcher struct{}

func (fetcher) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	f, err := hostfile.Follow(ctx, r, hostfile.Clean(p.Src))
	if err != nil || f.Type != reader.Regular {
		return State{File: f}, err
	}
	hashed, err := r.Hash(ctx, f.Path)
	if err != nil {
		return State{}, err
	}
	return State{File: hashed[0]}, nil
}

func (fetcher) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, f := in.Params, in.State.File
	switch {
	case !f.Exists && p.FailOnMissing:
		return task.Plan{}, &task.MissingError{What: "file", Name: f.Path, Hint: "fail_on_missing: false goes on without it"}
	case !f.Exists:
		return task.Plan{}, nil
	case f.Type != reader.Regular:
		return task.Plan{}, fmt.Errorf("%s is %s; only files are fetched", f.Path, hostfile.TypeName(f.Type))
	case p.Dest.IsDir:
		return task.Plan{}, fmt.Errorf("%s is a folder here; end dest with a slash to put the file into it", p.Dest.Path)
	case p.Dest.Exists && p.Dest.SHA256 == f.SHA256:
		return task.Plan{}, nil
	}
	return task.Do(&change.Transfer{FromFile: &f, ToLocal: p.Dest.Path}), nil
}

func (fetcher) Result(in task.Input[Params, State], _ task.Outcome) any {
	f := in.State.File
	return Result{Dest: in.Params.Dest.Path, Src: in.Params.Src, Checksum: f.SHA256, Size: f.Size, Exists: f.Exists}
}
