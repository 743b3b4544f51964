package etcdrestore

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

func (p *planner) say(host string, s task.Status, text, hint string) {
	p.found = append(p.found, task.Finding{Host: host, Status: s, Text: text, Hint: hint})
}

func (p *planner) fail(host, text, hint string) { p.say(host, task.Fail, text, hint) }

// bad tells whether something speaks against the restore.
func (p *planner) bad() bool {
	return slices.ContainsFunc(p.found, func(f task.Finding) bool { return f.Status == task.Fail })
}

// judge looks for every reason against it.
func (p *planner) judge() {
	p.source()
	if len(p.members) == 0 {
		p.fail("", "no etcd found on any host that could be read", "name the etcd hosts in the group etcd, or set config or unit")
		return
	}
	for _, m := range p.members {
		p.settings(m)
		p.tools(m)
		p.room(m)
		if p.src.V2 != nil {
			p.v2judge(m)
		}
	}
	p.together()
	p.startable()
	p.whose()
	p.elsewhere()
	p.warnings()
}

// source judges the file.
func (p *planner) source() {
	s := p.src
	switch {
	case s.Problem != "":
		p.fail("", s.Problem, s.Hint)
		return
	case !s.Sealed && !p.params.AllowUnverified:
		p.fail("", s.Path+" has no checksum at its end: it is a copy of a database file, and nothing proves that its values are right", "take a snapshot that etcdctl snapshot save wrote; allow_unverified: true takes it all the same")
		return
	case s.V2 == nil && s.Set != "" && strings.HasPrefix(s.Data, "v2"):
		p.fail("", s.Set+" is of a cluster with v2 data, and has none of them ("+v2Name+")", "take another set; or give from: "+s.Path+" for the v3 data alone")
		return
	case !s.Sealed:
		p.say("", task.Warn, s.Path+" has no checksum: its pages are whole, its values are not proven", "")
	}
	text := fmt.Sprintf("%s: revision %d, %d keys, %s, sha256 %.12s", s.Path, s.Revision, s.Keys, etcd.Size(s.Size), s.SHA256)
	if s.Host != "" {
		text += fmt.Sprintf(", of %s at %s", s.Host, s.Taken.UTC().Format("2006-01-02T15:04:05Z"))
	}
	p.say("", task.OK, text+": verified", "")
	if v := s.V2; v != nil {
		p.say("", task.OK, fmt.Sprintf("%s: the v2 store to raft's entry %d, %s, sha256 %.12s: verified", v.Path, v.Copy.Last, etcd.Size(v.Size), v.SHA256), "")
		if v.Keys < 0 {
			p.say("", task.Warn, "how many v2 keys "+v.Path+" has is not known, neither from the set nor from itself: the restored ones are not counted", "look at them afterwards: etcdctl ls --recursive / with ETCDCTL_API=2")
		}
	}
	if s.NoV2 != "" {
		p.say("", task.Warn, s.Set+" has no v2 data, as its backup could not tell whether there were any: "+s.NoV2, "look for a set with "+v2Name+" if there were")
	}
	if s.Degraded != "" && s.Degraded != "false" {
		p.say("", task.Warn, "the snapshot was taken without a quorum: the last writes may not be in it", "")
	}
}

// settings judges what the restored member is made from.
func (p *planner) settings(m *member) {
	in := m.in
	hint := "these come from " + strings.Join(in.Sources, ", ")
	switch {
	case in.Powerless() != "":
		p.fail(m.Target, "etcd cannot be stopped here: "+in.Powerless(), "set unit")
	case !path.IsAbs(in.DataDir) || path.Clean(in.DataDir) == "/":
		p.fail(m.Target, fmt.Sprintf("etcd's data folder is not known (%q)", in.DataDir), hint)
	case in.WALDir != "" && !path.IsAbs(in.WALDir):
		p.fail(m.Target, fmt.Sprintf("etcd's WAL folder %q is not absolute", in.WALDir), hint)
	}
	if strings.ContainsAny(in.Name, "=, \t") || in.Name == "" {
		p.fail(m.Target, fmt.Sprintf("the member's name %q cannot stand in a list of members", in.Name), "set ETCD_NAME; "+hint)
	}
	if len(m.peers) == 0 {
		p.fail(m.Target, "the member's peer URL is not known: its settings have no ETCD_INITIAL_ADVERTISE_PEER_URLS", hint)
	}
	for _, u := range m.peers {
		if etcd.Local(u) && len(p.members) > 1 {
			p.fail(m.Target, "its peer URL is "+u+", which no other member can use", "correct ETCD_INITIAL_ADVERTISE_PEER_URLS; "+hint)
		}
	}
	pl := m.State.Places
	if pl.Member.Exists && pl.Member.Dev != pl.Data.Dev && pl.Data.Type != "l" {
		p.fail(m.Target, in.DataDir+"/member is a file system of its own: it cannot be renamed", "mount it at "+in.DataDir)
	}
	if pl.WAL.Exists && pl.WAL.Dev != pl.WALParent.Dev {
		p.fail(m.Target, in.WALDir+" is a file system of its own: it cannot be renamed", "let ETCD_WAL_DIR be a folder in it")
	}
	if m.in.Runtime == etcd.PodRuntime && m.wal() != "" && !strings.HasPrefix(m.wal(), in.DataDir+"/") {
		p.fail(m.Target, "the pod has its WAL in "+m.wal()+", outside of its data folder: dayops cannot restore that", "restore by hand, or move the WAL below "+in.DataDir)
	}
	if m.attr.owner == "" {
		p.fail(m.Target, "there is no data folder on any member whose owner the restored data could have", "make "+in.DataDir+", owned by etcd's account, on one of them")
	}
}

