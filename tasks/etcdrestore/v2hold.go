package etcdrestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Hold are the files by which a unit is told to start its member otherwise than
// its settings say: a drop-in, and the settings that it names. Settings of a later
// file beat those of an earlier one, and both beat Environment=.
type Hold struct{ Dir, Drop, Env reader.File }

const (
	dropName = "zz-dayops-restore.conf" // read last
	envName  = "dayops-restore.env"
)

// findHold looks at a unit's; a static pod has none.
func findHold(ctx context.Context, r task.Reader, in etcd.Instance) (h Hold, err error) {
	if in.Runtime != etcd.UnitRuntime {
		return h, nil
	}
	dir := "/etc/systemd/system/" + in.Unit + ".d"
	files, err := r.Hash(ctx, dir, path.Join(dir, dropName), path.Join(dir, envName))
	if err != nil {
		return h, err
	}
	return Hold{still(files[0]), whole(files[1]), whole(files[2])}, nil
}

// whole keeps of a small file what a Write compares.
func whole(f reader.File) reader.File {
	out := still(f)
	out.Size, out.SHA256 = f.Size, f.SHA256
	return out
}

// on writes the files; the unit is to be stopped or started with daemon-reload next.
func (h Hold) on(why string, settings ...string) []change.Change {
	var out []change.Change
	if !h.Dir.Exists {
		mode := fs.FileMode(0o755)
		out = append(out, &change.Dir{Path: h.Dir.Path, Before: h.Dir, Attr: change.Attr{Mode: &mode}})
	}
	const note = "# Written by dayops etcd_restore, which removes it: "
	return append(out,
		text(h.Env, note+why+"\n"+strings.Join(settings, "\n")+"\n"),
		text(h.Drop, note+why+"\n[Service]\nEnvironmentFile=-"+h.Env.Path+"\n"))
}

// off removes them, whoever wrote what is there.
func (h Hold) off() []change.Change {
	var out []change.Change
	for _, f := range []reader.File{h.Drop, h.Env} {
		out = append(out, &change.Remove{Path: f.Path, Before: reader.File{Path: f.Path, Exists: true, Type: reader.Regular}, Force: true})
	}
	return out
}

func text(f reader.File, content string) *change.Write {
	mode := fs.FileMode(0o644)
	sum := sha256.Sum256([]byte(content))
	return &change.Write{Path: f.Path, Before: f, Attr: change.Attr{Mode: &mode, Owner: "root", Group: "root"}, Force: true,
		After: change.Content{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Bytes: []byte(content)}}
}

// reloading has the first change of a unit's state read its files anew.
func reloading(list []change.Change) []change.Change {
	for _, c := range list {
		if u, ok := c.(*change.Unit); ok {
			u.DaemonReload = true
			break
		}
	}
	return list
}
