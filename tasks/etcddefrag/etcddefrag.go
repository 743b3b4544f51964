// Package etcddefrag defragments an etcd cluster, one member after the other.
package etcddefrag

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

// Params are the parameters of etcd_defrag.
type Params struct {
	etcd.Places `yaml:",inline"`
	Percent     int                 `yaml:"unused_percent" default:"30" doc:"members are left of whose database no more than this per cent is unused"`
	MiB         int                 `yaml:"unused_mib" default:"100" doc:"and those of which no more than this many MiB are"`
	Always      bool                `yaml:"always" default:"false" doc:"defragment whatever is unused; before 3.4, which does not tell, there is no other way"`
	Disarm      bool                `yaml:"disarm" default:"false" doc:"on a NOSPACE alarm: compact all that is before the present revision (who watches from before must begin anew, as Kubernetes does by itself), defragment every member, and take the alarm back"`
	Healthy     strictyaml.Duration `yaml:"healthy_within" default:"5m" doc:"a member that is not healthy that long after its turn ends the task"`
	Spread      strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"members' clocks further apart are refused; 0 is never"`
}

// Validate checks what the tags cannot say.
func (p *Params) Validate() error {
	const all = 100
	switch {
	case p.Percent < 0 || p.Percent > all:
		return errors.New("unused_percent is from 0 to 100")
	case p.MiB < 0 || p.Spread < 0 || p.Healthy <= 0:
		return errors.New("healthy_within is above 0, max_spread and unused_mib are not below")
	}
	return p.Places.Validate()
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_defrag",
		Doc:  "Defragments an etcd cluster's databases one member after the other, where it is worth it.",
		Long: `A member answers nobody while its database is written anew (about a second for each 100 MiB on a good disk). So one at a time, followers first, the leader last, when another member leads (move-leader, from 3.3 on), and a healthy cluster without a new alarm between. Only members of whose database more than unused_percent and more than unused_mib are unused: always: yes takes all.
On a NOSPACE alarm, writes are refused until there is room and the alarm is taken back: disarm: yes compacts, defragments every member and disarms. What is deleted is freed by a compaction only; Kubernetes compacts every five minutes.
Refused before the first change: a cluster that is not healthy as a whole or whose quorum would go with one member more, a CORRUPT alarm, clocks apart, too little room for the new database beside the old one, what an earlier defragmentation left behind where the version would take it for its own (before 3.2.29, 3.3.19 and 3.4.4). 3.5.0 to 3.5.5 are warned about: a crash in the middle makes the member's revisions differ.`,
		Example: `- name: No database is half empty
  etcd_defrag:
    unused_percent: 50
  become: yes
`,
		Kind:    func(Params) task.Kind { return task.Action },
		MaxRisk: func(Params) change.Risk { return change.Disruptive },
		Facts:   true,
		Reach:   []string{"etcd"},
		Result:  Result{},
	}, defrag{})
}

// State is what one host says about its member.
type State struct {
	etcdroll.State
	Left string // what an earlier defragmentation left behind
}

type defrag struct{}

type (
	input = task.ClusterInput[Params, State]
	host  = task.HostInput[Params, State]
)

// Check finds the member and asks it.
func (defrag) Check(ctx context.Context, r task.Reader, p Params) (s State, err error) {
	if s.State, err = etcdroll.Look(ctx, r, p.Places); err != nil || !s.Found || !strings.HasPrefix(s.Instance.DataDir, "/") {
		return s, err
	}
	files, err := r.Stat(ctx, path.Join(s.Instance.DataDir, "member/snap/db.tmp"))
	if err == nil && files[0].Exists {
		s.Left = files[0].Path
	}
	return s, err
}

// sizeField is where a member's status has the size of its database.
const sizeField = "Status.dbSize"

// Result is what register sees, for each host.
type Result struct {
	Msg          string `yaml:"msg" doc:"one line"`
	Found        bool   `yaml:"found" doc:"whether the host has an etcd"`
	Name         string `yaml:"name" doc:"the member's name"`
	Defragmented bool   `yaml:"defragmented" doc:"whether its database was written anew"`
	Before       int64  `yaml:"bytes_before" doc:"bytes of the database before"`
	After        int64  `yaml:"bytes_after" doc:"bytes afterwards; as before where nothing was done"`
}

// Result tells about one host.
func (defrag) Result(in task.Input[Params, State], out task.Outcome) any {
	s := in.State
	r := Result{Found: s.Found, Name: s.Instance.Name}
	if !s.Found {
		r.Msg = "no etcd here"
		return r
	}
	if st := s.Live.Status; st != nil {
		r.Before, r.After = st.DBSize, st.DBSize
	}
	for _, step := range out.Steps {
		if n, err := strconv.ParseInt(step.Outputs[sizeField], 10, 64); err == nil {
			r.Defragmented, r.After = true, n
		}
	}
	if r.Defragmented {
		r.Msg = fmt.Sprintf("%s: %s before, %s after", r.Name, etcd.Size(r.Before), etcd.Size(r.After))
		return r
	}
	r.Msg = fmt.Sprintf("%s: %s", r.Name, unused(s))
	return r
}

// unused says how much could be given back.
func unused(s State) string {
	st := s.Live.Status
	switch {
	case st == nil:
		return "it does not answer: " + reader.Printable(s.Live.Problem)
	case st.DBInUse <= 0:
		return etcd.Size(st.DBSize)
	}
	return fmt.Sprintf("%s, %d%% unused", etcd.Size(st.DBSize), percent(*st))
}

func percent(st etcd.Status) int {
	const whole = 100
	if st.DBSize <= 0 || st.DBInUse > st.DBSize {
		return 0
	}
	return int(float64(st.DBSize-st.DBInUse) / float64(st.DBSize) * whole)
}
