package etcdsave

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcd/snapshot"
	"github.com/dayops/dayops/tasks/internal/etcd/v2copy"
)

type (
	input = task.ClusterInput[Params, State]
	host  = task.HostInput[Params, State]
)

// Plan takes the configuration of every member in the play, and the data of one.
func Plan(in task.ClusterInput[Params, State]) task.Plan {
	var plan task.Plan
	say := func(host string, s task.Status, text, hint string) {
		plan.Findings = append(plan.Findings, task.Finding{Host: host, Status: s, Text: text, Hint: hint})
	}
	var all, own []host
	for _, h := range in.Hosts {
		switch {
		case h.Err != nil:
		case h.State.Found:
			all = append(all, h)
			if !h.Reach {
				own = append(own, h)
			}
		case slices.Contains(h.Groups, "etcd") && !h.Reach:
			say(h.Target, task.Fail, "no etcd found: no unit, no static pod and no settings of one", "set config, unit or endpoint, or take the host out of the group etcd")
		}
	}
	if len(own) == 0 {
		if len(plan.Findings) == 0 {
			say("", task.Fail, "no etcd found on any host that could be read", "name the etcd hosts in the group etcd, or set config or endpoint")
		}
		return plan
	}
	id, problem := clusterOf(own)
	if problem != "" {
		say("", task.Fail, problem, "back them up one at a time, with --limit")
		return plan
	}
	all = slices.DeleteFunc(all, func(h host) bool { st := h.State.Live.Status; return st != nil && id != 0 && st.ClusterID != id })
	c := view(all)
	chosen, not := c.choose(own, own[0].Params)
	if chosen == nil {
		say("", task.Fail, "no member's data can be taken: "+reasons(not), "see dayops run etcd-health.yml; the configuration alone is in host_backup with roles: [etcd]")
		return plan
	}
	if short := narrow(chosen.host, own); short != "" {
		say("", task.Fail, short, "make room there (what a killed run left is in .*.partial below it), or give another backup_dir")
		return plan
	}
	told(c, chosen, own, say)
	b := &builder{in: in, c: c, chosen: chosen, plan: &plan}
	for _, h := range own {
		b.add(h)
	}
	return plan
}

// narrow tells that there is no room at home for a host's data; "" where there is,
// or nobody knows, or the run has begun and may have brought them already.
func narrow(h host, own []host) string {
	home, size := h.State.Store.Home, h.State.Live.Status.DBSize
	if home == nil || *home >= size || slices.ContainsFunc(own, func(h host) bool { return len(h.Made) > 0 }) {
		return ""
	}
	return fmt.Sprintf("%s are free for %s on the control machine, the database of %s has %s", etcd.Size(*home), h.Params.BackupDir, label(h), etcd.Size(size))
}

// clusterOf is the cluster that the play's members belong to; 0 when none says.
func clusterOf(hosts []host) (id uint64, problem string) {
	by := map[uint64][]string{}
	for _, h := range hosts {
		if st := h.State.Live.Status; st != nil {
			by[st.ClusterID] = append(by[st.ClusterID], h.Target)
			id = st.ClusterID
		}
	}
	if len(by) < 2 {
		return id, ""
	}
	var parts []string
	for id, names := range by {
		parts = append(parts, fmt.Sprintf("%x on %s", id, strings.Join(names, " and ")))
	}
	slices.Sort(parts)
	return 0, fmt.Sprintf("the hosts belong to %d clusters: %s", len(by), strings.Join(parts, "; "))
}

func reasons(not []refusal) string {
	var parts []string
	for _, r := range not {
		parts = append(parts, r.name+": "+r.why)
	}
	return strings.Join(parts, "; ")
}

// told says what was chosen and what is wrong beside it.
func told(c *cluster, chosen *choice, own []host, say func(string, task.Status, string, string)) {
	st := chosen.host.State.Live.Status
	role := "follower"
	if chosen.leader {
		role = "leader; no follower is as good"
		if c.sum.Voters == 1 {
			role = "the only member"
		}
	}
	if chosen.degraded != "" {
		say(chosen.host.Target, task.Warn, chosen.degraded, "keep the data folders of all members until the cluster is back")
	} else {
		say(chosen.host.Target, task.OK, fmt.Sprintf("data of %s (%s, etcd %s), %s, staged in %s", label(chosen.host), role, st.Version, etcd.Size(st.DBSize), chosen.place.Dir), "")
	}
	for _, h := range own {
		if h.State.Live.Status == nil {
			say(h.Target, task.Warn, fmt.Sprintf("member %s does not answer: %s; its configuration is taken", label(h), h.State.Live.Problem), "")
		}
	}
	for _, a := range c.alarms {
		say("", task.Warn, fmt.Sprintf("alarm %s of member %x", a.Kind, a.MemberID), "see dayops run etcd-health.yml")
	}
	for _, id := range slices.Sorted(maps.Keys(c.odd)) {
		say("", task.Warn, fmt.Sprintf("member %x: %s", id, c.odd[id]), "replace it from the others")
	}
	if why := v2Unknown(chosen.host); why != "" {
		say(chosen.host.Target, task.Warn, why, "see etcdctl ls / with ETCDCTL_API=2 there; with v2's own authentication on, the role guest must be allowed to read /")
	}
}

