package etcdreplace

import (
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
)

type (
	input = task.ClusterInput[Params, State]
	host  = etcdmember.Host
)

// Plan is the way from the cluster with the old member to the one with the new.
func (replace) Plan(in input) (task.Plan, error) {
	var f etcdmember.Findings
	all, fresh, p := split(in)
	v := etcdmember.Gather(all, in.Now)
	if len(v.Members) == 0 {
		v.Sound(&f, p.Limits())
		return task.Plan{Findings: f}, nil
	}
	old, ok := v.Find(&f, p.Member)
	v.Sound(&f, p.Limits(), append(old.IDs(), v.Begun(fresh)...)...)
	if len(fresh) != 1 {
		f.Fail("", fmt.Sprintf("one host is to take its place, and %d of the group new_etcd are in the play", len(fresh)), "put one host into the group new_etcd, or choose it with --limit")
	}
	if !ok || len(fresh) != 1 {
		return task.Plan{Findings: f}, nil
	}
	k := &etcdmember.Making{View: v, OnFailure: task.Rollback, Excused: old.Lost(v)}
	correct := k.Correct(&f)
	first := old.Alive && !old.Gone // the new one comes before the old one goes
	members := v.Members
	if !first {
		v.Weigh(&f, old, members, true)
		members = etcdmember.Without(members, old)
	}
	a := v.Add(&f, fresh[0], p.Address, p.Growth(), members)
	if a != nil && a.Name == old.Member.Name && !a.Member {
		f.Fail("", fmt.Sprintf("%s would take its own place", a.Name), "to begin anew on the same host: etcd-remove.yml, then etcd-scaleup.yml")
	}
	if a != nil {
		members = etcdmember.Joined(members, a)
	}
	if a != nil && first {
		v.Weigh(&f, old, members, true)
		members = etcdmember.Without(members, old)
	}
	if f.Failed() || a == nil {
		return task.Plan{Findings: f}, nil
	}
	f.Even(etcd.Count(members))
	return stages(k, f, old, a, p, in, first, func() { k.On("peer URLs", v.Asker(old.Member.ID).Name, correct...) })
}

// split are all hosts, those that come, and the parameters.
func split(in input) (all, fresh []host, p Params) {
	for _, h := range in.Hosts {
		x := host{Name: h.Target, Groups: h.Groups, Reach: h.Reach, Err: h.Err, Facts: h.Facts, State: h.State, Made: h.Made}
		if h.Params.Member != "" && p.Member == "" {
			p = h.Params
		}
		all = append(all, x)
		if x.In("new_etcd") && !x.Reach {
			fresh = append(fresh, x)
		}
	}
	for _, h := range in.Hosts { // its own address, where it was given one
		if len(fresh) == 1 && h.Target == fresh[0].Name && h.Params.Member != "" {
			p = h.Params
		}
	}
	return all, fresh, p
}

func stages(k *etcdmember.Making, f etcdmember.Findings, old etcdmember.Leaving, a *etcdmember.Addition, p Params, in input, first bool, correct func()) (task.Plan, error) {
	v := k.View
	swap := v.Swapping([]*etcdmember.Addition{a}, []etcdmember.Departed{old.Departed})
	moves := append(old.Regroup(v), etcdmember.Regroup{Host: a.Host.Name, From: "new_etcd", To: "etcd"})
	k.Reach(a, old)
	if !a.Member && !a.Begun || !old.Gone {
		k.Backup(&f, p.SaveParams)
	}
	correct()
	var before []func()
	if !first { // when all is ready for the new one, and no earlier
		v.Members = etcdmember.Without(v.Members, old)
		before = append(before, func() { k.Shrink(&f, old) })
	}
	if err := k.Grow(a, p.Growth(), before...); err != nil {
		f.Fail(a.Host.Name, err.Error(), "correct them in that member's settings first, or add the new member by hand")
		return task.Plan{Findings: f}, nil
	}
	k.Commit()
	if first {
		k.Shrink(&f, old)
	}
	k.Quiet(&f, old)
	k.Initial(&f, swap)
	if p.Masters {
		k.Masters(&f, swap)
	}
	if p.Flannel {
		k.Flannel(&f, swap)
	}
	if p.Inventory {
		k.Inventory(&f, in.Inventory, moves)
	}
	if f.Failed() {
		return task.Plan{Findings: f}, nil
	}
	return k.Plan(slices.Clone(f)), nil
}
