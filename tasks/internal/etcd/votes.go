package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dayops/dayops/engine/task"
)

// MaxLag is how many raft entries a member may be behind and count as healthy.
const MaxLag = 5000

// atOnce bounds the questions that one host puts to members at the same time.
const atOnce = 4

// Votes is the whole cluster as one member sees it: who belongs to it and who
// answers. It asks less than Look and Survey.
type Votes struct {
	Own     *Status // the asked member's; nil where it does not answer
	Problem string  // why there is no Own, or no Members
	Cluster uint64
	Members []Member // Healthy: answers, sees a leader, and is, if it has a vote, no more than MaxLag behind
}

// Quorate tells that the asked member sees a leader and knows who the others
// are: then its list is the cluster's.
func (v Votes) Quorate() bool { return v.Own != nil && v.Own.Leader != 0 && len(v.Members) > 0 }

// Version is the asked member's.
func (v Votes) Version() Version {
	if v.Own == nil {
		return Version{}
	}
	version, _ := ParseVersion(v.Own.Version)
	return version
}

// CountVotes asks the host's member. The error is the connection's alone.
func CountVotes(ctx context.Context, r task.Reader, in Instance) (Votes, error) {
	var v Votes
	if in.Endpoint == "" {
		v.Problem = "its settings have no URL for clients"
		return v, nil
	}
	if v.Problem = in.Ctl.Unfed(); v.Problem != "" {
		return v, nil
	}
	a := &asker{ctx: ctx, r: r}
	out, problem := a.status(in.Ctl, in.Endpoint)
	if v.Problem = problem; problem != "" {
		return v, a.err
	}
	all, err := ParseStatus(out)
	if err != nil || len(all) != 1 {
		v.Problem = fmt.Sprintf("%d answers for one endpoint", len(all))
		if err != nil {
			v.Problem = err.Error()
		}
		return v, a.err
	}
	v.Own, v.Cluster = &all[0], all[0].ClusterID
	if out, v.Problem = a.ask(in.Ctl.MemberList(in.Endpoint)...); v.Problem != "" {
		return v, a.err
	}
	if _, v.Members, err = ParseMembers(out); err != nil {
		v.Problem = err.Error()
		return v, a.err
	}
	v.survey(a, in)
	return v, a.err
}

// survey asks the others, all at once: etcdctl would wait for one that does not
// answer before it asked the next.
func (v *Votes) survey(a *asker, in Instance) {
	answers := make([][]Status, len(v.Members))
	errs := make([]error, len(v.Members))
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i, m := range v.Members {
		if m.ID == v.Own.MemberID || len(m.ClientURLs) == 0 {
			continue
		}
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			one := &asker{ctx: a.ctx, r: a.r}
			out, _ := one.status(in.Ctl, m.ClientURLs[0])
			answers[i], _ = ParseStatus(out)
			errs[i] = one.err
		})
	}
	wg.Wait()
	a.err = errors.Join(errs...)
	all := append([]Status{*v.Own}, slices.Concat(answers...)...)
	var first uint64
	for _, s := range all {
		if s.ClusterID == v.Cluster {
			first = max(first, s.Index)
		}
	}
	for i, m := range v.Members {
		v.Members[i].Healthy = slices.ContainsFunc(all, func(s Status) bool {
			// How far a learner is, etcd itself looks at before it gives it a vote.
			return s.MemberID == m.ID && s.ClusterID == v.Cluster && s.Leader != 0 && (m.Learner || first-s.Index <= MaxLag)
		})
	}
}

// Find is the member of this host in the list; false where it is in none.
func (v Votes) Find(members []Member, in Instance) (Member, bool) {
	for _, m := range members {
		if v.Own != nil && m.ID == v.Own.MemberID {
			return m, true
		}
	}
	if v.Own != nil {
		return Member{}, false
	}
	for _, m := range members {
		shared := func(a, b []string) bool {
			return slices.ContainsFunc(a, func(u string) bool { return !Local(u) && slices.Contains(b, u) })
		}
		if shared(m.PeerURLs, in.PeerURLs) || shared(m.ClientURLs, in.ClientURLs) || m.Name != "" && m.Name != "default" && m.Name == in.Name {
			return m, true
		}
	}
	return Member{}, false
}
