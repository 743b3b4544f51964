package etcdscaleup

import (
	"slices"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
)

type (
	input = task.ClusterInput[Params, State]
	host  = etcdmember.Host
)

// Plan is the way from the cluster as it is to the one with the new hosts.
func (scaleup) Plan(in input) (task.Plan, error) {
	var all, fresh []host
	params := map[string]Params{}
	var p Params
	for _, h := range in.Hosts {
		x := host{Name: h.Target, Groups: h.Groups, Reach: h.Reach, Err: h.Err, Facts: h.Facts, State: h.State, Made: h.Made}
		if h.Err != nil {
			x.State = State{}
		} else if p.DataDir == "" {
			p = h.Params
		}
		all = append(all, x)
		params[x.Name] = h.Params
		if x.In("new_etcd") && !x.Reach {
			fresh = append(fresh, x)
		}
	}
	var f etcdmember.Findings
	if len(fresh) == 0 {
		f.Warn("", nobody(all), "put the new host into the group new_etcd of the inventory")
		return task.Plan{Findings: f}, nil
	}
	v := etcdmember.Gather(all, in.Now)
	v.Sound(&f, p.Limits(), v.Begun(fresh)...)
	if len(v.Members) == 0 {
		return task.Plan{Findings: f}, nil
	}
	k := &etcdmember.Making{View: v, OnFailure: task.Rollback}
	correct := k.Correct(&f)
	var add []*etcdmember.Addition
	members := v.Members
	for _, h := range fresh {
		if a := v.Add(&f, h, params[h.Name].Address, params[h.Name].Growth(), members); a != nil {
			add = append(add, a)
			members = etcdmember.Joined(members, a)
		}
	}
	if f.Failed() {
		return task.Plan{Findings: f}, nil
	}
	f.Head("Quorum", etcdmember.Tally(v.Members, add))
	f.Even(etcd.Count(members))
	return stages(k, f, add, p, correct, params, in.Inventory)
}

func nobody(all []host) string {
	for _, h := range all {
		if h.In("new_etcd") {
			return "nothing to do: the hosts of the group new_etcd are outside of the play, the batch or --limit"
		}
	}
	return "nothing to do: the group new_etcd has no host"
}

func stages(k *etcdmember.Making, f etcdmember.Findings, add []*etcdmember.Addition, p Params, correct []change.Change, params map[string]Params, files []task.InventoryFile) (task.Plan, error) {
	v := k.View
	swap := v.Swapping(add, nil)
	asker := v.Asker()
	for _, a := range add {
		k.Reach(a)
	}
	if len(correct) > 0 || slices.ContainsFunc(add, func(a *etcdmember.Addition) bool { return !a.Member && !a.Begun }) {
		k.Backup(&f, p.SaveParams)
	}
	k.On("peer URLs", asker.Name, correct...)
	for _, a := range add {
		if err := k.Grow(a, params[a.Host.Name].Growth()); err != nil {
			f.Fail(a.Host.Name, err.Error(), "correct them in that member's settings first, or add the new member by hand")
			return task.Plan{Findings: f}, nil
		}
	}
	k.Commit()
	if p.Masters {
		k.Masters(&f, swap)
	}
	if p.Flannel {
		k.Flannel(&f, swap)
	}
	if p.Inventory {
		var moves []etcdmember.Regroup
		for _, a := range add {
			moves = append(moves, etcdmember.Regroup{Host: a.Host.Name, From: "new_etcd", To: "etcd"})
		}
		k.Inventory(&f, files, moves)
	}
	if f.Failed() {
		return task.Plan{Findings: f}, nil
	}
	return k.Plan(f), nil
}
