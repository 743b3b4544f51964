package etcdcerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

// planner is one plan being made.
type planner struct {
	p      Params
	now    time.Time
	c      *etcdroll.Cluster
	f      etcdroll.Findings
	states map[string]State // by host
	ca     string           // host of the authority
}

// Plan reports, and with renew makes new certificates.
func (certs) Plan(in input) (task.Plan, error) {
	pl := &planner{now: in.Now, states: map[string]State{}}
	var hosts []etcdroll.Host
	hosts, pl.p = etcdroll.Hosts(in, func(s State) etcdroll.State { return s.State })
	for _, h := range in.Hosts {
		if h.Err == nil {
			pl.states[h.Target] = h.State
		}
	}
	pl.c = etcdroll.Gather(hosts, in.Now)
	if len(pl.c.Hosts) == 0 {
		pl.f.Fail("no etcd found on any host that could be read", "name the etcd hosts in the group etcd, or set config, unit or endpoint")
		return task.Plan{Findings: pl.f}, nil
	}
	pl.authority()
	for _, h := range pl.c.Hosts {
		pl.report(h)
	}
	if !pl.p.Renew {
		return task.Plan{Findings: pl.f}, nil
	}
	return pl.renew(), nil
}

// authority looks for the host that signs.
func (pl *planner) authority() {
	if pl.ca = pl.p.CAHost; pl.ca != "" {
		return
	}
	for _, h := range pl.c.Hosts {
		a := pl.states[h.Name].Authority
		if a.Found && (pl.ca == "" || len(pl.states[pl.ca].Authority.Lacks) > 0 && len(a.Lacks) == 0) {
			pl.ca = a.On(h.Name)
			if a.Local {
				pl.states[pl.ca] = State{Authority: a}
			}
		}
	}
}

// report judges one host's files. What is about to be renewed is no failure.
func (pl *planner) report(h etcdroll.Host) {
	s := pl.states[h.Name]
	renewed := map[string]bool{}
	if pl.p.Renew && !h.Reach {
		for _, p := range due(s, pl.p, pl.now) {
			renewed[p.Cert.Path] = true
		}
	}
	if len(s.Pairs) == 0 {
		pl.f.Warn(h.Name, fmt.Sprintf("member %s has no certificate of its own: its URLs are not encrypted, or nothing names one", s.Instance.Name), "")
	}
	for _, f := range s.all() {
		pl.file(h.Name, f, renewed[f.Path])
	}
	want := needs(s.Instance)
	for _, p := range s.Pairs {
		if p.Cert.Problem != "" || renewed[p.Cert.Path] {
			continue
		}
		if lacks := p.Cert.Certs[0].Names.Missing(want); len(lacks) > 0 {
			pl.f.Warn(h.Name, fmt.Sprintf("certificate %s is not for %s, by which others reach the member", p.Cert.Path, strings.Join(lacks, ", ")), "a renewal adds it")
		}
	}
}

func (pl *planner) file(host string, f etcdca.File, renewed bool) {
	if f.Problem != "" {
		pl.bad(host, task.Fail, "certificate "+f.Path+" "+f.Problem, "see cacert, cert and key of dayops doc etcd_certs")
		return
	}
	if f.Stranger != "" && !renewed {
		pl.bad(host, task.Fail, "certificate "+f.Path+" "+f.Stranger, "put the right one back: the others refuse this one")
		return
	}
	end := f.NotAfter()
	left, day := end.Sub(pl.now), end.Format(time.DateOnly)
	text := fmt.Sprintf("certificate %s (%s) expires in %d days, on %s", f.Path, f.Certs[0].CN, days(end, pl.now), day)
	status, hint := task.OK, "renew it: dayops run builtin:etcd-certs.yml -e renew=yes"
	switch {
	case left <= 0:
		status, text = task.Fail, fmt.Sprintf("certificate %s (%s) expired on %s", f.Path, f.Certs[0].CN, day)
	case left < pl.p.MaxExpiry.Std():
		status = task.Fail
	case left < pl.p.WarnExpiry.Std():
		status = task.Warn
	}
	if f.Certs[0].CA {
		hint = "the authority itself is to be replaced, on all members and masters (openshift-ansible: redeploy-etcd-ca)"
	}
	if renewed {
		text, hint = text+": it is renewed", ""
	}
	if status == task.OK {
		hint = ""
	}
	pl.bad(host, status, text, hint)
}

// bad judges one host. What a renewal cannot mend does not keep it from mending the rest.
func (pl *planner) bad(host string, s task.Status, text, hint string) {
	if pl.p.Renew {
		s = min(s, task.Warn)
	}
	pl.f = append(pl.f, task.Finding{Host: host, Status: s, Text: text, Hint: hint})
}

