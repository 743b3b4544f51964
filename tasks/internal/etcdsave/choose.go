package etcdsave

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/tasks/internal/etcd"
)

// choice is the member whose data is taken.
type choice struct {
	host     host
	place    Place
	lag      uint64 // raft entries behind the leader
	leader   bool
	degraded string // why the data may lack what the cluster had committed
}

// refusal is a member that was not chosen, and why.
type refusal struct {
	name string
	why  string
}

// cluster is the whole cluster in view, as the hosts that could be read have it.
type cluster struct {
	hosts   []host // with an etcd, in the play or not
	leader  *host
	members []etcd.Member
	sum     etcd.Sum
	alarms  []etcd.Alarm
	odd     map[uint64]string // members whose data differs: why they are not taken
	first   uint64            // highest raft index
}

func view(hosts []host) *cluster {
	c := &cluster{hosts: hosts, odd: map[uint64]string{}}
	var best *etcd.Status
	for i, h := range hosts {
		st := h.State.Live.Status
		if st == nil {
			continue
		}
		c.first = max(c.first, st.Index)
		if st.Leader == st.MemberID && st.Leader != 0 && (c.leader == nil || st.Term > c.leader.State.Live.Status.Term) {
			c.leader = &hosts[i]
		}
		if len(h.State.Live.Members) > 0 && (best == nil || st.Term > best.Term || st.Term == best.Term && st.Index > best.Index) {
			best, c.members = st, slices.Clone(h.State.Live.Members)
		}
		for _, a := range h.State.Live.Alarms {
			if !slices.Contains(c.alarms, a) {
				c.alarms = append(c.alarms, a)
			}
		}
	}
	for i, m := range c.members {
		c.members[i].Healthy = slices.ContainsFunc(hosts, func(h host) bool {
			st := h.State.Live.Status
			return st != nil && st.MemberID == m.ID && h.State.Live.Health.OK
		}) || c.answersLeader(m)
	}
	c.sum = etcd.Count(c.members)
	if c.leader != nil {
		c.hashes(c.leader.State.Store.View)
	}
	return c
}

// answersLeader speaks for members whose hosts could not be read.
func (c *cluster) answersLeader(m etcd.Member) bool {
	if c.leader == nil || slices.ContainsFunc(c.hosts, func(h host) bool { return h.State.Live.Status != nil && h.State.Live.Status.MemberID == m.ID }) {
		return false
	}
	return slices.ContainsFunc(c.leader.State.Store.View.Status, func(s etcd.Status) bool { return s.MemberID == m.ID && s.Leader != 0 })
}

// quorum is lost when no member knows a leader. That none is healthy says less:
// a full database is not, from 3.5 on.
func (c *cluster) quorum() bool {
	return slices.ContainsFunc(c.hosts, func(h host) bool {
		return h.State.Live.Health.OK || h.State.Live.Status != nil && h.State.Live.Status.Leader != 0
	})
}

// hashes finds who differs. Only those of one compact revision can be compared;
// what most members have is right, and without a majority nobody is.
func (c *cluster) hashes(v etcd.View) {
	votes := map[etcd.Hash][]uint64{}
	compact := map[int64]int{}
	for _, h := range v.Hashes {
		votes[etcd.Hash{Hash: h.Hash, Compact: h.Compact}] = append(votes[etcd.Hash{Hash: h.Hash, Compact: h.Compact}], h.MemberID)
		compact[h.Compact]++
	}
	for h, have := range votes {
		if n := compact[h.Compact]; 2*len(have) <= n && n > 1 {
			for _, id := range have {
				c.odd[id] = fmt.Sprintf("its data differs from the other members' at revision %d (hash %08x)", v.Rev, h.Hash)
			}
		}
	}
}

// choose takes the member for a backup among hosts, or says of each why not.
func (c *cluster) choose(among []host, p Params) (*choice, []refusal) {
	var fit []choice
	var not []refusal
	lost := !c.quorum()
	for _, h := range among {
		ch := choice{host: h}
		why := c.unfit(h, p, lost)
		if why == "" {
			ch.place, why = h.State.stage()
		}
		if why != "" {
			not = append(not, refusal{label(h), why})
			continue
		}
		st := h.State.Live.Status
		ch.lag, ch.leader = c.lag(*st), st.Leader == st.MemberID && st.Leader != 0
		if lost {
			ch.degraded = fmt.Sprintf("the quorum is lost (%s, %d needed): this is the data of %s, whose raft index %d is the highest of those that answer; what others had confirmed may be missing", c.sum, c.sum.Needed(), label(h), st.Index)
		}
		fit = append(fit, ch)
	}
	slices.SortStableFunc(fit, func(a, b choice) int {
		if lost {
			return cmp.Compare(b.host.State.Live.Status.Index, a.host.State.Live.Status.Index)
		}
		better := cmp.Or(rank(c.noSpace(a.host))-rank(c.noSpace(b.host)), rank(a.leader)-rank(b.leader))
		if p.Steady {
			return better
		}
		return cmp.Or(better, cmp.Compare(a.lag, b.lag))
	})
	if len(fit) == 0 {
		return nil, not
	}
	return &fit[0], not
}

