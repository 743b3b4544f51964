// Package etcdroll goes through the members of a live etcd cluster one after the
// other: followers first, the leader last, after its leadership was moved, with
// a healthy cluster between. It is what restart, defragmentation and the renewal
// of certificates share.
package etcdroll

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// State is what one host says about its member.
type State struct {
	Found        bool
	Instance     etcd.Instance
	Certificates []etcdca.File // that stop it when they expire
	Live         etcd.Live     `plan:"volatile"`
	View         etcd.View     `plan:"volatile"` // of the leader's host alone
	Free         int64         `plan:"volatile"` // bytes where the data lies; -1 where not known
}

// Look reads one host. The error is the connection's, or about settings that
// are there and cannot be read.
func Look(ctx context.Context, r task.Reader, p etcd.Places) (s State, err error) {
	s.Free = -1
	if s.Instance, s.Found, err = etcd.Find(ctx, r, p); err != nil || !s.Found {
		return s, err
	}
	if s.Certificates, err = etcdca.ReadMember(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if s.Live, err = etcd.Look(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if s.Leads() {
		if s.View, err = etcd.Survey(ctx, r, s.Instance, s.Live, false); err != nil {
			return s, err
		}
	}
	if strings.HasPrefix(s.Instance.DataDir, "/") {
		room, err := etcd.RoomOf(ctx, r, s.Instance.DataDir)
		s.Free = room.Free
		return s, err
	}
	return s, nil
}

// Leads tells whether the member leads.
func (s State) Leads() bool {
	st := s.Live.Status
	return st != nil && st.Leader != 0 && st.Leader == st.MemberID
}

// Host is one host of a plan.
type Host struct {
	Name   string
	Groups []string
	Reach  bool // outside play, batch and --limit: only looked at
	Err    error
	Facts  facts.Host
	State  State
}

// Cluster is the whole cluster as its hosts tell it.
type Cluster struct {
	Now     time.Time
	Hosts   []Host // that have a member of it, in inventory order
	Others  []Host // that could not be read, or have none
	Members []etcd.Member
	ID      uint64
	Leader  uint64
	Version etcd.Version // the lowest of the members'
}

// Gather puts together what hosts say: the member list of the member that is
// furthest. A member is healthy by its own word, or, on no host that could be
// read, when it answered the leader.
func Gather(hosts []Host, now time.Time) *Cluster {
	c := &Cluster{Now: now}
	var best *etcd.Status
	var view etcd.View
	for _, h := range hosts {
		if h.Err != nil || !h.State.Found {
			c.Others = append(c.Others, h)
			continue
		}
		c.Hosts = append(c.Hosts, h)
		st := h.State.Live.Status
		if st == nil {
			continue
		}
		if v, ok := etcd.ParseVersion(st.Version); ok && (!c.Version.Known() || !v.AtLeast(c.Version.Major, c.Version.Minor, c.Version.Patch)) {
			c.Version = v
		}
		if h.State.Leads() {
			view = h.State.View
		}
		if len(h.State.Live.Members) > 0 && (best == nil || st.Term > best.Term || st.Term == best.Term && st.Index > best.Index) {
			best, c.Members = st, slices.Clone(h.State.Live.Members)
			c.ID, c.Leader = st.ClusterID, st.Leader
		}
	}
	for i, m := range c.Members {
		if h := c.HostOf(m); h != nil {
			c.Members[i].Healthy = h.State.Live.Health.OK
			continue
		}
		c.Members[i].Healthy = slices.ContainsFunc(view.Status, func(s etcd.Status) bool { return s.MemberID == m.ID && s.Leader != 0 })
	}
	return c
}

// HostOf is the host that a member runs on; nil where none that was read has it.
func (c *Cluster) HostOf(m etcd.Member) *Host {
	for i, h := range c.Hosts {
		if st := h.State.Live.Status; st != nil && st.MemberID == m.ID {
			return &c.Hosts[i]
		}
	}
	for i, h := range c.Hosts {
		if h.State.Live.Status == nil && m.Name != "" && h.State.Instance.Name == m.Name {
			return &c.Hosts[i]
		}
	}
	return nil
}

// MemberOf is the member of a host; false where the cluster does not list it.
func (c *Cluster) MemberOf(h Host) (etcd.Member, bool) {
	for _, m := range c.Members {
		if at := c.HostOf(m); at != nil && at.Name == h.Name {
			return m, true
		}
	}
	return etcd.Member{}, false
}

// Name is a member's for people.
func (c *Cluster) Name(id uint64) string {
	for _, m := range c.Members {
		if m.ID == id {
			return m.Label()
		}
	}
	return etcd.Hex(id)
}

// Hosts are the hosts of a plan, with what s says of each, and the parameters of
// the first that could be read.
func Hosts[P, S any](in task.ClusterInput[P, S], s func(S) State) (out []Host, p P) {
	first := true
	for _, h := range in.Hosts {
		if h.Err == nil && first {
			p, first = h.Params, false
		}
		out = append(out, Host{Name: h.Target, Groups: h.Groups, Reach: h.Reach, Err: h.Err, Facts: h.Facts, State: s(h.State)})
	}
	return out, p
}

// Absent tells of hosts of the play that have no etcd, or none of this cluster.
func (c *Cluster) Absent(f *Findings) {
	if len(c.Members) == 0 {
		return
	}
	for _, h := range c.Others {
		if h.Err == nil && !h.Reach && slices.Contains(h.Groups, "etcd") {
			f.Warn(h.Name, "no etcd found: no unit, no static pod and no settings of one", "set config, unit or endpoint, or take the host out of the group etcd")
		}
	}
	if len(c.Turn()) == 0 {
		f.Warn("", "no host of the play has a member: nothing to do", "name the etcd hosts in the play's hosts")
	}
}
