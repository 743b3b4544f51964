// Package copy is the task that puts files of the control machine, or text of
// the playbook, on a host.
package copy

import (
	"fmt"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of copy.
type Params struct {
	Src            task.LocalFile  `yaml:"src" doc:"file or folder of the control machine, looked for in files/ beside the playbook, then beside it; a folder written with a slash at its end stands for what is in it"`
	Content        *string         `yaml:"content" doc:"text of the file, instead of src"`
	Dest           string          `yaml:"dest" required:"true" doc:"absolute path on the host; a folder there, or a slash at the end, means the file of that name inside it"`
	Mode           Mode            `yaml:"mode" doc:"permissions: \"0644\", u=rw,go=r, or preserve for those of src; an existing file keeps its own, a new one gets 0644"`
	DirectoryMode  strictyaml.Mode `yaml:"directory_mode" doc:"permissions of folders that are made new, 0755 when not given; existing ones are left alone"`
	hostfile.Owner `yaml:",inline"`
	Backup         bool `yaml:"backup" default:"false" doc:"keep the old file beside the new one, named by the time"`
	Force          bool `yaml:"force" default:"true" doc:"false: write only files that are not there yet"`
	Follow         bool `yaml:"follow" default:"false" doc:"write to what a symlink at dest points to, instead of replacing the symlink"`
}

// Mode is a file mode, or "preserve".
type Mode struct {
	Preserve bool
	Mode     strictyaml.Mode
}

// TypeName is the word in documentation.
func (Mode) TypeName() string { return strictyaml.Mode("").TypeName() }

// DecodeScalar takes what strictyaml.Mode takes, and "preserve".
func (m *Mode) DecodeScalar(n *strictyaml.Node) error {
	if n.Value == "preserve" {
		m.Preserve = true
		return nil
	}
	return m.Mode.DecodeScalar(n)
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	switch {
	case p.Src.Name == "" && p.Content == nil:
		return fmt.Errorf(`give "src" or "content"`)
	case p.Src.Name != "" && p.Content != nil:
		return fmt.Errorf(`"src" and "content" exclude each other`)
	case p.Content != nil && strings.HasSuffix(p.Dest, "/"):
		return fmt.Errorf(`"content" needs a "dest" that names a file, got the folder %q`, p.Dest)
	case p.Content != nil && p.Mode.Preserve:
		return fmt.Errorf(`"mode: preserve" needs "src"`)
	}
	return hostfile.Absolute("dest", p.Dest)
}

// Result is what register sees.
type Result struct {
	Dest     string `yaml:"dest" doc:"path that was written, or the folder"`
	Src      string `yaml:"src,omitempty" doc:"path on the control machine"`
	Checksum string `yaml:"checksum,omitempty" doc:"sha256 of the file (Ansible gives a sha1)"`
	Size     int64  `yaml:"size" doc:"bytes, of all files together"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "copy",
		Doc:  "Puts a file, a folder or a text on a host.",
		Long: "A file is written in one step: beside its place, synced, then renamed over it. " +
			"Its owner and permissions stay unless others are asked for. A symlink at dest is replaced by the file unless follow is true. " +
			"The folder that dest lies in must exist; the folders inside a copied folder are made. " +
			"Old text up to 1 MiB is read for the diff, larger files are compared by sha256. " +
			"Not in dayops: remote_src, validate, attributes, SELinux contexts (the policy's label is set).",
		Example: `- name: Install the message of the day
  copy:
    src: motd
    dest: /etc/motd
    mode: "0644"
    owner: root

- copy:
    content: |
      net.ipv4.ip_forward = 1
    dest: /etc/sysctl.d/90-forward.conf
`,
		MaxRisk: func(p Params) change.Risk { return (&change.Write{Path: p.Dest}).Risk() },
		Result:  Result{},
	}, copier{})
}

// base is the name that the file has inside a folder.
func (p *Params) base() string {
	if p.Content != nil {
		return ""
	}
	return path.Base(p.Src.Name)
}

// root is the folder on the host that a copied folder becomes.
func (p *Params) root() string {
	if strings.HasSuffix(p.Src.Name, "/") {
		return hostfile.Clean(p.Dest)
	}
	return hostfile.Clean(strings.TrimSuffix(p.Dest, "/") + "/" + path.Base(p.Src.Name))
}

// sources lists the files that go to the host.
func (p *Params) sources() []task.LocalFile {
	if !p.Src.IsDir {
		return []task.LocalFile{p.Src}
	}
	var out []task.LocalFile
	for _, f := range p.Src.Tree {
		if !f.IsDir {
			out = append(out, f)
		}
	}
	return out
}

// attrs is what is asked of one file.
func (p *Params) attrs(f task.LocalFile) hostfile.Attrs {
	a := hostfile.Attrs{Mode: p.Mode.Mode, Owner: p.Owner}
	if p.Mode.Preserve {
		a.Mode = strictyaml.Mode(hostfile.Octal(f.Mode))
	}
	return a
}