func rank(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// unfit says why no data is taken from a host's member; "" where it may be.
func (c *cluster) unfit(h host, p Params, lost bool) string {
	s := h.State
	st := s.Live.Status
	switch {
	case p.Member != "" && p.Member != h.Target && p.Member != s.Instance.Name:
		return "not asked for (member: " + p.Member + ")"
	case st == nil:
		return "it does not answer: " + s.Live.Problem
	case s.Live.Denied != "":
		text, hint := s.Instance.Unwelcome(s.Live)
		return text + " (" + hint + ")"
	case st.Learner:
		return "it is a learner"
	case c.alarmed(st.MemberID, "CORRUPT"):
		return "it has raised the alarm CORRUPT"
	case c.odd[st.MemberID] != "":
		return c.odd[st.MemberID]
	case len(c.members) > 0 && !slices.ContainsFunc(c.members, func(m etcd.Member) bool { return m.ID == st.MemberID }):
		return "it was removed from the cluster"
	case p.Mode == Cold && s.Instance.Runtime != etcd.UnitRuntime && s.Instance.Runtime != etcd.Container:
		return "mode cold stops a unit, and it runs as " + string(s.Instance.Runtime) + "; mode live is for it"
	case p.Mode == Cold && s.Live.V2.Data && len(s.Instance.Ctl.Wrap) > 0:
		return "its etcdctl is in the container that mode cold stops, and nothing else copies its v2 store; mode live is for it"
	case lost:
		return "" // nobody is healthy, and nobody leads
	case !s.Live.Health.OK && !c.noSpace(h):
		return "it is not healthy: " + s.Live.Health.Error
	}
	if lag := c.lag(*st); lag > uint64(p.MaxLag) {
		return fmt.Sprintf("it is %d raft entries behind the leader (max_lag %d)", lag, p.MaxLag)
	}
	if st.Applied > 0 && st.Index > st.Applied && st.Index-st.Applied > uint64(p.MaxLag) {
		return fmt.Sprintf("it has %d raft entries to apply (max_lag %d)", st.Index-st.Applied, p.MaxLag)
	}
	return ""
}

func (c *cluster) alarmed(id uint64, kind string) bool {
	return slices.ContainsFunc(c.alarms, func(a etcd.Alarm) bool { return a.MemberID == id && a.Kind == kind })
}

// noSpace: a full database can and should be backed up, if no other can be taken.
// From 3.5 on such a member calls itself unhealthy.
func (c *cluster) noSpace(h host) bool {
	st := h.State.Live.Status
	return st != nil && st.Leader != 0 && c.alarmed(st.MemberID, "NOSPACE")
}

// lag is how far a member is behind the leader, by the leader's own look at all
// of them at one time; where there is none by what each host said.
func (c *cluster) lag(st etcd.Status) uint64 {
	first, mine := c.first, st.Index
	if c.leader != nil {
		for _, s := range c.leader.State.Store.View.Status {
			if s.MemberID == st.MemberID {
				first, mine = 0, s.Index
			}
		}
		if first == 0 {
			for _, s := range c.leader.State.Store.View.Status {
				first = max(first, s.Index)
			}
		}
	}
	if first < mine {
		return 0
	}
	return first - mine
}

// stage is the best place with room for the member's data.
func (s State) stage() (Place, string) {
	need := s.need()
	var short []string
	for _, x := range s.Store.Places {
		if x.Room.Free >= need {
			return x, ""
		}
		if x.Room.Free < 0 {
			short = append(short, "df does not say what "+x.Dir+" has")
			continue
		}
		short = append(short, fmt.Sprintf("%s has %s", x.Dir, etcd.Size(x.Room.Free)))
	}
	if len(short) == 0 {
		return Place{}, "no folder to stage a snapshot in; give staging_dir"
	}
	return Place{}, fmt.Sprintf("no room to stage it: %s needed, %s; make room, or give staging_dir", etcd.Size(need), strings.Join(short, ", "))
}

// need is twice the database, and what the v2 store takes.
func (s State) need() int64 {
	const twice, least = 2, 16 << 20
	n := int64(least) + twice*s.Store.V2Bytes
	if st := s.Live.Status; st != nil {
		n += twice * st.DBSize
	}
	return n
}

func label(h host) string {
	if n := h.State.Instance.Name; n != "" && n != h.Target {
		return fmt.Sprintf("%s (%s)", n, h.Target)
	}
	return h.Target
}