// due are the host's certificates that are to be renewed.
func due(s State, p Params, now time.Time) (out []Pair) {
	for _, pair := range s.Pairs {
		if pair.Cert.Problem == "" && pair.Cert.NotAfter().Sub(now) < p.Before.Std() {
			out = append(out, pair)
		}
	}
	return out
}

// renew makes the plan, or refuses it.
func (pl *planner) renew() task.Plan {
	var turn []etcdroll.Host
	expired := false
	for _, h := range pl.members() {
		pairs := due(pl.states[h.Name], pl.p, pl.now)
		if len(pairs) > 0 {
			turn = append(turn, h)
		}
		for _, p := range pairs {
			expired = expired || !p.Cert.NotAfter().After(pl.now)
			pl.pair(h, p)
		}
	}
	if len(turn) == 0 || pl.f.Failed() {
		return task.Plan{Findings: pl.f}
	}
	pl.signs(turn)
	if expired {
		pl.expired(turn)
	} else {
		pl.c.Judge(&pl.f, etcdroll.Limits{Spread: pl.p.Spread.Std(), Expiry: true, Stops: true}, turn)
	}
	if pl.f.Failed() {
		return task.Plan{Findings: pl.f}
	}
	return pl.plan(turn, expired)
}

// members are the hosts of the play that have one, the leader last; without an
// answer who leads, as the inventory has them.
func (pl *planner) members() []etcdroll.Host {
	if turn := pl.c.Turn(); len(turn) > 0 {
		return turn
	}
	return slices.DeleteFunc(slices.Clone(pl.c.Hosts), func(h etcdroll.Host) bool { return h.Reach })
}

// pair refuses what cannot be replaced as it is.
func (pl *planner) pair(h etcdroll.Host, p Pair) {
	switch {
	case !p.Key.Exists:
		pl.f.Fail(fmt.Sprintf("%s: %s has no key %s", h.Name, p.Cert.Path, reader.Printable(p.Key.Path)), "see ETCD_KEY_FILE and ETCD_PEER_KEY_FILE of its settings")
	case p.Key.Type != reader.Regular || p.Cert.File.Type != reader.Regular:
		pl.f.Fail(fmt.Sprintf("%s: %s and %s are not both plain files", h.Name, p.Cert.Path, reader.Printable(p.Key.Path)), "renew it where the links lead")
	default:
		if err := pl.request(h, p).Validate(); err != nil {
			pl.f.Fail(fmt.Sprintf("%s: %s: %s", h.Name, p.Cert.Path, err), "renew it by hand")
		}
	}
}

// signs refuses an authority that would not do.
func (pl *planner) signs(turn []etcdroll.Host) {
	s, ok := pl.states[pl.ca]
	switch {
	case pl.ca == "":
		problem, hint := etcdca.Authority{Dir: pl.p.CADir, Key: pl.p.CAKey}.Problem(pl.now)
		pl.f.Fail(problem+" of any etcd host", hint+"; ca_host and ca_dir name another")
		return
	case !ok:
		pl.f.Fail(fmt.Sprintf("ca_host %s is not in the play, or could not be read", pl.ca), "put it into the play's hosts or the group etcd")
		return
	}
	var trusted []etcdca.File
	for _, h := range turn {
		trusted = append(trusted, pl.states[h.Name].Trusted...)
	}
	a := s.Authority
	if problem, hint := a.Problem(pl.now, trusted...); problem != "" {
		pl.f.Fail(pl.ca+": "+problem, hint)
		return
	}
	if until := a.Until(pl.now); until.Sub(pl.now) <= pl.p.Before.Std() {
		pl.f.Fail(fmt.Sprintf("what %s signs now ends on %s, which is within renew_before (%d days)", pl.ca, until.Format(time.DateOnly), days(pl.now.Add(pl.p.Before.Std()), pl.now)), "replace the authority (openshift-ansible: redeploy-etcd-ca), or set a shorter renew_before")
	}
}

// expired judges a cluster that nobody can ask any more: the members' own words
// are of no use, and all of them must be at hand.
func (pl *planner) expired(turn []etcdroll.Host) {
	pl.f.Warn("", "a certificate has expired: the cluster cannot be asked. All members get their files first and are restarted then", "")
	for _, h := range pl.c.Hosts {
		if h.Reach {
			pl.f.Fail(fmt.Sprintf("%s is not covered by the play", h.Name), "run it without --limit, on all etcd hosts")
		}
	}
	for _, h := range pl.c.Others {
		if h.Err != nil && slices.Contains(h.Groups, "etcd") {
			pl.f.Fail(fmt.Sprintf("%s could not be read: %s", h.Name, reader.Printable(h.Err.Error())), "bring it back first")
		}
	}
	for _, h := range turn {
		if why := h.State.Instance.Powerless(); why != "" {
			pl.f.Fail(h.Name+": "+why, "set unit to the name of etcd's unit")
		}
	}
}
