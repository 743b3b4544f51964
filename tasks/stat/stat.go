// Package stat is the task that looks at one path of a host.
package stat

import (
	"context"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/hostfile"
)

// Params are the parameters of stat.
type Params struct {
	Path              string `yaml:"path" required:"true" alias:"dest,name" doc:"absolute path on the host"`
	Follow            bool   `yaml:"follow" default:"false" doc:"look at what a symlink points to"`
	GetChecksum       bool   `yaml:"get_checksum" default:"true" doc:"read the file and give its checksum"`
	ChecksumAlgorithm string `yaml:"checksum_algorithm" alias:"checksum,checksum_algo" default:"sha256" enum:"sha256" doc:"only sha256; Ansible's default is sha1"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error { return hostfile.Absolute("path", p.Path) }

// State is the file.
type State struct{ File reader.File }

// Result is what register sees.
type Result struct {
	Stat Stat `yaml:"stat" doc:"what is at the path; only exists when nothing is"`
}

// Stat has Ansible's keys. Those that make no sense for what is there are left out.
type Stat struct {
	Exists    bool     `yaml:"exists" doc:"whether anything is at the path"`
	Path      string   `yaml:"path,omitempty" doc:"the path"`
	Mode      string   `yaml:"mode,omitempty" doc:"permissions, as 0644"`
	IsDir     *bool    `yaml:"isdir,omitempty" doc:"a folder"`
	IsReg     *bool    `yaml:"isreg,omitempty" doc:"a regular file"`
	IsLnk     *bool    `yaml:"islnk,omitempty" doc:"a symlink"`
	IsFifo    *bool    `yaml:"isfifo,omitempty" doc:"a named pipe"`
	IsSock    *bool    `yaml:"issock,omitempty" doc:"a socket"`
	IsBlk     *bool    `yaml:"isblk,omitempty" doc:"a block device"`
	IsChr     *bool    `yaml:"ischr,omitempty" doc:"a character device"`
	UID       *int     `yaml:"uid,omitempty" doc:"number of the owner"`
	GID       *int     `yaml:"gid,omitempty" doc:"number of the group"`
	PwName    string   `yaml:"pw_name,omitempty" doc:"name of the owner, or the number where it has none"`
	GrName    string   `yaml:"gr_name,omitempty" doc:"name of the group, or the number where it has none"`
	Size      *int64   `yaml:"size,omitempty" doc:"bytes"`
	Blocks    *int64   `yaml:"blocks,omitempty" doc:"512-byte blocks in use"`
	Inode     *int64   `yaml:"inode,omitempty" doc:"number of the inode"`
	Dev       *int64   `yaml:"dev,omitempty" doc:"number of the device it lies on"`
	Nlink     *int     `yaml:"nlink,omitempty" doc:"hard links to the inode"`
	Mtime     *float64 `yaml:"mtime,omitempty" doc:"last change of the content, seconds since 1970"`
	Ctime     *float64 `yaml:"ctime,omitempty" doc:"last change of the inode, seconds since 1970"`
	RUsr      *bool    `yaml:"rusr,omitempty" doc:"the owner may read"`
	WUsr      *bool    `yaml:"wusr,omitempty" doc:"the owner may write"`
	XUsr      *bool    `yaml:"xusr,omitempty" doc:"the owner may execute"`
	RGrp      *bool    `yaml:"rgrp,omitempty" doc:"the group may read"`
	WGrp      *bool    `yaml:"wgrp,omitempty" doc:"the group may write"`
	XGrp      *bool    `yaml:"xgrp,omitempty" doc:"the group may execute"`
	ROth      *bool    `yaml:"roth,omitempty" doc:"others may read"`
	WOth      *bool    `yaml:"woth,omitempty" doc:"others may write"`
	XOth      *bool    `yaml:"xoth,omitempty" doc:"others may execute"`
	IsUID     *bool    `yaml:"isuid,omitempty" doc:"has the setuid bit"`
	IsGID     *bool    `yaml:"isgid,omitempty" doc:"has the setgid bit"`
	LnkTarget string   `yaml:"lnk_target,omitempty" doc:"of a symlink: its target as stored"`
	LnkSource string   `yaml:"lnk_source,omitempty" doc:"of a symlink: its target as an absolute path"`
	Checksum  string   `yaml:"checksum,omitempty" doc:"sha256 of a regular file"`
}

// Define describes the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "stat",
		Doc:  "Looks at one path of a host.",
		Long: "Changes nothing. The keys are Ansible's; not given are atime, mimetype, charset, attributes and version. " +
			"The checksum is a sha256: compare it with sha256sum, not with Ansible's sha1.",
		Example: `- stat:
    path: /etc/origin/master/master-config.yaml
  register: config

- assert:
    that:
      - config.stat.exists
      - config.stat.mode == "0600"
`,
		Result: Result{},
	}, stater{})
}

type stater struct{}

func (stater) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	look := hostfile.Stat
	if p.Follow {
		look = hostfile.Follow
	}
	f, err := look(ctx, r, p.Path)
	if err != nil || !p.GetChecksum || f.Type != reader.Regular {
		return State{File: f}, err
	}
	hashed, err := r.Hash(ctx, f.Path)
	if err != nil {
		return State{}, err
	}
	return State{File: hashed[0]}, nil
}

func (stater) Plan(task.Input[Params, State]) (task.Plan, error) { return task.Plan{}, nil }

func (stater) Result(in task.Input[Params, State], _ task.Outcome) any {
	f := in.State.File
	if !f.Exists {
		return Result{}
	}
	bits := hostfile.Bits(f.Mode)
	is := func(t reader.FileType) *bool { return new(f.Type == t) }
	has := func(bit uint32) *bool { return new(bits&bit != 0) }
	s := Stat{
		Exists: true, Path: in.Params.Path, Mode: hostfile.Octal(f.Mode),
		IsDir: is(reader.Directory), IsReg: is(reader.Regular), IsLnk: is(reader.Symlink), IsFifo: is(reader.Fifo),
		IsSock: is(reader.Socket), IsBlk: is(reader.BlockDev), IsChr: is(reader.CharDev),
		UID: &f.UID, GID: &f.GID, PwName: f.Owner, GrName: f.Group,
		Size: &f.Size, Blocks: &f.Blocks, Inode: new(int64(f.Inode)), Dev: new(int64(f.Dev)), Nlink: &f.Links,
		Mtime: seconds(f.Mtime), Ctime: seconds(f.Ctime),
		RUsr: has(0o400), WUsr: has(0o200), XUsr: has(0o100), RGrp: has(0o040), WGrp: has(0o020), XGrp: has(0o010),
		ROth: has(0o004), WOth: has(0o002), XOth: has(0o001), IsUID: has(0o4000), IsGID: has(0o2000),
		Checksum: f.SHA256,
	}
	if f.Type == reader.Symlink {
		s.LnkTarget, s.LnkSource = f.Target, hostfile.Target(f)
	}
	return Result{Stat: s}
}

func seconds(t time.Time) *float64 { return new(float64(t.UnixNano()) / 1e9) }
