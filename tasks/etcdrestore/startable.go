package etcdrestore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// startable judges whether the members, once stopped, come up again and can be
// seen to be healthy. Their files may have changed since they were started.
func (p *planner) startable() {
	for _, m := range p.members {
		p.certificates(m)
		p.welcome(m)
	}
	p.clocks()
}

// against refuses; what is restored in part already is only warned of, as the old
// cluster is gone from there.
func (p *planner) against(host, text, hint string) {
	status := task.Fail
	if p.again {
		status = task.Warn
	}
	p.say(host, status, text, hint)
}

func (p *planner) certificates(m *member) {
	for _, c := range m.State.Certificates {
		switch end := c.NotAfter(); {
		case c.Problem != "" && m.in.Runtime == etcd.UnitRuntime:
			p.against(m.Target, fmt.Sprintf("certificate %s %s: the member could not start again", c.Path, c.Problem), "put it there first, or correct "+strings.Join(m.in.Sources, ", "))
		case c.Problem != "": // a container may have it by another path
			p.say(m.Target, task.Warn, fmt.Sprintf("certificate %s %s", c.Path, c.Problem), "")
		case c.Stranger != "":
			p.against(m.Target, fmt.Sprintf("certificate %s %s: the member could not join again", c.Path, c.Stranger), "put the right one back first: the running member still has it in memory")
		case !end.After(p.now):
			p.against(m.Target, fmt.Sprintf("certificate %s expired on %s: the member could not join again", c.Path, end.UTC().Format(time.DateOnly)),
				"renew it first: dayops run builtin:etcd-certs.yml -e renew=yes; by hand from the authority where the cluster is not healthy")
		}
	}
}

// welcome judges whether the restored cluster lets us in: it has the users of the
// snapshot. Nobody else's question for its health is ever answered.
func (p *planner) welcome(m *member) {
	if !p.src.Auth {
		return
	}
	const hint = "set the variables etcd_user and etcd_password of a user of the snapshot with the role root"
	if text, hint := m.in.Unwelcome(m.State.Live); text != "" {
		p.against(m.Target, text+"; in the snapshot it is on too", hint+"; where the running cluster's users are what is wrong, stop etcd on all members first: nobody is asked then")
		return
	}
	name, how := m.in.Ctl.User, "user "+m.in.Ctl.User
	if name == "" && m.in.Ctl.Cert != "" {
		i := slices.IndexFunc(m.State.Certificates, func(c etcdca.File) bool { return c.Path == m.in.Ctl.Cert && len(c.Certs) > 0 })
		if i < 0 {
			return // told by certificates
		}
		name = m.State.Certificates[i].Certs[0].CN
		how = fmt.Sprintf("%q, the common name of %s,", name, m.in.Ctl.Cert)
	}
	switch {
	case name == "":
		p.against(m.Target, "authentication is on in the snapshot, and nobody is named to ask as", hint)
	case len(p.src.Users) > 0 && !slices.Contains(p.src.Users, name):
		p.against(m.Target, "authentication is on in the snapshot, and "+how+" is no user in it", hint)
	}
}

func (p *planner) clocks() {
	var all []clock.Reading
	for _, m := range p.members {
		if !m.Facts.Clock.IsZero() {
			all = append(all, clock.Reading{Host: m.Target, Skew: m.Facts.Skew, Error: m.Facts.SkewError})
		}
	}
	most := p.params.MaxSpread.Std()
	if s := clock.Compare(all); most > 0 && s.Sure > most {
		p.against("", fmt.Sprintf("clocks are at least %s apart: %s is behind %s", clock.Span(s.Sure), s.Early, s.Late), "set the time first: dayops run ntp.yml; or max_spread: 0")
	}
}
