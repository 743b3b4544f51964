package etcdroll

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Findings collects judgements.
type Findings []task.Finding

// OK, Warn and Fail add one; host "" is the cluster.
func (f *Findings) OK(host, text string) { f.say(host, task.OK, text, "") }

// Warn is what should be known.
func (f *Findings) Warn(host, text, hint string) { f.say(host, task.Warn, text, hint) }

// Fail refuses the whole plan.
func (f *Findings) Fail(text, hint string) { f.say("", task.Fail, text, hint) }

func (f *Findings) say(host string, s task.Status, text, hint string) {
	*f = append(*f, task.Finding{Host: host, Status: s, Text: text, Hint: hint})
}

// Failed tells whether the plan is refused.
func (f Findings) Failed() bool {
	return slices.ContainsFunc(f, func(x task.Finding) bool { return x.Status == task.Fail })
}

// Limits of the preconditions.
type Limits struct {
	Spread time.Duration // clocks further apart are refused; 0: not judged
	Free   int64         // bytes that the data's file system must have
	Alarms bool          // an alarm does not matter here
	Expiry bool          // an expired certificate does not matter here: it is what is to be changed
	Stops  bool          // members are stopped, and must start again
}

// Judge refuses what must not be gone through: a cluster that is not healthy, and
// of which one more member must not be missing for a moment. turn are those of
// Turn that are to be.
func (c *Cluster) Judge(f *Findings, l Limits, turn []Host) {
	for _, h := range c.Hosts {
		if text, hint := h.State.Instance.Unwelcome(h.State.Live); text != "" {
			f.Fail(h.Name+": "+text, hint)
		}
	}
	if !c.found(f) {
		return
	}
	c.one(f)
	for _, m := range c.Members {
		c.member(f, m)
	}
	if !l.Alarms {
		c.alarms(f)
	}
	c.quorum(f, l, turn)
	for _, h := range turn {
		c.host(f, h, l)
	}
	c.clocks(f, l.Spread)
}

// found tells whether there is a cluster.
func (c *Cluster) found(f *Findings) bool {
	if len(c.Members) > 0 {
		return true
	}
	for _, h := range c.Others {
		if h.Err != nil && !h.Reach {
			f.Warn(h.Name, "could not be read: "+reader.Printable(h.Err.Error()), "")
		}
	}
	for _, h := range c.Hosts {
		f.Fail(fmt.Sprintf("%s: member %s does not answer at %s: %s", h.Name, h.State.Instance.Name, h.State.Instance.Endpoint, h.problem()), h.hint())
	}
	if len(c.Hosts) == 0 {
		f.Fail("no etcd found on any host that could be read", "name the etcd hosts in the group etcd, or set config, unit or endpoint")
	}
	return false
}

func (h Host) problem() string {
	if p := h.State.Live.Problem; p != "" {
		return p
	}
	if p := h.State.Live.ListProblem; p != "" {
		return p
	}
	return "it does not say who its members are"
}

// hint looks for what is wrong with the certificates by which a member is asked.
func (h Host) hint() string {
	for _, c := range h.State.Certificates {
		if wrong := c.Wrong(); wrong != "" {
			return fmt.Sprintf("%s %s", c.Path, wrong)
		}
	}
	return "journalctl -u etcd on the host tells more; cacert, cert and key name other certificates to ask with"
}

// one judges that the hosts are of one cluster.
func (c *Cluster) one(f *Findings) {
	lines := map[string][]string{}
	for _, h := range c.Hosts {
		st := h.State.Live.Status
		if st == nil {
			continue
		}
		if st.ClusterID != c.ID {
			f.Fail(fmt.Sprintf("%s belongs to another cluster: %x, not %x", h.Name, st.ClusterID, c.ID), "take it out of the group etcd; never start a restored copy beside a live original")
			continue
		}
		if v, ok := etcd.ParseVersion(st.Version); ok {
			lines[v.Line()] = append(lines[v.Line()], h.Name)
		}
	}
	if len(lines) > 1 {
		var parts []string
		for l, hosts := range lines {
			parts = append(parts, l+" on "+strings.Join(hosts, " and "))
		}
		slices.Sort(parts)
		f.Warn("", "mixed versions: "+strings.Join(parts, "; "), "an upgrade is under way: finish it")
	}
}

