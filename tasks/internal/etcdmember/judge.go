package etcdmember

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// Limits of the preconditions.
type Limits struct {
	Spread time.Duration // clocks further apart are refused
	Expiry time.Duration // certificates that end sooner are refused
	Down   bool          // a member may be down, if the arithmetic allows it: only a warning
}

// Sound judges the cluster before its membership changes. dead are members of
// which nothing is expected, because they come or go.
func (v *View) Sound(f *Findings, l Limits, dead ...uint64) {
	if !v.found(f) {
		return
	}
	v.one(f, dead)
	for _, m := range v.Members {
		if !slices.Contains(dead, m.ID) {
			v.member(f, m, l.Down)
		}
	}
	v.alarms(f)
	v.unwelcome(f)
	sum := etcd.Count(v.Members)
	switch {
	case !sum.Quorum():
		f.Fail("", fmt.Sprintf("quorum lost: %s, %d needed", sum, sum.Needed()), "nothing can be changed in the cluster; start the stopped members; do not remove any")
	case v.Leader == 0:
		f.Fail("", "no member leads", "an election may be under way: look again in a moment")
	default:
		f.Head("Cluster", v.Line())
	}
	v.certificates(f, l.Expiry)
	v.clocks(f, l.Spread)
	v.bugs(f)
}

// found tells whether there is a cluster to judge.
func (v *View) found(f *Findings) bool {
	if len(v.Members) > 0 {
		return true
	}
	for _, h := range v.Hosts {
		switch {
		case !h.In("etcd") && !h.State.Found:
		case h.Err != nil:
			f.Fail("", fmt.Sprintf("%s could not be read: %s", h.Name, reader.Printable(h.Err.Error())), "bring the host back, or take it out of the group etcd")
		case !h.State.Found:
			f.Fail(h.Name, "no etcd found: no unit, no static pod and no settings of one", "name it with the parameters config, unit or endpoint")
		case !h.State.Runs():
			f.Fail(h.Name, fmt.Sprintf("member %s does not answer at %s: %s", h.State.Instance.Name, h.State.Instance.Endpoint, h.State.Live.Problem), ask(h.State))
		}
	}
	v.unwelcome(f)
	f.Fail("", "no member says who its members are", "see the hosts' findings, and dayops run etcd-health.yml")
	return false
}

// wrongCertificate tells what is wrong with the certificates by which a member was asked.
func wrongCertificate(s State) string {
	for _, c := range s.Certificates {
		if wrong := c.Wrong(); wrong != "" {
			return fmt.Sprintf("certificate %s %s", c.Path, wrong)
		}
	}
	return ""
}

// ask is what to do about a member that was asked and did not answer.
func ask(s State) string {
	if wrong := wrongCertificate(s); wrong != "" {
		return wrong
	}
	return "journalctl -u etcd on the host tells more; cacert, cert and key name other certificates to ask with"
}

// one judges that the hosts are of one cluster and one version.
func (v *View) one(f *Findings, dead []uint64) {
	lines := map[string][]string{}
	for _, h := range v.Hosts {
		st := h.State.Live.Status
		if h.Err != nil || st == nil {
			continue
		}
		if st.ClusterID != v.Cluster {
			f.Fail(h.Name, fmt.Sprintf("%s belongs to another cluster: %x, not %x", h.Name, st.ClusterID, v.Cluster), "take it out of the groups etcd and new_etcd, or wipe it if it is a leftover; never start a restored copy beside a live original")
			continue
		}
		if _, ok := v.MemberOf(&h); !ok && !slices.Contains(dead, st.MemberID) {
			f.Fail(h.Name, fmt.Sprintf("%s runs, and is no member of the cluster any more", h.Name), "stop its etcd and move its data aside")
		}
		version, _ := etcd.ParseVersion(st.Version)
		lines[version.Line()] = append(lines[version.Line()], h.Name)
	}
	if len(lines) > 1 {
		var parts []string
		for l, hosts := range lines {
			parts = append(parts, l+" on "+strings.Join(hosts, " and "))
		}
		slices.Sort(parts)
		f.Fail("", "mixed versions: "+strings.Join(parts, "; "), "finish the upgrade first")
	}
}

func (v *View) member(f *Findings, m etcd.Member, down bool) {
	status := task.Fail
	if down {
		status = task.Warn
	}
	h := v.HostOf(m)
	switch {
	case m.Healthy:
	case h == nil:
		f.say("", status, fmt.Sprintf("member %s (%s) is on no host that could be read", m.Label(), strings.Join(m.PeerURLs, ", ")),
			"put its host into the group etcd, bring it back, or remove the member first: dayops run builtin:etcd-remove.yml -e member="+m.Label())
	case !h.State.Runs():
		hint := "bring it back, or remove it first: dayops run builtin:etcd-remove.yml -e member=" + m.Label()
		if wrong := wrongCertificate(h.State); wrong != "" {
			hint = wrong
		}
		f.say("", status, fmt.Sprintf("member %s does not answer at %s: %s", v.Label(m), h.State.Instance.Endpoint, h.State.Live.Problem), hint)
	default:
		f.say("", status, fmt.Sprintf("member %s is not healthy: %s", v.Label(m), cmp.Or(h.State.Live.Health.Error, "it answers, and confirms no read")), "see dayops run etcd-health.yml")
	}
}

