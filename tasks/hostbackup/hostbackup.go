// Package hostbackup is the task that brings a host's configuration home.
package hostbackup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// Params are the parameters of host_backup.
type Params struct {
	Roles      []string        `yaml:"roles" enum:"master,masters,new_masters,node,nodes,new_nodes,etcd,new_etcd,lb" doc:"what the host is: each role has its list of files; groups' names are taken too"`
	Paths      []string        `yaml:"paths" doc:"further files, folders and globs of the host; one that is not there makes the backup partial"`
	Exclude    []string        `yaml:"exclude" doc:"globs that are left out, with all below them; one without a slash matches a name at any depth"`
	Root       string          `yaml:"root" doc:"the folder of the host that stands for /: a tree mounted elsewhere, by a rescue system or for a chroot"`
	BackupDir  string          `yaml:"backup_dir" default:"./backups" doc:"folder of the control machine, relative to the working folder; the set lies in HOST/TIME below it"`
	KeepOnHost bool            `yaml:"keep_on_host" default:"false" doc:"also leave a copy on the host, in keep_dir/HOSTNAME/DATE, 0700"`
	KeepDir    string          `yaml:"keep_dir" default:"/backup" doc:"where keep_on_host leaves the copy"`
	MaxFile    strictyaml.Size `yaml:"max_file" default:"4GiB" doc:"larger files are not taken and make the backup partial; 0 is no limit"`
	MaxTotal   strictyaml.Size `yaml:"max_total" default:"100GiB" doc:"more than this is refused; 0 is no limit"`
	Packages   bool            `yaml:"packages" default:"true" doc:"also packages.txt, the installed packages, and trust.txt, the trusted certificates"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	if len(p.Roles) == 0 && len(p.Paths) == 0 {
		return errors.New(`nothing to back up: give "roles" or "paths"`)
	}
	for _, x := range p.Paths {
		if !path.IsAbs(x) {
			return fmt.Errorf("paths: %q is not absolute", x)
		}
	}
	for _, x := range p.Exclude {
		if _, err := path.Match(x, "x"); err != nil {
			return fmt.Errorf("exclude: %q is not a glob", x)
		}
	}
	if p.Root != "" && !path.IsAbs(p.Root) {
		return fmt.Errorf("root: %q is not absolute", p.Root)
	}
	if !path.IsAbs(p.KeepDir) || path.Clean(p.KeepDir) == "/" {
		return fmt.Errorf("keep_dir: %q is no absolute path of a folder", p.KeepDir)
	}
	if p.BackupDir == "" || strings.HasPrefix(p.BackupDir, "~") {
		return fmt.Errorf("backup_dir: %q; write the whole path, ~ means nothing here", p.BackupDir)
	}
	return nil
}

func (p Params) tree() change.Tree {
	t := change.Tree{
		Root: p.Root, Items: declared(p.Roles), Exclude: append([]string{excluded}, p.Exclude...),
		MaxFile: int64(p.MaxFile), MaxTotal: int64(p.MaxTotal), Packages: p.Packages, Trust: p.Packages,
	}
	for _, x := range p.Paths {
		t.Items = append(t.Items, change.TreeItem{Path: x, Why: "paths"})
	}
	return t
}

// State is what a backup would take now.
type State struct {
	Items  int   `plan:"volatile"`
	Bytes  int64 `plan:"volatile"`
	Absent []string
	Missed []change.Missed
}

// Result is what register sees.
type Result struct {
	Msg      string   `yaml:"msg" doc:"one line: items, bytes, what is absent"`
	Path     string   `yaml:"path" doc:"folder of the set on the control machine"`
	Items    int      `yaml:"items" doc:"entries in the set"`
	Bytes    int64    `yaml:"bytes" doc:"size of the files in it, not compressed"`
	Absent   []string `yaml:"absent" doc:"listed items that the host does not have"`
	Gone     []string `yaml:"gone" doc:"files that were removed while the backup was made"`
	Missed   []Missed `yaml:"missed" doc:"what is not in the set"`
	Partial  bool     `yaml:"partial" doc:"whether something was missed"`
	Verified bool     `yaml:"verified" doc:"whether every file in the set equals the host's by sha256"`
	Kept     string   `yaml:"kept,omitempty" doc:"folder of the copy on the host, with keep_on_host"`
}

// Missed is one item that is not in the set.
type Missed struct {
	Path string `yaml:"path" doc:"the item"`
	Why  string `yaml:"why" doc:"the reason"`
}

// Define is the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "host_backup",
		Doc:  "Brings a host's configuration home: a verified tar.gz with a manifest.",
		Long: `Each role has a list of files, from the OpenShift 3.10 Day 2 Operations Guide and our own; what the host does not have is listed as absent.
The set holds files.tar.gz (owners, modes, times, links, extended attributes, ACLs and SELinux labels kept), packages.txt, trust.txt where the host has the tool, SHA256SUMS and manifest.json. It appears in backup_dir when it is whole.
Every file's sha256 in the archive is compared with one that the host computes from the file itself, and size, times and inode before and after tell a file that changed while it was read: that is tried three times. What could not be read is reported, the set is marked partial and the exit code is 3.
Sockets, fifos and devices are listed in the manifest and never opened. Symlinks are not followed, except where a listed item itself, or a folder above it, is one.
The host needs GNU tar, findutils and coreutils; its disk is not used, unless keep_on_host is asked for.
To restore: tar -xpzf files.tar.gz --xattrs --xattrs-include='*' --acls --selinux -C /somewhere`,
		Example: `- name: Back up a master
  host_backup:
    roles: [master, node]
    paths: [/etc/ssh/sshd_config]
    exclude: ["*.rpmnew"]
    backup_dir: /srv/backups
`,
		Kind:   func(Params) task.Kind { return task.Action },
		Facts:  true,
		Result: Result{},
	}, hostBackup{})
}

type hostBackup struct{}

// Check lists what there is to take.
func (hostBackup) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	list, err := change.ListTree(ctx, r, p.tree())
	if err != nil {
		return State{}, err
	}
	return State{Items: len(list.Files) + len(list.Special), Bytes: list.Bytes, Absent: list.Absent, Missed: list.Missed}, nil
}

// Plan is one transfer, or two.
func (hostBackup) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p := in.Params
	if in.State.Items == 0 && len(in.State.Missed) == 0 {
		return task.Plan{}, fmt.Errorf("the host has none of the %d listed items", len(p.tree().Items))
	}
	tree := p.tree()
	note := summary(in.State.Items, len(in.State.Missed), in.State.Bytes, len(in.State.Absent))
	changes := []change.Change{&change.Transfer{
		FromTree: &tree, Note: note,
		ToSet: &change.SetTarget{Dir: p.BackupDir, Host: in.Target, Kind: "host_backup", Facts: about(in)},
	}}
	if p.KeepOnHost {
		changes = append(changes, &change.Transfer{FromTree: &tree, Note: note, ToDir: keepDir(in)})
	}
	return task.Do(changes...), nil
}

func about(in task.Input[Params, State]) map[string]string {
	out := map[string]string{}
	for k, v := range map[string]string{
		"hostname": in.Facts.Hostname, "fqdn": in.Facts.FQDN, "os": in.Facts.OS.Name, "kernel": in.Facts.Kernel,
		"arch": in.Facts.Arch, "selinux": in.Facts.SELinux, "root": in.Params.Root, "roles": strings.Join(roles(in.Params.Roles), ","),
	} {
		if v != "" {
			out[k] = v
		}
	}
	return out
}

func roles(words []string) []string {
	var out []string
	for _, w := range words {
		if r := role(w); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// keepDir is the guide's /backup/$(hostname)/$(date +%Y%m%d).
func keepDir(in task.Input[Params, State]) string {
	name := in.Facts.Hostname
	if name == "" {
		name = in.Target
	}
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if strings.Trim(name, ".") == "" {
		name = "host"
	}
	return path.Join(in.Params.KeepDir, name, in.Now.UTC().Format("20060102"))
}

// Result tells what is in the set.
func (hostBackup) Result(in task.Input[Params, State], out task.Outcome) any {
	r := Result{Absent: []string{}, Gone: []string{}, Missed: []Missed{}}
	for _, s := range out.Steps {
		switch d := s.Data.(type) {
		case change.SetResult:
			m := d.Manifest
			r.Path, r.Items, r.Verified = d.Path, len(m.Items), true
			r.Absent, r.Gone = append(r.Absent, m.Absent...), append(r.Gone, m.Gone...)
			for _, i := range m.Items {
				if i.Type == "f" {
					r.Bytes += i.Size
				}
			}
		case change.CopyResult:
			r.Kept = d.Path
		}
		for _, m := range s.Missed {
			if !slices.Contains(r.Missed, Missed(m)) {
				r.Missed = append(r.Missed, Missed(m))
			}
		}
	}
	r.Partial = len(r.Missed) > 0
	if r.Path == "" { // a plan, or a failure
		r.Msg = summary(in.State.Items, len(in.State.Missed), in.State.Bytes, len(in.State.Absent))
		return r
	}
	r.Msg = summary(r.Items, len(r.Missed), r.Bytes, len(r.Absent)) + "  verified  " + r.Path
	return r
}

// summary is "412 items  3.1 MiB  2 absent".
func summary(items, missed int, bytes int64, absent int) string {
	s := fmt.Sprintf("%d items", items)
	if missed > 0 {
		s = fmt.Sprintf("%d of %d items", items, items+missed)
	}
	s += "  " + size(bytes)
	if absent > 0 {
		s += fmt.Sprintf("  %d absent", absent)
	}
	return s
}

func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1023.95 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[unit])
}

// Verify reads the set again from the disk: sums, archive, manifest.
func (hostBackup) Verify(ctx context.Context, _ task.Reader, in task.Input[Params, State], out task.Outcome) ([]task.Finding, error) {
	var found []task.Finding
	for _, s := range out.Steps {
		d, ok := s.Data.(change.SetResult)
		if !ok {
			continue
		}
		m, err := store.Verify(ctx, d.Path)
		var damaged *store.DamagedError
		switch {
		case errors.As(err, &damaged):
			found = append(found, task.Finding{Host: in.Target, Status: task.Fail, Text: d.Path + ": " + damaged.Error(), Hint: "the disk of the control machine may be failing; do not rely on this set"})
		case err != nil:
			return found, err
		case len(m.Items) != len(d.Manifest.Items):
			found = append(found, task.Finding{Host: in.Target, Status: task.Fail, Text: fmt.Sprintf("%s has %d items, want %d", d.Path, len(m.Items), len(d.Manifest.Items))})
		}
	}
	return found, nil
}