func (c *Cluster) member(f *Findings, m etcd.Member) {
	h := c.HostOf(m)
	switch {
	case m.Healthy && m.Learner:
		f.Warn("", fmt.Sprintf("member %s is a learner: it has no vote", m.Label()), "promote it when it has caught up, or remove it")
	case m.Healthy:
	case h == nil:
		f.Fail(fmt.Sprintf("member %s (%s) is on no host that could be read, and does not answer the leader", m.Label(), strings.Join(m.PeerURLs, ", ")),
			"bring it back, or replace it (dayops run builtin:etcd-replace.yml), first")
	case h.State.Live.Status == nil:
		f.Fail(fmt.Sprintf("member %s does not answer at %s: %s", m.Label(), h.State.Instance.Endpoint, h.problem()), "bring it back first; "+h.hint())
	default:
		f.Fail(fmt.Sprintf("member %s is not healthy: %s", m.Label(), cmp.Or(h.State.Live.Health.Error, "it confirms no read")), "see dayops run etcd-health.yml")
	}
}

func (c *Cluster) alarms(f *Findings) {
	seen := map[etcd.Alarm]bool{}
	for _, a := range c.Alarms() {
		if !seen[a] {
			seen[a] = true
			f.Fail(fmt.Sprintf("alarm %s raised by %s", a.Kind, c.Name(a.MemberID)), map[string]string{
				"NOSPACE": "only reads and deletes work: dayops run builtin:etcd-defrag.yml, or raise ETCD_QUOTA_BACKEND_BYTES",
				"CORRUPT": "replace this member from the healthy ones: dayops run builtin:etcd-replace.yml",
			}[a.Kind])
		}
	}
}

// Alarms are the cluster's.
func (c *Cluster) Alarms() []etcd.Alarm {
	var out []etcd.Alarm
	for _, h := range c.Hosts {
		for _, a := range h.State.Live.Alarms {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// quorum weighs that each member in turn is missing for a moment. A single
// member has no other to be missed by.
func (c *Cluster) quorum(f *Findings, l Limits, turn []Host) {
	sum := etcd.Count(c.Members)
	if !sum.Quorum() {
		f.Fail(fmt.Sprintf("quorum lost: %s, %d needed", sum, sum.Needed()), "nothing can be written; start the stopped members, do not remove any")
		return
	}
	if c.Leader == 0 {
		f.Fail("no member leads", "an election may be under way: look again in a moment")
		return
	}
	if sum.Voters == 1 {
		what := "answers nobody while it is defragmented"
		if l.Stops {
			what = "is stopped for a moment"
		}
		if len(turn) > 0 {
			f.Warn("", "the only voter "+what+": nothing can be read or written then", "")
		}
		return
	}
	for _, h := range turn {
		m, _ := c.MemberOf(h)
		if v := etcd.Stop(c.Members, m); !v.OK {
			hint := "bring the other members back first"
			if sum.Healthy == sum.Voters {
				hint = "two voters cannot do without one: add a third first (etcd-scaleup.yml)"
			}
			f.Fail(v.Text, hint)
			return
		}
	}
	text := fmt.Sprintf("%s, %d needed", sum, sum.Needed())
	if sum.Healthy > sum.Needed() {
		text += ": one at a time may be missing"
	}
	*f = append(*f, task.Finding{Head: "Quorum", Status: task.OK, Text: text})
}

// host judges one that is to be gone through.
func (c *Cluster) host(f *Findings, h Host, l Limits) {
	in := h.State.Instance
	if why := in.Powerless(); l.Stops && why != "" {
		f.Fail(h.Name+": "+why, "set unit to the name of etcd's unit")
	}
	if free := h.State.Free; free >= 0 && free < l.Free {
		f.Fail(fmt.Sprintf("%s has %s free at %s, %s are needed", h.Name, etcd.Size(free), reader.Printable(in.DataDir), etcd.Size(l.Free)), "make room on the host first")
	}
	for _, cert := range h.State.Certificates {
		if !l.Stops || l.Expiry || cert.Problem != "" {
			continue
		}
		if cert.Stranger != "" {
			f.Fail(fmt.Sprintf("%s: certificate %s %s: the member could not join again", h.Name, cert.Path, cert.Stranger), "put the right one back first")
		}
		if end := cert.NotAfter(); !end.After(c.Now) {
			f.Fail(fmt.Sprintf("%s: certificate %s expired on %s: the member could not join again", h.Name, cert.Path, end.Format(time.DateOnly)), "renew it: dayops run builtin:etcd-certs.yml -e renew=yes")
		}
	}
}

func (c *Cluster) clocks(f *Findings, most time.Duration) {
	var all []clock.Reading
	for _, h := range c.Hosts {
		if !h.Facts.Clock.IsZero() {
			all = append(all, clock.Reading{Host: h.Name, Skew: h.Facts.Skew, Error: h.Facts.SkewError})
		}
	}
	if len(all) < 2 || most <= 0 {
		return
	}
	if s := clock.Compare(all); s.Sure > most {
		f.Fail(fmt.Sprintf("clocks are at least %s apart: %s is behind %s", clock.Span(s.Sure), s.Early, s.Late), "set the time first: dayops run ntp.yml")
	}
}
