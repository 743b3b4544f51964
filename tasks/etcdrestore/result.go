package etcdrestore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Result is what register sees, for each host.
type Result struct {
	Msg      string `yaml:"msg" doc:"one line"`
	From     string `yaml:"from" doc:"the snapshot's file on the control machine"`
	SHA256   string `yaml:"sha256" doc:"of that file"`
	Revision int64  `yaml:"revision" doc:"of the snapshot; the cluster's is higher by what bump_revision added"`
	Keys     int64  `yaml:"keys" doc:"keys in the snapshot"`
	Name     string `yaml:"name" doc:"the member's name; nothing where the host has none"`
	Aside    string `yaml:"aside" doc:"glob of the folders on the host where the data from before restores lie"`
}

// Result tells about one host.
func (*restore) Result(in task.Input[Params, State], out task.Outcome) any {
	s := in.State
	r := Result{From: s.Source.Path, SHA256: s.Source.SHA256, Revision: s.Source.Revision, Keys: s.Source.Keys}
	if s.Found {
		r.Name, r.Aside = s.Instance.Name, s.Instance.DataDir+"/member."+asideMark+"*"
	}
	switch {
	case s.Source.Problem != "":
		r.Msg = s.Source.Problem
	case !s.Found:
		r.Msg = fmt.Sprintf("%d parts of the control plane", len(s.Control))
	case out.Changed:
		r.Msg = fmt.Sprintf("%s restored to revision %d, %d keys; the old data stay in %s", r.Name, r.Revision, r.Keys, r.Aside)
	default:
		r.Msg = fmt.Sprintf("%s: %s, revision %d, %d keys", r.Name, r.From, r.Revision, r.Keys)
	}
	return r
}

// Verify asks the restored member: its revision may not be lower than the
// snapshot's. Keys may have come or gone by leases and writers since.
func (*restore) Verify(ctx context.Context, r task.Reader, in task.Input[Params, State], _ task.Outcome) ([]task.Finding, error) {
	if !in.State.Found {
		return nil, nil
	}
	member, ok, err := etcd.Find(ctx, r, in.Params.Places)
	if err != nil || !ok {
		return []task.Finding{{Host: in.Target, Status: task.Fail, Text: "no etcd is found any more"}}, err
	}
	if in.State.Instance.Down() && member.Down() { // no member: the plan has waited for the health of each
		return nil, nil
	}
	live, err := etcd.Look(ctx, r, member)
	if err != nil {
		return nil, err
	}
	src, st := in.State.Source, live.Status
	switch {
	case st == nil:
		return []task.Finding{{Host: in.Target, Status: task.Fail, Text: member.Name + " does not answer: " + live.Problem, Hint: "dayops undo RUN brings the old data back"}}, nil
	case st.Revision < src.Revision:
		return []task.Finding{{Host: in.Target, Status: task.Fail, Text: fmt.Sprintf("%s has revision %d, the snapshot %d", member.Name, st.Revision, src.Revision), Hint: "dayops undo RUN brings the old data back"}}, nil
	case src.V2 != nil && live.V2.Served && !live.V2.Data:
		return []task.Finding{{Host: in.Target, Status: task.Warn, Text: member.Name + " has no v2 keys", Hint: "only if all of the backup had a time to live that is over; else dayops undo RUN brings the old data back"}}, nil
	case live.Keys >= 0 && live.Keys != src.Keys:
		return []task.Finding{{Host: in.Target, Status: task.Warn, Text: fmt.Sprintf("%s has %d keys, the snapshot %d", member.Name, live.Keys, src.Keys), Hint: "leases that ran out and writers that went on make that difference"}}, nil
	}
	var names []string
	for _, m := range live.Members {
		names = append(names, m.Label())
	}
	slices.Sort(names)
	return []task.Finding{{Host: in.Target, Status: task.OK, Text: fmt.Sprintf("%s: cluster %x of %s, revision %d, %d keys", member.Name, st.ClusterID, strings.Join(names, ", "), st.Revision, live.Keys)}}, nil
}

func printable(s string) string { return reader.Printable(s) }