// tools judges what restores there.
func (p *planner) tools(m *member) {
	if m.placed { // it needs none, and its container may be waiting for the others
		return
	}
	t := m.State.Tool
	where := "on the host"
	if len(m.in.Ctl.Wrap) > 0 {
		where = "in the container (" + strings.Join(m.in.Ctl.Wrap, " ") + "), which must run"
	}
	switch {
	case m.tool == "" && t.Ctl.AtLeast(3, 6, 0):
		p.fail(m.Target, fmt.Sprintf("etcdctl %s does not restore, and there is no etcdutl %s", t.Ctl, where), "install etcdutl "+t.Ctl.Line())
		return
	case m.tool == "":
		p.fail(m.Target, "there is no etcdctl "+where, "install etcd's client programs, or start the pod")
		return
	}
	server := m.server()
	if server.Known() && server.Line() != m.toolVersion().Line() {
		p.fail(m.Target, fmt.Sprintf("etcd is %s, but %s is %s", server, m.tool, m.toolVersion()), "install the program of etcd's version")
	}
	made, ok := etcd.ParseVersion(p.src.Version)
	now := m.toolVersion()
	if ok && (made.Major != now.Major || made.Minor > now.Minor) {
		p.fail(m.Target, fmt.Sprintf("the snapshot is of etcd %s, here is %s: an older etcd cannot read a newer one's data", made, now), "upgrade etcd first")
	} else if ok && made.Minor+1 < now.Minor {
		p.say(m.Target, task.Warn, fmt.Sprintf("the snapshot is of etcd %s, here is %s: more than one release apart", made, now), "")
	}
}

// room: the file, what is made of it, and a WAL of 64 MiB that etcd makes at once.
func (p *planner) room(m *member) {
	const copies, wal = 3, 128 << 20
	need, why := copies*p.src.Size+wal, "three times the snapshot, and 128 MiB"
	if p.src.V2 != nil {
		need, why = p.v2Room(m)
	}
	if free := m.State.Free; p.src.Problem == "" && free >= 0 && free < need && !m.placed {
		p.fail(m.Target, fmt.Sprintf("%s has %s free, the restore needs %s (%s)", m.in.DataDir, etcd.Size(free), etcd.Size(need), why), "make room: old data of earlier restores lie there as member."+asideMark+"*")
	}
}

// together judges the members as a cluster.
func (p *planner) together() {
	names, urls, lines := map[string]string{}, map[string]string{}, map[string][]string{}
	for _, m := range p.members {
		if other := names[m.in.Name]; other != "" {
			p.fail(m.Target, fmt.Sprintf("%s has the member name %s too", other, m.in.Name), "every member needs an ETCD_NAME of its own")
		}
		names[m.in.Name] = m.Target
		for _, u := range m.peers {
			if other := urls[u]; other != "" {
				p.fail(m.Target, fmt.Sprintf("%s has the peer URL %s too", other, u), "every member needs its own")
			}
			urls[u] = m.Target
		}
		if m.tool != "" {
			l := m.toolVersion().Line()
			lines[l] = append(lines[l], m.Target)
		}
	}
	if len(lines) > 1 {
		var parts []string
		for l, hosts := range lines {
			parts = append(parts, l+" on "+strings.Join(hosts, " and "))
		}
		slices.Sort(parts)
		p.fail("", "mixed versions: "+strings.Join(parts, "; "), "finish the upgrade first: all members are restored with one version")
	}
	for _, m := range p.live() {
		if !slices.ContainsFunc(p.members, func(h *member) bool { return h.in.Name == m.Name || m.Name == "" && slices.Equal(h.peers, m.PeerURLs) }) && !p.again {
			p.fail("", fmt.Sprintf("member %s of the cluster (%s) is on no host of the group etcd: it would stay as it is", m.Label(), strings.Join(m.PeerURLs, ", ")), "add its host to the group, or remove the member first")
		}
	}
}