// v2Unknown says that nobody knows whether there are v2 data; "" where that is known.
func v2Unknown(h host) string {
	if v2 := h.State.Live.V2; !v2.Asked || v2.Served {
		return ""
	}
	return fmt.Sprintf("etcd %s should serve the v2 API and does not let itself be asked: whether it holds v2 data is not known, none is taken", h.State.Live.Status.Version)
}

// builder makes the changes.
type builder struct {
	in     input
	c      *cluster
	chosen *choice
	plan   *task.Plan
}

func (b *builder) step(h host, c change.Change) task.Step {
	return task.Step{Host: h.Target, Change: c}
}

// add is one member's part.
func (b *builder) add(h host) {
	stage := task.Stage{Name: "back up " + h.Target}
	if len(b.plan.Stages) == 0 {
		stage.Name = "back up"
		b.plan.Stages = append(b.plan.Stages, stage)
	}
	s := &b.plan.Stages[0]
	for _, old := range h.State.Store.Stale {
		s.Steps = append(s.Steps, b.step(h, &change.Remove{Path: old, Staging: true}))
	}
	tree := settings(h)
	to := &change.SetTarget{Dir: h.Params.BackupDir, Host: h.Target, Kind: Kind, Facts: about(h)}
	note := "configuration and certificates"
	if h.Target == b.chosen.host.Target {
		for _, c := range b.stage(h, to) {
			s.Steps = append(s.Steps, b.step(h, c))
		}
		note = "the data and " + note
	}
	s.Steps = append(s.Steps, b.step(h, &change.Transfer{FromTree: &tree, Note: note, ToSet: to}))
}

// stage makes the data on the host and names it for the set.
func (b *builder) stage(h host, to *change.SetTarget) []change.Change {
	p, mode := h.Params, fs.FileMode(0o700)
	dir := path.Join(b.chosen.place.Dir, change.StagingName(b.in.Now, 1))
	file, v2 := path.Join(dir, SnapshotName), path.Join(dir, V2Name)
	b.plan.Finally = append(b.plan.Finally, b.step(h, &change.Remove{Path: dir, Staging: true}))
	out := []change.Change{&change.Dir{Path: dir, Attr: change.Attr{Mode: &mode}, Staging: true}}
	to.Facts["data"], to.Facts["mode"], to.Facts["degraded"] = h.State.Live.Data(), p.Mode, strconv.FormatBool(b.chosen.degraded != "")
	if b.chosen.degraded != "" {
		to.Missed = append(to.Missed, change.Missed{Path: SnapshotName, Why: b.chosen.degraded})
	}
	if why := v2Unknown(h); why != "" {
		to.Missed = append(to.Missed, change.Missed{Path: V2Name, Why: why})
	}
	proof := snapshot.ProofSaved
	if p.Mode == Cold {
		proof = snapshot.ProofCopied
		out = append(out, coldCopy(h, file, v2, dir)...)
	} else {
		out = append(out, &change.Exec{Argv: h.State.Instance.Save(file, p.Timeout.Std()), Login: h.State.Instance.Ctl.Login(), Limit: p.Timeout.Std() + limitSlack, Staging: true,
			Done: &change.Probe{Path: file}, Purpose: "save a snapshot of " + label(h)})
		if c := v2Copy(h, v2, dir); c != nil {
			out = append(out, c)
		}
	}
	to.Raw = append(to.Raw, change.RawFile{Path: file, Name: SnapshotName, Proof: proof})
	if h.State.Live.V2.Data {
		to.Raw = append(to.Raw, change.RawFile{Path: v2, Name: V2Name, Proof: v2copy.ProofCopy})
	}
	return out
}

// about is what a set's manifest says of its member.
func about(h host) map[string]string {
	s := h.State
	out := map[string]string{"member": s.Instance.Name, "runtime": string(s.Instance.Runtime), "data_dir": s.Instance.DataDir, "hostname": h.Facts.Hostname, "os": h.Facts.OS.Name}
	if st := s.Live.Status; st != nil {
		out["cluster_id"], out["member_id"], out["version"] = fmt.Sprintf("%x", st.ClusterID), fmt.Sprintf("%x", st.MemberID), st.Version
	}
	for k, v := range out {
		if v == "" {
			delete(out, k)
		}
	}
	return out
}

// settings is the configuration of one member: what was read to find it, its
// certificates and keys, and where they usually lie.
func settings(h host) change.Tree {
	in := h.State.Instance
	paths := []string{"/etc/etcd", "/etc/default/etcd", "/etc/sysconfig/etcd", "/etc/kubernetes/pki/etcd"}
	if in.Unit != "" {
		paths = append(paths, "/etc/systemd/system/"+in.Unit, "/etc/systemd/system/"+in.Unit+".d")
	}
	for _, p := range slices.Concat(in.Sources, []string{in.CA, in.Cert, in.Key, in.PeerCA, in.PeerCert, in.PeerKey, in.Ctl.CA, in.Ctl.Cert, in.Ctl.Key}) {
		if path.IsAbs(p) && path.Clean(p) == p && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	t := change.Tree{Exclude: []string{change.StagingGlob}}
	for _, p := range paths {
		t.Items = append(t.Items, change.TreeItem{Path: escape(p), Optional: true, Quiet: true, Why: "etcd"})
	}
	return t
}

// escape keeps an item from being a glob.
func escape(p string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(p)
}
