package etcdmember

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/tasks/internal/daemon"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Leaving is a member that goes, or has gone and left things behind.
type Leaving struct {
	Member etcd.Member
	Gone   bool  // it is no member any more
	Host   *Host // where it runs or ran; nil where that host is not known or cannot be read
	Alive  bool
	Departed
}

// Done tells that the run has removed the member, and nobody knows its name any
// more: its controller was killed after it had edited the inventory, which comes last.
func (v *View) Done(f *Findings, name string) bool {
	var none Findings
	if _, ok := v.Find(&none, name); ok {
		return false
	}
	for _, h := range v.Hosts {
		for _, c := range h.Made {
			if e, ok := c.(*change.Exec); ok && e.NoReturn {
				f.OK("", fmt.Sprintf("%s is no member of the cluster: this run has removed it", name))
				return true
			}
		}
	}
	return false
}

// Find looks for the member that a name means: its own, its ID, a host of the
// inventory, or a host of its URLs. A host that is no member is one that has gone.
func (v *View) Find(f *Findings, name string) (l Leaving, ok bool) {
	var found []etcd.Member
	for _, m := range v.Members {
		h := v.HostOf(m)
		if m.Name == name || etcd.Hex(m.ID) == name || h != nil && h.Name == name {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		for _, m := range v.Members {
			if slices.ContainsFunc(slices.Concat(m.PeerURLs, m.ClientURLs), func(u string) bool { return hostname(u) == name }) {
				found = append(found, m)
			}
		}
	}
	at := slices.IndexFunc(v.Hosts, func(h Host) bool { return h.Name == name })
	switch {
	case len(found) > 1:
		f.Fail("", fmt.Sprintf("%q means several members: %s", name, v.labels(found)), "name one by its ID")
		return l, false
	case len(found) == 0 && at < 0:
		f.Fail("", fmt.Sprintf("no member %q; the members are %s", name, v.labels(v.Members)), "nothing to do if it has been removed before")
		return l, false
	case len(found) == 0:
		l = Leaving{Gone: true, Member: etcd.Member{Name: name}}
		if h := &v.Hosts[at]; h.Err == nil {
			l.Host = h
			l.Member.Name = cmp.Or(h.State.Instance.Name, name)
		}
		l.Departed = v.departed(l, name)
		return l, true
	}
	m := found[0]
	l = Leaving{Member: m, Host: v.HostOf(m)}
	l.Alive = m.Healthy || l.Host != nil && l.Host.State.Runs()
	l.Departed = v.departed(l, name)
	return l, true
}

func (v *View) labels(members []etcd.Member) string {
	var all []string
	for _, m := range members {
		all = append(all, fmt.Sprintf("%s (%x, %s)", v.Label(m), m.ID, strings.Join(m.PeerURLs, " ")))
	}
	return strings.Join(all, ", ")
}

// departed are the names by which lists may have a member that goes.
func (v *View) departed(l Leaving, asked string) Departed {
	d := Departed{Name: l.Member.Name, Peers: l.Member.PeerURLs}
	m := l.Member
	if l.Host != nil && l.Gone { // its own settings still tell
		m.PeerURLs, m.ClientURLs = l.Host.State.Instance.PeerURLs, l.Host.State.Instance.ClientURLs
		d.Peers = m.PeerURLs
	}
	d.Hosts = append(v.names(m), asked)
	if l.Host != nil {
		d.Hosts = append(d.Hosts, l.Host.Name, l.Host.Facts.FQDN)
		d.Hosts = append(d.Hosts, l.Host.Facts.Addresses...)
	}
	for i := range v.Hosts { // never the name of one that stays
		h := &v.Hosts[i]
		if m, ok := v.MemberOf(h); ok && h.Err == nil && m.ID != l.Member.ID {
			stays := v.names(m)
			d.Hosts = slices.DeleteFunc(d.Hosts, func(s string) bool { return slices.Contains(stays, s) })
		}
	}
	d.Hosts = slices.DeleteFunc(d.Hosts, func(s string) bool { return s == "" })
	return d
}

// Weigh is the arithmetic of a removal from members.
func (v *View) Weigh(f *Findings, l Leaving, members []etcd.Member, yes bool) {
	if l.Gone {
		f.OK("", fmt.Sprintf("%s is no member of the cluster", l.Member.Name))
		return
	}
	verdict := etcd.Remove(members, l.Member)
	const two = 2
	switch {
	case !verdict.OK:
		f.Fail("", verdict.Text, "bring members back first; with the quorum lost for good, restore a backup: dayops run builtin:etcd-restore.yml")
	case etcd.Count(members).Voters == two && !l.Member.Learner && !yes:
		f.Fail("", verdict.Text+"; a cluster of one has nothing to spare", "if that is meant: yes_i_know: yes (-e yes_i_know=yes)")
	default:
		f.Head("Quorum", verdict.Text)
	}
	if v.Asker(l.Member.ID) == nil && verdict.OK {
		hint := "start the other members, or put their hosts into the group etcd: see dayops run etcd-health.yml"
		if etcd.Count(v.Members).Voters == 1 {
			hint = "grow first: dayops run builtin:etcd-scaleup.yml, then builtin:etcd-remove.yml"
		}
		f.Fail("", "no healthy voter beside it is on a host that could be read", hint)
	}
}

// Shrink adds the stages that take a member out of the cluster.
func (k *Making) Shrink(f *Findings, l Leaving) {
	if l.Gone {
		return
	}
	v := k.View
	asker := v.Asker(l.Member.ID)
	in, id := asker.State.Instance, strconv.FormatUint(l.Member.ID, 10)
	var changes []change.Change
	if l.Alive && !l.Member.Learner && v.Version.HasMoveLeader() && len(l.Member.ClientURLs) > 0 {
		at := l.Member.ClientURLs[0]
		leads := &change.Query{Argv: in.Ctl.Status(at), Key: "Endpoint", Value: at, Field: "Status.leader", What: "the leader, as " + l.Member.Label() + " sees it"}
		to := etcd.Hex(asker.State.Live.Status.MemberID)
		changes = append(changes, &change.Exec{
			Argv: in.Ctl.MoveLeader(to, v.clientURLs()...), Login: in.Ctl.Login(), Limit: commandLimit, Class: change.Disruptive,
			Done:    &change.Probe{Find: leads, Is: id, Absent: true},
			Purpose: fmt.Sprintf("move the leadership from %s to %s, if it leads", l.Member.Label(), asker.State.Instance.Name),
			Undo:    nil,
		})
	} else if l.Alive && !v.Version.HasMoveLeader() && v.Leader == l.Member.ID {
		f.Warn("", fmt.Sprintf("%s leads, and etcd %s cannot move the leadership: writes pause for an election", l.Member.Label(), v.Version), "")
	}
	there := &change.Query{Argv: in.Ctl.MemberList(in.Endpoint), List: "members", Key: "ID", Value: id, What: "member " + l.Member.Label()}
	changes = append(changes, &change.Exec{
		Argv: in.Ctl.MemberRemove(in.Endpoint, etcd.Hex(l.Member.ID)), Login: in.Ctl.Login(), Limit: commandLimit, Class: change.Disruptive, Again: NotYet, AgainFor: NotYetLimit,
		Done:    &change.Probe{Find: there, Absent: true},
		Purpose: fmt.Sprintf("member remove %s (%x)", l.Member.Label(), l.Member.ID), NoReturn: true,
	})
	k.On("remove "+l.Member.Label(), asker.Name, changes...)
}

// Quiet stops what a removed member left on its host, keeps it from starting
// again, and moves its data aside.
func (k *Making) Quiet(f *Findings, l Leaving) {
	if l.Host == nil {
		if !l.Gone {
			f.Warn("", fmt.Sprintf("the host of %s cannot be read", l.Member.Label()), "before it is started again: systemctl disable --now etcd (or the pod's manifest away), and its data aside")
		}
		return
	}
	h := l.Host
	in := h.State.Instance
	if !h.State.Found {
		return
	}
	if why := in.Powerless(); why != "" {
		f.Warn(h.Name, why, "stop etcd there yourself, and move its data aside")
		return
	}
	var changes []change.Change
	if !in.Down() {
		changes = append(changes, forced(in.Stop())...)
	}
	if in.Unit != "" && daemon.AtBoot(in.Service) {
		no := false
		changes = append(changes, &change.Unit{Name: in.Unit, Before: in.Service, Enabled: &no, Force: true})
	}
	for _, d := range h.State.Data {
		if d.Exists {
			stamp := k.View.Now.UTC().Format("20060102T150405Z")
			changes = append(changes, &change.Move{From: d.Path, To: path.Join(path.Dir(d.Path), fmt.Sprintf("dayops-%s-%s", path.Base(d.Path), stamp)), Before: d})
		}
	}
	k.On("stop "+h.Name, h.Name, changes...)
}

// forced leaves out what a unit was like: a removed member ends by itself.
func forced(list []change.Change) []change.Change {
	for i, c := range list {
		list[i] = change.Forced(c)
	}
	return list
}

// Without are the members once l has gone.
func Without(members []etcd.Member, l Leaving) []etcd.Member {
	return slices.DeleteFunc(slices.Clone(members), func(m etcd.Member) bool { return m.ID == l.Member.ID && !l.Gone })
}

// Steps is how many changes there are.
func (k *Making) Steps() (n int) {
	for _, s := range k.Stages {
		n += len(s.Steps)
	}
	return n
}

// IDs are those of which nothing is expected any more.
func (l Leaving) IDs() (ids []uint64) {
	if !l.Gone && l.Member.ID != 0 {
		ids = append(ids, l.Member.ID)
	}
	if l.Host != nil && l.Host.State.Live.Status != nil {
		ids = append(ids, l.Host.State.Live.Status.MemberID)
	}
	return ids
}

// on tells whether a host is the member's, by its name where it cannot be read.
func (l Leaving) on(h Host) bool {
	if l.Host != nil {
		return l.Host.Name == h.Name
	}
	return h.Name == l.Member.Name || slices.Contains(l.Departed.Hosts, h.Name)
}

// Lost are hosts of the member that could not be read: nothing is expected of
// them, and that they are dead may be why it goes.
func (l Leaving) Lost(v *View) (names []string) {
	for _, h := range v.Hosts {
		if h.Err != nil && l.on(h) {
			names = append(names, h.Name)
		}
	}
	return names
}

// Regroup takes the member's host out of the group etcd.
func (l Leaving) Regroup(v *View) (out []Regroup) {
	for _, h := range v.Hosts {
		if l.on(h) && h.In("etcd") {
			out = append(out, Regroup{Host: h.Name, From: "etcd"})
		}
	}
	return out
}
