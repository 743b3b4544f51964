package etcdroll

import (
	"fmt"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Turn are the members' hosts that the play covers, in the order in which they
// are gone through: followers as the inventory has them, the leader last.
func (c *Cluster) Turn() []Host {
	var out []Host
	var last []Host
	for _, h := range c.Hosts {
		m, ok := c.MemberOf(h)
		switch {
		case h.Reach || !ok:
		case m.ID == c.Leader:
			last = append(last, h)
		default:
			out = append(out, h)
		}
	}
	return append(out, last...)
}

// moveLimit is for another member to lead: etcdctl waits for it.
const moveLimit = 2 * time.Minute

// MoveLeader makes another healthy voter lead, where h's member leads when its
// turn comes; none where it did not when it was looked at, where there is no other, and
// before 3.3, which has no such verb: there, and after any other change of leader,
// etcd gives its leadership away itself when it is asked to stop.
func (c *Cluster) MoveLeader(h Host) []change.Change {
	m, ok := c.MemberOf(h)
	if !ok || m.ID != c.Leader || !c.Version.HasMoveLeader() {
		return nil
	}
	to, ok := c.heir(m)
	if !ok {
		return nil
	}
	in := h.State.Instance
	leads := in.Leads(m.ID)
	return []change.Change{&change.Exec{
		Argv: in.Ctl.MoveLeader(etcd.Hex(to.ID), in.Endpoint), Login: in.Ctl.Login(), Limit: moveLimit,
		Done:    &change.Probe{Find: &leads, Absent: true},
		Purpose: fmt.Sprintf("move the leadership from %s to %s", m.Label(), to.Label()),
	}}
}

// heir is the voter that leads next: the first whose turn is over by then, or
// any other that is healthy.
func (c *Cluster) heir(leader etcd.Member) (etcd.Member, bool) {
	for _, h := range c.Turn() {
		if m, ok := c.MemberOf(h); ok && m.ID != leader.ID && !m.Learner && m.Healthy {
			return m, true
		}
	}
	i := slices.IndexFunc(c.Members, func(m etcd.Member) bool { return m.ID != leader.ID && !m.Learner && m.Healthy })
	if i < 0 {
		return etcd.Member{}, false
	}
	return c.Members[i], true
}

// Steps are changes of one host.
func Steps(host string, changes ...change.Change) []task.Step {
	var out []task.Step
	for _, c := range changes {
		out = append(out, task.Step{Host: host, Change: c})
	}
	return out
}

// Restart is h's part of a rolling restart: its leadership moved, stopped and
// started, healthy within limit.
func (c *Cluster) Restart(h Host, limit time.Duration) []task.Step {
	in := h.State.Instance
	out := Steps(h.Name, c.MoveLeader(h)...)
	out = append(out, Steps(h.Name, in.Restart()...)...)
	return append(out, task.Step{Host: h.Name, Change: c.Back(h, limit)})
}

// Back waits until h's member is healthy again. A learner never says so, and an
// alarm keeps a member from it from 3.5 on: those need only have a leader.
func (c *Cluster) Back(h Host, limit time.Duration) *change.Wait {
	if st := h.State.Live.Status; len(c.Alarms()) > 0 || st != nil && st.Learner {
		return h.State.Instance.Answers(limit)
	}
	return h.State.Instance.Healthy(limit)
}

// Again starts a member that a plan left stopped, for its Finally: a unit's
// restart is one step of systemd's, and leaves none. It waits, so that who takes
// the run up again finds a whole cluster.
func (c *Cluster) Again(h Host, limit time.Duration) []task.Step {
	if h.State.Instance.Runtime != etcd.PodRuntime {
		return nil
	}
	return append(Steps(h.Name, h.State.Instance.Start()...), task.Step{Host: h.Name, Change: c.Back(h, limit)})
}