// unwelcome refuses what etcd would refuse half-way.
func (v *View) unwelcome(f *Findings) {
	for _, h := range v.Hosts {
		if text, hint := h.State.Instance.Unwelcome(h.State.Live); text != "" && h.Err == nil {
			f.Fail(h.Name, text, hint)
		}
	}
}

func (v *View) alarms(f *Findings) {
	seen := map[etcd.Alarm]bool{}
	for _, h := range v.Hosts {
		for _, a := range h.State.Live.Alarms {
			if h.Err == nil && !seen[a] {
				seen[a] = true
				f.Fail("", fmt.Sprintf("alarm %s raised by %x", a.Kind, a.MemberID), "see dayops run etcd-health.yml")
			}
		}
	}
}

func (v *View) certificates(f *Findings, least time.Duration) {
	for _, h := range v.Hosts {
		if h.Err != nil || !h.State.Runs() {
			continue
		}
		for _, c := range h.State.Certificates {
			end := c.NotAfter()
			switch left := end.Sub(v.Now); {
			case c.Problem != "":
				f.Warn(h.Name, fmt.Sprintf("certificate %s %s", c.Path, c.Problem), "")
			case c.Stranger != "":
				f.Fail(h.Name, fmt.Sprintf("certificate %s %s", c.Path, c.Stranger), "put the right one back first: the member reads it when it restarts, and the others refuse it")
			case left <= 0:
				f.Fail(h.Name, fmt.Sprintf("certificate %s expired on %s", c.Path, end.Format(time.DateOnly)), "renew it first: dayops run builtin:etcd-certs.yml")
			case left < least:
				f.Fail(h.Name, fmt.Sprintf("certificate %s expires on %s", c.Path, end.Format(time.DateOnly)), "renew it first: dayops run builtin:etcd-certs.yml")
			}
		}
	}
}

// named judges that members' certificates are for the hosts of their peer URLs: a
// new member asks there who the others are, and would not start.
func (v *View) named(f *Findings) {
	for i := range v.Hosts {
		h := &v.Hosts[i]
		m, ok := v.MemberOf(h)
		for _, c := range h.State.Certificates {
			if !ok || h.Err != nil || c.Path != h.State.Instance.PeerCert || len(c.Certs) == 0 || c.Certs[0].Names.SAN() == "" {
				continue
			}
			for _, u := range m.PeerURLs {
				if !etcd.Local(u) && !covers(c.Certs[0].Names, hostname(u)) {
					f.Fail(h.Name, fmt.Sprintf("certificate %s is not for %s, where others reach the member: a new one could not join", c.Path, hostname(u)),
						"a new one has that name too: dayops run builtin:etcd-certs.yml -e renew=yes, with a renew_before beyond the old one's end")
				}
			}
		}
	}
}

// covers tells whether a certificate is for a host. Wildcards are not compared here.
func covers(n etcdca.Names, host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
	}
	return slices.ContainsFunc(slices.Concat(n.IPs, n.DNS), func(s string) bool { return strings.EqualFold(s, host) || strings.HasPrefix(s, "*.") })
}

func (v *View) clocks(f *Findings, most time.Duration) {
	var all []clock.Reading
	for _, h := range v.Hosts {
		if h.Err == nil && (h.State.Found || h.In("new_etcd")) && !h.Facts.Clock.IsZero() {
			all = append(all, clock.Reading{Host: h.Name, Skew: h.Facts.Skew, Error: h.Facts.SkewError})
		}
	}
	if len(all) < 2 {
		return
	}
	s := clock.Compare(all)
	if most > 0 && s.Sure > most {
		f.Fail("", fmt.Sprintf("clocks are at least %s apart: %s is behind %s", clock.Span(s.Sure), s.Early, s.Late), "set the time first: dayops run ntp.yml")
		return
	}
	if s.Seen > 0 {
		f.OK("", "clocks agree within "+clock.Span(s.Seen+s.Error))
	}
}

// bugs warns of what the version is known to get wrong when members change.
func (v *View) bugs(f *Findings) {
	at := v.Version
	if at.Major == 3 && at.Minor == 5 && at.AtLeast(3, 5, 1) && !at.AtLeast(3, 5, 20) {
		f.Warn("", fmt.Sprintf("etcd %s forgets a promotion in what it writes to disk (fixed in 3.5.20)", at), "upgrade to 3.5.26 or later before the way to 3.6, which would see a learner")
	}
}

// Even warns of an even number of voters.
func (f *Findings) Even(s etcd.Sum) {
	if e := s.Even(); e != "" {
		f.say("", task.Warn, e, "an odd number is better: add or remove one more")
	}
}
