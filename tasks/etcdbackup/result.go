package etcdbackup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
	"github.com/dayops/dayops/tasks/internal/etcdsave"
)

// Result is what register sees, for each host.
type Result struct {
	Msg       string   `yaml:"msg" doc:"one line"`
	Path      string   `yaml:"path" doc:"folder of the host's set on the control machine"`
	Snapshot  string   `yaml:"snapshot" doc:"path of snapshot.db, on the host whose member's data was taken; else empty"`
	V2        string   `yaml:"v2" doc:"path of v2.tar.gz, where the v2 store held something"`
	Member    string   `yaml:"member" doc:"the member's name"`
	ClusterID string   `yaml:"cluster_id" doc:"hexadecimal, as etcdctl prints it"`
	MemberID  string   `yaml:"member_id" doc:"hexadecimal, as etcdctl prints it"`
	Version   string   `yaml:"version" doc:"of the server"`
	Revision  int64    `yaml:"revision" doc:"of the snapshot"`
	Hash      string   `yaml:"hash" doc:"of the snapshot, as snapshot status prints it"`
	Keys      int64    `yaml:"keys" doc:"keys in it that a reader sees"`
	TotalKeys int64    `yaml:"total_keys" doc:"entries in it, as snapshot status counts them"`
	DBSize    int64    `yaml:"db_size" doc:"bytes of its database"`
	Data      string   `yaml:"data" doc:"v3 only, v2 only, v2 and v3, empty, or nothing where not known"`
	Degraded  bool     `yaml:"degraded" doc:"whether the quorum was lost when it was made"`
	Items     int      `yaml:"items" doc:"files and folders of the configuration"`
	Missed    []Missed `yaml:"missed" doc:"what is not in the set"`
	Verified  bool     `yaml:"verified" doc:"whether all of it equals the host's by sha256 and the snapshot is whole"`
}

// Missed is one thing that is not in the set.
type Missed struct {
	Path string `yaml:"path" doc:"what"`
	Why  string `yaml:"why" doc:"the reason"`
}

// Result tells about one host.
func (backup) Result(in task.Input[Params, State], out task.Outcome) any {
	s := in.State
	r := Result{Member: s.Instance.Name, Missed: []Missed{}, Data: s.Live.Data()}
	if st := s.Live.Status; st != nil {
		r.ClusterID, r.MemberID, r.Version = fmt.Sprintf("%x", st.ClusterID), fmt.Sprintf("%x", st.MemberID), st.Version
	}
	for _, o := range out.Steps {
		d, ok := o.Data.(change.SetResult)
		if !ok {
			continue
		}
		r.Path, r.Verified, r.Items = d.Path, true, len(d.Manifest.Items)
		r.fill(d.Manifest.Facts)
		for _, m := range o.Missed {
			if !slices.Contains(r.Missed, Missed(m)) {
				r.Missed = append(r.Missed, Missed(m))
			}
		}
	}
	r.Msg = r.line(s)
	return r
}

func (r *Result) fill(facts map[string]string) {
	r.Hash, r.Degraded = facts[snapshot.FactHash], facts["degraded"] == "true"
	for name, to := range map[string]*int64{snapshot.FactRevision: &r.Revision, snapshot.FactKeys: &r.Keys, snapshot.FactTotalKeys: &r.TotalKeys, snapshot.FactDBSize: &r.DBSize} {
		*to, _ = strconv.ParseInt(facts[name], 10, 64)
	}
	if r.Hash != "" {
		r.Snapshot = r.Path + "/" + etcdsave.SnapshotName
		if r.Data == "v2 and v3" || r.Data == "v2 only" {
			r.V2 = r.Path + "/" + etcdsave.V2Name
		}
	}
}

func (r *Result) line(s State) string {
	switch {
	case !s.Found:
		return "no etcd here"
	case r.Path == "":
		return "member " + r.Member
	}
	var parts []string
	if r.Snapshot != "" {
		parts = append(parts, fmt.Sprintf("snapshot of %s: %d keys, revision %d, %s", r.Member, r.Keys, r.Revision, etcd.Size(r.DBSize)))
	}
	if r.V2 != "" {
		parts = append(parts, "v2 store")
	}
	if r.Degraded {
		parts = append(parts, "DEGRADED")
	}
	parts = append(parts, fmt.Sprintf("%d items", r.Items), "verified", r.Path)
	return strings.Join(parts, "  ")
}
