package etcdrestore

import (
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

type input = task.ClusterInput[Params, State]
type host = task.HostInput[Params, State]

const (
	restoreLimit = 20 * time.Minute // of a tool that writes a whole database
	statusLimit  = 5 * time.Minute
	listLimit    = time.Minute
	goneLimit    = time.Minute
)

// planner is the whole cluster in view.
type planner struct {
	params  Params
	known   *verified
	now     time.Time
	members []*member
	control []host // that run parts of the control plane
	src     Source
	found   []task.Finding

	tag     string // names the restore on the hosts
	cluster string // NAME=URL,...
	token   string
	again   bool // a part of the members is restored already: the run is taken up
}

// member is one host that is restored.
type member struct {
	host
	in      etcd.Instance
	peers   []string
	tool    string // etcdctl, etcdutl, or nothing that fits
	staging string
	attr    attr
	placed  bool // its data are those of this restore
}

// attr is what the data look like.
type attr struct{ owner, group, mode, label, path string }

// Plan restores all members of the cluster.
func (t *restore) Plan(in input) (task.Plan, error) {
	p := &planner{known: t.known, now: in.Now, tag: in.Now.UTC().Format("20060102T150405Z")}
	p.token = "etcd-restore-" + p.tag
	p.gather(in)
	p.judge()
	if p.bad() {
		return task.Plan{Findings: p.found}, nil
	}
	plan := task.Plan{Stages: p.stages(), Finally: p.finally(), Back: p.back(), Findings: p.found, OnFailure: task.Rollback}
	if p.src.V2 != nil {
		plan.Stages, plan.Finally = p.v2stages(), p.v2finally()
	}
	return plan, nil
}

// gather sorts hosts into members, and those that run the control plane.
func (p *planner) gather(in input) {
	grouped := slices.ContainsFunc(in.Hosts, func(h host) bool { return h.Err == nil && h.State.Found && slices.Contains(h.Groups, "etcd") })
	for _, h := range in.Hosts {
		group := slices.Contains(h.Groups, "etcd")
		if h.Err == nil && p.src.Path+p.src.Problem == "" {
			p.src, p.params = h.State.Source, h.Params
		}
		switch {
		case h.Err != nil && (group || slices.Contains(h.Groups, "masters") || !h.Reach):
			p.fail(h.Target, "cannot be looked at: "+reader.Printable(h.Err.Error()), "all members are restored together, and no API server may go on meanwhile; a host that is gone for good leaves the groups etcd and masters first")
		case h.Err != nil:
		case h.State.Found && grouped && !group && h.State.Instance.Down():
			// A master whose member was removed: restored, it would be one again.
			p.say(h.Target, task.OK, "has settings of a member, but is not in the group etcd and its etcd does not run: it was removed, and stays so", "")
		case h.State.Found && (group || !h.Reach):
			if h.Reach {
				p.fail(h.Target, "is a member, and outside of the play or --limit", "all members are restored together: hosts: etcd:masters, without --limit and serial")
			}
			p.members = append(p.members, newMember(h, p))
		case group:
			p.fail(h.Target, "no etcd found: no unit, no static pod and no settings of one", "set config or unit, or take the host out of the group etcd")
		}
		if h.Err == nil && len(h.State.Control) > 0 {
			p.control = append(p.control, h)
			if h.Reach {
				p.fail(h.Target, "runs an API server or controllers, and is outside of the play or --limit", "hosts: etcd:masters, without --limit and serial")
			}
		}
	}
	p.owners()
	var all []string
	for _, m := range p.members {
		p.again = p.again || m.placed
		for _, u := range m.peers {
			all = append(all, m.in.Name+"="+u)
		}
	}
	p.cluster = strings.Join(all, ",")
}

func newMember(h host, p *planner) *member {
	in := h.State.Instance
	m := &member{host: h, in: in, peers: in.PeerURLs, staging: in.DataDir + "/" + change.StagingName(p.now, 1)}
	for _, l := range h.State.Live.Members { // what the cluster uses beats what the settings say
		if st := h.State.Live.Status; st != nil && l.ID == st.MemberID && len(l.PeerURLs) > 0 && !slices.ContainsFunc(l.PeerURLs, etcd.Local) {
			m.peers = l.PeerURLs
		}
	}
	m.placed = slices.Contains(h.State.Places.Restored, p.tag)
	switch t := h.State.Tool; {
	case t.Utl.Known():
		m.tool = "etcdutl"
	case t.Ctl.Known() && !t.Ctl.AtLeast(3, 6, 0):
		m.tool = "etcdctl"
	}
	return m
}

// server is etcd's own version: it answers, or its program does.
func (m *member) server() etcd.Version {
	if st := m.State.Live.Status; st != nil {
		v, _ := etcd.ParseVersion(st.Version)
		return v
	}
	return m.State.Tool.Etcd
}

// owners takes what the data look like from the old data, from the folder, and
// where both are gone from another member.
func (p *planner) owners() {
	var any attr
	for _, m := range p.members {
		pl := m.State.Places
		switch {
		case pl.Member.Exists:
			m.attr = attrOf(pl.Member)
		case pl.Data.Exists:
			m.attr = attrOf(pl.Data)
		}
		if any.owner == "" {
			any = m.attr
		}
	}
	for _, m := range p.members {
		if m.attr.owner == "" && any.owner != "" {
			m.attr = any
			m.attr.path, m.attr.label = "", "" // the parent's policy gives one
		}
	}
}

func attrOf(f reader.File) attr {
	mode := f.Mode & fs.FileMode(0o777)
	if f.Type != reader.Directory { // a link's own says nothing
		mode = 0o700
	}
	return attr{owner: f.Owner, group: f.Group, mode: reader.Octal(mode), label: f.Label, path: f.Path}
}

// bump is how far the revision goes up on a member.
func (p *planner) bump(m *member) int64 { return m.State.bump(p.params) }

// steps are some changes on each of the members.
func (p *planner) steps(of func(*member) []change.Change) []task.Step {
	var out []task.Step
	for _, m := range p.members {
		for _, c := range of(m) {
			out = append(out, task.Step{Host: m.Target, Change: c})
		}
	}
	return out
}

// controls are some changes on each host of the control plane.
func (p *planner) controls(of func(Service) []change.Change) []task.Step {
	var out []task.Step
	for _, h := range p.control {
		for _, s := range h.State.Control {
			for _, c := range of(s) {
				out = append(out, task.Step{Host: h.Target, Change: c})
			}
		}
	}
	return out
}

func (p *planner) stages() []task.Stage {
	todo := func(of func(*member) []change.Change) []task.Step {
		return p.steps(func(m *member) []change.Change {
			if m.placed {
				return nil
			}
			return of(m)
		})
	}
	all := []task.Stage{
		{Name: "bring the snapshot to every member", Steps: todo(p.upload)},
		{Name: "rehearse: restore it beside the running data", Steps: todo(p.rehearsed)},
		{Name: "stop API servers and controllers", Steps: p.controls(Service.stop)},
		{Name: "stop all members", Steps: p.steps(stopped)},
		{Name: "put the restored data in place", Steps: todo(func(m *member) []change.Change { return []change.Change{m.place(p)} })},
		{Name: "start all members", Steps: p.steps(func(m *member) []change.Change { return m.in.StartTogether() })},
		{Name: "every member is healthy", Steps: p.steps(func(m *member) []change.Change {
			return []change.Change{m.in.Healthy(p.params.HealthyWithin.Std())}
		})},
		{Name: "the members are those of the plan", Steps: p.steps(p.listed)},
		{Name: "start API servers and controllers", Steps: p.controls(Service.start)},
	}
	return filled(all)
}

// filled are the stages that have steps.
func filled(all []task.Stage) []task.Stage {
	once(all)
	return slices.DeleteFunc(all, func(s task.Stage) bool { return len(s.Steps) == 0 })
}

// once leaves out a folder that the same host makes before: pods share theirs.
func once(stages []task.Stage) {
	made := map[string]bool{}
	for i := range stages {
		stages[i].Steps = slices.DeleteFunc(stages[i].Steps, func(s task.Step) bool {
			d, ok := s.Change.(*change.Dir)
			if !ok {
				return false
			}
			key := s.Host + "\x00" + d.Path
			again := made[key]
			made[key] = true
			return again
		})
	}
}

// stopped stops a member, and makes sure of it: data are never put in place below
// an etcd that runs, also where a run is taken up and the stop was made before.
// One that is only starting listens for its peers already.
func stopped(m *member) []change.Change {
	out := append(m.in.StopTogether(), m.in.Gone(goneLimit))
	if u, err := url.Parse(m.peers[0]); err == nil {
		if port, err := strconv.Atoi(u.Port()); err == nil {
			out = append(out, &change.Wait{Port: port, Address: u.Hostname(), Gone: true, Limit: goneLimit, What: m.in.Name + " to be gone for its peers"})
		}
	}
	return out
}

// upload makes the staging folder and puts the snapshot there.
func (p *planner) upload(m *member) []change.Change {
	path := p.src.Path
	return append(p.folders(m), m.bring(snapshotName, change.Content{
		Size: p.src.Size, SHA256: p.src.SHA256, Open: func() (io.ReadCloser, error) { return os.Open(path) },
	}))
}

// folders makes the staging folder, and the data folder where it is gone.
func (p *planner) folders(m *member) []change.Change {
	var out []change.Change
	mode := fs.FileMode(0o700)
	if !m.State.Places.Data.Exists {
		out = append(out, &change.Dir{Path: m.in.DataDir, Before: reader.File{Path: m.in.DataDir}, Attr: change.Attr{Mode: &mode, Owner: m.attr.owner, Group: m.attr.group}})
	}
	return append(out, &change.Dir{Path: m.staging, Before: reader.File{Path: m.staging}, Attr: change.Attr{Mode: &mode}, Staging: true})
}

// bring puts a file of the control machine into the staging folder.
func (m *member) bring(name string, content change.Content) *change.Write {
	mode, to := fs.FileMode(0o600), m.staging+"/"+name
	return &change.Write{Path: to, Before: reader.File{Path: to}, Attr: change.Attr{Mode: &mode}, Hide: true, After: content}
}

// rehearsed restores, and looks at what came of it where that is harmless. No etcd
// runs on it, so that no lease ends there: the revision is the very one.
func (p *planner) rehearsed(m *member) []change.Change {
	out := []change.Change{m.rehearse(p)}
	if m.tool == "etcdctl" && m.toolVersion().StatusHarms() {
		return out
	}
	revision := p.src.Revision + p.bump(m)
	return append(out, &change.Wait{
		Find:  &change.Query{Argv: m.in.Ctl.FileStatus(m.tool, m.staging+"/data/member/snap/db"), Field: "revision", What: "the restored revision"},
		Is:    strconv.FormatInt(revision, 10),
		Limit: statusLimit, What: fmt.Sprintf("what was restored to have revision %d", revision),
	})
}

// listed compares the member list with the plan: no member more, none less. A
// container without a lasting name is looked at afterwards.
func (p *planner) listed(m *member) []change.Change {
	if m.in.Ctl.NoEnv {
		return nil
	}
	argv := m.in.Ctl.MemberList(m.in.Endpoint)
	out := []change.Change{&change.Wait{
		Argv: argv, Match: fmt.Sprintf(`"members":\[(\{[^{}]*\},?){%d}\]`, len(p.members)), Limit: listLimit, What: fmt.Sprintf("%s to list %d members", m.in.Name, len(p.members)),
	}}
	for _, other := range p.members {
		for _, u := range other.peers {
			out = append(out, &change.Wait{
				Find: &change.Query{Argv: argv, List: "members", Key: "peerURLs", Value: u, Field: "name"}, Is: other.in.Name, Limit: listLimit,
				What: fmt.Sprintf("%s to list %s at %s", m.in.Name, other.in.Name, u),
			})
		}
	}
	return out
}

// back waits for those who were healthy to be so with the old data again.
func (p *planner) back() []task.Step {
	return p.steps(func(m *member) []change.Change {
		if !m.State.Live.Health.OK {
			return nil
		}
		return []change.Change{m.in.Healthy(p.params.HealthyWithin.Std())}
	})
}

// finally starts what ran, whatever happened, and removes the staging folders. It
// waits for nobody: a run that was killed while the data were being put in place
// has members of two clusters, and is taken up from there.
func (p *planner) finally() []task.Step {
	return p.finish(func(m *member) []change.Change {
		if !m.ran() {
			return nil
		}
		return append([]change.Change{m.mend(p)}, m.backUp(p)...)
	})
}

// backUp starts a member in the end, but for a unit on restored data: what is cut
// off has them on some members, and those must not meet the old data of the
// others, whose cluster and member IDs they may have (a v2 backup gives the same
// each time). The stages start it.
func (m *member) backUp(p *planner) []change.Change {
	return unless(m.mark(p), m.in.StartTogether())
}

// mark is the file that tells the data of this restore from others.
func (m *member) mark(p *planner) string { return m.in.DataDir + "/member/" + restoredMark + p.tag }

func unless(path string, list []change.Change) []change.Change {
	for _, c := range list {
		if u, ok := c.(*change.Unit); ok {
			u.Unless = path
		}
	}
	return list
}

// controlsBack start API servers and controllers in the end, but for the units of
// a host whose member waits for the stages: they would wait for it in vain.
func (p *planner) controlsBack() []task.Step {
	out := p.controls(Service.start)
	for i, s := range out {
		at := slices.IndexFunc(p.members, func(m *member) bool { return m.Target == s.Host })
		if at >= 0 && p.members[at].in.Runtime != etcd.PodRuntime {
			out[i].Change = unless(p.members[at].mark(p), []change.Change{s.Change})[0]
		}
	}
	return out
}

// ran tells a member that is to run in the end whatever becomes of the restore.
func (m *member) ran() bool {
	was := m.in.Runtime == etcd.PodRuntime && !m.in.Down() || m.in.Service.Up() || m.placed
	return was && m.State.Places.Member.Exists
}

// finish is finally, with what starts each member.
func (p *planner) finish(start func(*member) []change.Change) []task.Step {
	out := append(p.steps(start), p.controlsBack()...)
	return append(out, p.steps(func(m *member) []change.Change {
		return []change.Change{&change.Remove{Path: m.staging, Before: reader.File{Path: m.staging, Exists: true, Type: reader.Directory}, Staging: true}}
	})...)
}
