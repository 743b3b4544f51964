package etcdhealth

import (
	"fmt"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// member judges what concerns one host.
func (j *judge) member(h host) {
	s := h.State
	j.certificates(h)
	st := s.Live.Status
	if text, hint := s.Instance.Unwelcome(s.Live); text != "" {
		j.say(h.Target, task.Fail, text, hint)
	}
	if st == nil {
		j.say(h.Target, task.Fail, fmt.Sprintf("member %s does not answer at %s: %s", s.Instance.Name, s.Instance.Endpoint, s.Live.Problem), unanswered(s))
		return
	}
	if len(j.members) > 0 && !slices.ContainsFunc(j.members, func(m etcd.Member) bool { return m.ID == st.MemberID }) {
		j.say(h.Target, task.Fail, fmt.Sprintf("member %s (%x) is not in the others' list: it was removed", s.Instance.Name, st.MemberID), "move its data aside before it is added again")
	}
	if s.Live.ListProblem != "" {
		j.say(h.Target, task.Warn, "its list of members could not be read: "+s.Live.ListProblem, "")
	}
	j.health(h)
	j.lag(h)
	j.size(h)
	if v := s.Live.V2; v.Asked && !v.Served {
		j.say(h.Target, task.Warn, "the v2 API should be served and does not answer", "")
	} else if v.Served && v.Verdict != "healthy" && s.Live.Health.OK && j.allUp() {
		status, verdict := task.Warn, v.Verdict
		if verdict == "" {
			verdict = "not told"
		}
		if verdict == "unhealthy" || verdict == "unavailable" {
			status = task.Fail
		}
		j.say(h.Target, status, "v2 cluster-health: "+verdict, "ETCDCTL_API=2 etcdctl cluster-health on the host tells which member it is")
	}
}

// allUp tells that nothing else explains a v2 store that is not healthy.
func (j *judge) allUp() bool {
	return !slices.ContainsFunc(j.members, func(m etcd.Member) bool { return !m.Healthy })
}

// unanswered is what to do about a silent member.
func unanswered(s State) string {
	for _, c := range s.Certificates {
		if wrong := c.Wrong(); wrong != "" {
			return "its certificate " + c.Path + " " + wrong
		}
	}
	switch in := s.Instance; {
	case in.Runtime == etcd.UnitRuntime && !in.Active:
		return in.Unit + " does not run: journalctl -u " + in.Unit + " -n 50 tells why; systemctl start " + in.Unit
	case in.Runtime == etcd.UnitRuntime:
		return in.Unit + " runs: is it stopped (SIGSTOP), its disk stuck, or the certificate not its authority's?"
	case in.Manifest != "":
		return "static pod " + in.Manifest + ": see the container's log (master-logs etcd etcd, crictl logs)"
	}
	return "neither a unit nor a static pod of it is known: look on the host whether it runs, and name it with unit or endpoint"
}

func (j *judge) health(h host) {
	l := h.State.Live
	if !l.Health.OK {
		why := l.Health.Error
		if l.Status.Leader == 0 {
			why = "it has no leader"
		}
		j.say(h.Target, task.Fail, fmt.Sprintf("member %s is not healthy: %s", h.State.Instance.Name, why), "first bring back members that do not answer; then the log of this one tells more, and its disk and network are to be looked at")
		return
	}
	if status := above(int64(l.Health.Took), int64(j.p.WarnLatency), int64(j.p.MaxLatency)); status != task.OK {
		j.say(h.Target, status, fmt.Sprintf("a confirmed read takes %s (limits %s, %s)", span(l.Health.Took), j.p.WarnLatency, j.p.MaxLatency), "a slow disk, network or CPU; etcd wants its data on an SSD of its own")
	}
	if l.AlarmProblem != "" {
		j.say(h.Target, task.Warn, "alarms could not be asked for: "+l.AlarmProblem, "")
	}
}

// lag is from the leader's survey, whose answers are of nearly one time.
func (j *judge) lag(h host) {
	if j.leader == nil {
		return
	}
	st := h.State.Live.Status
	var first, mine uint64
	for _, s := range j.leader.State.View.Status {
		first = max(first, s.Index)
		if s.MemberID == st.MemberID {
			mine = s.Index
		}
	}
	if mine > 0 && first > mine {
		if status := above(int64(min(first-mine, 1<<62)), int64(j.p.WarnLag), int64(j.p.MaxLag)); status != task.OK {
			j.say(h.Target, status, fmt.Sprintf("member %s is %d raft entries behind (limits %d, %d)", h.State.Instance.Name, first-mine, j.p.WarnLag, j.p.MaxLag), "take no backup from it until it has caught up")
		}
	}
}

func (j *judge) size(h host) {
	const percent, small = 100, 100 << 20
	st, q := h.State.Live.Status, h.State.Instance.Quota
	if q > 0 {
		used := int64(float64(st.DBSize) / float64(q) * percent)
		if status := above(used, int64(j.p.WarnSize), int64(j.p.MaxSize)); status != task.OK {
			j.say(h.Target, status, fmt.Sprintf("database has %s, %d%% of its quota %s (limits %d%%, %d%%)", etcd.Size(st.DBSize), used, etcd.Size(q), j.p.WarnSize, j.p.MaxSize), "at 100% all writes stop: compact and defragment, or raise ETCD_QUOTA_BACKEND_BYTES")
		}
	}
	if st.DBInUse > 0 && st.DBSize > small && st.DBInUse <= st.DBSize {
		free := int64(float64(st.DBSize-st.DBInUse) / float64(st.DBSize) * percent)
		if above(free, int64(j.p.WarnUnused), 0) != task.OK {
			j.say(h.Target, task.Warn, fmt.Sprintf("%d%% of the database's %s is unused (limit %d%%)", free, etcd.Size(st.DBSize), j.p.WarnUnused), "defragment, one member at a time")
		}
	}
}

func (j *judge) certificates(h host) {
	const day = 24 * time.Hour
	for _, c := range h.State.Certificates {
		if c.Problem != "" {
			j.say(h.Target, task.Fail, "certificate "+c.Path+" "+c.Problem, "see cacert, cert and key of dayops doc etcd_health")
			continue
		}
		if c.Stranger != "" {
			j.say(h.Target, task.Fail, "certificate "+c.Path+" "+c.Stranger, "put the right one back: etcd reads its own again when it is restarted; members refuse one another")
		}
		end := c.NotAfter()
		left := end.Sub(j.now)
		switch {
		case left <= 0:
			j.say(h.Target, task.Fail, fmt.Sprintf("certificate %s expired on %s", c.Path, end.UTC().Format(time.DateOnly)), "renew it; members refuse one another")
		case left < j.p.MaxExpiry.Std():
			j.say(h.Target, task.Fail, fmt.Sprintf("certificate %s expires in %d days, on %s", c.Path, left/day, end.UTC().Format(time.DateOnly)), "renew it now")
		case left < j.p.WarnExpiry.Std():
			j.say(h.Target, task.Warn, fmt.Sprintf("certificate %s expires in %d days, on %s", c.Path, left/day, end.UTC().Format(time.DateOnly)), "renew it soon")
		}
	}
}
