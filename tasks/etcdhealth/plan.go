package etcdhealth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

type input = task.ClusterInput[Params, State]
type host = task.HostInput[Params, State]

// Plan judges the cluster.
func (health) Plan(in input) (task.Plan, error) {
	j := &judge{now: in.Now}
	for _, h := range in.Hosts {
		switch {
		case h.Err != nil:
			j.lost = append(j.lost, h.Target)
		case h.State.Found:
			j.hosts = append(j.hosts, h)
		case slices.Contains(h.Groups, "etcd"):
			j.say(h.Target, task.Fail, "no etcd found: no unit, no static pod and no settings of one", "set config, unit or endpoint, or take the host out of the group etcd")
		}
	}
	if len(j.hosts) == 0 {
		if len(j.found) == 0 {
			j.say("", task.Fail, "no etcd found on any host that could be read", "name the etcd hosts in the group etcd, or set config or endpoint")
		}
		return task.Plan{Findings: j.found}, nil
	}
	j.p = j.hosts[0].Params
	j.gather()
	j.cluster()
	for _, h := range j.hosts {
		j.member(h)
	}
	j.alarms()
	j.unseen()
	j.hashes()
	j.clocks()
	return task.Plan{Findings: j.found}, nil
}

// judge is the whole cluster in view.
type judge struct {
	p       Params
	now     time.Time
	hosts   []host // that have an etcd
	lost    []string
	found   []task.Finding
	members []etcd.Member
	leader  *host
}

func (j *judge) say(host string, s task.Status, text, hint string) {
	j.found = append(j.found, task.Finding{Host: host, Status: s, Text: text, Hint: hint})
}

// gather takes the member list of the member that is furthest, and what is
// known of each member's health.
func (j *judge) gather() {
	var best *etcd.Status
	for i, h := range j.hosts {
		st := h.State.Live.Status
		if st == nil {
			continue
		}
		if st.Leader == st.MemberID && st.Leader != 0 && (j.leader == nil || st.Term > j.leader.State.Live.Status.Term) {
			j.leader = &j.hosts[i]
		}
		if len(h.State.Live.Members) > 0 && (best == nil || st.Term > best.Term || st.Term == best.Term && st.Index > best.Index) {
			best, j.members = st, slices.Clone(h.State.Live.Members)
		}
	}
	for i := range j.members {
		j.members[i].Healthy = j.healthy(j.members[i])
	}
}

// healthy is the member's own word where its host could be asked, else whether
// it answered the leader.
func (j *judge) healthy(m etcd.Member) bool {
	for _, h := range j.hosts {
		if own(h, m) {
			return h.State.Live.Health.OK
		}
	}
	if j.leader != nil {
		for _, s := range j.leader.State.View.Status {
			if s.MemberID == m.ID {
				return s.Leader != 0
			}
		}
	}
	return false
}

// own tells whether m runs on h.
func own(h host, m etcd.Member) bool {
	if st := h.State.Live.Status; st != nil {
		return st.MemberID == m.ID
	}
	return m.Name != "" && m.Name == h.State.Instance.Name
}

func (j *judge) name(id uint64) string {
	for _, m := range j.members {
		if m.ID == id {
			return m.Label()
		}
	}
	return fmt.Sprintf("%x", id)
}

// cluster judges what concerns all members.
func (j *judge) cluster() {
	j.oneCluster()
	if len(j.members) == 0 {
		j.say("", task.Fail, "no member says who its members are", "see the hosts' findings; journalctl -u etcd tells why one does not answer")
		return
	}
	sum := etcd.Count(j.members)
	text := fmt.Sprintf("%s, %d needed", sum, sum.Needed())
	switch {
	case !sum.Quorum():
		j.say("", task.Fail, "quorum lost: "+text, "nothing can be written; start the stopped members, do not remove any; a snapshot of a running one can still be taken")
	case sum.Healthy < sum.Voters && sum.Spare() == 0:
		j.say("", task.Warn, text+": the loss of one more stops the cluster", "bring the others back before anything else")
	default:
		j.say("", task.OK, text, "")
	}
	if even := sum.Even(); even != "" {
		j.say("", task.Warn, even, "an odd number is better: add or remove one")
	}
	if sum.Voters < j.p.MinVoters {
		j.say("", task.Fail, fmt.Sprintf("%d voters, at least %d are asked for", sum.Voters, j.p.MinVoters), "add members: dayops run builtin:etcd-scaleup.yml; or ask for fewer: min_voters")
	}
	for _, m := range j.members {
		j.listed(m)
	}
	if j.leader == nil && sum.Quorum() && !j.leads() {
		j.say("", task.Fail, "no member leads", "an election may be under way: look again; slow disks and clocks make them frequent")
	}
}

// leads tells whether the members agree on a leader that is on no host here.
func (j *judge) leads() bool {
	for _, h := range j.hosts {
		if st := h.State.Live.Status; st != nil && st.Leader != 0 {
			j.say("", task.Warn, fmt.Sprintf("the leader, %s, is on no host that was read: lag and hashes were not compared", j.name(st.Leader)), "")
			return true
		}
	}
	return false
}

