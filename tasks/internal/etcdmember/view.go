package etcdmember

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Host is one host of a plan.
type Host struct {
	Name   string
	Groups []string
	Reach  bool // outside play, batch and --limit
	Err    error
	Facts  facts.Host
	State  State
	Made   []change.Change // by an earlier controller of the run
}

// In tells whether the host is in a group.
func (h Host) In(group string) bool { return slices.Contains(h.Groups, group) }

// owes tells that the run has written a file here, and has not done since what
// makes it count: its controller was killed in between.
func (h Host) owes(path string, done func(change.Change) bool) (owed bool) {
	for _, c := range h.Made {
		if w, ok := c.(*change.Write); ok && w.Path == path {
			owed = true
		}
		owed = owed && !done(c)
	}
	return owed
}

// View is the whole cluster as its hosts tell it.
type View struct {
	Hosts   []Host
	Now     time.Time
	Members []etcd.Member // sorted by name, then ID; Healthy is filled in
	Cluster uint64
	Version etcd.Version // the lowest of the members'
	Leader  uint64
}

// Gather puts together what hosts say: the member list of the member that is furthest.
func Gather(hosts []Host, now time.Time) *View {
	v := &View{Hosts: hosts, Now: now}
	var best *etcd.Status
	for _, h := range hosts {
		st := h.State.Live.Status
		if h.Err != nil || st == nil {
			continue
		}
		if version, ok := etcd.ParseVersion(st.Version); ok && (!v.Version.Known() || !version.AtLeast(v.Version.Major, v.Version.Minor, v.Version.Patch)) {
			v.Version = version
		}
		if len(h.State.Live.Members) > 0 && (best == nil || st.Term > best.Term || st.Term == best.Term && st.Index > best.Index) {
			best, v.Members = st, slices.Clone(h.State.Live.Members)
			v.Cluster, v.Leader = st.ClusterID, st.Leader
		}
	}
	slices.SortFunc(v.Members, func(a, b etcd.Member) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for i, m := range v.Members {
		h := v.HostOf(m)
		v.Members[i].Healthy = h != nil && h.State.Live.Health.OK
	}
	return v
}

// HostOf is the host on which a member runs, or ran; nil where none that could be read has it.
func (v *View) HostOf(m etcd.Member) *Host {
	for i := range v.Hosts {
		if st := v.Hosts[i].State.Live.Status; st != nil && st.MemberID == m.ID && v.Hosts[i].Err == nil {
			return &v.Hosts[i]
		}
	}
	for i := range v.Hosts {
		h := &v.Hosts[i]
		if h.Err != nil || h.State.Runs() || !h.State.Found {
			continue
		}
		if m.Name != "" && h.State.Instance.Name == m.Name || shares(h.State.Instance.PeerURLs, m.PeerURLs) {
			return h
		}
	}
	return nil
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(u string) bool { return slices.Contains(b, u) })
}

// Member is the one with a peer URL; false where there is none.
func (v *View) Member(peerURL string) (etcd.Member, bool) {
	for _, m := range v.Members {
		if slices.Contains(m.PeerURLs, peerURL) {
			return m, true
		}
	}
	return etcd.Member{}, false
}

// Asker is the host through which the cluster is changed: the first, in the
// inventory's order, of a healthy voter that is none of not. So that a plan made
// again is the same, who leads makes no difference.
func (v *View) Asker(not ...uint64) *Host {
	for i := range v.Hosts {
		h := &v.Hosts[i]
		if h.Err != nil || !h.State.Runs() || !h.State.Live.Health.OK || slices.Contains(not, h.State.Live.Status.MemberID) {
			continue
		}
		for _, m := range v.Members {
			if m.ID == h.State.Live.Status.MemberID && !m.Learner {
				return h
			}
		}
	}
	return nil
}

// MemberOf is the member of a host that runs; false where it is none of the cluster's.
func (v *View) MemberOf(h *Host) (etcd.Member, bool) {
	if st := h.State.Live.Status; st != nil {
		for _, m := range v.Members {
			if m.ID == st.MemberID {
				return m, true
			}
		}
	}
	return etcd.Member{}, false
}

// clientURLs are the voters', where they can be asked from any host.
func (v *View) clientURLs(not ...uint64) (all []string) {
	for _, m := range v.Members {
		if len(m.ClientURLs) > 0 && !m.Learner && !slices.Contains(not, m.ID) {
			all = append(all, m.ClientURLs[0])
		}
	}
	return all
}

// Label is a member's name for people, with the host's where that differs.
func (v *View) Label(m etcd.Member) string {
	if h := v.HostOf(m); h != nil && h.Name != m.Label() {
		return fmt.Sprintf("%s (%s)", m.Label(), h.Name)
	}
	return m.Label()
}

// Line is the cluster in one line.
func (v *View) Line() string {
	sum := etcd.Count(v.Members)
	line := fmt.Sprintf("cluster %x, etcd %s, %s, %d needed", v.Cluster, v.Version, sum, sum.Needed())
	for _, m := range v.Members {
		if m.ID == v.Leader {
			line += ", leader " + v.Label(m)
		}
	}
	return line
}

func hostname(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return ""
	}
	return p.Hostname()
}

// Findings collects judgements.
type Findings []task.Finding

// OK, Warn and Fail say one.
func (f *Findings) OK(host, text string) { f.say(host, task.OK, text, "") }

// Warn is about what should be known.
func (f *Findings) Warn(host, text, hint string) { f.say(host, task.Warn, text, hint) }

// Fail refuses the plan.
func (f *Findings) Fail(host, text, hint string) { f.say(host, task.Fail, text, hint) }

// Head says what the cluster is, above the plan.
func (f *Findings) Head(head, text string) {
	*f = append(*f, task.Finding{Head: head, Status: task.OK, Text: text})
}

// say says a thing once.
func (f *Findings) say(host string, s task.Status, text, hint string) {
	if x := (task.Finding{Host: host, Status: s, Text: text, Hint: hint}); !slices.Contains(*f, x) {
		*f = append(*f, x)
	}
}

// Failed tells whether the plan is refused.
func (f Findings) Failed() bool {
	return slices.ContainsFunc(f, func(x task.Finding) bool { return x.Status == task.Fail })
}