// live is the member list of the cluster that runs, of whoever is furthest.
func (p *planner) live() []etcd.Member {
	var best *etcd.Status
	var list []etcd.Member
	for _, m := range p.members {
		if st := m.State.Live.Status; st != nil && len(m.State.Live.Members) > 0 && (best == nil || st.Term > best.Term || st.Term == best.Term && st.Index > best.Index) {
			best, list = st, m.State.Live.Members
		}
	}
	return list
}

// whose judges whether the snapshot is of this cluster.
func (p *planner) whose() {
	if p.again || p.src.Problem != "" {
		return
	}
	ids := map[string]bool{}
	for _, m := range p.members {
		if st := m.State.Live.Status; st != nil {
			ids[fmt.Sprintf("%x", st.ClusterID)] = true
		}
	}
	ours := p.sameMembers()
	why := ""
	switch {
	case len(ids) > 0 && p.src.ClusterID != "" && !ids[p.src.ClusterID]:
		why = fmt.Sprintf("the snapshot is of cluster %s, here runs %s", p.src.ClusterID, strings.Join(sorted(ids), " and "))
		if ours {
			why += " (the members are the same: it is from before the cluster was made anew)"
		}
	case len(ids) > 0 && p.src.ClusterID == "" && len(p.src.Members) > 0 && !p.knownIDs():
		why = "none of the members that run is in the snapshot: it is of another cluster"
		if ours {
			why = "the members that run are not those of the snapshot, though they have the same addresses: it is from before the cluster was made anew"
		}
	case len(ids) == 0 && len(p.src.Members) > 0 && !ours:
		why = "the snapshot's members are others: " + p.snapshotMembers()
	}
	switch {
	case why == "":
	case p.params.OtherCluster:
		p.say("", task.Warn, why, "")
	default:
		p.fail("", why, "if that is meant: other_cluster: true")
	}
}

func sorted(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// sameMembers tells that a peer URL other than localhost is in both.
func (p *planner) sameMembers() bool {
	for _, s := range p.src.Members {
		for _, u := range etcd.URLs(s.PeerURLs) {
			if !etcd.Local(u) && slices.ContainsFunc(p.members, func(m *member) bool { return slices.Contains(m.peers, u) }) {
				return true
			}
		}
	}
	return false
}

func (p *planner) knownIDs() bool {
	for _, m := range p.live() {
		for _, s := range p.src.Members {
			if s.ID == m.ID {
				return true
			}
		}
	}
	return false
}

func (p *planner) snapshotMembers() string {
	var out []string
	for _, m := range p.src.Members {
		out = append(out, fmt.Sprintf("%s at %s", m.Name, strings.Join(etcd.URLs(m.PeerURLs), " ")))
	}
	return printable(strings.Join(out, ", "))
}

// elsewhere: the cluster that the snapshot is of must not run beside the restored one.
func (p *planner) elsewhere() {
	told := map[uint64]bool{}
	for _, m := range p.members {
		for _, o := range m.State.Others {
			ours := slices.ContainsFunc(p.members, func(h *member) bool { return slices.Contains(h.in.ClientURLs, o.Endpoint) })
			of := p.src.ClusterID != "" && fmt.Sprintf("%x", o.ClusterID) == p.src.ClusterID
			for _, s := range p.src.Members {
				of = of || s.ID == o.MemberID
			}
			if ours || !of || told[o.MemberID] {
				continue
			}
			told[o.MemberID] = true
			p.fail("", fmt.Sprintf("the cluster of the snapshot, %x, runs at %s, outside of the hosts that are restored", o.ClusterID, o.Endpoint),
				"two clusters with the same objects attach the same volumes: stop it first, or add its host to the group etcd")
		}
	}
}

// warnings are what people should know before they approve.
func (p *planner) warnings() {
	if p.bad() {
		return
	}
	p.say("", task.Warn, "everything that was written since the snapshot is given up; pods of then start again and attach their volumes again", "compare with what runs before you approve: oc get pods, pv")
	for _, m := range p.members {
		if p.src.V2 == nil && m.State.Live.V2.Data {
			p.say(m.Target, task.Warn, m.in.Name+" has v2 data, and what is restored has none: they are given up too", "restore a set with "+v2Name+" if they are needed (from: its folder)")
			break
		}
	}
	for _, m := range p.members {
		if p.params.BumpRevision > 0 && p.bump(m) == 0 {
			p.say("", task.Warn, fmt.Sprintf("%s %s cannot raise the revision: programs that watch keys do not notice that they went back", m.tool, m.toolVersion()),
				"restart what watches etcd itself (flannel, calico, operators) after the restore; API servers and controllers of these hosts are restarted by it")
			break
		}
	}
	for _, m := range p.members {
		if m.State.Live.Status == nil && !m.placed {
			p.say(m.Target, task.Warn, fmt.Sprintf("%s does not answer: %s", m.in.Name, m.State.Live.Problem), "")
		}
	}
}
