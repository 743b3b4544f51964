package etcdhealth

import (
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Result is what register sees, for each host: its own member's view.
type Result struct {
	Msg       string   `yaml:"msg" doc:"one line"`
	Found     bool     `yaml:"found" doc:"whether the host has an etcd"`
	Runtime   string   `yaml:"runtime" doc:"unit, static pod, container or parameters"`
	Name      string   `yaml:"name" doc:"the member's name"`
	Endpoint  string   `yaml:"endpoint" doc:"URL that was asked"`
	DataDir   string   `yaml:"data_dir" doc:"folder of the data"`
	ClusterID string   `yaml:"cluster_id" doc:"hexadecimal, as etcdctl prints it"`
	MemberID  string   `yaml:"member_id" doc:"hexadecimal, as etcdctl prints it"`
	Members   []string `yaml:"members" doc:"names of all members, as this one has them"`
	Version   string   `yaml:"version" doc:"of the server"`
	Answers   bool     `yaml:"answers" doc:"whether the member said how it is"`
	Healthy   bool     `yaml:"healthy" doc:"whether a read through it was confirmed by the quorum"`
	Leader    bool     `yaml:"leader" doc:"whether it leads"`
	Learner   bool     `yaml:"learner" doc:"whether it has no vote"`
	Revision  int64    `yaml:"revision" doc:"of the v3 store"`
	Index     int64    `yaml:"raft_index" doc:"last raft entry"`
	DBSize    int64    `yaml:"db_size" doc:"bytes of the database"`
	DBInUse   int64    `yaml:"db_in_use" doc:"bytes of it in use; 0 where the version does not tell"`
	Quota     int64    `yaml:"quota" doc:"bytes that the database may have; less than 0: no limit"`
	Keys      int64    `yaml:"keys" doc:"keys of the v3 store; -1 where not known"`
	Data      string   `yaml:"data" doc:"v3 only, v2 only, v2 and v3, empty, or nothing where not known"`
	Latency   float64  `yaml:"latency" doc:"seconds of a read that the quorum confirmed"`
	Alarms    []string `yaml:"alarms" doc:"kinds of the cluster's alarms"`
}

// Result tells about one host.
func (health) Result(in task.Input[Params, State], _ task.Outcome) any {
	s := in.State
	r := Result{Msg: s.line(), Found: s.Found, Runtime: string(s.Instance.Runtime), Name: s.Instance.Name, Endpoint: s.Instance.Endpoint,
		DataDir: s.Instance.DataDir, Quota: s.Instance.Quota, Keys: s.Live.Keys, Data: s.Live.Data(), Healthy: s.Live.Health.OK,
		Latency: s.Live.Health.Took.Seconds(), Members: []string{}, Alarms: []string{}}
	for _, m := range s.Live.Members {
		r.Members = append(r.Members, m.Label())
	}
	for _, a := range s.Live.Alarms {
		r.Alarms = append(r.Alarms, a.Kind)
	}
	if st := s.Live.Status; st != nil {
		r.Answers, r.ClusterID, r.MemberID = true, fmt.Sprintf("%x", st.ClusterID), fmt.Sprintf("%x", st.MemberID)
		r.Version, r.Leader, r.Learner = st.Version, st.Leader == st.MemberID, st.Learner
		r.Revision, r.Index, r.DBSize, r.DBInUse = st.Revision, int64(st.Index), st.DBSize, st.DBInUse
	}
	return r
}

// line says how one member is.
func (s State) line() string {
	st := s.Live.Status
	switch {
	case !s.Found:
		return "no etcd here"
	case st == nil:
		return fmt.Sprintf("%s does not answer: %s", s.Instance.Name, s.Live.Problem)
	}
	parts := []string{fmt.Sprintf("%s etcd %s", s.Instance.Name, st.Version)}
	switch {
	case st.Leader == st.MemberID && st.Leader != 0:
		parts = append(parts, "leader")
	case st.Learner:
		parts = append(parts, "learner")
	}
	parts = append(parts, fmt.Sprintf("rev %d", st.Revision))
	if s.Live.Keys >= 0 {
		parts = append(parts, fmt.Sprintf("%d keys", s.Live.Keys))
	}
	parts = append(parts, etcd.Size(st.DBSize)+" of "+quota(s.Instance))
	if s.Live.Health.OK {
		parts = append(parts, span(s.Live.Health.Took))
	} else {
		parts = append(parts, "NOT healthy")
	}
	if d := s.Live.Data(); d != "" && d != "v3 only" {
		parts = append(parts, "data: "+d)
	}
	return strings.Join(parts, ", ")
}

func quota(in etcd.Instance) string {
	if in.Quota < 0 {
		return "no quota"
	}
	return etcd.Size(in.Quota)
}
