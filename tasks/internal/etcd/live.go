package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/task"
)

// Live is what a host's own member answers now. Problem says why there is no Status.
type Live struct {
	Tool         Version // etcdctl's
	Status       *Status
	Problem      string
	Cluster      uint64
	Members      []Member // Healthy is not filled in
	ListProblem  string
	Health       Health
	Denied       string // in the member's words, why authentication keeps us from some of what root may; "" where nothing does
	Alarms       []Alarm
	AlarmProblem string
	Keys         int64 // of the v3 store; -1 where it could not be asked
	V2           V2
}

// V2 is what the v2 API answers.
type V2 struct {
	Asked   bool   // the settings and the version say that it is served
	Served  bool   // it answered
	Data    bool   // there is something in it
	Verdict string // of cluster-health: healthy, degraded, unhealthy, unavailable
}

// View is the whole cluster seen from one member at nearly one time.
type View struct {
	Status  []Status // of those that answered
	Rev     int64    // at which Hashes were made
	Hashes  []Hash
	Problem string // why a hash is missing
}

// Data says which stores hold something: "v3 only", "v2 only", "v2 and v3",
// "empty", or "" where a store could not be asked.
func (l Live) Data() string {
	switch {
	case l.Keys > 0 && l.V2.Data:
		return "v2 and v3"
	case l.Keys > 0 && (l.V2.Served || !l.V2.Asked):
		return "v3 only"
	case l.Keys == 0 && l.V2.Data:
		return "v2 only"
	case l.Keys == 0 && (l.V2.Served || !l.V2.Asked):
		return "empty"
	}
	return ""
}

// Look asks the member; a learner only for its state. The error is the connection's alone: a member that
// does not answer is a Live with a Problem.
func Look(ctx context.Context, r task.Reader, in Instance) (Live, error) {
	l := Live{Keys: -1}
	if in.Endpoint == "" {
		l.Problem = "its settings have no URL for clients"
		return l, nil
	}
	if l.Problem = in.Ctl.Unfed(); l.Problem != "" {
		return l, nil
	}
	a := &asker{ctx: ctx, r: r}
	out, problem := a.ask(in.Ctl.Version()...)
	if problem != "" {
		l.Problem = problem
		return l, a.err
	}
	l.Tool, _ = ParseVersion(out)
	if out, l.Problem = a.status(in.Ctl, in.Endpoint); l.Problem != "" {
		l.Denied = denied(l.Problem)
		return l, a.err
	}
	all, err := ParseStatus(out)
	if err != nil || len(all) != 1 {
		l.Problem = fmt.Sprintf("%d answers for one endpoint", len(all))
		if err != nil {
			l.Problem = err.Error()
		}
		return l, a.err
	}
	if l.Status = &all[0]; l.Status.Learner {
		// It answers nothing else ("rpc not supported for learner").
		if l.Health.OK = l.Status.Leader != 0; !l.Health.OK {
			l.Health.Error = "it has no leader"
		}
		return l, a.err
	}
	a.members(in, &l)
	res := a.run(in.Ctl.Health(in.Endpoint)...)
	if l.Health, err = ParseHealth(res.Stdout.String(), res.Stderr.String()); err != nil {
		l.Health.Error = cmp.Or(Problem(res.Stderr.String()), err.Error())
	}
	if l.Health.OK || l.Status.Leader != 0 { // these wait for a quorum in vain otherwise
		a.quorate(in, &l)
	}
	v, _ := ParseVersion(l.Status.Version)
	if l.V2.Asked = in.ServesV2(v) && l.Tool.HasV2Tool(); l.V2.Asked {
		a.v2(in, &l.V2)
	}
	return l, a.err
}

// status asks one member for its state. A learner takes no password: it is asked
// again without one, which is enough up to 3.5, and with a named certificate.
func (a *asker) status(c Ctl, endpoint string) (out, problem string) {
	if out, problem = a.ask(c.Status(endpoint)...); c.User != "" && strings.Contains(problem, "not supported for learner") {
		out, problem = a.ask(c.Nameless().Status(endpoint)...)
	}
	return out, problem
}