func (j *judge) oneCluster() {
	ids, lines := map[uint64][]string{}, map[string][]string{}
	for _, h := range j.hosts {
		if st := h.State.Live.Status; st != nil {
			ids[st.ClusterID] = append(ids[st.ClusterID], h.Target)
			if v, ok := etcd.ParseVersion(st.Version); ok {
				lines[v.Line()] = append(lines[v.Line()], h.Target)
			}
		}
	}
	if len(ids) > 1 {
		var parts []string
		for id, hosts := range ids {
			parts = append(parts, fmt.Sprintf("%x on %s", id, strings.Join(hosts, " and ")))
		}
		slices.Sort(parts)
		j.say("", task.Fail, fmt.Sprintf("the hosts belong to %d clusters: %s", len(ids), strings.Join(parts, "; ")), "never start a restored copy beside a live original")
	}
	if len(lines) > 1 {
		var parts []string
		for l, hosts := range lines {
			parts = append(parts, l+" on "+strings.Join(hosts, " and "))
		}
		slices.Sort(parts)
		j.say("", task.Warn, "mixed versions: "+strings.Join(parts, "; "), "finish the upgrade; change no membership before")
	}
}

// listed judges a member as the list has it.
func (j *judge) listed(m etcd.Member) {
	here := slices.ContainsFunc(j.hosts, func(h host) bool { return own(h, m) })
	if !here && !m.Healthy {
		why := "it is on no host that could be read, and does not answer the leader"
		if j.leader == nil {
			why = "it is on no host that could be read"
		}
		j.say("", task.Fail, fmt.Sprintf("member %s: %s", m.Label(), why), strings.Join(m.PeerURLs, ", "))
	}
	if m.Learner {
		j.say("", task.Warn, fmt.Sprintf("member %s is a learner: it has no vote", m.Label()), "promote it when it has caught up, or remove it")
	}
	for _, u := range m.PeerURLs {
		if etcd.Local(u) {
			j.say("", task.Warn, fmt.Sprintf("member %s has the peer URL %s, which no other host can use", m.Label(), u), "correct it with member update before adding a member")
		}
	}
}

// alarms tells each alarm once.
func (j *judge) alarms() {
	seen := map[etcd.Alarm]bool{}
	for _, h := range j.hosts {
		for _, a := range h.State.Live.Alarms {
			if seen[a] {
				continue
			}
			seen[a] = true
			hint := map[string]string{
				"NOSPACE": "only reads and deletes work: compact, defragment, then alarm disarm",
				"CORRUPT": "take no backup from it; replace this member from the healthy ones",
			}[a.Kind]
			j.say("", task.Fail, fmt.Sprintf("alarm %s raised by %s", a.Kind, j.name(a.MemberID)), hint)
		}
	}
}

// unseen tells members that are well and did not answer the leader's host: they
// are in no comparison.
func (j *judge) unseen() {
	if j.leader == nil {
		return
	}
	for _, m := range j.members {
		if m.Healthy && !m.Learner && !slices.ContainsFunc(j.leader.State.View.Status, func(s etcd.Status) bool { return s.MemberID == m.ID }) {
			j.say("", task.Warn, fmt.Sprintf("member %s did not answer on the leader's host at %s: its lag and its hash were not compared", m.Label(), strings.Join(m.ClientURLs, ", ")),
				"clients cannot reach it there either: see ETCD_ADVERTISE_CLIENT_URLS of the member, and its port in the firewall")
		}
	}
}

// hashes compares those of one compact revision.
func (j *judge) hashes() {
	if j.leader == nil || !j.p.Hash {
		return
	}
	v := j.leader.State.View
	if len(v.Hashes) == 0 && v.Problem == "" {
		if st := j.leader.State.Live.Status; len(v.Status) > 1 {
			j.say("", task.OK, "hashes not compared: etcd "+st.Version+" or its etcdctl has no hashkv", "")
		}
		return
	}
	byCompact := map[int64]map[uint32][]string{}
	for _, h := range v.Hashes {
		if byCompact[h.Compact] == nil {
			byCompact[h.Compact] = map[uint32][]string{}
		}
		byCompact[h.Compact][h.Hash] = append(byCompact[h.Compact][h.Hash], j.name(h.MemberID))
	}
	for _, hashes := range byCompact {
		if len(hashes) > 1 {
			var parts []string
			for h, names := range hashes {
				parts = append(parts, fmt.Sprintf("%08x on %s", h, strings.Join(names, " and ")))
			}
			slices.Sort(parts)
			j.say("", task.Fail, fmt.Sprintf("the members' data differ at revision %d: %s", v.Rev, strings.Join(parts, "; ")), "take no backup before it is known which are right; replace the odd one")
			return
		}
	}
	switch {
	case v.Problem != "":
		j.say("", task.Warn, "hashes could not all be compared: "+v.Problem, "")
	case len(byCompact) > 1:
		j.say("", task.Warn, "hashes could not be compared: a compaction is under way", "look again in a minute")
	case len(v.Hashes) > 1:
		j.say("", task.OK, fmt.Sprintf("%d members hold the same data at revision %d", len(v.Hashes), v.Rev), "")
	}
}

func (j *judge) clocks() {
	var all []clock.Reading
	for _, h := range j.hosts {
		if !h.Facts.Clock.IsZero() {
			all = append(all, clock.Reading{Host: h.Target, Skew: h.Facts.Skew, Error: h.Facts.SkewError})
		}
	}
	if len(all) < 2 {
		return
	}
	s := clock.Compare(all)
	if status := above(int64(s.Sure), int64(j.p.WarnSpread), int64(j.p.MaxSpread)); status != task.OK {
		j.say("", status, fmt.Sprintf("clocks are at least %s apart: %s is behind %s", span(s.Sure), s.Early, s.Late), "see dayops run ntp.yml")
	}
}

func above(v, warn, fail int64) task.Status {
	switch {
	case fail > 0 && v > fail:
		return task.Fail
	case warn > 0 && v > warn:
		return task.Warn
	}
	return task.OK
}

func span(d time.Duration) string { return clock.Span(d) }
