package etcdrestore

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// State is what one host says about its member, and what the control machine
// says about the snapshot: the same for every host.
type State struct {
	Found    bool
	Instance etcd.Instance
	Live     etcd.Live `plan:"volatile"`

	Certificates []etcdca.File // without which it does not start again

	Tool    Tool
	Places  Places
	Free    int64 `plan:"volatile"` // bytes where the data folder is, or will be; -1 where not known
	Control []Service
	Source  Source
	Others  []etcd.Status `plan:"volatile"` // members of the snapshot's cluster that answer elsewhere
	Fitted  Fitted        // of a set with v2 data: the database for this host's etcd
	Hold    Hold
}

// Places are the folders of a member as they are now.
type Places struct {
	Data, Member, WAL, WALParent reader.File
	Forced                       bool     // the member has begun as a cluster of one, from v2 data
	Restored                     []string // names of restores that are in place
	Aside                        []string // names of restores whose old data lie beside the member
}

// Check looks at one host.
func (t *restore) Check(ctx context.Context, r task.Reader, p Params) (s State, err error) {
	if s.Source, err = t.known.find(ctx, p); err != nil {
		return s, err
	}
	if s.Control, err = findControl(ctx, r); err != nil {
		return s, err
	}
	if s.Instance, s.Found, err = etcd.Find(ctx, r, p.Places); err != nil || !s.Found {
		return s, err
	}
	if s.Live, err = etcd.Look(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if s.Certificates, err = etcdca.ReadMember(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if s.Tool, err = awaitTool(ctx, r, s.Instance, containerLimit); err != nil {
		return s, err
	}
	if s.Live.Status == nil {
		if s.Tool.Etcd, err = programVersion(ctx, r, s.Instance); err != nil {
			return s, err
		}
	}
	if s.Places, err = findPlaces(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if s.Free, err = room(ctx, r, s.Instance.DataDir); err != nil {
		return s, err
	}
	if s.Others, err = others(ctx, r, s); err != nil || s.Source.V2 == nil {
		return s, err
	}
	if s.Hold, err = findHold(ctx, r, s.Instance); err != nil {
		return s, err
	}
	s.Fitted, err = t.known.fit(ctx, s.Source, s.bump(p))
	return s, err
}

// findTool asks the programs for their versions, wherever they are.
const (
	asideMark    = "before-restore-" // of the old data
	restoredMark = "restored-"       // a file in the new data
	countedMark  = "v2-counted-"     // another, of one whose v2 keys were compared with the backup
	forcedMark   = "forced-"         // another, of a member that has begun as a cluster of one
)

func findPlaces(ctx context.Context, r task.Reader, in etcd.Instance) (p Places, err error) {
	if !path.IsAbs(in.DataDir) {
		return p, nil // told by judge
	}
	wal := in.WALDir
	if !path.IsAbs(wal) {
		wal = "/"
	}
	files, err := r.Stat(ctx, in.DataDir, in.DataDir+"/member", wal, path.Dir(wal))
	if err != nil {
		return p, err
	}
	p.Data, p.Member = still(files[0]), still(files[1])
	if wal != "/" {
		p.WAL, p.WALParent = still(files[2]), still(files[3])
	}
	if p.Restored, err = names(ctx, r, in.DataDir+"/member", restoredMark); err != nil {
		return p, err
	}
	if p.Aside, err = names(ctx, r, in.DataDir, "member."+asideMark); err != nil {
		return p, err
	}
	forced, err := names(ctx, r, in.DataDir+"/member", forcedMark)
	p.Forced = len(forced) > 0
	return p, err
}

// still leaves out what changes while a member runs.
func still(f reader.File) reader.File {
	return reader.File{Path: f.Path, Exists: f.Exists, Type: f.Type, Mode: f.Mode, UID: f.UID, GID: f.GID, Owner: f.Owner, Group: f.Group, Dev: f.Dev, Target: f.Target, Label: f.Label}
}

// names lists what follows prefix in a folder.
func names(ctx context.Context, r task.Reader, dir, prefix string) ([]string, error) {
	files, err := r.List(ctx, reader.Literal(dir)+"/"+prefix+"*")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range files {
		if name, ok := strings.CutPrefix(f.Path, dir+"/"+prefix); ok && f.Exists && !strings.Contains(name, "/") {
			out = append(out, reader.Printable(name))
		}
	}
	slices.Sort(out)
	return out, nil
}

// room is what is free for the data folder; where that is missing, for its parent.
func room(ctx context.Context, r task.Reader, dir string) (int64, error) {
	for ; path.IsAbs(dir); dir = path.Dir(dir) {
		at, err := etcd.RoomOf(ctx, r, dir)
		if err != nil || at.Free >= 0 || dir == "/" {
			return at.Free, err
		}
	}
	return -1, nil
}

// others asks the members of the snapshot's cluster where they were when it was made.
func others(ctx context.Context, r task.Reader, s State) ([]etcd.Status, error) {
	var ask []string
	for _, m := range s.Source.Members {
		if slices.ContainsFunc(etcd.URLs(m.PeerURLs), func(u string) bool { return strings.Contains(s.Instance.InitialCluster+",", "="+u+",") }) {
			continue // as the settings have it, one that is restored with this one
		}
		for _, u := range etcd.URLs(m.ClientURLs) {
			if !slices.Contains(s.Instance.ClientURLs, u) && !etcd.Local(u) && !slices.Contains(ask, u) {
				ask = append(ask, u)
				break
			}
		}
	}
	const most = 9 // each may take 5 s
	if ask = ask[:min(len(ask), most)]; len(ask) == 0 || s.Tool.Ctl == (etcd.Version{}) {
		return nil, nil
	}
	res, err := r.Probe(ctx, s.Instance.Ctl.Status(ask...)...)
	if err != nil {
		return nil, err
	}
	got, err := etcd.ParseStatus(res.Stdout.String())
	if err != nil {
		return nil, nil // nobody answers
	}
	return got, nil
}