func (a *asker) members(in Instance, l *Live) {
	out, problem := a.ask(in.Ctl.MemberList(in.Endpoint)...)
	if l.ListProblem = problem; problem != "" {
		return
	}
	var err error
	if l.Cluster, l.Members, err = ParseMembers(out); err != nil {
		l.ListProblem = err.Error()
	}
}

func (a *asker) quorate(in Instance, l *Live) {
	_, problem := a.ask(in.Ctl.Users(in.Endpoint)...)
	l.Denied = denied(problem)
	out, problem := a.ask(in.Ctl.Alarms(in.Endpoint)...)
	if l.AlarmProblem = problem; problem == "" {
		var err error
		if l.Alarms, err = ParseAlarms(out); err != nil {
			l.AlarmProblem = err.Error()
		}
	}
	if out, problem = a.ask(in.Ctl.Keys(in.Endpoint)...); problem == "" {
		if n, err := ParseKeys(out); err == nil {
			l.Keys = n
		}
	}
}

func (a *asker) v2(in Instance, v *V2) {
	out, problem := a.ask(in.Ctl.V2Root(in.Endpoint)...)
	if problem != "" {
		return
	}
	v.Served, v.Data = true, len(out) > 0
	res := a.run(in.Ctl.V2Health(in.Endpoint)...)
	v.Verdict, _ = ParseV2Health(res.Stdout.String())
}

// Survey asks every member from this one: their state within a moment, and
// where hash says so their hashes at the lowest revision of all.
func Survey(ctx context.Context, r task.Reader, in Instance, l Live, hash bool) (View, error) {
	var v View
	a := &asker{ctx: ctx, r: r}
	var endpoints []string
	for _, m := range l.Members {
		if len(m.ClientURLs) > 0 {
			endpoints = append(endpoints, m.ClientURLs[0])
		}
	}
	if len(endpoints) == 0 {
		return v, nil
	}
	res := a.run(in.Ctl.Status(endpoints...)...) // exits with 1 when one does not answer
	v.Status, _ = ParseStatus(res.Stdout.String())
	v.Status = ofCluster(v.Status, l.Status.ClusterID)
	if !hash || len(v.Status) == 0 {
		return v, a.err
	}
	v.Rev = v.Status[0].Revision
	for _, s := range v.Status {
		v.Rev = min(v.Rev, s.Revision)
	}
	for _, s := range v.Status {
		if s.Learner || len(urls([]string{s.Endpoint})) == 0 {
			continue
		}
		out, problem := a.ask(in.Ctl.HashKV(s.Endpoint, v.Rev)...)
		h, err := ParseHash(out)
		switch {
		case problem != "":
			v.Problem = problem
		case err != nil:
			v.Problem = err.Error()
		default:
			v.Hashes = append(v.Hashes, h)
		}
	}
	return v, a.err
}

// ofCluster keeps one answer of each member of a cluster: a URL that a member
// advertises may lead to another one, as localhost does.
func ofCluster(all []Status, cluster uint64) (out []Status) {
	for _, s := range all {
		if s.ClusterID == cluster && !slices.ContainsFunc(out, func(o Status) bool { return o.MemberID == s.MemberID }) {
			out = append(out, s)
		}
	}
	return out
}

// asker keeps the first error of the connection.
type asker struct {
	ctx context.Context
	r   task.Reader
	err error
}

func (a *asker) run(argv ...string) conn.Result {
	if a.err != nil {
		return conn.Result{Code: -1}
	}
	res, err := a.r.Probe(a.ctx, argv...)
	if errors.Is(err, context.DeadlineExceeded) && a.ctx.Err() == nil {
		res.Code = -1 // this program hung, not the connection
	} else {
		a.err = err
	}
	return res
}

// ask returns what is printed, or in one line why nothing was.
func (a *asker) ask(argv ...string) (out, problem string) {
	res := a.run(argv...)
	switch {
	case res.Code == 0:
		return res.Stdout.String(), ""
	case res.Code == 127:
		return "", "the host has no etcdctl (or what is needed to reach it)"
	case res.Code == -1:
		return "", "no answer in time"
	}
	return "", cmp.Or(Problem(res.Stderr.String()), fmt.Sprintf("etcdctl failed with exit code %d", res.Code))
}
